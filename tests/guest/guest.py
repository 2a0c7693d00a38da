#!/usr/bin/env python3
"""Runs static test programs in a small virtual machine with several NUMA nodes.

  guest.py --init INIT --cache DIR [--nodes N] [--far N] [--kernel-argument WORD]... [--no-skip PATTERN]...
           -- PROGRAM [ARGUMENT...] [, PROGRAM [ARGUMENT...]]...

The machine has N nodes of one CPU each, and memory-only nodes after them. QEMU emulates the processor
(tcg), so that it runs where there is no /dev/kvm, with every feature QEMU knows: protection keys among
them. Exit code 0 when each program ended with 0, 77 with a reason when there is no QEMU or no kernel.

In the guest nothing that it was booted for may be missing: of the GoogleTest cases that match a
--no-skip pattern, none may be skipped there, and one at least must pass.
"""
import argparse
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kernel as guest_kernel

QEMU = "qemu-system-x86_64"
SKIPPED = 77
ARGUMENTS = "console=ttyS0 quiet panic=-1 rdinit=/init nokaslr mitigations=off no_timer_check tsc=reliable"


def cpio(entries):
    """A "newc" archive of (name, mode, data, device) entries, as the kernel's initramfs format has it."""
    parts = []
    for number, (name, mode, data, device) in enumerate([*entries, ("TRAILER!!!", 0, b"", (0, 0))], 1):
        raw = name.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
        parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]
    return b"".join(parts)


def stripped(program):
    """The program without debug information, which would only make the guest's memory smaller."""
    with tempfile.NamedTemporaryFile() as small:
        if subprocess.run(["strip", "-o", small.name, program], capture_output=True).returncode == 0:
            return Path(small.name).read_bytes()
    return Path(program).read_bytes()


def initrd(init, commands):
    entries = [(name, 0o40755, b"", (0, 0)) for name in ("bin", "dev", "proc", "sys", "tmp")]
    entries.append(("dev/console", 0o20600, b"", (5, 1)))
    entries.append(("init", 0o100755, stripped(init), (0, 0)))
    lines = []
    for program, *arguments in commands:
        name = "bin/" + Path(program).name
        if name not in (entry[0] for entry in entries):
            entries.append((name, 0o100755, stripped(program), (0, 0)))
        lines.append(" ".join(["/" + name, *arguments]))
    entries.append(("commands", 0o100644, "\n".join([*lines, ""]).encode(), (0, 0)))
    return cpio(entries)


def distance(a, b):
    return 15 + 5 * abs(a - b)


def machine(options):
    """QEMU's arguments for the nodes."""
    total = options.nodes + options.far
    words = ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(options.nodes),
             "-m", f"{options.memory * total}M"]
    for node in range(total):
        cpu = f"cpus={node}," if node < options.nodes else ""
        words += ["-object", f"memory-backend-ram,id=m{node},size={options.memory}M",
                  "-numa", f"node,nodeid={node},{cpu}memdev=m{node}"]
    for a in range(total):
        for b in range(total):
            if a != b:
                words += ["-numa", f"dist,src={a},dst={b},val={distance(a, b)}"]
    return words


def boot(options, kernel, image):
    """Everything the guest printed; stops it when it takes too long."""
    command = [QEMU, *machine(options), "-kernel", kernel, "-initrd", image,
               "-append", " ".join([ARGUMENTS, *options.kernel_argument]),
               "-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio", "-monitor", "none", "-net", "none"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as guest:
        try:
            output, _ = guest.communicate(timeout=options.timeout)
        except subprocess.TimeoutExpired:
            guest.kill()
            output, _ = guest.communicate()
            output += f"\nguest: stopped after {options.timeout} s\n".encode()
    return re.sub(r"\r|\x1b\[[0-9;]*m", "", output.decode(errors="replace"))


def verdict(output, commands, patterns):
    """What went wrong, as a list of sentences."""
    wrong = []
    statuses = [int(status) for status in re.findall(r"^guest: status (\d+)$", output, re.M)]
    if len(statuses) != len(commands) or "guest: done" not in output:
        wrong.append(f"the guest ran {len(statuses)} of {len(commands)} programs to the end")
    for status, command in zip(statuses, commands):
        if status != 0:
            wrong.append(f"{Path(command[0]).name} ended with status {status}")
    cases = {outcome: re.findall(rf"^\[{outcome} \] (\S+?)(?:, .*)? \(\d+ ms\)$", output, re.M)
             for outcome in ("  SKIPPED", "       OK")}
    for pattern in patterns:
        for case in fnmatch.filter(cases["  SKIPPED"], pattern):
            wrong.append(f"{case} was skipped, and the guest is there to run it")
        if not fnmatch.filter(cases["       OK"], pattern):
            wrong.append(f"no case that matches {pattern} passed")
    return wrong


def parsed():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].strip())
    parser.add_argument("--init", required=True)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--far", type=int, default=1)
    parser.add_argument("--memory", type=int, default=256, help="MiB of each node")
    parser.add_argument("--timeout", type=int, default=120)
    parser.add_argument("--kernel-argument", action="append", default=[])
    parser.add_argument("--no-skip", action="append", default=[])
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    commands = [[]]
    for word in options.command:
        if word == ",":
            commands.append([])
        else:
            commands[-1].append(word)
    return options, commands


def main():
    options, commands = parsed()
    if shutil.which(QEMU) is None:
        print(f"skipped: there is no {QEMU}; apt-get install qemu-system-x86")
        return SKIPPED
    try:
        kernel = guest_kernel.find(options.cache)
    except guest_kernel.unavailable as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    with tempfile.NamedTemporaryFile() as image:
        image.write(initrd(options.init, commands))
        image.flush()
        started = time.monotonic()
        output = boot(options, os.fspath(kernel), image.name)
    print(output)
    print(f"guest: {time.monotonic() - started:.1f} s")
    wrong = verdict(output, commands, options.no_skip)
    for sentence in wrong:
        print(f"guest: failed: {sentence}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
