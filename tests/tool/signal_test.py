"""Signals and the terminal: the command gets each exactly once, and the tool outlives it."""

import os
import pty
import signal
import subprocess
import time
import unittest

from tool_case import TOOL, ToolCase

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


class Signals(ToolCase):
    def start(self, *command):
        return subprocess.Popen(
            [TOOL, "run", "-q", "--", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def test_are_forwarded_once_each(self):
        process = self.start("python3", "-c", COUNTER)
        self.assertEqual(process.stdout.readline(), "ready\n")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
            process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        self.assertEqual(output, "SIGHUP=1 SIGINT=1 SIGUSR1=1 SIGTERM=1\n")
        self.assertEqual(process.returncode, 0)

    def test_end_the_command_and_the_exit_code_says_so(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            process = self.start("sh", "-c", "echo ready; exec sleep 30")
            process.stdout.readline()
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 128 + number)
            self.assertIn(f"killed by {number.name}", errors)

    def test_that_the_command_sends_itself_are_told(self):
        for number in (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT):
            result = self.acre("run", "-q", "--", "sh", "-c", f"kill -{number.value} $$")
            self.assertEqual(result.returncode, 128 + number)
            self.assertIn(f"acre: sh: killed by {number.name} (", result.stderr)

    def test_of_the_terminal_are_not_doubled(self):
        pid, terminal = self.start_on_terminal(self.environment, "-q", "--", "python3", "-c", COUNTER)
        output = self.read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        output += self.read_until(terminal, b"SIGINT=")
        _, status = os.waitpid(pid, 0)
        self.assertIn(b"SIGINT=1", output)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)

    def test_colour_is_for_terminals_that_want_it(self):
        for extra, has_colour in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            environment = self.environment | {"TERM": "xterm"} | extra
            if "NO_COLOR" not in extra:
                environment.pop("NO_COLOR", None)
            pid, terminal = self.start_on_terminal(environment, "--", "true")
            output = self.read_until(terminal, b"Metadata")
            os.waitpid(pid, 0)
            self.assertEqual(b"\x1b[" in output, has_colour, extra)

    def start_on_terminal(self, environment, *words):
        """Runs `acre run WORDS` on a terminal of its own; returns its id and the other side."""
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execve(TOOL, [TOOL, "run", *words], environment)
            finally:
                os._exit(99)
        self.addCleanup(os.close, terminal)
        return pid, terminal

    def read_until(self, terminal, mark):
        """What the terminal shows up to the mark and shortly after."""
        output = b""
        end = time.monotonic() + 30
        while mark not in output and time.monotonic() < end:
            try:
                output += os.read(terminal, 4096)
            except OSError:  # the other side is gone
                break
        self.assertIn(mark, output)
        return output


if __name__ == "__main__":
    unittest.main()
