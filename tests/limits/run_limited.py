#!/usr/bin/env python3
"""Run a program under a limit: run_limited.py KIND BYTES PRELOAD PROGRAM [ARGUMENT...]

KIND is as (RLIMIT_AS, what `ulimit -v` sets), data (RLIMIT_DATA), cgroup (a memory cgroup) or
option (ACRE_OPTIONS memory_limit). PRELOAD is - for none. Exit code 77 is a skip.
"""
import os
import resource
import subprocess
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def make_cgroup(size):
    """A fresh memory cgroup of this size, of either version, as its folder."""
    name = f"acre-test-{os.getpid()}"
    versions = [(CGROUPS / name, "memory.max", "memory.swap.max"),
                (CGROUPS / "memory" / name, "memory.limit_in_bytes", None)]
    for folder, limit, swap in versions:
        if not folder.parent.is_dir():
            continue
        try:
            folder.mkdir()
            if not (folder / limit).exists():  # not a control group's folder
                folder.rmdir()
                continue
            (folder / limit).write_text(str(size))
            if swap and (folder / swap).exists():
                (folder / swap).write_text("0")
            return folder
        except OSError:
            if folder.is_dir():
                folder.rmdir()
    return None


def main():
    kind, size, preload, command = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    environment = dict(os.environ)
    if preload != "-":
        environment["LD_PRELOAD"] = preload
    group = None
    if kind == "cgroup":
        group = make_cgroup(size)
        if group is None:
            skip("no memory cgroup can be made here")
    if kind == "option":
        environment["ACRE_OPTIONS"] = f"memory_limit={size}"

    def limit_child():
        if kind == "as":
            resource.setrlimit(resource.RLIMIT_AS, (size, size))
        elif kind == "data":
            resource.setrlimit(resource.RLIMIT_DATA, (size, size))
        elif group:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        ended = subprocess.run(command, env=environment, preexec_fn=limit_child, timeout=100)
    finally:
        if group:
            group.rmdir()
    if ended.returncode != 0:
        sys.exit(f"{command} under {kind} of {size} bytes: exit code {ended.returncode}")


main()
