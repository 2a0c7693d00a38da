"""`acre pages`: what it says about pages whose state is known."""

import json
import os
import re
import struct
import subprocess
import sys
import zlib

from tool_case import ToolCase, main

PAGE = os.sysconf("SC_PAGESIZE")

# A range of 64 pages with neighbours that are no part of it: 10 written, 5 read only, 4 guarded.
LAYOUT = f"""
import ctypes, time
c = ctypes.CDLL(None); c.mmap.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
c.mprotect.argtypes = c.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
start = c.mmap(None, 66 * {PAGE}, 0, 0x22, -1, 0) + {PAGE}
c.mprotect(start, 64 * {PAGE}, 3)
c.madvise(start, 64 * {PAGE}, 15)
ctypes.memset(start, 1, 10 * {PAGE})
for i in range(20, 25): ctypes.string_at(start + i * {PAGE}, 1)
guards = 4 if c.madvise(start + 40 * {PAGE}, 4 * {PAGE}, 102) == 0 else 0
print(f"{{start:x}} {{guards}}", flush=True)
"""


class PagesCase(ToolCase):
    def python(self, code):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                                 env=self.environment)
        self.addCleanup(self.stop, child)
        return child, child.stdout.readline().split()

    @staticmethod
    def stop(child):
        child.kill()
        child.wait()
        child.stdout.close()

    def known(self):
        child, (start, guards) = self.python(LAYOUT + "time.sleep(60)\n")
        return child, int(start, 16), int(guards)

    def json_of(self, *words):
        result = self.acre("pages", "--json", "-", *map(str, words))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return json.loads(result.stdout)


class Counts(PagesCase):
    def test_of_a_range_whose_pages_are_known(self):
        child, start, guards = self.known()
        what = self.json_of(child.pid, f"{start:x}-{start + 64 * PAGE:x}")
        self.assertEqual(what["pages"], 64)
        counts = what["counts"]
        zeros = counts["zero page"]
        if zeros == 0:  # before Linux 6.7 a page of zeros looks like any other
            self.assertEqual(counts["anonymous"], 15)
        else:
            self.assertEqual((counts["anonymous"], zeros), (10, 5))
        self.assertIn(counts["guard"], (0, guards))
        self.assertEqual(sum(counts.values()), 64)
        self.assertGreaterEqual(what["exclusive_pages"], 10)
        self.assertGreaterEqual(what["leaf_table_bytes"], PAGE)
        self.assertLessEqual(what["leaf_table_bytes"], what["page_table_bytes"])
        spans = what["mappings"][0]["spans"]
        self.assertEqual((int(spans[0]["start"], 16), spans[0]["pages"]), (start, 10))

    def test_of_an_address_and_of_a_part_of_a_range(self):
        child, start, _ = self.known()
        self.assertEqual(self.json_of(child.pid, f"{start + 5000:x}")["pages"], 64)
        self.assertEqual(self.json_of(child.pid, f"0x{start + 5000:x}")["pages"], 64)
        for first, last, pages in ((5000, 5001, 1), (PAGE - 1, PAGE + 1, 2), (1, 3 * PAGE, 3)):
            part = self.json_of(child.pid, f"{start + first:x}-{start + last:x}")
            self.assertEqual(part["pages"], pages, (first, last))
        part = self.json_of(child.pid, f"{start + 8 * PAGE:x}-{start + 12 * PAGE:x}")
        self.assertEqual((part["pages"], part["counts"]["anonymous"]), (4, 2))

    def test_by_name(self):
        child, *_ = self.known()
        libc = self.json_of(child.pid, "libc.so")
        self.assertTrue(all("libc.so" in each["label"] for each in libc["mappings"]))
        self.assertGreater(libc["counts"]["file"], 0)
        stack = self.json_of(child.pid, "STACK")
        self.assertEqual(len(stack["mappings"]), 1)
        everything = self.json_of(child.pid)
        self.assertGreater(everything["pages"], libc["pages"] + stack["pages"])

    def test_agree_with_smaps(self):
        child, start, _ = self.known()
        with open(f"/proc/{child.pid}/smaps", encoding="utf-8") as file:
            text = file.read().split(f"{start:x}-", 1)[1]
        rss = int(re.search(r"Rss: +(\d+) kB", text)[1]) * 1024
        counts = self.json_of(child.pid, f"{start:x}")["counts"]
        self.assertEqual((counts["anonymous"] + counts["huge"]) * PAGE, rss)

    def test_nodes_and_frames_where_they_may_be_seen(self):
        child, start, _ = self.known()
        what = self.json_of(child.pid, f"{start:x}")
        if what["nodes"]:
            self.assertGreaterEqual(sum(what["nodes"].values()), 10)
        if os.geteuid() != 0:
            self.assertIn("need root", " ".join(what["notes"]))


class Pictures(PagesCase):
    def test_the_heat_map_has_a_letter_a_page(self):
        child, start, guards = self.known()
        text = self.acre("pages", str(child.pid), f"{start:x}").stdout
        row = re.search(rf"(?m)^{start:>12x}  (\S+)$", text)[1]
        self.assertEqual(len(row), 64)
        self.assertEqual(row[:20], "A" * 10 + "." * 10)
        self.assertIn(row[20:25], ("ZZZZZ", "AAAAA"))
        self.assertIn(row[40:44], ("GGGG", "...."))
        self.assertIn("capital", text)

    def test_the_png_has_a_point_a_page(self):
        child, start, _ = self.known()
        path = self.path("pages.png")
        result = self.acre("pages", "--png", path, str(child.pid), f"{start:x}")
        self.assertEqual(result.returncode, 0, result.stderr)
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", data[16:24])
        self.assertEqual((width, height), (64 * 4, 4))
        at, packed = 8, b""
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            body = data[at + 8:at + 8 + size]
            self.assertEqual(zlib.crc32(kind + body), struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0])
            packed += body if kind == b"IDAT" else b""
            at += 12 + size
        self.assertEqual(len(zlib.decompress(packed)), height * (1 + 3 * width))

    def test_the_svg_is_well_formed(self):
        from xml.etree import ElementTree
        child, start, _ = self.known()
        result = self.acre("pages", "--svg", "-", str(child.pid), f"{start:x}")
        root = ElementTree.fromstring(result.stdout)
        fills = {each.get("fill") for each in root.iter("{http://www.w3.org/2000/svg}rect")}
        self.assertIn("#d95f0e", fills)

    def test_a_large_process_fits_the_screen(self):
        child, _ = self.python(f"import time; x = bytearray(300 << 20); print('1 2', flush=True); time.sleep(60)")
        lines = self.acre("pages", str(child.pid), "anonymous").stdout.splitlines()
        self.assertLess(len(lines), 60)
        self.assertRegex("\n".join(lines), r"Pages by address, \d+ to a letter")


class WorkingSet(PagesCase):
    def test_what_is_used_within_a_time(self):
        child, (start, _) = self.python(
            LAYOUT + f"while True:\n    ctypes.memset(start, 2, 3 * {PAGE}); time.sleep(0.01)\n")
        result = self.acre("pages", "--working-set", "300ms", str(child.pid), start)
        if result.returncode != 0 and "clear_refs" in result.stderr:
            self.skipTest(result.stderr.strip())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"Used within 300 ms\n +referenced, at least")
        what = self.json_of("--working-set", "300ms", child.pid, start)
        self.assertEqual(what["working_set_ms"], 300)
        self.assertLess(what["mappings"][0]["referenced_bytes"], 10 * PAGE)


class Refusals(PagesCase):
    def test_what_is_not_there(self):
        child, start, _ = self.known()
        pid = str(child.pid)
        self.assert_error(self.acre("pages", pid, "no such name"), 2, "'no such name'", "hexadecimal", "acre maps")
        self.assert_error(self.acre("pages", pid, "1000-2000"), 2, "'1000-2000'")
        self.assert_error(self.acre("pages", pid, f"{start + 64:x}-{start:x}"), 2, "is empty")
        self.assert_error(self.acre("pages", pid, "7ffffffff000"), 2, "nothing is mapped at")
        self.assert_error(self.acre("pages", "999999999"), 2, "there is no process 999999999")
        self.assert_error(self.acre("pages", "x"), 2, "'x' is no process number")
        self.assert_error(self.acre("pages"), 2, "no process", "pages --help")
        self.assert_error(self.acre("pages", "--working-set", "1", "--working-set", "0ms", pid), 2)
        self.assert_error(self.acre("pages", "--png", "/no/such/x", pid), 2, "cannot write /no/such/x")
        self.assert_error(self.acre("pages", "--svg", "-", "--png", "-", pid), 2, "only one of")

    def test_a_process_that_ended(self):
        child = subprocess.Popen(["true"])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assert_error(self.acre("pages", str(child.pid)), 2, "has ended")
        child.wait()

    def test_a_process_of_another_user(self):
        if os.getuid() == 0:
            self.skipTest("root may look at all of them")
        self.assert_error(self.acre("pages", "1"), 2, "may not read")


if __name__ == "__main__":
    main()
