#!/usr/bin/env python3
"""Checks, one by one, the bars that a mean over rows cannot show: what is measured beside the bar.

  bench/compare/bars.py                              all groups, all installed allocators
  bench/compare/bars.py --only idle,start --reps 1
  bench/compare/bars.py --allocators acre,glibc,mimalloc

Groups: cross-free idle fragmentation large realloc thread-churn idle-threads start limit.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

import allocators
import measuring

KIB_PER_MB = 1024
FAILED = None


def progress(what):
    """On a terminal only: the table itself says how far a run into a file is."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


class Bench:
    """Runs things under each allocator in turn and takes medians."""

    def __init__(self, folder, libraries, repetitions):
        self.folder = folder
        self.libraries = libraries
        self.repetitions = repetitions
        self.table = []

    def workload(self, name, *parameters, repetitions=None):
        """Allocator -> median of each value, of those printed and of those measured."""
        program = os.path.join(self.folder, "acre-workloads")
        return self.command([program, name, *parameters], repetitions=repetitions)

    def command(self, command, repetitions=None, repeat=1):
        runs = {name: [] for name in self.libraries}
        for _ in range(repetitions or self.repetitions):
            for name, library in self.libraries.items():
                progress(f"{' '.join(command[1:4])} {name}")
                used = measuring.run(os.path.join(self.folder, "acre-measure"), command, library,
                                     repeat=repeat, keep_output=True)
                used.update(measuring.values_of(used.pop("output", "")))
                runs[name].append(used)
        progress("")
        return {name: self.medians(each) for name, each in runs.items()}

    @staticmethod
    def medians(runs):
        if any(used["status"] != 0 for used in runs):
            return FAILED
        return {key: statistics.median(used[key] for used in runs) for key in runs[0]}

    def row(self, what, unit, values, bar, at_most=True):
        """One line of the result. `values`: allocator -> number or None; `bar`: number or None."""
        ours = values.get("acre")
        met = ""
        if "acre" in self.libraries and bar is not None:
            met = "yes" if ours is not None and (ours <= bar if at_most else ours >= bar) else "**no**"
        sign = "≤" if at_most else "≥"
        shown = "" if bar is None else f"{sign} {format_number(bar)}"
        cells = ["fail" if values[name] is None else format_number(values[name])
                 for name in self.libraries]
        line = f"| {what} ({unit}) | {shown} | {met} | " + " | ".join(cells) + " |"
        self.table.append((met, line))
        print(line, flush=True)

    def head(self):
        print("| what | bar | met | " + " | ".join(self.libraries) + " |")
        print("|---" * (len(self.libraries) + 3) + "|", flush=True)

    def peers(self, values):
        """The values of the other allocators that did not fail."""
        names = {name for name, _, _ in allocators.PEERS}
        return [value for name, value in values.items() if name in names and value is not None]


def format_number(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def pick(results, key, scale=1.0):
    return {name: None if used is FAILED else used[key] / scale for name, used in results.items()}


def relative(values, name, factor):
    """`factor` times the value of the allocator `name`; None when it is not here or failed."""
    return None if values.get(name) is None else values[name] * factor


def cross_free(bench):
    for pairs in (1, 2):
        found = bench.workload("cross-free", f"pairs={pairs}")
        rate = pick(found, "blocks_per_s", 1e6)
        bench.row(f"cross-thread frees, {pairs * 2} threads: rate", "million/s", rate,
                  max(bench.peers(rate), default=None), at_most=False)
        bench.row(f"cross-thread frees, {pairs * 2} threads: peak RSS", "MB",
                  pick(found, "peak_kib", KIB_PER_MB), 25)
    found = bench.workload("ring-free")
    rate = pick(found, "blocks_per_s", 1e6)
    bench.row("threads that free each other's blocks: rate", "million/s", rate,
              max(bench.peers(rate), default=None), at_most=False)
    bench.row("threads that free each other's blocks: peak RSS", "MB",
              pick(found, "peak_kib", KIB_PER_MB), 25)


def idle(bench):
    found = bench.workload("idle-return", repetitions=1)
    for key, what, bar in (("rss_peak_kib", "at the peak", None),
                           ("rss_freed_kib", "right after free", None),
                           ("rss_idle_kib", "1.5 s later, no further call", 14),
                           ("rss_threads_gone_later_kib", "1.5 s after the threads ended", 4.5)):
        bench.row(f"idle return: RSS {what}", "MB", pick(found, key, KIB_PER_MB), bar)
    found = bench.workload("idle-return", "trim=1", repetitions=1)
    bench.row("idle return: RSS at once after malloc_trim(0)", "MB",
              pick(found, "rss_idle_kib", KIB_PER_MB), 14)
    bench.row("threads of a program that sleeps", "threads",
              {name: threads_of_sleep(library) for name, library in bench.libraries.items()}, 1)


def threads_of_sleep(library):
    """Threads of `sleep` after a second: those that the allocator started without need."""
    sleeper = subprocess.Popen(["sleep", "3"], env=measuring.environment(library),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        return len(os.listdir(f"/proc/{sleeper.pid}/task")) if sleeper.poll() is None else FAILED
    finally:
        sleeper.kill()
        sleeper.wait()


def fragmentation(bench):
    found = bench.workload("fragmentation")
    rss = pick(found, "peak_kib", KIB_PER_MB)
    bench.row("fragmentation: peak RSS", "MB", rss, relative(rss, "glibc", 1.45))
    cpu = pick(found, "cpu_s")
    bench.row("fragmentation: CPU", "s", cpu, relative(cpu, "glibc", 1 / 3))


def large(bench):
    for live in (1, 8):
        cpu = pick(bench.workload("large", f"live={live}"), "cpu_s")
        bench.row(f"large blocks, {live} at a time: CPU", "s", cpu,
                  min(bench.peers(cpu), default=0) * 1.05 or None)


def realloc(bench):
    found = bench.workload("realloc-one")
    for key, what, unit, scale in (("cpu_s", "CPU", "s", 1), ("wall_s", "time", "s", 1),
                                   ("peak_kib", "peak RSS", "MB", KIB_PER_MB)):
        values = pick(found, key, scale)
        bench.row(f"realloc to 1 GB: {what}", unit, values, relative(values, "glibc", 1.05))


def thread_churn(bench):
    found = bench.workload("thread-churn")
    cpu, rss = pick(found, "cpu_s"), pick(found, "peak_kib", KIB_PER_MB)
    bench.row("2 x 2000 short threads: CPU", "s", cpu, relative(cpu, "mimalloc", 1.0))
    bench.row("2 x 2000 short threads: peak RSS", "MB", rss, relative(rss, "mimalloc", 0.5))


def idle_threads(bench):
    """Beyond what the same waiting threads cost with the C library, before they allocated."""
    for size, what in ((1048576, "one block"), (256, "small blocks")):
        found = bench.workload("idle-threads", f"size={size}", repetitions=1)
        stacks = found["glibc"]["rss_before_kib"] if found.get("glibc") else 0
        each = {name: None if used is FAILED else (used["rss_after_kib"] - stacks) / 1000
                for name, used in found.items()}
        bench.row(f"1000 idle threads, 1 MB once as {what}: RSS each beyond glibc's stacks", "KiB",
                  each, 20)


def start(bench):
    found = bench.command(["true"], repetitions=5)
    bench.row("start of `true`: minor faults", "faults", pick(found, "minor_faults"), 80)
    bench.row("start of `true`: peak RSS", "KiB", pick(found, "peak_kib"), 1280)
    found = bench.command(["true"], repeat=300)
    for key in ("cpu_s", "wall_s"):
        values = pick(found, key, 0.3)
        bench.row(f"start of `true`: {'CPU' if key == 'cpu_s' else 'time'}", "ms", values,
                  relative(values, "glibc", 1.1))


def limit(bench):
    for command in ("true", "python3 -c pass"):
        found = bench.command(["sh", "-c", f"ulimit -v 200000 && exec {command}"], repetitions=1)
        bench.row(f"`{command}` under ulimit -v 200000 (0: works)", "failures",
                  {name: 0.0 if used else 1.0 for name, used in found.items()}, 0)
    found = bench.workload("exhaustion", repetitions=1)
    bench.row("least memory had before ENOMEM, of 200", "MB", pick(found, "least_mb"), 100,
              at_most=False)


GROUPS = {"cross-free": cross_free, "idle": idle, "fragmentation": fragmentation, "large": large,
          "realloc": realloc, "thread-churn": thread_churn, "idle-threads": idle_threads,
          "start": start, "limit": limit}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acre", metavar="PATH", help="libacre-malloc.so to test")
    parser.add_argument("--other", metavar="NAME=PATH", action="append", default=[])
    parser.add_argument("--bench", metavar="DIR", help="where the built benchmarks are")
    parser.add_argument("--allocators", metavar="A,B", help="only these")
    parser.add_argument("--only", metavar="A,B", help="only these groups")
    parser.add_argument("--reps", type=int, default=3, metavar="N")
    options = parser.parse_args()
    libraries, _ = allocators.find_allocators(options.allocators, options.acre, options.other)
    folder = os.path.abspath(allocators.find_build(options.bench))
    bench = Bench(folder, libraries, options.reps)
    wanted = options.only.split(",") if options.only else list(GROUPS)
    for name in wanted:
        if name not in GROUPS:
            raise SystemExit(f"bars: no group '{name}' (have: {', '.join(GROUPS)})")
    bench.head()
    for name in wanted:
        GROUPS[name](bench)
    missed = sum(met == "**no**" for met, _ in bench.table)
    if "acre" in libraries:
        print(f"\n{missed} of {sum(bool(met) for met, _ in bench.table)} bars missed.")


if __name__ == "__main__":
    main()
