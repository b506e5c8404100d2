"""Tables of a benchmark's record: for the terminal, and as Markdown to put into a page."""

import math

from minidl.lab.bench.remote import REPLAYED
from minidl.system.tables import markdown_table, text_table

__all__ = ["as_markdown", "as_text", "changes", "fastest_peer"]

TITLES = {
    "networks": "Training steps",
    "busy": "Training steps while another program takes one core",
    "scaling": "Training steps as batch and threads grow",
    "ops": "Single operations",
}
_FASTEST = "speed, fastest peer = 1"
_LARGE = 1  # GFLOP of a product that is worth spreading over threads
_QUIET = 0.85  # of the cores, in a quiet machine
_MATTERS = 0.05  # a difference between two versions that is smaller is not worth a line


def as_text(record):
    """Return all tables and remarks as text."""
    blocks = ["\n".join(_summary(record))]
    for part, rows, left in _tables(record):
        blocks.append(f"{TITLES[part]}\n\n{text_table(rows, left)}")
    return "\n\n".join([*blocks, "\n".join(_remarks(record))]).rstrip()


def as_markdown(record):
    """Return the same as Markdown; the long table of operations is folded up."""
    blocks = _summary(record)
    for part, rows, left in _tables(record):
        table = markdown_table(rows, left)
        if part == "ops":
            table = f"<details><summary>{TITLES[part]}</summary>\n\n{table}\n\n</details>"
        blocks.append(table)
    command = " ".join(["minidl bench", *record["arguments"]])
    return "\n\n".join([*blocks, *_remarks(record), f"Command: `{command}`"]) + "\n"


def changes(record):
    """Say where the first of two versions of minidl is faster or slower than the second, beyond the spread and 5 %."""
    this, that = record["ours"][:2]
    found, same = [], 0
    for entry, how in ((entry, how) for entry in record["results"] for how in ("", REPLAYED)):
        ratio = entry["contenders"].get(this + how, {}).get("against", {}).get(that + how)
        if ratio is None or entry["part"] == "limits":
            continue
        if ratio["low"] <= 1 <= ratio["high"] or abs(ratio["median"] - 1) < _MATTERS:
            same += 1
            continue
        word = "faster" if ratio["median"] > 1 else "SLOWER"
        found.append(f"{word}: {_what(entry)}{how}: {_ratio(ratio)} times the speed of {that}")
    return "\n".join([*sorted(found), f"no difference beyond the spread and {100 * _MATTERS:g} %: {same} cases"])


def _what(entry):
    words = [entry["name"], entry["shape"], entry["passes"]]
    if entry["part"] == "scaling":
        words.append(f"{entry['threads']} threads")
    if entry["part"] == "busy":
        words.append("on a busy machine")
    return " ".join(word for word in words if word)


# ---- text around the tables ---------------------------------------------------------------------------------------------


def _summary(record):
    """Say when, where and with what."""
    machine = record["machine"]
    memory = f", {machine['memory_gb']} GB" if machine["memory_gb"] else ""
    lines = [
        f"{record['date'][:10]}; {machine['processor']}, {record['threads']} of {machine['cores']} cores{memory}, "
        f"{machine['system']}; float32.",
        _instructions(record),
    ]
    versions = {k: v for about in record["contenders"].values() for k, v in about["versions"].items()}
    lines.append("Versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")
    if limits := record["limits"]:
        lines.append(
            f"Limits of the machine in this run: {_three(limits['gflops'])} GFLOP/s (a large matrix product), "
            f"{_three(limits['gb_per_s'])} GB/s (a large copy)."
        )
    return lines


def _instructions(record):
    chosen = {"native": "chosen by each library", "avx2": "at most AVX2 for every library"}[record["isa"]]
    pins = ", ".join(f"{name}={value}" for name, value in record["pinned_in_environment"].items())
    told = {f"{k} {v}": None for about in record["contenders"].values() for k, v in about["instructions"].items()}
    line = f"Processor instructions: {chosen}" + (f" ({', '.join(told)})" if told else "")
    return line + ("." if not pins else f"; set aside, as found in the environment: {pins}.")


def _remarks(record):
    """Say whether the machine was quiet, what the columns mean, and who was left out."""
    lines = _busy(record)
    if any(entry["part"] in TITLES for entry in record["results"]):
        lines.append(
            "Times: median (quartiles) of the medians of single rounds. Speed: median (quartiles) of their ratios in each. "
            "Of roof: the least time by the roofline model, each operation on its own, over the time taken; Winograd's "
            "convolution and arrays that stay in a cache can exceed 100 %."
        )
    if any(entry["part"] == "networks" for entry in record["results"]):
        found = "with nothing compiled before" if record["cold"] else "compiled kernels of earlier runs are used"
        lines.append(f"First step: {found}. Memory: the most that the process had.")
    for one in record["left_out"]:
        lines.append(f"Left out: {one['contender']}{' on ' + one['case'] if one['case'] else ''}: {one['reason']}")
    return lines


def _busy(record):
    """Warn if large matrix products, which use all threads all the time, did not get them."""
    products = [e for e in record["results"] if e["part"] == "limits" and e["gflop"] > _LARGE]
    got = [one["cores_busy"] for entry in products for one in entry["contenders"].values()]
    if not got or min(got) > _QUIET * record["threads"]:
        return []
    return [
        f"WARNING: the machine was busy with something else: of {record['threads']} cores a large matrix product got only "
        f"{_three(min(got))}. Repeat this when it is quiet."
    ]


# ---- tables: rows of strings ---------------------------------------------------------------------------------------------


def _tables(record):
    """Yield (part, rows, how many columns are text) of each part that was measured."""
    makers = {
        "networks": (_network_rows, 2), "busy": (_busy_rows, 2), "scaling": (_scaling_rows, 1), "ops": (_operation_rows, 3)
    }  # fmt: skip
    for part, (rows, left) in makers.items():
        entries = [entry for entry in record["results"] if entry["part"] == part]
        if entries:
            yield part, rows(entries, record), left


def _references(record):
    """List with whom speeds are compared: titles, and who it is in an entry."""
    found = []
    if "torch eager" in record["peers"]:
        found.append(("speed, eager = 1", lambda entry, name: "torch eager"))
    if len(record["peers"]) > 1:
        found.append((_FASTEST, lambda entry, name: fastest_peer(entry, name, record["peers"])))
    for other in record["ours"][1:]:
        found.append((f"speed, {other} = 1", lambda entry, name, other=other: other))
    return found


def fastest_peer(entry, name, peers):
    """Name the peer that is fastest beside a contender, by the ratios of single rounds; itself, if it is that peer."""
    against = {peer: one for peer, one in entry["contenders"][name]["against"].items() if peer in peers}
    fastest = min(against, key=lambda peer: against[peer]["median"], default=None)
    return name if name in peers and (fastest is None or against[fastest]["median"] >= 1) else fastest


def _network_rows(entries, record):
    references = _references(record)
    head = ["network", "contender", "ms a step", *(title for title, _ in references), "GFLOP/s", "of roof", "first step",
            "memory"]  # fmt: skip
    rows = [head]
    for entry in entries:
        for name, one in entry["contenders"].items():
            rows.append([
                f"{entry['name']}, {entry['shape']}", _how(name, record), _times(one["ms"]),
                *(_against(one, name, who(entry, name)) for _, who in references),
                _three(one["gflops"]), _percent(one["of_roof"]), f"{_three(one['first_step_s'])} s",
                f"{one['peak_mb']} MB" if one["peak_mb"] else "–",
            ])  # fmt: skip
    return rows


def _busy_rows(entries, record):
    references = _references(record)
    rows = [["network", "contender", "ms a step, busy", "busy / quiet", *(title for title, _ in references)]]
    quiet = {e["name"]: e["contenders"] for e in record["results"] if e["part"] == "networks"}
    for entry in entries:
        for name, one in entry["contenders"].items():
            before = quiet.get(entry["name"], {}).get(name)
            rows.append([
                f"{entry['name']}, {entry['shape']}", _how(name, record), _times(one["ms"]),
                _two(one["ms"]["median"] / before["ms"]["median"]) if before else "–",
                *(_against(one, name, who(entry, name)) for _, who in references),
            ])  # fmt: skip
    return rows


def _how(name, record):
    """Return a contender's name; for minidl, also how it trains: as the training loop is written, or not."""
    return f"{name}, as written" if name in record["ours"] else name


def _operation_rows(entries, record):
    side_by_side = _SideBySide(entries, record)
    rows = [["operation", "shape", "passes", *side_by_side.head, "GFLOP/s", "GB/s", "of roof"]]
    for entry in entries:
        one = side_by_side.shown(entry)
        rows.append([
            entry["name"], entry["shape"], entry["passes"], *side_by_side.cells(entry),
            _three(one["gflops"]), _three(one["gb_per_s"]), _percent(one["of_roof"]),
        ])  # fmt: skip
    return rows


def _scaling_rows(entries, record):
    side_by_side = _SideBySide(entries, record)
    rows = [["network", "batch", "threads", *side_by_side.head, "GFLOP/s", "µs an example"]]
    for entry in entries:
        one = side_by_side.shown(entry)
        rows.append([
            entry["name"], str(entry["batch"]), str(entry["threads"]), *side_by_side.cells(entry),
            _three(one["gflops"]), _three(1e3 * one["ms"]["median"] / entry["batch"]),
        ])  # fmt: skip
    return rows


class _SideBySide:
    """Columns with everyone's times, and how minidl's speed compares; one row for a case."""

    def __init__(self, entries, record):
        self.ours = record["ours"][0]
        self.names = list(dict.fromkeys(name for entry in entries for name in entry["contenders"]))
        self.references = [(title, who) for title, who in _references(record) if title != _FASTEST]
        self.head = [f"{name}, ms" for name in self.names] + [title for title, _ in self.references]

    def cells(self, entry):
        contenders = entry["contenders"]
        times = [_times(contenders[name]["ms"]) if name in contenders else "–" for name in self.names]
        return times + [
            _against(contenders.get(self.ours), self.ours, who(entry, self.ours)) for _, who in self.references
        ]

    def shown(self, entry):
        """Whose GFLOP/s are shown: minidl's, unless it was left out."""
        return entry["contenders"].get(self.ours) or next(iter(entry["contenders"].values()))


def _against(one, name, reference):
    if one is None or reference is None or name == reference:
        return "1" if name == reference else "–"
    ratio = one["against"].get(reference)
    return "–" if ratio is None else _ratio(ratio)


def _ratio(ratio):
    return f"{_two(ratio['median'])} ({_two(ratio['low'])}–{_two(ratio['high'])})"


def _times(ms):
    return f"{_three(ms['median'])} ({_three(ms['low'])}–{_three(ms['high'])})"


def _two(number):
    return f"{number:.2f}" if number < 10 else f"{number:.1f}"


def _percent(share):
    return "–" if share is None else f"{100 * share:.0f} %"


def _three(number):
    """Write three significant digits, without an exponent."""
    if number == 0:
        return "0"
    return f"{number:.{max(0, 2 - math.floor(math.log10(abs(number))))}f}"
