#!/usr/bin/env python3
"""Counts the instructions of a malloc and free pair, exactly, for each allocator.

The loop runs twice under callgrind, with different counts of pairs; the difference divided by the
pairs has no start-up in it. The six instructions of the loop and the jumps through the procedure
linkage table (two a pair) are included. Rare slow paths are in the mean, as they are in programs.

  bench/compare/instructions.py
  bench/compare/instructions.py --allocators acre,glibc --cases pair-64,calloc-64
"""
import argparse
import os
import re
import shutil
import subprocess

import allocators
import measuring

FEW, MANY = 64 * 100, 64 * 1100

# The bars: at most so many instructions a pair.
BARS = {"pair-16": 44, "pair-64": 44, "pair-512": 44, "pair-1024": 44, "pair-4096": 60,
        "pair-40000": 60, "pair-65536": 60, "calloc-64": 60}


def collected(program, case, pairs, library):
    """All instructions of one run; None when it failed."""
    ended = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, case,
         str(pairs)], env=measuring.environment(library), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, check=False, timeout=measuring.TIMEOUT_S)
    found = re.search(r"Collected : (\d+)", ended.stderr)
    return int(found.group(1)) if found and ended.returncode == 0 else None


def per_pair(program, case, library):
    few, many = (collected(program, case, pairs, library) for pairs in (FEW, MANY))
    return None if few is None or many is None else (many - few) / (MANY - FEW)


def cases_of(program):
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acre", metavar="PATH", help="libacre-malloc.so to test")
    parser.add_argument("--other", metavar="NAME=PATH", action="append", default=[])
    parser.add_argument("--bench", metavar="DIR", help="where acre-pairs is")
    parser.add_argument("--allocators", metavar="A,B", help="only these")
    parser.add_argument("--cases", metavar="A,B", help="only these")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        raise SystemExit("instructions: valgrind is needed (package valgrind)")
    program = os.path.join(allocators.find_build(options.bench), "acre-pairs")
    libraries, _ = allocators.find_allocators(options.allocators, options.acre, options.other)
    cases = options.cases.split(",") if options.cases else cases_of(program)
    print("| instructions a pair | bar | " + " | ".join(libraries) + " |")
    print("|---" * (len(libraries) + 2) + "|")
    for case in cases:
        counts = [per_pair(program, case, library) for library in libraries.values()]
        cells = ["fail" if count is None else f"{count:.1f}" for count in counts]
        print(f"| {case} | {BARS.get(case, '')} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
