"""The manual page and the completions name what the command knows, no more and no less."""

import json
import os
import re
import shutil
import subprocess

from tool_case import ToolCase, main

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANUAL = os.path.join(ROOT, "docs", "man", "acre.1")
COMPLETION = os.path.join(ROOT, "src", "tool", "completion")
VERBS = ("run", "bench", "machine", "maps", "options", "pages")


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def flags_in(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))


class Manual(ToolCase):
    def setUp(self):
        super().setUp()
        self.page = read(MANUAL).replace("\\-", "-")

    def section(self, name):
        return re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH )", self.page, re.S | re.M).group(1)

    def test_has_the_flags_of_each_verb(self):
        for verb in VERBS:
            known = flags_in(self.acre(verb, "--help").stdout.split("Options:")[1].split("Examples")[0])
            self.assertLessEqual(known - {"--help"}, flags_in(self.section(f"ACRE {verb.upper()}")), verb)

    def test_has_no_flags_that_do_not_exist(self):
        known = {"--version", "--port"}  # the latter is redis-server's, in an example
        for verb in VERBS:
            known |= flags_in(self.acre(verb, "--help").stdout)
        self.assertLessEqual(flags_in(self.page), known)

    def test_has_the_options_of_the_library_with_their_defaults(self):
        rows = json.loads(self.acre("options", "--json").stdout)
        listed = re.findall(r"^\.BR (\w+) \" \((.*)\)\"$", self.section("LIBRARY OPTIONS"), re.M)
        def text(value):
            return "none" if value is None else str(int(value)) if isinstance(value, bool) else str(value)
        self.assertEqual(listed, [(row["name"], text(row["default"])) for row in rows])

    def test_has_the_members_of_the_json_object(self):
        run = self.run_json("/bin/true")
        for name in [*run, *run["processes"][0]]:
            self.assertRegex(self.page, rf"\.BR? (.* )?{name}\b")

    def test_is_well_formed(self):
        if shutil.which("mandoc") is None:
            self.skipTest("mandoc is not installed")
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MANUAL],
                                capture_output=True, text=True)
        found = [line for line in result.stdout.splitlines() if "missing date" not in line]
        self.assertEqual(found, [])


class Completion(ToolCase):
    def test_has_the_flags_of_all_verbs(self):
        known = {"--version"}
        for verb in VERBS:
            known |= flags_in(self.acre(verb, "--help").stdout.split("Options:")[1].split("Examples")[0])
        for name in ("acre.bash", "_acre"):
            text = read(COMPLETION, name)
            self.assertEqual(flags_in(text), known, name)
            for verb in VERBS:
                self.assertRegex(text, rf"\b{verb}\b")

    def complete(self, *words):
        """What bash offers for the last word."""
        line = " ".join(words)
        script = (
            f"PATH={os.path.dirname(os.environ['ACRE_TOOL'])}:$PATH\n"
            "compopt() { :; }\n"
            f". {os.path.join(COMPLETION, 'acre.bash')}\n"
            f"COMP_WORDS=({' '.join(repr(word) for word in words)})\n"
            f"COMP_CWORD={len(words) - 1} COMP_LINE={line!r}\n"
            '_acre; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.stderr, "")
        return result.stdout.split()

    def test_in_bash(self):
        if shutil.which("bash") is None:
            self.skipTest("bash is not installed")
        self.assertEqual(self.complete("acre", "b"), ["bench"])
        self.assertEqual(self.complete("acre", "run", "--st"), ["--stats-every"])
        self.assertEqual(self.complete("acre", "bench", "--re"), ["--reps"])
        self.assertEqual(self.complete("acre", "run", "--option", "purge"), ["purge_delay_ms="])
        rows = json.loads(self.acre("options", "--json").stdout)
        names = [row["name"] + "=" for row in rows if row["name"] != "summary_path"]
        for words in (["--option", ""], ["-q", "--option", "="]):
            self.assertEqual(self.complete("acre", "run", *words), names)
        self.assertEqual(self.complete("acre", "run", "--option", "=", "th"), ["thp="])
        # bash splits at equals signs.
        for words in (["--option", "thp"], ["--option", "=", "thp"]):
            self.assertEqual(self.complete("acre", "run", *words, "="), ["never", "large", "always"])
            self.assertEqual(self.complete("acre", "run", *words, "=", "la"), ["large"])
            self.assertIn("printf", self.complete("acre", "run", *words, "=", "never", "print"))
        self.assertEqual(self.complete("acre", "run", "--option", "background", "="), ["0", "1"])
        self.assertEqual(self.complete("acre", "run", "--option", "memory_limit", "="), [])
        self.assertIn("printf", self.complete("acre", "run", "print"))
        self.assertEqual(self.complete("acre", "run", "--", "ls", "--q"), [])
        self.assertIn(MANUAL, self.complete("acre", "pages", "--png", MANUAL[:-1]))
        self.assertIn("2s", self.complete("acre", "maps", "--watch", "2"))
        pid = str(os.getpid())
        self.assertIn(pid, self.complete("acre", "maps", pid[:-1]))
        self.assertEqual(self.complete("acre", "maps", "s"), ["self"])
        self.assertEqual(self.complete("acre", "pages", pid, "h"), ["heap"])

    def test_in_zsh_is_well_formed(self):
        if shutil.which("zsh") is None:
            self.skipTest("zsh is not installed")
        subprocess.run(["zsh", "-n", os.path.join(COMPLETION, "_acre")], check=True)


if __name__ == "__main__":
    main()
