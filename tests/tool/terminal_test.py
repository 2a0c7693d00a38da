"""On a terminal: its signals come once, and what is drawn suits it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time

from tool_case import COUNTER, TOOL, ToolCase, main, read_to_end, require_terminal


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

    def test_rows_fit_the_width(self):
        child = self.start_sleeper()
        for columns in (40, 60, 80, 100, 200):
            for words in (("maps", child), ("pages", child), ("machine", "--describe")):
                lines = self.draw(columns, {}, *words).splitlines()
                # A word that is wider than what is left stays whole.
                wide = [line for line in lines if len(line) > columns and " " in line.strip()]
                self.assertEqual(wide, [], (columns, words))
        text = self.draw(60, {}, "maps", child)
        self.assertRegex(text, r"ADDRESS +SIZE +RSS .*WHAT\n")
        self.assertRegex(text, "libraries: libc")
        self.assertIn("RESIDENT OF SIZE", self.draw(120, {}, "maps", child))

    def test_columns_counts_where_the_terminal_does_not_tell(self):
        child = self.start_sleeper()
        self.assertNotIn("RESIDENT OF SIZE", self.draw(0, {"COLUMNS": "60"}, "maps", child))
        self.assertIn("RESIDENT OF SIZE", self.draw(0, {"COLUMNS": "x"}, "maps", child))
        piped = self.acre("maps", child, environment={"COLUMNS": "60"}).stdout
        self.assertIn("RESIDENT OF SIZE", piped)

    def start_sleeper(self):
        """The number of a process that sleeps."""
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        time.sleep(0.2)
        return str(child.pid)

    def draw(self, columns, environment, *words):
        """What `acre WORDS` shows on a terminal so wide, without colours."""
        require_terminal()
        terminal, inner = os.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
        base = {name: value for name, value in self.environment.items() if name != "COLUMNS"}
        process = subprocess.Popen([TOOL, *words], stdout=inner, stdin=subprocess.DEVNULL,
                                   env=base | {"NO_COLOR": "1"} | environment)
        os.close(inner)
        output = read_to_end(terminal)
        os.close(terminal)
        self.assertEqual(process.wait(timeout=60), 0, output)
        return output.decode().replace("\r\n", "\n")

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
