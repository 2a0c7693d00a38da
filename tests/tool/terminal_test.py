"""On a terminal: its signals come once, and what is drawn suits it."""

import os
import pty
import time

from tool_case import COUNTER, TOOL, ToolCase, main, require_terminal


class Terminal(ToolCase):
    def test_signals_are_not_doubled(self):
        pid, terminal = self.start_on_terminal(self.environment, "run", "-q", "--", "python3", "-c", COUNTER)
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
            pid, terminal = self.start_on_terminal(environment, "run", "--", "true")
            output = self.read_until(terminal, b"Metadata")
            os.waitpid(pid, 0)
            self.assertEqual(b"\x1b[" in output, has_colour, extra)

    def start_on_terminal(self, environment, *words):
        """Runs `acre WORDS` on a terminal of its own; returns its id and the other side."""
        require_terminal()
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execve(TOOL, [TOOL, *words], environment)
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
    main()
