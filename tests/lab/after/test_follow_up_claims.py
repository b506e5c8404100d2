"""What holds for each claim that follows up one of another paper: kept runs are found again, and sources are marked."""

import json

import pytest

from minidl.lab.registry import claims
from minidl.lab.study.fingerprint import fingerprint
from tests.helpers import in_a_process

IDS = ("exact-statistics", "ghost-batches", "only-norms", "residual-branches")
CLAIMS = claims()


def test_kept_runs_are_found_by_another_process():
    modules = {id: CLAIMS[id].run.__module__ for id in IDS}
    code = (
        "import importlib, json; from minidl.lab.study.fingerprint import fingerprint; "
        f"print(json.dumps([fingerprint(importlib.import_module(m).run) for m in {list(modules.values())}]))"
    )
    assert json.loads(in_a_process(code)) == [fingerprint(CLAIMS[id].run) for id in IDS]


@pytest.mark.parametrize("id", IDS)
def test_the_statement_names_its_paper_and_what_was_not_read(id):
    assert "*not read*" in CLAIMS[id].statement
    assert any(str(year) in CLAIMS[id].statement for year in range(2016, 2022))
    assert CLAIMS[id].part == "after"
