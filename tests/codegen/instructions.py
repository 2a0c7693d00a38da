#!/usr/bin/env python3
"""The fast paths stay short: instructions.py LIMITS PROGRAM PRELOAD

Each loop runs twice under callgrind; the difference between the runs divided by the pairs between
them is what one pair costs, without start-up. Exact, so it needs no quiet machine.
"""
import os
import re
import shutil
import subprocess
import sys

FEW, MANY = 6400, 70400


def collected(program, case, pairs, preload):
    ended = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, case,
         str(pairs)], env=dict(os.environ, LD_PRELOAD=preload), capture_output=True, text=True,
        timeout=100, check=True)
    return int(re.search(r"Collected : (\d+)", ended.stderr)[1])


def main():
    limits, program, preload = sys.argv[1:4]
    if not shutil.which("valgrind"):
        print("SKIP: valgrind is not installed")
        sys.exit(77)
    over = 0
    for line in open(limits):
        if not line.strip() or line.startswith("#"):
            continue
        case, limit = line.split()
        few, many = (collected(program, case, pairs, preload) for pairs in (FEW, MANY))
        cost = (many - few) / (MANY - FEW)
        is_over = cost > float(limit) + 0.5  # rare slow paths are in the mean
        print(f"{case:12} {cost:6.1f} of {limit}{'  TOO MANY' if is_over else ''}", flush=True)
        over += is_over
    sys.exit(over != 0)


main()
