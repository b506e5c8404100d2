"""Every claim of the ledger is complete, and its plan is plain and honest."""

import json
from pathlib import Path

import pytest

from minidl.lab import registry
from minidl.lab.registry import NOT_TESTED, claims
from minidl.lab.study.claim import PARTS, WORDS, Claim, Result, Run, Scale, plain
from minidl.lab.study.fingerprint import fingerprint

CLAIMS = claims()
RESULTS = Path(__file__).parents[2] / "results"


def first_stage(claim, scale):
    return next(claim.plan(scale))


def test_claims_are_found_by_their_files(tmp_path, monkeypatch):
    (tmp_path / "later.py").write_text(
        "import dataclasses\n"
        "from minidl.lab.paper.conv import CLAIM\n"
        "CLAIM = dataclasses.replace(CLAIM, id='later', section='§9')\n"
    )
    monkeypatch.setattr(registry.minidl.lab.paper, "__path__", [*registry.minidl.lab.paper.__path__, str(tmp_path)])
    assert [id for id, claim in claims().items() if claim.part == "paper"][-1] == "later"
    assert set(claims()) == {*CLAIMS, "later"}


def test_claims_come_in_the_order_of_the_paper():
    for part in PARTS:
        sections = [claim.section for claim in CLAIMS.values() if claim.part == part]
        assert sections == sorted(sections)
        assert sections
    assert [claim.part for claim in CLAIMS.values()] == sorted((c.part for c in CLAIMS.values()), key=PARTS.index)
    assert list(CLAIMS) == [claim.id for claim in CLAIMS.values()]


def test_what_is_not_tested_is_said_and_is_no_claim_with_results():
    assert "ImageNet" in NOT_TESTED
    assert not set(NOT_TESTED) & {id for id in CLAIMS if (RESULTS / f"{id}.json").is_file()}
    assert set(CLAIMS) - set(NOT_TESTED) == {id for id in CLAIMS if (RESULTS / f"{id}.json").is_file()}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_claim_is_complete(claim):
    assert isinstance(claim, Claim)
    for text in (claim.section, claim.statement, claim.method, claim.rule, claim.limits):
        assert len(text) > 3
        assert text.count("(") == text.count(")")
    assert sum(word in claim.rule.lower() for word in WORDS) >= 2
    assert len(fingerprint(claim.run)) == 16


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_a_plan_is_plain_and_has_no_run_twice(claim):
    for scale in (Scale(), Scale(3), Scale(2, quick=True)):
        configs = first_stage(claim, scale)
        assert [plain(config) for config in configs] == [json.loads(json.dumps(config)) for config in configs]
        assert len({json.dumps(config, sort_keys=True) for config in configs}) == len(configs)
        assert all("seed" in config for config in configs)


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_quick_is_shorter(claim):
    def steps(scale):
        return sum(config.get("steps", config.get("epochs", 0)) for config in first_stage(claim, scale))

    assert steps(Scale(2, quick=True)) < steps(Scale()) or steps(Scale()) <= 10_000


def test_results_can_be_made_of_a_plan():
    for claim in CLAIMS.values():
        assert Result(tuple(Run(config, {}) for config in first_stage(claim, Scale()))).runs
