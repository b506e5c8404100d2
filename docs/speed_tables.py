"""Write the tables of docs/speed.md and of README from the records of `minidl bench`: `python docs/speed_tables.py`.

The records are docs/bench-*.json, each of one run. A number is the median over the runs of what each found, in brackets the
lowest and the highest of them; with one run, its own quartiles.
"""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidl.lab.bench.remote import ONE_THREAD
from minidl.lab.bench.report import fastest_peer
from minidl.system.tables import markdown_table

__all__ = ["NETWORKS", "main", "pages", "records"]

DOCS = Path(__file__).parent
MARK, END = "<!-- {}: docs/speed_tables.py -->", "<!-- end -->"
NETWORKS = {
    "mlp": "the paper's",
    "mnist_conv": "`mnist_conv`: 2 convolutions",
    "cifar_conv": "`cifar_conv`: 7 convolutions",
}
OURS = "minidl", "minidl, fused and replayed"
EAGER = "torch eager"
PARTS = {"quiet": "networks", "busy": "busy"}
ONE = {"low": 1, "median": 1, "high": 1}


def records() -> list[dict[str, Any]]:
    """Return the records, the oldest first.

    Errors  ValueError for records of several versions of minidl, or of several machines, which no median may mix
    """
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(DOCS.glob("bench-*.json"))]
    for key in ("minidl", "commit", "machine", "threads", "isa"):
        if any(record.get(key) != found[0].get(key) for record in found):
            raise ValueError(f"the records in {DOCS} differ in {key!r}; keep those of one version on one machine")
    return found


class Runs:
    """What the runs found of one network in one part."""

    def __init__(self, runs, part, network):
        self.entries = [
            (entry, record["peers"])
            for record in runs
            for entry in record["results"]
            if (entry["part"], entry["name"]) == (part, network)
        ]
        self.names = list(dict.fromkeys(name for entry, _ in self.entries for name in entry["contenders"]))

    def of(self, name, key):
        """Median, lowest and highest of a number of a contender; of one run, its quartiles; None if there is none."""
        return merged([entry["contenders"].get(name, {}).get(key) for entry, _ in self.entries])

    def against(self, name, peer=None):
        """How many times as fast as a peer; without one, as the fastest beside it in each run."""
        ratios = []
        for entry, peers in self.entries:
            if name in entry["contenders"]:
                other = peer or fastest_peer(entry, name, peers)
                ratios.append(ONE if name == other else entry["contenders"][name]["against"].get(other))
        return merged(ratios)


def merged(values: list[Any]) -> tuple[float, float, float] | None:
    """Return the median of what the runs found, the lowest and the highest; of one run, its own quartiles."""
    values = [value for value in values if value is not None]
    if len(values) == 1 and isinstance(values[0], dict):
        return values[0]["median"], values[0]["low"], values[0]["high"]
    numbers = [value["median"] if isinstance(value, dict) else value for value in values]
    return (statistics.median(numbers), min(numbers), max(numbers)) if numbers else None


def steps_table(found: list[dict[str, Any]], part: str) -> str:
    """Lay out what a step takes, and how many times as fast as PyTorch and as the fastest peer each contender is."""
    last = "busy / quiet" if part == "busy" else "memory"
    rows = [["network", "contender", "ms a step", "× torch eager", "× the fastest peer", last]]
    for network in NETWORKS:
        runs, quiet = (Runs(found, PARTS[which], network) for which in (part, "quiet"))
        for name in runs.names:
            ms, before, memory = runs.of(name, "ms"), quiet.of(name, "ms"), runs.of(name, "peak_mb")
            ratios = [spread(runs.against(name, peer), "{:.2f}".format) for peer in (EAGER, None)]
            if part == "busy":
                cell = f"{ms[0] / before[0]:.2f}" if ms and before else "–"
            else:
                cell = f"{memory[0]:.0f} MB" if memory else "–"
            rows.append([network, name, spread(ms, three), *ratios, cell])
    return markdown_table(rows, 2)


def first_step_table(found: list[dict[str, Any]]) -> str:
    """Lay out the seconds of the first step: with nothing compiled, and with what earlier runs have compiled."""
    rows = [["contender", *(f"{network}{how}" for network in NETWORKS for how in ("", ", kept"))]]
    sides = [[record for record in found if record["cold"] is cold] for cold in (True, False)]
    runs = [Runs(side, "networks", network) for network in NETWORKS for side in sides]
    for name in dict.fromkeys(name for record in found for name in record["contenders"]):
        cells = [spread(each.of(name, "first_step_s"), three) for each in runs]
        if set(cells) != {"–"}:
            rows.append([name, *cells])
    return markdown_table(rows)


def goals_table(found: list[dict[str, Any]]) -> str:
    """Lay out the goals, which were set before the work, and what was found; what misses its goal is bold."""
    rows = [["", "goal", *NETWORKS]]
    for words, at_least, bounds, measured in GOALS:
        goal, cells = ", ".join(f"{bound:g}" for bound in dict.fromkeys(bounds) if bound), []
        for network, bound in zip(NETWORKS, bounds, strict=True):
            number = bound and measured(found, network)
            met = not number or (number >= bound if at_least else number <= bound)
            cells.append(
                "" if bound is None else "–" if number is None else f"{number:.2f}" if met else f"**{number:.2f}**"
            )
        rows.append([words, f"{'≥' if at_least else '≤'} {goal}", *cells])
    return markdown_table(rows, 2)


def _times_as_fast(part, name, peer=None):
    def measured(found, network):
        ratio = Runs(found, PARTS[part], network).against(name, peer)
        return ratio and ratio[0]

    return measured


def _busy_over(quiet, busy):
    def measured(found, network):
        times = Runs(found, "busy", network).of(busy, "ms"), Runs(found, "networks", network).of(quiet, "ms")
        return times[0][0] / times[1][0] if all(times) else None

    return measured


def _first_step(cold):
    def measured(found, network):
        runs = Runs([record for record in found if record["cold"] is cold], "networks", network)
        seconds = runs.of(OURS[0], "first_step_s")
        return seconds and seconds[0]

    return measured


GOALS = [  # what, whether at least, a bound for each network, how it is measured
    ("as written, × torch eager", True, (2, 2, 2), _times_as_fast("quiet", OURS[0], EAGER)),
    ("fused and replayed, × torch eager", True, (3, 3, 3), _times_as_fast("quiet", OURS[1], EAGER)),
    ("fused and replayed, × the fastest peer", True, (1.7, 2, 2), _times_as_fast("quiet", OURS[1])),
    ("the same with one core taken, × torch eager", True, (5, 5, 5), _times_as_fast("busy", OURS[1], EAGER)),
    ("the same, busy / quiet", False, (1.5, None, None), _busy_over(OURS[1], OURS[1])),
    (
        "as written, busy / one thread on a free core",
        False,
        (None, 1.3, 1.3),
        _busy_over(OURS[0] + ONE_THREAD, OURS[0]),
    ),
    ("first step, nothing compiled, s", False, (6, 15, 15), _first_step(cold=True)),
    ("first step, kernels kept, s", False, (0.5, 0.5, 0.5), _first_step(cold=False)),
]


def readme_table(found: list[dict[str, Any]]) -> str:
    """Lay out README's rows: against PyTorch's default, and against the fastest peer."""
    rows = [["network", "as written", "fused and replayed", "as written, one core taken", "replayed, same"]]
    for network, words in NETWORKS.items():
        runs = [Runs(found, part, network) for part in PARTS.values()]
        pairs = [[each.against(name, peer) for peer in (EAGER, None)] for each in runs for name in OURS]
        rows.append([words, *(", ".join(f"{ratio[0]:.1f}×" for ratio in pair if ratio) or "–" for pair in pairs)])
    return markdown_table(rows, len(rows[0])).replace(" --- ", "---")  # README's words are counted


def spread(numbers: tuple[float, float, float] | None, form: Callable[[float], str]) -> str:
    """Write a number with its spread in brackets."""
    if numbers is None:
        return "–"
    middle, low, high = map(form, numbers)
    return middle if low == middle == high else f"{middle} ({low}–{high})"


def three(number: float) -> str:
    """Write three digits of a number."""
    return f"{number:.0f}" if number >= 100 else f"{number:#.3g}"


def pages() -> dict[Path, str]:
    """Return both pages as they should be: their files, and their texts."""
    found = records()
    tables = {
        DOCS / "speed.md": {
            "quiet": steps_table(found, "quiet"), "busy": steps_table(found, "busy"), "first step": first_step_table(found),
            "goals": goals_table(found),
        },
        DOCS.parent / "README.md": {"speed": readme_table(found)},
    }  # fmt: skip
    texts = {}
    for path, named in tables.items():
        text = path.read_text(encoding="utf-8")
        for name, table in named.items():
            before, mark, rest = text.partition(MARK.format(name))
            _, end, after = rest.partition(END)
            if not mark or not end:
                raise ValueError(
                    f"{path}: the table {name!r} is missing; put {MARK.format(name)} and {END} where it belongs"
                )
            text = f"{before}{mark}\n\n{table}\n\n{end}{after}"
        texts[path] = text
    return texts


def main() -> None:
    """Write the tables."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote the tables of {path}")


if __name__ == "__main__":
    main()
