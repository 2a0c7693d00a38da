"""What the tests of the `acre` command share: they run the real binary and look at what comes out.

ACRE_TOOL names the binary. ACRE_LIBRARY names a stand-in for the library (fake_library.c) that
reports known figures, so that these tests judge the tool alone.
"""

import json
import os
import platform
import stat
import struct
import subprocess
import sys
import tempfile
import unittest

TOOL = os.environ["ACRE_TOOL"]
LIBRARY = os.environ["ACRE_LIBRARY"]

EM_X86_64 = 62
EM_AARCH64 = 183
HOST = {"x86_64": EM_X86_64, "aarch64": EM_AARCH64}.get(platform.machine())

# Counts the signals it gets for a while, and says when it is ready.
COUNTER = """
import signal, sys, time
counts = {}
def count(number, frame): counts[number] = counts.get(number, 0) + 1
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGWINCH):
    signal.signal(number, count)
print("ready", flush=True)
end = time.monotonic() + 0.5
while time.monotonic() < end: time.sleep(0.05)
print(" ".join(f"{signal.Signals(number).name}={counts[number]}" for number in sorted(counts)), flush=True)
"""


class ToolCase(unittest.TestCase):
    """Runs the tool in a fresh folder, without options left over from the caller."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.folder = self._folder.name
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("LD_PRELOAD", "ACRE_OPTIONS", "ACRE_PRELOAD_ONCE")
        }
        self.environment["LC_ALL"] = "C"

    def path(self, name):
        return os.path.join(self.folder, name)

    def acre(self, *words, **more):
        """Runs `acre WORDS`; returns what subprocess.run does, with text."""
        environment = self.environment | more.pop("environment", {})
        return subprocess.run(
            [TOOL, *words], capture_output=True, text=True, timeout=60, env=environment, **more
        )

    def run_json(self, *command):
        """Runs the command under `acre run`; returns what --json wrote."""
        path = self.path("out.json")
        self.acre("run", "-q", "--json", path, "--", *command)
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def assert_error(self, result, code, *pieces):
        """It ended with `code`, and the one line on standard error has each of the pieces."""
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertTrue(result.stderr.startswith("acre: error: "), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertEqual(result.stdout, "")
        for piece in pieces:
            self.assertIn(piece, result.stderr)

    def write_program(self, name, content):
        """Makes an executable file and returns its path."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, stat.S_IRWXU)
        return path


def elf_program(machine=EM_X86_64, is_64_bit=True, loader=None):
    """The bytes of an ELF program that has headers and nothing else."""
    ident = b"\x7fELF" + bytes([2 if is_64_bit else 1, 1, 1]) + bytes(9)
    interpreter = b"" if loader is None else loader.encode() + b"\0"
    count = 0 if loader is None else 1
    header_format, header_size, segment_size = (
        ("<HHIQQQIHHHHHH", 64, 56) if is_64_bit else ("<HHIIIIIHHHHHH", 52, 32)
    )
    header = struct.pack(
        header_format, 2, machine, 1, 0, header_size, 0, 0, header_size, segment_size, count, 0, 0, 0
    )
    offset = header_size + segment_size
    size = len(interpreter)
    segment = (
        struct.pack("<IIQQQQQQ", 3, 4, offset, 0, 0, size, size, 1)
        if is_64_bit
        else struct.pack("<IIIIIIII", 3, offset, 0, 0, size, size, 4, 1)
    )
    return ident + header + (segment + interpreter if count else b"")


def require_terminal():
    """Skips where no pseudo-terminal can be opened, as without /dev/pts."""
    try:
        for side in os.openpty():
            os.close(side)
    except OSError as problem:
        raise unittest.SkipTest(f"no pseudo-terminal can be opened here: {problem}") from None


def read_to_end(terminal):
    """All that comes out of a terminal's (or a pipe's) descriptor until its last user is gone."""
    output = b""
    try:
        while piece := os.read(terminal, 65536):
            output += piece
    except OSError:  # so a terminal ends
        pass
    return output


def main():
    """Runs the tests of a file; exit code 77, a skip for CTest, when each of them was skipped."""
    result = unittest.main(exit=False).result
    for test, reason in result.skipped:
        print(f"skipped {test}: {reason}", file=sys.stderr)
    skipped = [test for test, _ in result.skipped if isinstance(test, unittest.TestCase)]
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.skipped and len(skipped) == result.testsRun else 0)
