#!/usr/bin/env python3
"""malloc_info writes well-formed XML with glibc's root element: info_xml.py PROGRAM"""
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

# Checked with what glibc 2.36 writes: programs read these to know what the process holds.
TOTALS = ("fast", "rest")
SYSTEM = ("current", "max")


def main():
    ended = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    root = ElementTree.fromstring(ended.stdout)
    problems = []
    if root.tag != "malloc" or root.get("version") != "1":
        problems.append(f"root is <{root.tag} {root.attrib}>, not <malloc version=\"1\">")
    kinds = {total.get("type") for total in root.iter("total")}
    problems += [f"no <total type=\"{kind}\">" for kind in TOTALS if kind not in kinds]
    kinds = {system.get("type") for system in root.iter("system")}
    problems += [f"no <system type=\"{kind}\">" for kind in SYSTEM if kind not in kinds]
    sizes = [int(element.get("size")) for element in root.findall("system") if element.get("size")]
    if not sizes or max(sizes) < 5 << 20:
        problems.append(f"<system> sizes {sizes} are less than the 5 MiB that are live")
    if problems:
        sys.exit("\n".join(problems) + "\n" + ended.stdout)


main()
