"""`acre bench`: what it measures, prints and exits with. The figures themselves are not judged."""

import json

from tool_case import LIBRARY, ToolCase, main


class Bench(ToolCase):
    def bench(self, *words, repetitions=1):
        result = self.acre(
            "bench", "--allocators", "acre,glibc", "--reps", str(repetitions), *words
        )
        if "build with ACRE_BUILD_BENCH" in result.stderr:
            self.skipTest("the benchmark programs are not built")
        return result

    def test_prints_tables_of_ratios(self):
        result = self.bench("--rows", "startup")
        self.assertEqual(result.returncode, 0, result.stderr)
        for title in ("CPU time, as", "Peak RSS, as"):
            self.assertIn(title, result.stdout)
        self.assertRegex(result.stdout, r"\nrow +best +\+- +acre +glibc\n")
        self.assertRegex(result.stdout, r"\nstartup +[0-9.]+ s +- +[0-9.]+ +[0-9.]+\n")
        self.assertRegex(result.stdout, r"\nstartup +[0-9.]+ M +- +[0-9.]+ +[0-9.]+\n")
        self.assertRegex(result.stdout, r"\ngeometric mean +[0-9.]{5} +[0-9.]{5}\n")
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        self.assertNotIn("apart", result.stdout)

    def test_compares_on_a_command(self):
        result = self.bench("--json", "-", "--", "sh", "-c", "exit 0")
        self.assertEqual(result.returncode, 0, result.stderr)
        figures = json.loads(result.stdout)
        self.assertEqual([each["name"] for each in figures["allocators"]], ["acre", "glibc"])
        (row,) = figures["rows"]
        self.assertEqual(row["name"], "sh")
        self.assertEqual(len(row["results"]["acre"]["cpu_s"]), 1)
        self.assertGreater(row["results"]["glibc"]["peak_bytes"][0], 500_000)

    def test_tells_rows_whose_runs_lie_far_apart(self):
        mark = self.path("mark")
        script = f"[ -e {mark} ] || for i in $(seq 200000); do :; done; touch {mark}"
        result = self.bench("--", "sh", "-c", script, repetitions=2)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("\nIn 1 of 1 rows the runs of one allocator lie more than 20 % apart",
                      result.stdout)
        self.assertRegex(result.stdout, r"\nsh +[0-9.]+ s +[0-9]+% ")

    def test_tells_a_row_that_fails(self):
        result = self.bench("--", "sh", "-c", "exit 3")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"\nsh +- +- +exit 3 +exit 3\n")

    def test_tells_what_a_row_that_fails_printed_last(self):
        result = self.bench("--", "sh", "-c", "echo starting; echo no such input >&2; exit 3")
        self.assertIn("\nsh under acre: exit 3: no such input\n", result.stdout)

    def test_wants_the_command_it_announces(self):
        result = self.acre("bench", "--")
        self.assertEqual(result.returncode, 2)
        self.assertIn("no command after '--'", result.stderr)

    def test_tells_a_row_that_crashes(self):
        self.assertIn(" sig 11 ", self.bench("--", "sh", "-c", "kill -SEGV $$").stdout)

    def test_tells_a_library_that_cannot_be_preloaded(self):
        with open(LIBRARY, "rb") as file:
            library = bytearray(file.read())
        library[16] = 1  # an object file, says the header now
        chosen = {"ACRE_LIBRARY": self.write_program("broken.so", bytes(library))}
        result = self.acre("bench", "--allocators", "acre,glibc", "--reps", "1", "--", "sh", "-c",
                           "exit 0", environment=chosen)
        if "build with ACRE_BUILD_BENCH" in result.stderr:
            self.skipTest("the benchmark programs are not built")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"\nsh +.* refused +1.00\n")


if __name__ == "__main__":
    main()
