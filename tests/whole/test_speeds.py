"""The speeds in README and on the speed page are those of the records in docs/, and are told from others."""

import copy
import importlib.util

import pytest

from tests.whole.test_links import ROOT

DRAWING = ROOT / "docs" / "speed_tables.py"


@pytest.fixture(scope="module")
def tables():
    spec = importlib.util.spec_from_file_location("speed_tables", DRAWING)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_have_the_tables_of_the_records(tables):
    for path, text in tables.pages().items():
        assert path.read_text(encoding="utf-8") == text, "python docs/speed_tables.py"


def test_the_page_has_the_command_of_each_record_and_a_link_to_it(tables):
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    for path, record in zip(sorted(ROOT.glob("docs/bench-*.json")), tables.records(), strict=True):
        assert f"minidl bench {' '.join(record['arguments'])}" in " ".join(page.split())
        assert f"({path.name})" in page
        assert record["date"][:10] in path.name


def entry(part="networks", network="mlp", **contenders):
    """An entry of a record: contender → (ms, first step, {other: how many times as fast})."""

    def one(ms, first, against):
        ratios = {name: {"low": 0.9 * r, "median": r, "high": 1.1 * r} for name, r in against.items()}
        times = {"low": 0.9 * ms, "median": ms, "high": 1.1 * ms}
        return {"ms": times, "first_step_s": first, "peak_mb": 100, "against": ratios}

    names = {"eager": "torch eager", "jax": "jax jit", "fused": "minidl, fused and replayed"}
    return {
        "part": part, "name": network,
        "contenders": {names.get(name, name): one(*numbers) for name, numbers in contenders.items()},
    }  # fmt: skip


def record(*results, cold=False):
    peers = ["torch eager", "jax jit"]
    return {"results": list(results), "cold": cold, "peers": peers, "contenders": ["minidl", *peers]}


USUAL = entry(
    minidl=(2.0, 7.0, {"torch eager": 2.0, "jax jit": 1.2}),
    eager=(4.0, 0.1, {"minidl": 0.5, "jax jit": 0.6}),
    jax=(2.4, 0.5, {"minidl": 0.83, "torch eager": 1.7}),
)


def cells(table, start):
    (line,) = (line for line in table.splitlines() if line.startswith(start))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_one_run_has_its_own_quartiles(tables):
    table = tables.steps_table([record(USUAL)], "quiet")
    assert cells(table, "| mlp | minidl |")[2:] == [
        "2.00 (1.80–2.20)", "2.00 (1.80–2.20)", "1.20 (1.08–1.32)", "100 MB"
    ]  # fmt: skip
    assert cells(table, "| mlp | torch eager |")[3:5] == ["1.00", "0.60 (0.54–0.66)"]
    assert cells(table, "| mlp | jax jit |")[4] == "1.00"


def test_of_several_runs_there_are_the_median_and_both_ends(tables):
    runs = []
    for factor in (1.0, 1.5, 3.0):
        one = copy.deepcopy(USUAL)
        one["contenders"]["minidl"]["ms"]["median"] *= factor
        runs.append(record(one))
    assert cells(tables.steps_table(runs, "quiet"), "| mlp | minidl |")[2] == "3.00 (2.00–6.00)"


def test_busy_is_told_against_quiet(tables):
    busy = entry("busy", minidl=(3.0, 1.0, {"torch eager": 4.0, "jax jit": 5.0}), eager=(9.0, 1.0, {"minidl": 0.25}))
    row = cells(tables.steps_table([record(USUAL, busy)], "busy"), "| mlp | minidl |")
    assert row[3:] == ["4.00 (3.60–4.40)", "4.00 (3.60–4.40)", "1.50"]


def test_first_steps_are_those_of_runs_with_and_without_kept_kernels(tables):
    warm = copy.deepcopy(USUAL)
    warm["contenders"]["minidl"]["first_step_s"] = 0.4
    row = cells(tables.first_step_table([record(USUAL, cold=True), record(warm)]), "| minidl |")
    assert row[1:3] == ["7.00", "0.400"]
    assert set(row[3:]) == {"–"}


def test_goals_that_are_missed_are_bold(tables):
    quick = entry(
        fused=(1.0, 5.0, {"torch eager": 3.0, "jax jit": 1.6}), minidl=(2.0, 7.0, {"torch eager": 2.0, "jax jit": 1.2})
    )
    busy = entry("busy", fused=(1.6, 1.0, {"torch eager": 5.5}))
    runs = [record(quick, busy, cold=True), record(entry(minidl=(2.0, 0.5, {"torch eager": 2.0})))]
    found = [cells(line, "")[2] for line in tables.goals_table(runs).splitlines()[2:]]
    assert found == ["2.00", "3.00", "**1.60**", "5.50", "**1.60**", "", "**7.00**", "0.50"]
    assert cells(tables.goals_table(runs), "| as written, × torch eager")[3:] == ["–", "–"]


def test_readme_has_both_ratios(tables):
    assert cells(tables.readme_table([record(USUAL)]), "| the paper's |")[1:3] == ["2.0×, 1.2×", "–"]


def test_a_page_without_its_marks_is_an_error(tables, monkeypatch):
    monkeypatch.setattr(tables, "END", "<!-- no such mark -->")
    with pytest.raises(ValueError, match="the table 'quiet' is missing; put"):
        tables.pages()
