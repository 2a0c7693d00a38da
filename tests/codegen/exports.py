#!/usr/bin/env python3
"""The library exports exactly the listed names and needs libc alone: exports.py LIST LIBRARY"""
import subprocess
import sys


def lines_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main():
    listed, library = sys.argv[1:3]
    wanted = {line.strip() for line in open(listed) if line.strip() and not line.startswith("#")}
    found = {line.split()[-1].split("@")[0] for line in lines_of("nm", "-D", "--defined-only", library)}
    needed = [line.split("[")[1].rstrip("]") for line in lines_of("readelf", "-dW", library)
              if "(NEEDED)" in line]
    problems = [f"not exported: {name}" for name in sorted(wanted - found)]
    problems += [f"exported but not listed: {name}" for name in sorted(found - wanted)]
    if needed != ["libc.so.6"]:
        problems.append(f"needs {needed}, not libc.so.6 alone")
    print("\n".join(problems) or f"{len(found)} names")
    sys.exit(bool(problems))


main()
