"""The command line itself: help, version, options and what is wrong with them."""

import json

from tool_case import ToolCase, main

VERBS = ("run", "bench", "machine", "maps", "options", "pages")


class Help(ToolCase):
    def test_fits_a_screen(self):
        for words in (["--help"], *([verb, "--help"] for verb in VERBS)):
            result = self.acre(*words)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            lines = result.stdout.splitlines()
            self.assertLessEqual(len(lines), 24, words)
            self.assertLessEqual(max(map(len, lines)), 80, words)
            self.assertTrue(result.stdout.startswith("Usage: acre "), words)
            self.assertNotIn("\n\n\n", result.stdout, words)

    def test_names_every_verb(self):
        for verb in VERBS:
            self.assertIn(f"\n  {verb} ", self.acre("--help").stdout)

    def test_has_a_short_form(self):
        self.assertEqual(self.acre("-h").stdout, self.acre("--help").stdout)
        self.assertEqual(self.acre("run", "-h").stdout, self.acre("run", "--help").stdout)

    def test_version(self):
        self.assertRegex(self.acre("--version").stdout, r"^acre [0-9]+\.[0-9]+\.[0-9]+\n$")


class Misuse(ToolCase):
    def test_of_verbs(self):
        self.assert_error(self.acre(), 2, "no verb given", "acre --help")
        self.assert_error(self.acre("rum"), 2, "no verb 'rum'", "acre --help")
        self.assert_error(self.acre("\x1b[31m"), 2, r"no verb '\x1b[31m'")
        self.assert_error(self.acre("run"), 2, "no command to run", "acre run --help")
        self.assert_error(self.acre("run", "-q", "--"), 2, "no command to run")

    def test_of_flags(self):
        self.assert_error(self.acre("run", "--josn", "x", "--", "ls"), 2, "--josn", "run --help")
        self.assert_error(self.acre("run", "--json"), 2, "--json")
        self.assert_error(self.acre("options", "x"), 2, "'acre options' does not take 'x'")

    def test_of_bench(self):
        self.assert_error(self.acre("bench", "--rows", "larsson"), 2, "no row 'larsson'", "larson-1")
        self.assert_error(self.acre("bench", "--allocators", "acre,x"), 2, "'x'", "acre, glibc")
        self.assert_error(self.acre("bench", "--reps", "0"), 2, "--reps", "1 to 1000")
        self.assert_error(self.acre("bench", "--rows", "larson", "--", "ls"), 2, "exclude")
        self.assert_error(self.acre("bench", "--", "no-such-command"), 127, "no such command")

    def test_of_times(self):
        for text in ("", "x", "1x", "-1s", "5ms", "2h", "1e99s", "nan"):
            result = self.acre("run", f"--stats-every={text}", "--", "ls")
            self.assert_error(result, 2, "--stats-every")

    def assert_option_error(self, option, *pieces):
        self.assert_error(self.acre("run", "--option", option, "--", "ls"), 2, *pieces)

    def test_of_options(self):
        self.assert_option_error("purge_delay=3", "unknown option", "did you mean 'purge_delay_ms'?")
        self.assert_option_error("purge-delay-ms=3", "did you mean 'purge_delay_ms'?")
        self.assert_option_error("tph=never", "did you mean 'thp'?")
        self.assert_option_error("colour=red", "unknown option 'colour'", "'acre options' lists")
        self.assert_option_error("=3", "unknown option ''")
        for nothing in ("", " ", ","):
            self.assert_option_error(nothing, f"does not take '{nothing}'", "NAME=VALUE")
        self.assert_option_error("thp", "option thp has no value", "never, large, always")
        self.assert_option_error("thp=", "does not take ''")
        self.assert_option_error("thp=Never", "one of never, large, always")
        self.assert_option_error("background=2", "0 or 1")
        self.assert_option_error("purge_delay_ms=-2", "from -1 to 3600000")
        self.assert_option_error("purge_delay_ms=3600001", "from -1 to 3600000")
        self.assert_option_error("purge_delay_ms=1.5", "from -1 to 3600000")
        self.assert_option_error("memory_limit=-1", "0, or bytes from 1048576 up",
                                 "K, M, G or T")
        # Less than a program can start with; most likely a unit was forgotten.
        self.assert_option_error("memory_limit=512", "from 1048576 up")
        self.assert_option_error("memory_limit=1X", "K, M, G or T")
        self.assert_option_error("memory_limit=9999999999999999999", "'9999999999999999999'")
        self.assert_option_error("memory_limit=99999999T", "'99999999T'")
        self.assert_option_error("thp=large,bakground=1", "did you mean 'background'?")
        self.assert_option_error("summary_path=/tmp/x", "--json FILE")

    def test_good_values_pass(self):
        for option in ("thp=never", "purge_delay_ms=-1", "memory_limit=2G", "memory_limit=512m",
                       "background=off", "background=true", " thp = large ", "thp=large,,"):
            result = self.acre("run", "-q", "--option", option, "--", "true")
            self.assertEqual((result.returncode, result.stderr), (0, ""), option)


class Options(ToolCase):
    def test_lists_each_with_default_range_and_help(self):
        text = self.acre("options").stdout
        self.assertRegex(text, r"\npurge_delay_ms +[0-9]+ +a number from -1 to 3600000\n    \w")
        self.assertRegex(text, r"\nthp +never +one of never, large, always\n    \w")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_lists_the_same_as_json(self):
        text = self.acre("options").stdout
        rows = json.loads(self.acre("options", "--json").stdout)
        self.assertGreaterEqual(len(rows), 7)
        for row in rows:
            self.assertIn(f"\n{row['name']} ", text)
            self.assertIn(row["kind"], ("boolean", "bytes", "milliseconds", "choice", "text"))
            self.assertTrue(row["help"].endswith("."))
        thp = next(row for row in rows if row["name"] == "thp")
        self.assertEqual((thp["default"], thp["choices"]), ("never", ["never", "large", "always"]))


if __name__ == "__main__":
    main()
