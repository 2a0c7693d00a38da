#!/usr/bin/env python3
"""Starting a program costs little: start_up.py MEASURE PRELOAD

`true` may take 80 minor faults and 1.25 MiB; or, where a plain start takes more than the 68 faults
and 1.07 MiB of the machine those bars come from, as much more than a plain start as they allow.
"""
import os
import statistics
import subprocess
import sys

RUNS = 9
FAULTS, RSS_KIB = 80, 1280
MORE_FAULTS, MORE_RSS_KIB = 12, 184


def measured(program, preload):
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    if preload:
        environment["LD_PRELOAD"] = preload
    runs = [subprocess.run([program, "/bin/true"], env=environment, capture_output=True, text=True,
                           check=True).stdout.split() for _ in range(RUNS)]
    return [statistics.median(int(run[column]) for run in runs) for column in (0, 1)]


def main():
    program, preload = sys.argv[1:3]
    plain_faults, plain_rss = measured(program, None)
    faults, rss = measured(program, preload)
    faults_most = max(FAULTS, plain_faults + MORE_FAULTS)
    rss_most = max(RSS_KIB, plain_rss + MORE_RSS_KIB)
    print(f"minor faults {faults} of {faults_most} (plain {plain_faults})")
    print(f"peak RSS {rss} KiB of {rss_most} (plain {plain_rss})")
    sys.exit(faults > faults_most or rss > rss_most)


main()
