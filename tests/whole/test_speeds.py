"""The speeds in README and at the top of the speed page are those of the record in docs/."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
(RECORD,) = ROOT.glob("docs/bench-*.json")
HOW = {"as written": "minidl", "replayed": "minidl, fused and replayed"}


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


def speeds(record, part, network, how):
    """How many times as fast as PyTorch's default, and as the fastest peer; None if it was not measured."""
    (entry,) = (e for e in record["results"] if (e["part"], e["name"]) == (part, network))
    one = entry["contenders"].get(HOW[how])
    if one is None:
        return None
    ratios = {peer: one["against"][peer]["median"] for peer in record["peers"] if peer in one["against"]}
    return f"{ratios['torch eager']:.1f}×", f"{min(ratios.values()):.1f}×"


def rows(page, start):
    """The cells of the table that begins with that line."""
    text = (ROOT / page).read_text(encoding="utf-8")
    table = text[text.index(start) :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_readme(record):
    cases = [(part, how) for part in ("networks", "busy") for how in HOW]
    for name, cells in zip(
        ("mlp", "mnist_conv", "cifar_conv"), (r[1:] for r in rows("README.md", "| network | as")), strict=True
    ):
        found = [speeds(record, part, name, how) for part, how in cases]
        assert cells == [", ".join(pair) if pair else "–" for pair in found]


def test_the_speed_page(record):
    network = ""
    for first, how, *cells in rows("docs/speed.md", "| network | minidl | against"):
        network = first.partition(",")[0] or network
        how = "as written" if how == "as written" else "replayed"
        pairs = [speeds(record, part, network, how) for part in ("networks", "busy")]
        assert cells == [speed for pair in pairs for speed in pair]


def test_its_full_tables_are_those_of_the_record(record):
    text = (ROOT / "docs/speed.md").read_text(encoding="utf-8")
    measured = [e for e in record["results"] if e["part"] in ("networks", "busy")]
    times = [f"{one['ms']['median']:.4g}" for e in measured for one in e["contenders"].values()]
    section = text[text.index("## A busy machine") : text.index("## One run in full")]
    shown = re.findall(r"^\| \w+, batch \d+ \| [^|]+\| ([\d.]+) \(", section, flags=re.M)
    assert [f"{float(ms):.3g}" for ms in shown] == [f"{float(ms):.3g}" for ms in times]
    assert record["date"][:10] in RECORD.name
    assert f"minidl bench {' '.join(record['arguments'])}" in " ".join(text.split())
