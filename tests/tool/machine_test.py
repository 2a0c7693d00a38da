"""`acre machine`: what it describes against what lscpu and lstopo say, and the form of what it
measures. The figures are judged only where every machine must agree with them.
"""

import json
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree

from tool_case import TOOL, ToolCase, main, read_to_end

SVG = "{http://www.w3.org/2000/svg}"


class Description(ToolCase):
    def setUp(self):
        super().setUp()
        result = self.acre("machine", "--describe", "--json", "-")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        whole = json.loads(result.stdout)
        self.assertIsNone(whole["measurement"])
        self.machine = whole["description"]

    def test_agrees_with_lscpu_on_caches(self):
        if shutil.which("lscpu") is None:
            self.skipTest("lscpu is not installed")
        listing = subprocess.run(["lscpu", "-C", "-J", "-B"], capture_output=True, text=True)
        if listing.returncode != 0 or not json.loads(listing.stdout).get("caches"):
            self.skipTest("lscpu finds no caches here")
        theirs = {
            row["name"]: (int(row["one-size"]), int(row["level"]), row["ways"], row["coherency-size"])
            for row in json.loads(listing.stdout)["caches"]
        }
        ours = {
            row["name"]: (row["size_bytes"], row["level"], row["ways"], row["line_bytes"])
            for row in self.machine["caches"]
        }
        self.assertEqual(ours, theirs)

    def test_agrees_with_lstopo(self):
        program = shutil.which("lstopo-no-graphics") or shutil.which("lstopo")
        if program is None:
            self.skipTest("lstopo is not installed; it is in the package hwloc-nox")
        listing = subprocess.run([program, "--of", "xml"], capture_output=True, text=True, timeout=60)
        self.assertEqual(listing.returncode, 0, listing.stderr)
        objects = list(ElementTree.fromstring(listing.stdout).iter("object"))
        theirs = sorted(
            (int(each.get("depth")), int(each.get("cache_size")), int(each.get("cache_linesize")))
            for each in objects
            if re.fullmatch(r"L[1-9]i?Cache", each.get("type"))
        )
        ours = sorted(
            (cache["level"], cache["size_bytes"], cache["line_bytes"])
            for cache in self.machine["caches"]
            for _ in range(cache["count"])
        )
        self.assertEqual(ours, theirs)
        nodes = [int(each.get("os_index")) for each in objects if each.get("type") == "NUMANode"]
        self.assertEqual([node["node"] for node in self.machine["nodes"]], nodes)
        cores = [each for each in objects if each.get("type") == "Core"]
        self.assertEqual(self.machine["processor"]["cores"], len(cores))

    def test_agrees_with_the_kernel(self):
        memory = self.machine["memory"]
        with open("/proc/meminfo", encoding="utf-8") as file:
            total = re.search(r"MemTotal: +([0-9]+) kB", file.read()).group(1)
        self.assertEqual(memory["total_bytes"], int(total) * 1024)
        self.assertEqual(memory["page_bytes"], os.sysconf("SC_PAGESIZE"))
        self.assertEqual(self.machine["processor"]["cpus"], sorted(os.sched_getaffinity(0)))
        self.assertEqual(self.machine["host"]["kernel"], os.uname().release)
        mode = "/sys/kernel/mm/transparent_hugepage/enabled"
        if os.path.exists(mode):
            with open(mode, encoding="utf-8") as file:
                self.assertIn(f"[{memory['transparent_huge_pages']['mode']}]", file.read())

    def test_tells_a_virtual_machine(self):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = re.search(r"^flags\s*:(.*)$", file.read(), re.M)
        if flags is None:
            self.skipTest("this processor's flags are not in /proc/cpuinfo")
        is_virtual = "hypervisor" in flags.group(1).split()
        self.assertEqual(self.machine["host"]["is_virtual"], is_virtual)

    def test_keeps_to_the_cpus_it_may_use(self):
        one = min(os.sched_getaffinity(0))
        script = f"import os; os.sched_setaffinity(0, [{one}]); os.execv({TOOL!r}, " \
                 "['acre', 'machine', '--describe', '--json', '-'])"
        result = subprocess.run(["python3", "-c", script], capture_output=True, text=True, timeout=60)
        processor = json.loads(result.stdout)["description"]["processor"]
        self.assertEqual((processor["cpus"], processor["measuring_cpu"]), ([one], one))

    def test_is_printed_too(self):
        text = self.acre("machine", "--describe").stdout
        self.assertNotIn("\x1b", text)
        for cache in self.machine["caches"]:
            self.assertRegex(text, rf"\n  {cache['name']} .* {cache['line_bytes']} ")
        self.assertNotIn("GB/s", text)


class Measurement(ToolCase):
    """All look at one run, on a terminal where there is one."""

    @classmethod
    def setUpClass(cls):
        cls.maker = ToolCase()
        cls.maker.setUp()
        cls.addClassCleanup(cls.maker.doCleanups)
        cls.paths = {name: cls.maker.path(f"machine.{name}") for name in ("json", "svg", "html")}
        files = [word for name, path in cls.paths.items() for word in (f"--{name}", path)]
        environment = cls.maker.environment | {"LC_ALL": "C.UTF-8", "TERM": "xterm", "NO_COLOR": ""}
        cls.no_terminal = ""
        try:
            master, slave = os.openpty()
        except OSError as problem:
            cls.no_terminal = f"no pseudo-terminal can be opened here: {problem}"
            master, slave = os.pipe()
        start = time.monotonic()
        process = subprocess.Popen([TOOL, "machine", "--quick", *files], stdin=subprocess.DEVNULL,
                                   stdout=slave, stderr=slave, env=environment)
        os.close(slave)
        output = read_to_end(master)
        cls.code = process.wait(timeout=60)
        cls.seconds = time.monotonic() - start
        os.close(master)
        cls.text = output.decode()

    def read(self, name):
        with open(self.paths[name], encoding="utf-8") as file:
            return file.read()

    def figures(self):
        return json.loads(self.read("json"))["measurement"]

    def test_ends_in_time_and_judges_itself(self):
        self.assertLess(self.seconds, 30)
        noise = self.figures()["noise"]
        self.assertEqual(self.code, int(noise["is_noisy"]), self.text)
        self.assertEqual(noise["is_noisy"], bool(noise["reasons"]))
        for reason in noise["reasons"]:
            self.assertIn(reason, self.text)

    def test_has_colour_braille_and_progress_on_a_terminal(self):
        if self.no_terminal:
            self.skipTest(self.no_terminal)
        self.assertIn(" %  latency on ", self.text)
        self.assertIn("\x1b[34m", self.text)
        self.assertRegex(self.text, "[\u2801-\u28ff]")

    def test_curves_grow_with_the_working_set(self):
        curves = self.figures()["curves"]
        self.assertEqual(set(curves), {"huge_pages", "small_pages", "one_line_per_page"})
        for curve in curves.values():
            if curve["missing"]:
                self.assertEqual(curve["points"], [])
                continue
            sizes = [point["size_bytes"] for point in curve["points"]]
            self.assertEqual(sizes, sorted(set(sizes)))
            latencies = [point["latency_ns"]["minimum"] for point in curve["points"]]
            self.assertGreater(latencies[0], 0.1)
            # From the first cache into memory: everywhere several times as long.
            self.assertGreater(latencies[-1], 3 * latencies[0])
            for point in curve["points"]:
                figure = point["latency_ns"]
                self.assertLessEqual(figure["minimum"], figure["median"])
                self.assertLessEqual(figure["median"], figure["maximum"])

    def test_levels_are_those_described(self):
        caches = json.loads(self.read("json"))["description"]["caches"]
        names = [cache["name"] for cache in caches if cache["is_measured"]]
        self.assertEqual([level["level"] for level in self.figures()["levels"]], [*names, "memory"])

    def test_every_bandwidth_is_there_or_says_why_not(self):
        for row in self.figures()["bandwidths"]:
            for name in ("read_gb_s", "write_gb_s", "copy_gb_s"):
                if row["missing"]:
                    self.assertIsNone(row[name])
                else:
                    self.assertGreater(row[name]["maximum"], 0.01)

    def test_every_cost_is_there_or_says_why_not(self):
        costs = {cost["name"]: cost for cost in self.figures()["kernel_costs"]}
        for cost in costs.values():
            self.assertEqual(cost["ns"] is None, cost["missing"] is not None, cost)
        moved, copied = (costs[f"64 MiB {way}"]["ns"] for way in ("moved by mremap", "copied to new memory"))
        # Moving page tables is faster than copying what they map, on any machine.
        if moved and copied:
            self.assertLess(moved["minimum"], copied["minimum"])

    def test_svg_is_well_formed(self):
        root = ElementTree.fromstring(self.read("svg"))
        self.assertEqual(root.tag, f"{SVG}svg")
        drawn = [curve for curve in ("huge_pages", "small_pages")
                 if self.figures()["curves"][curve]["points"]]
        self.assertEqual(len(root.findall(f"{SVG}polyline")), len(drawn))
        _, _, width, height = map(float, root.get("viewBox").split())
        for line in root.findall(f"{SVG}polyline"):
            for pair in line.get("points").split():
                x, y = map(float, pair.split(","))
                self.assertTrue(0 <= x <= width and 0 <= y <= height, pair)

    def test_html_loads_nothing_and_has_all_tables(self):
        page = self.read("html")
        self.assertTrue(page.startswith("<!doctype html>"))
        self.assertNotRegex(page, r"\b(src|href)=|@import|url\(")
        for drawing in re.findall(r"<svg.*?</svg>", page, re.S):
            ElementTree.fromstring(drawing)
        self.assertEqual(page.count("<table>"), page.count("</table>"))
        for title in ("Levels", "Bandwidth in GB/s", "What the kernel charges"):
            self.assertIn(f"<h2>{title}", page)


class Misuse(ToolCase):
    def test_is_told(self):
        self.assert_error(self.acre("machine", "--describe", "--svg", "x"), 2, "--describe")
        self.assert_error(self.acre("machine", "--describe", "--quick"), 2, "exclude each other")
        self.assert_error(self.acre("machine", "--json", "-", "--svg", "-"), 2, "only one of")
        self.assert_error(self.acre("machine", "--json", "/nowhere/x"), 2, "/nowhere/x")
        self.assert_error(self.acre("machine", "x"), 2, "does not take 'x'")


if __name__ == "__main__":
    main()
