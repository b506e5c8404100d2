"""The page is made of the files, of all of them and of nothing else."""

import dataclasses
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from minidl.lab.after.rows import benchmark_rows
from minidl.lab.registry import NOT_TESTED, claims
from minidl.lab.study.claim import Scale, Verdict
from minidl.lab.study.page import BEGIN, END, IN_BRIEF, _alternative, load_results, page, put_table, save_result
from minidl.lab.study.sweep import conduct
from tests.lab.study.fakes import claim

RESULTS = Path(__file__).parents[3] / "results"
FACTS = {"minidl": "0.1", "seeds": 3, "quick": False, "data": None}
FAKES = [claim(), claim(id="other", section="§9.1")]


@pytest.fixture
def folder(tmp_path):
    for fake in FAKES:
        save_result(tmp_path, fake, conduct(fake, Scale(3), quiet=True), FACTS)
    return tmp_path


def test_what_is_saved_is_what_is_loaded(folder):
    result = conduct(FAKES[0], Scale(3), quiet=True)
    (loaded, facts, again), _ = load_results(folder, FAKES)
    assert loaded is FAKES[0]
    assert [(run.config, run.record) for run in again.runs] == [(run.config, run.record) for run in result.runs]
    assert {name: facts[name] for name in FACTS} == FACTS
    text = (folder / "fake.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert content["verdict"]["word"] == FAKES[0].verdict(result).word
    assert len(text.splitlines()) > len(result.runs)  # a line a run, so that changes can be read


def test_the_page_has_a_row_and_a_section_for_each_claim(folder):
    text = page(load_results(folder, FAKES), {"rest": "too large."})
    assert text == page(load_results(folder, FAKES), {"rest": "too large."})
    rows = re.findall(
        r"^\| \[(fake|other)\]\(#\1-[a-z-]+\) \| (§9\S*) \| It \\\| works\. \| ([a-z ]+) \| ([^|]+) \|$", text, re.M
    )
    assert [row[:2] for row in rows] == [("fake", "§9"), ("other", "§9.1")]
    for fake in FAKES:
        assert f"\n## {fake.id}: " in text
        verdict = fake.verdict(conduct(fake, Scale(3), quiet=True))
        assert f"![{fake.id}, {verdict.word}: {verdict.number}](figures/{fake.id}.png)" in text
    assert "**rest**: too large." in text
    assert "\n\n\n" not in text


def test_the_second_part_has_its_own_heading_table_and_list(folder):
    later = claim(id="later", section="graphs", part="after")
    waiting = claim(id="waiting", part="after")
    save_result(folder, later, conduct(later, Scale(3), quiet=True), FACTS)
    known = [*FAKES, later, waiting]
    text = page(load_results(folder, known), {"rest": "too large.", "waiting": "not yet."}, known)
    first, second = text.split("\n# After the paper\n")
    for inside, outside, names in ((first, second, ("fake", "other")), (second, first, ("later",))):
        for name in names:
            assert f"| [{name}](#" in inside
            assert f"\n## {name}: " in inside
            assert f"[{name}]" not in outside
    assert "- **rest**: too large." in first
    assert "## Not tested yet\n\n- **waiting**: not yet." in second
    assert "waiting" not in first
    assert "\n\n\n" not in text


def test_without_claims_of_the_second_part_there_is_none(folder):
    assert "After the paper" not in page(load_results(folder, FAKES), {"rest": "too large."}, FAKES)


def test_the_short_table_is_about_the_paper(folder):
    later = claim(id="later", part="after")
    save_result(folder, later, conduct(later, Scale(3), quiet=True), FACTS)
    readme = folder / "README.md"
    readme.write_text(f"{BEGIN}{END}", encoding="utf-8")
    put_table(readme, load_results(folder, [*FAKES, later]))
    text = readme.read_text(encoding="utf-8")
    assert "Of 2 claims: " in text
    assert "later" not in text


def test_what_markdown_would_read_is_escaped_in_a_text_alternative():
    verdict = Verdict("partly", "off in [1, 2]:\n  a_b * 2", "")
    assert _alternative(FAKES[0], verdict) == r"fake, partly: off in \[1, 2\]: a\_b \* 2"


def test_verdicts_are_those_of_the_runs_in_the_file(folder):
    before = page(load_results(folder, FAKES), {})
    text = (folder / "fake.json").read_text(encoding="utf-8")
    content = json.loads(text)
    for run in content["runs"]:
        run["record"]["value"] = -5.0
    (folder / "fake.json").write_text(json.dumps(content), encoding="utf-8")
    after = page(load_results(folder, FAKES), {})
    assert "−5.00 ± 0.00" in after
    assert after != before


def test_a_claim_that_has_results_is_not_among_those_that_are_not_tested(folder):
    text = page(load_results(folder, FAKES), {"other": "has not been run yet.", "rest": "too large."})
    assert "**rest**" in text
    assert "has not been run yet" not in text


def test_a_claim_may_have_tables_of_its_own(folder):
    own = dataclasses.replace(FAKES[1], tables=lambda result: f"\n\n| of | {len(result.runs)} runs |")
    text = page(load_results(folder, [FAKES[0], own]), {})
    assert text.count("| of | 6 runs |") == 1
    assert text.index("## other") < text.index("| of | 6 runs |")


def test_a_claim_without_a_file_is_left_out(folder):
    (folder / "other.json").unlink()
    text = page(load_results(folder, FAKES), {})
    assert "## fake" in text
    assert "## other" not in text


def test_results_of_an_older_study_are_left_out_with_a_word(folder, capsys):
    path = folder / "other.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"value"', '"former"'), encoding="utf-8")
    assert [claim.id for claim, _, _ in load_results(folder, FAKES)] == ["fake"]
    said = capsys.readouterr().err
    assert "another version of this study (KeyError: 'value')" in said
    assert f"minidl reproduce --claim other --out {folder}" in said


def test_a_quick_run_says_so(folder):
    assert "not to be believed" not in page(load_results(folder, FAKES), {})
    save_result(folder, FAKES[1], conduct(FAKES[1], Scale(2), quiet=True), FACTS | {"quick": True})
    assert "not to be believed:** other." in page(load_results(folder, FAKES), {})


def test_the_head_names_the_machine_once(folder):
    made = {
        "machine": {"processor": "Abacus 7", "cores": 2},
        "versions": {"numpy": "2.4", "numba": "0.68"},
        "commit": "0123456789ab",
    }
    for fake in FAKES:
        save_result(folder, fake, conduct(fake, Scale(3), quiet=True), FACTS | made)
    text = page(load_results(folder, FAKES), {})
    assert text.count("(2 cores of Abacus 7; numpy 2.4, numba 0.68; commit 0123456789ab)") == 1
    save_result(folder, FAKES[1], conduct(FAKES[1], Scale(3), quiet=True), FACTS | made | {"commit": None})
    assert "commit 0123456789ab)" in page(load_results(folder, FAKES), {})


def test_a_short_table_finds_its_place_in_another_file(folder):
    readme = folder / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put_table(readme, load_results(folder, FAKES))
    text = readme.read_text(encoding="utf-8")
    word = FAKES[0].verdict(conduct(FAKES[0], Scale(3), quiet=True)).word
    assert text.startswith(f"before\n{BEGIN}\nOf 2 claims: 2 {word}.\n\n| id | claim |")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text
    put_table(readme, load_results(folder, FAKES))
    assert readme.read_text(encoding="utf-8") == text
    readme.write_text("no place", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the ledger"):
        put_table(readme, load_results(folder, FAKES))


def test_the_short_table_has_the_chosen_claims_first_and_one_clause_of_each(folder):
    fakes = [claim(id=f"other{i}") for i in range(4)] + [claim(id=name) for name in reversed(IN_BRIEF[:3])]
    fakes[-1] = dataclasses.replace(fakes[-1], statement="It works; also on Sundays.")
    for fake in fakes:
        save_result(folder, fake, conduct(fake, Scale(3), quiet=True), FACTS)
    readme = folder / "README.md"
    readme.write_text(f"{BEGIN}{END}", encoding="utf-8")
    put_table(readme, load_results(folder, fakes))
    text = readme.read_text(encoding="utf-8")
    assert text.count("Of 7 claims: ") == 1
    rows = re.findall(r"^\| ([\w-]+) \| (.*?) \|", text, re.M)[1:]
    assert [name for name, _ in rows] == [*IN_BRIEF[:3], "other0", "other1"]
    assert rows[0][1] == "It works"


def test_the_short_table_leads_with_the_headline_and_has_five_rows(folder):
    fakes = [claim(id=name) for name in reversed(IN_BRIEF)]
    for fake in fakes:
        save_result(folder, fake, conduct(fake, Scale(3), quiet=True), FACTS)
    readme = folder / "README.md"
    readme.write_text(f"{BEGIN}{END}", encoding="utf-8")
    put_table(readme, load_results(folder, fakes))
    rows = re.findall(r"^\| ([\w-]+) \|", readme.read_text(encoding="utf-8"), re.M)[1:]
    assert rows == list(IN_BRIEF[:5])
    assert rows[0] == "steps"


# ---- the ledger that is committed ------------------------------------------------------------------------------------

committed = pytest.mark.skipif(not RESULTS.is_dir(), reason="the ledger has not been run yet")


@committed
def test_the_committed_page_follows_from_the_committed_results():
    found = load_results(RESULTS, claims().values())
    assert [claim.id for claim, _, _ in found] == [id for id in claims() if id not in NOT_TESTED]
    written = page(found, NOT_TESTED, claims().values(), benchmark_rows(found, claims().values()))
    assert (RESULTS / "README.md").read_text(encoding="utf-8") == written


@committed
def test_every_column_of_the_committed_page_has_a_head():
    """Who has a page read aloud hears the head with each cell."""
    lines = (RESULTS / "README.md").read_text(encoding="utf-8").split("\n")
    heads = [line for line, below in pairwise(lines) if below.startswith("|---")]
    assert len(heads) > 20
    assert all(cell.strip() for head in heads for cell in head.strip("|").split("|"))


@committed
def test_the_committed_verdicts_follow_from_the_committed_runs():
    for tested, facts, result in load_results(RESULTS, claims().values()):
        verdict = tested.verdict(result)
        assert (facts["verdict"]["word"], facts["verdict"]["number"]) == (verdict.word, verdict.number)
        assert not facts["quick"]
        assert (RESULTS / "figures" / f"{tested.id}.png").stat().st_size > 1000


@committed
def test_the_readme_shows_the_committed_table(tmp_path):
    readme = RESULTS.parent / "README.md"
    copy = tmp_path / "README.md"
    copy.write_text(readme.read_text(encoding="utf-8"), encoding="utf-8")
    put_table(copy, load_results(RESULTS, claims().values()))
    assert set(IN_BRIEF) <= set(claims())
    same = copy.read_text(encoding="utf-8") == readme.read_text(encoding="utf-8")
    assert same, "the table in README is written by `minidl reproduce`, from results/ and what minidl/lab/paper/ states"
