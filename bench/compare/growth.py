#!/usr/bin/env python3
"""How costs grow: with threads at work, with live blocks, and with threads that live at once.

  bench/compare/growth.py
  bench/compare/growth.py --only threads --allocators acre,mimalloc --threads 1,2,4,8,16

threads   the same total work on more and more threads: nanoseconds of CPU a step, peak RSS
blocks    a full set of 10^2 to 10^8 blocks of 16 to 64 bytes: nanoseconds a replacement, bytes of
          peak RSS a block (the table that holds the pointers is 16 of them)
living    1 to 10 000 living threads that each used 64 KB in blocks of 256 bytes: KiB of RSS each
"""
import argparse
import os
import statistics

import allocators
import measuring

STEPS = 4_000_000


class Growth:
    def __init__(self, folder, libraries, repetitions):
        self.folder = folder
        self.libraries = libraries
        self.repetitions = repetitions

    def medians(self, workload, *parameters):
        """Allocator -> medians of all values of that workload; None when a run failed."""
        runs = {name: [] for name in self.libraries}
        for _ in range(self.repetitions):
            for name, library in self.libraries.items():
                used = measuring.run(os.path.join(self.folder, "acre-measure"),
                                     [os.path.join(self.folder, "acre-workloads"), workload,
                                      *parameters], library, keep_output=True, timeout_s=300)
                used.update(measuring.values_of(used.pop("output", "")))
                runs[name].append(used)
        return {name: None if any(used["status"] for used in each) else
                {key: statistics.median(used[key] for used in each) for key in each[0]}
                for name, each in runs.items()}

    def head(self, title, *units):
        columns = [f"{name} {unit}" for name in self.libraries for unit in units]
        print(f"\n| {title} | " + " | ".join(columns) + " |")
        print("|---" * (len(columns) + 1) + "|", flush=True)

    def line(self, first, found, *values):
        """`values`: functions from an allocator's medians to a number."""
        cells = ["fail" if used is None else f"{value(used):.1f}"
                 for used in found.values() for value in values]
        print(f"| {first} | " + " | ".join(cells) + " |", flush=True)


def threads(growth, counts):
    growth.head("threads at work", "ns", "MB")
    for count in counts:
        # Few blocks a thread, so that the working set and not only the allocator stays the same.
        found = growth.medians("exchange", f"threads={count}", f"steps={STEPS // count}",
                               f"slots={64000 // count}")
        growth.line(count, found, lambda used: used["cpu_s"] * 1e9 / STEPS,
                    lambda used: used["peak_kib"] / 1024)


def blocks(growth, exponents):
    growth.head("live blocks", "ns", "B")
    for exponent in exponents:
        count = 10**exponent
        found = growth.medians("mixed", f"slots={count}", "steps=2000000", "min=16", "max=64",
                               "filled=1")
        growth.line(f"10^{exponent}", found, lambda used: used["ns_per_step"],
                    lambda used: used["peak_kib"] * 1024 / count)


def living(growth, counts):
    growth.head("living threads", "KiB", "s")
    for count in counts:
        found = growth.medians("idle-threads", f"threads={count}", "kb=64", "size=256",
                               "pause_ms=2000")
        growth.line(count, found, lambda used: used["kib_per_thread"], lambda used: used["cpu_s"])


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acre", metavar="PATH", help="libacre-malloc.so to test")
    parser.add_argument("--other", metavar="NAME=PATH", action="append", default=[])
    parser.add_argument("--bench", metavar="DIR", help="where the built benchmarks are")
    parser.add_argument("--allocators", metavar="A,B", help="only these")
    parser.add_argument("--only", default="threads,blocks,living", metavar="A,B")
    parser.add_argument("--reps", type=int, default=3, metavar="N")
    parser.add_argument("--threads", type=numbers, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--exponents", type=numbers, default=[2, 3, 4, 5, 6, 7, 8])
    parser.add_argument("--living", type=numbers, default=[1, 10, 100, 1000, 10000])
    options = parser.parse_args()
    libraries, _ = allocators.find_allocators(options.allocators, options.acre, options.other)
    growth = Growth(os.path.abspath(allocators.find_build(options.bench)), libraries, options.reps)
    wanted = options.only.split(",")
    if "threads" in wanted:
        threads(growth, options.threads)
    if "blocks" in wanted:
        blocks(growth, options.exponents)
    if "living" in wanted:
        living(growth, options.living)


if __name__ == "__main__":
    main()
