"""The rows of the benchmark page: every number comes from a result or a document, and the arithmetic is right."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from minidl.lab.after import rows
from minidl.lab.after.rows import COSTS, ROWS, benchmark_rows
from minidl.lab.registry import claims
from minidl.lab.study.claim import Verdict
from minidl.lab.study.page import page
from minidl.lab.study.statistics import t_interval
from tests.lab.study.fakes import claim

DOCS = Path(__file__).parents[3] / "docs"


def cells(text, name):
    """The cells of the row whose first cell is this name."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def found(id, verdict, quick=False):
    return dataclasses.replace(claim(id=id, part="after"), verdict=lambda result: verdict), {"quick": quick}, None


def test_without_results_and_documents_nothing_has_a_number(tmp_path):
    text = benchmark_rows([], docs=tmp_path)
    assert [cells(text, row.name)[4] for row in ROWS if row.name != "ImageNet"] == ["not run yet"] * (len(ROWS) - 2)
    assert "there is no record of the benchmark" in text
    assert "÷" not in text.split("Not computed")[1]


def test_our_numbers_are_those_of_the_verdicts(tmp_path):
    verdict = Verdict(
        "partly",
        "x",
        "y",
        {"cora, batch norm": t_interval([0.71, 0.73]), "citeseer, batch norm": t_interval([0.5, 0.5])},
    )
    text = benchmark_rows([found("graph-row", verdict)], docs=tmp_path)
    assert cells(text, "Cora")[4] == "72.0 ± 12.7 %"
    assert cells(text, "Citeseer")[4] == "50.0 ± 0.0 %"
    text = benchmark_rows([found("small-batches", Verdict("partly", "a|b 3.0", ""), quick=True)], docs=tmp_path)
    assert r"partly: a\|b 3.0 (cut short: not to be believed)" in text
    assert "72" not in cells(benchmark_rows([], docs=tmp_path), "Cora")[4]


def test_a_claim_is_named_where_there_is_one(tmp_path):
    text = benchmark_rows([], claims().values(), tmp_path)
    assert cells(text, "Cora")[4] == "not run yet: `minidl reproduce --claim graph-row`"
    for row in ROWS:
        assert row.claim is None or row.entry is None or row.claim in claims()


TABLE = """
| network | command | seeds | one view | six views | time | memory |
|---|---|---|---|---|---|---|
| `fast` | x | 9 | 1.0 | 2.0 | – | – |
| `best` | x | {} | {} | {} | – | – |
"""


@pytest.mark.parametrize(
    ("seeds", "one", "six", "wanted"),
    [
        ("–", "–", "–", "not run yet"),
        ("5", "93.1 ± 0.1", "94.0 ± 0.1", "93.1 ± 0.1 (one view), 94.0 ± 0.1 (six views), 5 seeds"),
        ("0–2", "93.1 ± 0.1", "94.0 ± 0.1", "93.1 ± 0.1 (one view), 94.0 ± 0.1 (six views), seeds 0–2"),
        ("–", "–", "94.0", "94.0 (six views)"),
    ],
)
def test_the_number_on_photographs_is_that_of_its_document(tmp_path, seeds, one, six, wanted):
    (tmp_path / "cifar.md").write_text(TABLE.format(seeds, one, six), encoding="utf-8")
    assert cells(benchmark_rows([], docs=tmp_path), "CIFAR-10")[4] == wanted
    assert cells(benchmark_rows([], docs=tmp_path), "CIFAR-100")[4] == "not run yet"


def test_the_document_has_the_rows_that_are_looked_for():
    text = (DOCS / "cifar.md").read_text(encoding="utf-8")
    for row in ROWS:
        assert row.document is None or text.count(f"\n| {row.document} |") >= 1
    assert "| network | command | seeds | one view | six views |" in text


def test_costs_follow_from_the_record(tmp_path):
    def record(speed):
        results = [
            {
                "part": "networks",
                "name": "cifar_conv",
                "contenders": {"minidl": {"gflops": speed}, "torch": {"gflops": 1}},
            },
            {"part": "busy", "name": "cifar_conv", "contenders": {"minidl": {"gflops": 1}}},
            {"part": "limits", "name": "matmul", "contenders": {"minidl": {"gflops": 50.0}}},
        ]
        return json.dumps({"results": results})

    (tmp_path / "bench-2020-01-01.json").write_text(record(1.0), encoding="utf-8")
    (tmp_path / "bench-2021-01-01.json").write_text(record(200.0), encoding="utf-8")
    for year, text in enumerate((json.dumps({"results": []}), "no JSON", "[]"), 2022):
        (tmp_path / f"bench-{year}-01-01.json").write_text(text, encoding="utf-8")
    text = benchmark_rows([], docs=tmp_path)
    assert "Convolutions run at 200 GFLOP/s (cifar_conv, docs/bench-2021-01-01.json)" in text
    for cost in COSTS:
        told = cells(text, cost.name)
        speed = 200 if cost.speed == "convolutions" else 50
        days = float(told[4].rpartition("=")[2].replace(",", ""))
        assert days == pytest.approx(cost.flop / (speed * 1e9) / 86_400, rel=0.05)
        a, b, c = (float(number) for number in re.findall(r"[\d.]+e\d+", told[3]))
        assert 6 * a * b == pytest.approx(c, rel=0.06)


def test_the_counts_are_those_that_are_said():
    by_name = {cost.name.partition(",")[0]: cost for cost in COSTS}
    assert by_name["ImageNet"].flop == pytest.approx(2.3e18, rel=0.01)
    layer = sum(a * b for a, b in [(256, 2100), (2100, 256), *[(256, 40)] * 3, (40, 256)])
    assert by_name["Penn Treebank"].adds == 3 * layer + 256 * 10_000
    for cost in COSTS:
        assert cost.flop == 2 * 3 * cost.adds * cost.examples


def test_numbers_of_ours_are_nowhere_in_the_module():
    """Nothing but the rows' own numbers, and the counts, may stand in it."""
    for row in ROWS:
        assert not re.search(r"\d+[.,]?\d* ?%|±", row.instead + row.says)


def test_what_was_not_read_is_marked():
    text = benchmark_rows([])
    assert text.count("*not read*") >= 5
    for row in ROWS:
        told = " ".join(row.source.split())
        if "20" in told and "arXiv" in told:
            assert "*not read*" in told


def test_the_rows_are_in_the_second_part_before_its_claims():
    later = claim(id="later", part="after")
    text = page([], {"later": "not yet."}, [later], benchmark_rows([], docs=Path("nowhere")))
    assert text.index("# After the paper") < text.index("- **later**") < text.index("## The rows of the benchmark page")
    assert "rows of the benchmark" not in page([], {}, [], benchmark_rows([]))
    assert rows.NOT_YET in text
