#!/usr/bin/env python3
"""Compares allocators on workloads and real programs: paired, interleaved runs, and medians.

  bench/compare/compare.py                         everything that is installed, three repetitions
  bench/compare/compare.py --quick --reps 1        a first look
  bench/compare/compare.py --rows larson,redis --allocators acre,glibc
  bench/compare/compare.py --other before=old/libacre-malloc.so --allocators acre,before

Every cell is a ratio to the best of its row: 1.00 is the best, 2.00 took twice as much.
"""
import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time

import allocators
import rows
import tables

CPU_FLOOR_S = 0.001
KIB_FLOOR = 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--acre", metavar="PATH", help="libacre-malloc.so to test")
    parser.add_argument("--other", metavar="NAME=PATH", action="append", default=[],
                        help="a further library to compare")
    parser.add_argument("--bench", metavar="DIR", help="where acre-workloads and acre-measure are")
    parser.add_argument("--work", metavar="DIR", help="where generated inputs are kept",
                        default=os.path.join(tempfile.gettempdir(), f"acre-bench-{os.getuid()}"))
    parser.add_argument("--allocators", metavar="A,B", help="only these columns")
    parser.add_argument("--rows", metavar="A,B",
                        help="only these rows; also 'workloads', 'programs', or the first part of "
                             "names")
    parser.add_argument("--quick", action="store_true", help="about half of the rows")
    parser.add_argument("--reps", type=int, default=3, metavar="N", help="repetitions (default 3)")
    parser.add_argument("--json", metavar="FILE", help="write all runs there")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there too")
    parser.add_argument("--list", action="store_true", help="list rows and allocators and end")
    return parser.parse_args()


def run_all(chosen, libraries, place, repetitions, results):
    """Row by row and repetition by repetition, all allocators in turn, starting with another one
    each time, so that a slow minute of the machine meets all of them."""
    names = list(libraries)
    total = repetitions * len(chosen) * len(names)
    done, start = 0, time.monotonic()
    for repetition in range(repetitions):
        for index, row in enumerate(chosen):
            turn = (repetition + index) % len(names)
            for name in names[turn:] + names[:turn]:
                progress(done, total, start, f"{row.name} {name}")
                results[row.name][name].append(row.run(place, libraries[name]))
                done += 1
            if row.checked:
                check_outputs(row, results[row.name], repetition)
    progress(done, total, start, "done")
    print(file=sys.stderr)


def check_outputs(row, by_name, repetition):
    """A checksum that differs from the others' is a failure: contents were damaged."""
    latest = {name: runs[repetition] for name, runs in by_name.items()}
    sums = [used["output"].split()[-1] for used in latest.values() if used["status"] == 0]
    if not sums:
        return
    common = max(set(sums), key=sums.count)
    for name, used in latest.items():
        if used["status"] == 0 and used["output"].split()[-1] != common:
            used["status"] = 1
            print(f"\n{row.name}: {name} damaged the contents", file=sys.stderr)


def progress(done, total, start, what):
    if not sys.stderr.isatty() and done % 20 != 0 and done != total:
        return
    end = "" if sys.stderr.isatty() else "\n"
    back = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{back}{done}/{total} {time.monotonic() - start:.0f} s {what}", end=end,
          file=sys.stderr, flush=True)


def verdict(met):
    return "yes" if met else "**no**"


def summary(cpu, rss, wall, results):
    """The bars: both means against the peers, and the worst rows."""
    lines = ["### Bars", "", "| what | acre | bar | met |", "|---|---|---|---|"]
    peers = [name for name, _, _ in allocators.PEERS if name in cpu.names]
    if "acre" in cpu.names and peers:
        ours, space = cpu.geomean("acre"), rss.geomean("acre")
        best, which = min(((cpu.geomean(name), name) for name in peers if cpu.geomean(name)),
                          default=(None, None))
        if ours and best:
            lines.append(f"| CPU, geomean against the best peer ({which} {best:.3f}) | {ours:.3f} "
                         f"| at most {best * 0.93:.3f} | {verdict(ours <= best * 0.93)} |")
        bar = rss.geomean("glibc") if "glibc" in peers else None
        if space and bar:
            lines.append(f"| peak RSS, geomean against glibc | {space:.3f} | at most {bar:.3f} "
                         f"| {verdict(space <= bar)} |")
        for table, limit, what in ((cpu, 1.25, "CPU"), (rss, 1.3, "RSS")):
            ratio, row = table.worst("acre")
            if ratio is None:
                continue
            over = sum((table.ratio(row, "acre") or 0) > limit for row in table.values)
            lines.append(f"| worst row in {what} ({row}; {over} over) | {ratio:.2f} "
                         f"| at most {limit} | {verdict(ratio <= limit)} |")
    failed = sorted(f"{row}: {name} {tables.failure_of(runs)}" for row, by_name in results.items()
                    for name, runs in by_name.items() if any(run["status"] for run in runs))
    lines += ["", "Failed: " + ("; ".join(failed) if failed else "none") + "."]
    noise = tables.spread(results)
    if noise is not None:
        lines.append(f"Spread of CPU time within a cell (max - min over median, median of all "
                     f"cells): {noise * 100:.1f} %.")
    means = ", ".join(f"{name} {wall.geomean(name):.3f}" for name in wall.names
                      if wall.geomean(name))
    return "\n".join(lines + [f"Wall time, geomean: {means}."]) + "\n"


def describe(libraries, missing, left_out, repetitions):
    lines = [f"{os.cpu_count()} CPUs ({processor()}), Linux {platform.release()}, "
             f"{' '.join(platform.libc_ver())}; {repetitions} repetitions, interleaved; medians.", ""]
    lines += [f"- {name}: `{os.path.basename(os.path.realpath(path)) if path else 'the C library'}`"
              for name, path in libraries.items()]
    lines += [f"- not installed: {name} (package {package})" for name, package in missing.items()]
    lines += [f"- row {row} left out: {reason}" for row, reason in left_out.items()]
    return "\n".join(lines) + "\n"


def processor():
    with open("/proc/cpuinfo") as info:
        names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main():
    options = parse_arguments()
    libraries, missing = allocators.find_allocators(options.allocators, options.acre, options.other)
    chosen, left_out = rows.choose(options.rows, options.quick)
    if options.list:
        print("rows:", *(row.name for row in chosen))
        print("allocators:", *libraries)
        return
    place = rows.Place(os.path.abspath(allocators.find_build(options.bench)), options.work)
    rows.prepare(place)
    results = {row.name: {name: [] for name in libraries} for row in chosen}
    try:
        run_all(chosen, libraries, place, options.reps, results)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would lose the tables
        print("\ninterrupted: the tables hold what was complete", file=sys.stderr)
        results = {row: by_name for row, by_name in results.items() if all(by_name.values())}
    if not results:
        raise SystemExit("compare: nothing was measured")
    cpu = tables.Table(results, "cpu_s", CPU_FLOOR_S)
    rss = tables.Table(results, "peak_kib", KIB_FLOOR)
    wall = tables.Table(results, "wall_s", CPU_FLOOR_S)
    text = "\n".join([describe(libraries, missing, left_out, options.reps),
                      cpu.markdown("CPU time (user + system), ratio to the best", "s"),
                      rss.markdown("Peak RSS, ratio to the best", "KiB"),
                      summary(cpu, rss, wall, results)])
    print(text)
    if options.markdown:
        with open(options.markdown, "w") as out:
            out.write(text)
    if options.json:
        with open(options.json, "w") as out:
            json.dump({"allocators": libraries, "results": results}, out, indent=1)


if __name__ == "__main__":
    main()
