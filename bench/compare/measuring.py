"""Runs a command under an allocator and says what it used."""
import json
import os
import subprocess

TIMEOUT_S = 120


def environment(library, extra=None):
    """A clean environment: what a command needs to start, the preload, and no more."""
    clean = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/nonexistent",
             "LC_ALL": "C.UTF-8", "TMPDIR": os.environ.get("TMPDIR", "/tmp")}
    if library:
        clean["LD_PRELOAD"] = library
    clean.update(extra or {})
    return clean


class Measured:
    """A command under way; `finish()` waits for it.

    `used` afterwards: user_s, system_s, wall_s, peak_kib, minor_faults, major_faults, status, and
    output (what it printed, when that was asked for)."""

    def __init__(self, measure, command, library="", extra=None, stdin=None, repeat=1,
                 timeout_s=TIMEOUT_S, cwd=None, keep_output=False):
        read_end, write_end = os.pipe()
        self.read_end = read_end
        self.timeout_s = timeout_s
        output = subprocess.PIPE if keep_output else subprocess.DEVNULL
        source = open(stdin, "rb") if stdin else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [measure, str(write_end), str(timeout_s), str(repeat), *command],
            stdin=source, stdout=output, stderr=subprocess.STDOUT, pass_fds=(write_end,),
            env=environment(library, extra), cwd=cwd)
        os.close(write_end)
        if stdin:
            source.close()

    def finish(self):
        output, _ = self.process.communicate()
        with os.fdopen(self.read_end) as result:
            line = result.readline()
        if not line:
            return {"status": 125}
        used = json.loads(line)
        used["cpu_s"] = used["user_s"] + used["system_s"]
        used["output"] = output.decode(errors="replace") if output is not None else ""
        return used


def run(measure, command, library="", **how):
    return Measured(measure, command, library, **how).finish()


def values_of(output):
    """The "name value" lines that acre-workloads prints."""
    found = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == 2:
            try:
                found[words[0]] = float(words[1])
            except ValueError:
                pass
    return found
