#!/usr/bin/env python3
"""Print the demo's comparison: demo_table.py PLAIN ACRE, each the stem of .csv, .stat and .status."""
import csv
import os
import sys
from pathlib import Path


def rates(stem):
    """Requests a second by command; redis-benchmark repeats its heading as the first row."""
    with open(f"{stem}.csv") as file:
        return {row["test"].split()[0]: float(row["rps"]) for row in csv.DictReader(file)}


def cpu_seconds(stem):
    # The name may hold spaces; the fields after it are counted from the closing bracket.
    fields = Path(f"{stem}.stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(stem):
    lines = Path(f"{stem}.status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def rows(plain, acre):
    ours, theirs = rates(acre), rates(plain)
    for command in theirs:
        yield f"{command} requests/s", theirs[command], ours[command], "{:,.0f}"
    yield "server CPU time, s", cpu_seconds(plain), cpu_seconds(acre), "{:.2f}"
    yield "server peak RSS, MiB", peak_mib(plain), peak_mib(acre), "{:.1f}"


if __name__ == "__main__":
    print(f"{'':24}{'jemalloc':>12}{'Acre':>12}{'change':>9}")
    for name, before, after, form in rows(*sys.argv[1:]):
        print(f"{name:24}{form.format(before):>12}{form.format(after):>12}{after / before - 1:>+9.1%}")
