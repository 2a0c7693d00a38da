"""Signals: the command gets each exactly once, and the tool outlives it."""

import signal
import subprocess

from tool_case import COUNTER, TOOL, ToolCase, main


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


if __name__ == "__main__":
    main()
