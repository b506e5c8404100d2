"""Population statistics and folding: run, and judged."""

import pytest

from minidl.lab.paper import alg2
from minidl.lab.study.claim import Result
from tests.lab.paper.synthetic import bars, edited, exact, result


@pytest.fixture(scope="module")
def whole():
    networks = result(
        *[({"part": "network", "seed": s}, {"moving": 0.9, "population": 0.9 + 0.01 * s}) for s in range(3)]
    )
    return Result((*exact(alg2.CLAIM).runs, *networks.runs))


def test_the_exact_parts_hold(whole):
    assert alg2.CLAIM.verdict(whole).word == "reproduced"


@pytest.mark.parametrize(
    ("where", "entries"),
    [
        ({"part": "variance", "m": 4}, {"used": 1.0}),  # a variance that is unbiased already in the forward pass
        ({"part": "variance", "m": 2}, {"stored": 0.5}),  # a stored one that is not
        ({"part": "fold", "dtype": "float64"}, {"deviation": 1e-6}),
        ({"part": "fold", "dtype": "float32", "seed": 1}, {"deviation": None}),
    ],
)
def test_one_wrong_part(whole, where, entries):
    assert alg2.CLAIM.verdict(edited(whole, where, **entries)).word == "partly"


def test_all_parts_wrong(whole):
    wrong = edited(whole, {"part": "variance"}, used=1.0, stored=0.5)
    assert alg2.CLAIM.verdict(edited(wrong, {"part": "fold"}, deviation=1.0)).word == "contradicted"


def test_the_network_part_runs():
    record = alg2.run({"part": "network", "seed": 0, "lr": 0.5, "steps": 40}, bars())
    assert set(record) == {"moving", "population"}
    assert record["population"] > 0.5
