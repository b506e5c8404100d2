"""Whitening, its ranks and its cost: run, and judged."""

import numpy as np
import pytest

from minidl.lab.paper import whitening
from tests.lab.paper.synthetic import edited, exact, joined, result


@pytest.fixture(scope="module")
def ranks():
    return exact(whitening.CLAIM)


def times_of(ratio, layer=0.1):
    return {"batch norm": 0.001, "whitening": 0.001 * ratio, "batch norm, layer": 1, "whitening, layer": layer * ratio}


def study(ranks, *ratios):
    times = [
        ({"part": "time", "features": d, "seed": seed}, times_of(ratio))
        for d, share in ((64, 0.1), (256, 1))
        for seed, ratio in enumerate(share * np.array(ratios))
    ]
    return joined(ranks, result(*times))


def judged(ranks, *ratios):
    return whitening.CLAIM.verdict(study(ranks, *ratios))


def test_a_batch_of_m_has_rank_m_less_1(ranks):
    np.testing.assert_array_equal(ranks.runs[0].record["rank"], [15, 31, 63, 64, 64, 64])


def test_whitening_fails_for_small_batches_and_works_for_large_ones(ranks):
    off = ranks.values("off")
    np.testing.assert_allclose(off[:, :3], 1, atol=1e-6)
    assert off[:, -1].max() < 1e-3


def test_verdicts(ranks):
    assert judged(ranks, 40.0, 41.0, 39.0).word == "reproduced"
    assert judged(ranks, 2.0, 2.1, 1.9).word == "partly"
    assert judged(ranks, 40.0, 5.0, 60.0).word == "partly"  # too uncertain
    white = edited(ranks, {"seed": 1}, off=[1.0, 0.1, 1.0, 0.0, 0.0, 0.0])
    assert judged(white, 40.0, 41.0, 39.0).word == "partly"
    full = edited(ranks, {"seed": 1}, rank=[16, 32, 64, 64, 64, 64])
    assert judged(full, 40.0, 41.0, 39.0).word == "partly"
    assert judged(full, 2.0, 2.1, 1.9).word == "contradicted"
    assert "40 ± " in judged(ranks, 40.0, 41.0, 39.0).number
    assert "a whole layer with it 4.0 ± 0.2" in judged(ranks, 40.0, 41.0, 39.0).number
    cheap = edited(study(ranks, 40.0, 41.0, 39.0), {"part": "time", "features": 256}, **times_of(40.0, 0.04))
    assert whitening.CLAIM.verdict(cheap).word == "partly"  # beside the linear map it hardly counts


def test_times_are_measured():
    config = {"part": "time", "features": 8, "batch": 16, "repeats": 2, "seed": 0}
    assert set(whitening.run(config)) == set(times_of(1))
