"""`acre run` as seen by the command that it runs, and what it tells afterwards."""

import json
import os
import signal
import subprocess

from tool_case import LIBRARY, TOOL, ToolCase, main


class Transparency(ToolCase):
    def test_passes_the_exit_code_through(self):
        for code in (0, 1, 2, 77, 255):
            self.assertEqual(self.acre("run", "--", "sh", "-c", f"exit {code}").returncode, code)

    def test_passes_arguments_as_they_are(self):
        result = self.acre("run", "-q", "--", "printf", "%s|", "--json", "", "a b", "--", "-q")
        self.assertEqual(result.stdout, "--json||a b|--|-q|")

    def test_needs_no_separator_before_the_command(self):
        result = self.acre("run", "-q", "printf", "%s|", "--", "--quiet", "options")
        self.assertEqual(result.stdout, "--|--quiet|options|")

    def test_passes_standard_input_through(self):
        result = self.acre("run", "-q", "--", "cat", input="one\ntwo\n")
        self.assertEqual((result.stdout, result.stderr), ("one\ntwo\n", ""))

    def test_leaves_standard_output_to_the_command(self):
        self.assertEqual(self.acre("run", "--", "echo", "x").stdout, "x\n")

    def test_leaves_signals_and_descriptors_as_they_were(self):
        look = "grep Sig[BIC] /proc/self/status; ls /proc/self/fd"
        plain = subprocess.run(["sh", "-c", look], capture_output=True, text=True).stdout
        result = self.acre("run", "-q", "--", "sh", "-c", look, stdin=None)
        self.assertEqual(plain.split()[:6], result.stdout.split()[:6])
        self.assertEqual(len(plain.split()), len(result.stdout.split()))

    def test_waits_though_the_caller_ignores_child_signals(self):
        result = self.acre(
            "run", "-q", "--", "sh", "-c", "exit 5", preexec_fn=self.ignore_child_signals
        )
        self.assertEqual(result.returncode, 5, result.stderr)

    @staticmethod
    def ignore_child_signals():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def test_runs_a_text_file_without_interpreter_line_as_the_shell_does(self):
        script = self.write_program("script", "exit 9\n")
        self.assertEqual(self.acre("run", "-q", "--", script).returncode, 9)

    def test_gives_the_command_its_own_name_as_argument_zero(self):
        result = self.acre("run", "-q", "--", "sh", "-c", "cat /proc/$$/cmdline")
        self.assertTrue(result.stdout.startswith("sh\0"), result.stdout)


class Preloading(ToolCase):
    def variable(self, name, *options, **more):
        result = self.acre("run", "-q", *options, "--", "sh", "-c", f"echo ${name}", **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.strip()

    def test_sets_the_library(self):
        self.assertEqual(self.variable("LD_PRELOAD"), LIBRARY)

    def test_goes_before_what_is_preloaded_already(self):
        other = {"LD_PRELOAD": "libm.so.6"}
        self.assertEqual(self.variable("LD_PRELOAD", environment=other), LIBRARY + ":libm.so.6")

    def test_is_preloaded_once_when_nested(self):
        inner = [os.environ["ACRE_TOOL"], "run", "-q", "--", "sh", "-c", "echo $LD_PRELOAD"]
        self.assertEqual(self.acre("run", "-q", "--", *inner).stdout.strip(), LIBRARY)

    def test_joins_the_options_and_the_command_line_comes_last(self):
        outside = {"ACRE_OPTIONS": "thp=never,background=0,summary_path=/nowhere"}
        items = self.variable(
            "ACRE_OPTIONS", "--option", "thp=always", environment=outside
        ).split(",")
        self.assertEqual(items[:3], ["thp=never", "background=0", "thp=always"])
        self.assertRegex(items[3], "^summary_path=/proc/[0-9]+/fd/[0-9]+$")
        self.assertEqual(len(items), 4)

    def test_takes_several_options(self):
        items = self.variable(
            "ACRE_OPTIONS", "--option", "thp=always", "--option=purge_delay_ms=-1,background=0"
        )
        self.assertTrue(items.startswith("thp=always,purge_delay_ms=-1,background=0,"), items)

    def test_warns_of_a_wrong_item_in_the_environment_and_goes_on(self):
        result = self.acre("run", "-q", "--", "sh", "-c", "echo $ACRE_OPTIONS",
                           environment={"ACRE_OPTIONS": "thp=maybe,background=0"})
        self.assertIn("acre: warning: ACRE_OPTIONS: option thp does not take 'maybe'; it takes one "
                      "of never, large, always\n", result.stderr)
        self.assertTrue(result.stdout.startswith("background=0,"), result.stdout)

    def test_can_stay_with_the_first_program(self):
        self.assertEqual(self.variable("ACRE_PRELOAD_ONCE", "--no-follow"), "1")
        self.assertEqual(self.variable("ACRE_PRELOAD_ONCE"), "")

    def test_follows_children_and_their_programs(self):
        run = self.run_json("bash", "-c", "env cat /dev/null; exit 0")
        names = [os.path.basename(each["exe"]) for each in run["processes"]]
        self.assertEqual(names, ["bash", "cat"])


class Summary(ToolCase):
    def test_shows_the_figures_of_the_first_process(self):
        text = self.acre("run", "--", "/bin/true").stderr
        for line in (
            "  Peak RSS             81.3 MiB    Allocations                  1,234,567",
            "  Peak live            60.1 MiB    Frees                        1,234,500",
            "  Live at the end       1.2 MiB    Not freed                           67",
            "  Waste at the end      6.2 MiB    Blocks of           live   allocations",
            "    Rounding, about     1.0 MiB       1,024 B     600.0 KiB         4,000",
            "    Caches             64.0 KiB        larger     256.0 KiB            12",
        ):
            self.assertIn(line + "\n", text)
        self.assertRegex(text, r"^\nacre: true \([0-9]+\): exit code 0, [0-9]+ ms\n")

    def test_fits_in_80_columns_without_colour(self):
        for command in ("true", "exit 3", "kill -9 $$", "ls; cat /dev/null; ls; true",
                        "for i in 1 2 3 4 5 6 7 8 9 10; do ls; done"):
            text = self.acre("run", "--", "bash", "-c", command, stdin=None).stderr
            self.assertNotIn("\x1b", text)
            for line in text.splitlines():
                self.assertLessEqual(len(line), 80, line)
                self.assertEqual(line, line.rstrip())

    def test_has_a_line_for_each_further_process(self):
        text = self.acre("run", "--", "bash", "-c", "ls; cat /dev/null; exit 0").stderr
        self.assertIn("2 further processes", text)
        self.assertRegex(text, r"\n +[0-9]+ ls +81.3 MiB +60.1 MiB +1,234,567 +1.23 s\n")
        self.assertRegex(text, r"\n +[0-9]+ cat +81.3 MiB +60.1 MiB +1,234,567 +1.23 s\n")

    def test_totals_many_further_processes(self):
        loop = "for i in 1 2 3 4 5 6 7 8 9 10; do ls; done; exit 0"
        text = self.acre("run", "--", "bash", "-c", loop).stderr
        self.assertEqual(text.count(" ls  "), 5, text)
        self.assertRegex(text, r"all 10, highest or sum +81.3 MiB +60.1 MiB +12,345,670 +12.30 s")

    def test_quiet_prints_nothing(self):
        self.assertEqual(self.acre("run", "--quiet", "--", "true").stderr, "")

    def test_says_when_no_figures_came(self):
        text = self.acre("run", "--", "python3", "-c", "import os; os._exit(4)").stderr
        self.assertIn("exit code 4", text)
        self.assertIn("No heap figures: it ended by _exit() as dash does or inside malloc, became", text)
        self.assertRegex(text, r"Peak RSS +[0-9.]+ MiB +Minor page faults +[0-9,]+\n")

    def test_json_has_no_count_when_no_figures_came(self):
        result = self.acre("run", "-q", "--json", "-", "--", "python3", "-c",
                           "import os; os._exit(4)")
        figures = json.loads(result.stdout)
        self.assertIsNone(figures["allocations"])
        self.assertEqual(figures["processes"], [])

    def test_tells_that_standard_output_is_closed(self):
        command = f'"{TOOL}" run -q --json - -- true >&-'
        result = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("cannot write to standard output", result.stderr)

    def test_wants_a_value_before_the_command(self):
        result = self.acre("run", "--json", "--", "true")
        self.assertEqual(result.returncode, 2)
        self.assertIn("--json needs a value before '--'", result.stderr)

    def test_shows_the_last_status_of_a_process_that_was_killed(self):
        text = self.acre("run", "--stats-every", "1h", "--", "sh", "-c", "kill -9 $$").stderr
        self.assertIn("No last figures: it was killed.", text)
        self.assertIn("Peak live            60.1 MiB", text)

    def test_prints_a_status_line_in_each_interval(self):
        text = self.acre("run", "-q", "--stats-every", "50ms", "--", "sleep", "0.2").stderr
        self.assertRegex(
            text, r"^acre: +[0-9]+ ms  RSS  48.0 MiB  live   1.2 MiB +\+1,234,567 allocations since\n"
        )

    def test_prints_the_first_interval_of_a_command_that_ends_before_the_second(self):
        text = self.acre("run", "-q", "--stats-every", "1h", "--", "true").stderr
        self.assertEqual(text.count("+1,234,567 allocations since\n"), 1, text)

    def test_counts_a_process_with_two_copies_of_the_library_once(self):
        for order in ("first", "last"):
            with self.subTest(order):
                both = {"FAKE_IDLE_COPY": order}
                text = self.acre("run", "--stats-every", "1h", "--", "true", environment=both).stderr
                self.assertNotIn("further process", text)
                self.assertRegex(text, r"Allocations +1,234,567\n")
                self.assertEqual(text.count("+1,234,567 allocations since\n"), 1, text)
                result = self.acre("run", "-q", "--json", "-", "--", "bash", "-c",
                                   "ls >/dev/null; exit 0", environment=both)
                run = json.loads(result.stdout)
                self.assertEqual([each["allocations"] for each in run["processes"]], [1234567] * 2)


class Json(ToolCase):
    def test_has_what_the_kernel_and_the_processes_say(self):
        run = self.run_json("bash", "-c", "ls >/dev/null; exit 3")
        self.assertEqual(run["command"], ["bash", "-c", "ls >/dev/null; exit 3"])
        self.assertEqual((run["exit_code"], run["signal"]), (3, None))
        self.assertEqual(run["allocations"], 2 * 1234567)
        self.assertEqual(run["processes"][0]["pid"], run["pid"])
        self.assertEqual(run["processes"][1]["ppid"], run["pid"])
        self.assertEqual(run["processes"][0]["waste"]["slab_free_bytes"], 2097152)
        self.assertEqual(len(run["processes"][0]["classes"]), 6)
        # Far more than the kernel says of these two.
        self.assertEqual(run["rss_peak_bytes"], 85248896)
        for name in ("wall_ms", "user_ms", "system_ms", "minor_faults"):
            self.assertGreaterEqual(run[name], 0)

    def test_leaves_out_a_first_process_without_figures(self):
        run = self.run_json("python3", "-c", "import os; os.system('bash -c true'); os._exit(0)")
        names = [os.path.basename(each["exe"]) for each in run["processes"]]
        self.assertIn("bash", names)
        self.assertNotIn(run["pid"], [each["pid"] for each in run["processes"]])

    def test_names_the_signal(self):
        run = self.run_json("sh", "-c", "kill -TERM $$")
        self.assertEqual((run["exit_code"], run["signal"]), (None, "SIGTERM"))

    def test_goes_to_standard_output(self):
        result = self.acre("run", "-q", "--json", "-", "--", "true")
        self.assertEqual(json.loads(result.stdout)["exit_code"], 0)

    def test_takes_arguments_that_are_not_text(self):
        run = self.run_json("true", b"\xff\xfe")
        self.assertEqual(len(run["command"]), 2)

    def test_a_path_that_cannot_be_written_is_an_error_before_the_run(self):
        mark = self.path("mark")
        result = self.acre("run", "--json", "/nonexistent/x", "--", "touch", mark)
        self.assert_error(result, 2, "cannot write /nonexistent/x", "No such file")
        self.assertFalse(os.path.exists(mark))


if __name__ == "__main__":
    main()
