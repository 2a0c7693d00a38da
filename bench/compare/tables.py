"""Ratios to the best of a row, geometric means, Markdown."""
import math
import statistics


def median_of(runs, key):
    """The median over the runs that succeeded; None when one failed, for then the row is lost."""
    if not runs or any(run["status"] != 0 for run in runs):
        return None
    return statistics.median(run[key] for run in runs)


def failure_of(runs):
    failed = [run["status"] for run in runs if run["status"] != 0]
    return f"fail{failed[0]}" if failed else "-"


def geomean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else None


class Table:
    """One measure: row name -> allocator -> median, with ratios to the best of the row."""

    def __init__(self, results, key, floor):
        """`results`: row -> allocator -> runs. Values are lifted to `floor`, below which a
        difference is the clock's and not the allocator's."""
        self.results = results
        self.names = list(next(iter(results.values()))) if results else []
        self.values = {}
        for row, by_name in results.items():
            medians = {name: median_of(runs, key) for name, runs in by_name.items()}
            self.values[row] = {name: None if value is None else max(value, floor)
                                for name, value in medians.items()}

    def best(self, row):
        found = [(value, name) for name, value in self.values[row].items() if value is not None]
        return min(found) if found else (None, None)

    def ratio(self, row, name):
        value, (best, _) = self.values[row].get(name), self.best(row)
        return None if value is None else value / best

    def geomean(self, name, rows=None):
        ratios = [self.ratio(row, name) for row in rows or self.values]
        return geomean([ratio for ratio in ratios if ratio is not None])

    def worst(self, name):
        ratios = [(self.ratio(row, name), row) for row in self.values
                  if self.ratio(row, name) is not None]
        return max(ratios) if ratios else (None, None)

    def markdown(self, title, unit):
        lines = [f"### {title}", "",
                 f"| row | best ({unit}) | " + " | ".join(self.names) + " |",
                 "|---" * (len(self.names) + 2) + "|"]
        for row in self.values:
            best, winner = self.best(row)
            shown = "-" if best is None else f"{best:.3f}" if best < 100 else f"{best:.0f}"
            cells = [self.cell(row, name, winner) for name in self.names]
            lines.append(f"| {row} | {shown} {winner or ''} | " + " | ".join(cells) + " |")
        lines.append("| **geomean (rows)** | | " + " | ".join(
            self.geomean_cell(name) for name in self.names) + " |")
        return "\n".join(lines) + "\n"

    def cell(self, row, name, winner):
        ratio = self.ratio(row, name)
        if ratio is None:
            return failure_of(self.results[row][name])
        return f"**{ratio:.2f}**" if name == winner else f"{ratio:.2f}"

    def geomean_cell(self, name):
        mean = self.geomean(name)
        ran = sum(self.ratio(row, name) is not None for row in self.values)
        return "-" if mean is None else f"**{mean:.3f}** ({ran})"


def spread(results):
    """Median over rows and allocators of (max - min) / median of CPU time: the noise of this run."""
    spreads = []
    for by_name in results.values():
        for runs in by_name.values():
            times = [run["cpu_s"] for run in runs if run["status"] == 0]
            if len(times) > 1 and statistics.median(times) > 0:
                spreads.append((max(times) - min(times)) / statistics.median(times))
    return statistics.median(spreads) if spreads else None
