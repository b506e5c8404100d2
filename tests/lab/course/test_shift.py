"""The instruments of the lesson on shift: they look without touching, and see what is there."""

import numpy as np
import pytest

from minidl import nn
from minidl.lab.course import check, shift
from minidl.lab.course.checks.shift import ROWS
from minidl.lab.models import paper_mlp
from minidl.lab.paper._norms import NoisyNorm
from minidl.lab.paper._training import split
from minidl.probe import unit_percentiles
from minidl.tensor import Tensor
from tests.lab.paper.synthetic import bars


@pytest.fixture(scope="module")
def digits():
    return bars()


@pytest.mark.parametrize("norm", shift.ARMS.values())
def test_what_comes_back(digits, norm):
    seen = shift.watch(norm, 0.5, 0, digits, steps=20, looks=4)
    assert seen["steps"].tolist() == [0, 5, 10, 15, 20]
    assert seen["losses"].shape == (5, 5)
    for measure in shift.MEASURES:
        first, *rest = seen[measure]
        assert np.isfinite(rest).all()
        assert (np.array(rest) > 0).all()
        assert np.isnan(first) == measure.startswith("drift")
    assert 0 <= seen["test"] <= 1


def test_looking_changes_nothing(digits):
    often, seldom = (shift.watch("batch", 0.5, 3, digits, steps=20, looks=looks) for looks in (10, 1))
    assert often["test"] == seldom["test"]
    for measure in ("gradient change", "loss range"):
        assert often[measure][0] == seldom[measure][0]


def test_without_batch_norm_both_places_are_one(digits):
    seen = shift.watch("none", 0.5, 0, digits, steps=10, looks=2)
    np.testing.assert_array_equal(seen["drift"], seen["drift before"])


@pytest.mark.parametrize(("quiet", "noisy"), [("batch", "noisy"), ("none", "noise")])
def test_noise_makes_drift(digits, quiet, noisy):
    quiet, noisy = (shift.watch(norm, 0.1, 0, digits, steps=20, looks=4) for norm in (quiet, noisy))
    assert np.nanmean(noisy["drift"]) > 3 * np.nanmean(quiet["drift"])


@pytest.mark.parametrize("norm", ["noise", "noise in σ"])
def test_noise_alone_is_the_plain_network_but_for_the_noise(digits, monkeypatch, norm):
    monkeypatch.setattr(shift._Noise, "forward", lambda layer, x: x)
    plain, silenced = (shift.watch(kind, 0.5, 0, digits, steps=20, looks=4) for kind in ("none", norm))
    assert plain["test"] == silenced["test"]
    np.testing.assert_array_equal(plain["losses"], silenced["losses"])


def test_noise_in_sigma_is_that_of_a_normalised_batch_in_the_units_own_measure():
    x = np.random.default_rng(1).normal(3, 0.2, (50, 4)).astype(np.float32)
    own, after = shift._Noise(4, np.random.default_rng(0), in_sigma=True), NoisyNorm(4, np.random.default_rng(0))
    mean, sigma = x.mean(0), x.std(0)
    np.testing.assert_allclose((own(Tensor(x)).data - mean) / sigma, after(Tensor(x)).data, rtol=1e-2, atol=1e-3)
    own.eval()
    np.testing.assert_array_equal(own(Tensor(x)).data, x)


def test_percentiles_are_those_of_training_and_leave_the_statistics_alone(digits):
    model, images = paper_mlp("batch"), split(digits).x[:200]
    buffers = [buffer.copy() for buffer in model.buffers()]
    at_sigmoids, at_linears = shift._percentiles(model, images)
    assert all(np.array_equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))
    x, sigmoids, linears = Tensor(images), [], []
    for layer in model:
        if isinstance(layer, nn.Sigmoid):
            sigmoids.append(unit_percentiles(x.data))
        x = layer(x)
        if isinstance(layer, nn.Linear):
            linears.append(unit_percentiles(x.data))
    np.testing.assert_allclose(at_sigmoids, np.concatenate(sigmoids), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(at_linears, np.concatenate(linears[:-1]), rtol=1e-5, atol=1e-6)


def test_divergence_is_said(digits):
    with pytest.raises(FloatingPointError, match=r"watch: the loss is not finite at step .*smaller lr than 1e"):
        shift.watch("none", 1e38, 0, digits, steps=20, looks=2)


def test_the_table_does_not_blame_the_answer_where_the_ledger_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert check("table", dict.fromkeys(ROWS, "smaller")) == "fail"
    said = capsys.readouterr().out
    assert "without the ledger's numbers: ledger: no results/ics.json" in said
    assert "Nothing can be made of your answer" not in said
