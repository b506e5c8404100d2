"""Probe: its numbers against NumPy's, when it looks, and that it leaves nothing behind."""

import copy
import gc
import pickle
import weakref
from itertools import pairwise

import numpy as np
import pytest

from minidl import Tensor, nn, no_grad, optim
from minidl import functional as F
from minidl.lab.models import paper_mlp
from minidl.probe import PERCENTILES, Probe, saturated, unit_percentiles
from minidl.train import evaluate


def network(dtype=np.float64):
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Linear(6, 8, generator=rng), nn.BatchNorm(8), nn.Sigmoid(), nn.Linear(8, 3, generator=rng)
    ).to(dtype)  # fmt: skip


def batch(step=0, n=10):
    rng = np.random.default_rng([1, step])
    return rng.standard_normal((n, 6)), rng.integers(0, 3, n)


def one_step(model, optimizer, step=0):
    images, labels = batch(step)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(images)), labels)
    loss.backward()
    optimizer.step()


def train(model, steps, layers, **settings):
    """A model trained for some steps under a probe."""
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    with Probe(model, layers, **settings) as probe:
        for step in range(steps):
            one_step(model, optimizer, step)
            probe.step()
    return probe


def the(probe, layer, what):
    """The statistics of the one record of a layer."""
    (stats,) = [stats for _, of, kind, stats in probe.rows if (of, kind) == (layer, what)]
    return stats


def assert_moments(stats, x):
    np.testing.assert_allclose(stats["mean"], np.mean(x), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(stats["std"], np.std(x), rtol=1e-12, atol=1e-15)
    assert type(stats["mean"]) is type(stats["std"]) is float
    x = np.sort(x, axis=None)
    places = np.array([0.15, 0.5, 0.85]) * (x.size - 1)
    np.testing.assert_allclose(stats["percentiles"], np.interp(places, np.arange(x.size), x), rtol=1e-12, atol=1e-15)


# ---- the numbers -----------------------------------------------------------------------------------------------------


def test_every_number_by_hand():
    """One step, computed once more with plain arrays."""
    model, twin = network(), network()
    probe = train(model, 1, ["0", "2", "3"], every=1)
    (w0, b0), (gamma, beta), (w3, b3) = [(m.weight.data, m.bias.data) for m in (twin[0], twin[1], twin[3])]
    x, labels = batch()
    z = x @ w0 + b0
    hat = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    s = 1 / (1 + np.exp(-(gamma * hat + beta)))
    logits = s @ w3 + b3
    grad_logits = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    grad_logits[np.arange(10), labels] -= 1
    grad_logits /= 10
    grad_s = grad_logits @ w3.T
    assert_moments(the(probe, "0", "input"), x)
    assert_moments(the(probe, "0", "output"), z)
    assert_moments(the(probe, "2", "input"), gamma * hat + beta)
    assert_moments(the(probe, "2", "output"), s)
    assert_moments(the(probe, "2", "gradient"), grad_s)
    assert_moments(the(probe, "3", "input"), s)
    assert_moments(the(probe, "3", "output"), logits)
    assert_moments(the(probe, "3", "gradient"), grad_logits)
    update, stats = -0.5 * (s.T @ grad_logits), the(probe, "3", "update")
    np.testing.assert_allclose(stats["mean"], update.mean(), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(stats["std"], update.std(), rtol=1e-9)
    np.testing.assert_allclose(stats["log10_ratio"], np.log10(update.std() / w3.std()), rtol=1e-9)


def test_what_is_recorded_of_which_layer():
    probe = train(network(), 1, ["0", "1", "2"], every=1)
    kinds = {(of, what): set(stats) for _, of, what, stats in probe.rows}
    moments = {"mean", "std", "percentiles"}
    assert kinds == {
        ("0", "input"): moments, ("0", "output"): moments, ("0", "gradient"): moments,
        ("0", "update"): {"mean", "std", "log10_ratio"},
        ("1", "input"): moments, ("1", "output"): moments, ("1", "gradient"): moments,
        ("1", "update"): {"mean", "std", "log10_ratio"},
        ("2", "input"): moments, ("2", "output"): moments | {"saturated"}, ("2", "gradient"): moments,
    }  # fmt: skip


def test_the_ratio_of_a_weight_without_spread_is_not_a_number():
    probe = train(network(), 1, ["1"], every=1)  # γ = 1 everywhere at first
    assert np.isnan(the(probe, "1", "update")["log10_ratio"])


def test_an_update_of_nothing_is_minus_infinity():
    model = network()
    with Probe(model, ["0"], every=1) as probe:
        model(Tensor(batch()[0])).sum().backward()
        probe.step()
    assert the(probe, "0", "update")["log10_ratio"] == -np.inf


@pytest.mark.parametrize(
    ("layer", "slope"),
    [
        (nn.Sigmoid(), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2),
        (nn.Tanh(), lambda x: 1 / np.cosh(x) ** 2),
        (nn.ReLU(), lambda x: (x > 0) * 1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_saturated_where_the_slope_is_below_a_tenth_of_the_steepest(layer, slope):
    x = np.random.default_rng(0).uniform(-6, 6, (50, 20))
    with Probe(layer, {"it": layer}, every=1) as probe:
        layer(Tensor(x))
        probe.step()
    expected = np.mean(slope(x) < 0.1 * np.max(slope(np.linspace(-6, 6, 10_001))))
    assert 0.2 < expected < 0.8
    assert the(probe, "it", "output")["saturated"] == pytest.approx(expected, abs=1e-12)


def test_counts_of_bins():
    edges = np.linspace(-2, 2, 9)
    probe = train(network(), 1, ["0"], every=1, edges=edges)
    x = batch()[0]
    expected = [np.sum((a <= x) & (x < b)) for a, b in pairwise(edges)]
    np.testing.assert_array_equal(the(probe, "0", "input")["counts"], expected)
    assert the(probe, "0", "output")["counts"].shape == (8,)
    assert "counts" not in the(probe, "0", "gradient")


def test_per_unit():
    probe = train(network(), 1, ["0"], every=1, per_unit=True)
    x = batch()[0]
    expected = [[np.percentile(x[:, unit], p) for p in PERCENTILES] for unit in range(6)]
    np.testing.assert_allclose(the(probe, "0", "input")["unit_percentiles"], expected)
    assert the(probe, "0", "output")["unit_percentiles"].shape == (8, 3)


def test_unit_percentiles_of_images_are_over_all_pixels():
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2))
    np.testing.assert_array_equal(unit_percentiles(x), unit_percentiles(x.reshape(-1, 2)))
    np.testing.assert_allclose(unit_percentiles(np.arange(101.0)[:, None]), [[15, 50, 85]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_network_that_diverges_is_recorded_without_a_fuss(bad):
    model = network()
    images, labels = batch()
    images[0] = bad
    with Probe(model, ["0", "2", "3"], every=1, edges=[-1, 0, 1], per_unit=True) as probe, np.errstate(all="ignore"):
        F.cross_entropy(model(Tensor(images)), labels).backward()
        probe.step()
    assert not np.isfinite(the(probe, "0", "input")["mean"])


# ---- when it looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "steps"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (100, [0])])
def test_every_k_th_step(every, steps):
    probe = train(network(), 7, ["0", "3"], every=every)
    for layer in ("0", "3"):
        for what in ("input", "output", "gradient", "update"):
            np.testing.assert_array_equal(probe.series(layer, what, "std")[0], steps)
    assert probe.now == 7


def test_series_are_arrays_in_the_order_of_the_steps():
    probe = train(network(), 6, ["0"], every=2, per_unit=True)
    steps, means = probe.series("0", "input", "mean")
    np.testing.assert_array_equal(steps, [0, 2, 4])
    np.testing.assert_allclose(means, [batch(step)[0].mean() for step in (0, 2, 4)])
    assert probe.series("0", "input", "percentiles")[1].shape == (3, 3)
    assert probe.series("0", "output", "unit_percentiles")[1].shape == (3, 8, 3)


def test_evaluation_in_between_is_not_recorded():
    model = network()
    optimizer, (images, labels) = optim.SGD(model.parameters(), lr=0.5), batch()
    expected = train(network(), 4, ["0", "2"], every=2)
    with Probe(model, ["0", "2"], every=2) as probe:
        for step in range(4):
            evaluate(model, 100 + images, labels)
            one_step(model, optimizer, step)
            evaluate(model, 100 + images, labels)
            with no_grad():
                model(Tensor(100 + images))
            model.eval()(Tensor(100 + images))
            model.train()
            probe.step()
    # without no_grad and eval it would have seen other inputs; batch norm, though, has seen one batch more
    for what in ("input", "output", "gradient", "update"):
        a, b = probe.series("0", what, "std"), expected.series("0", what, "std")
        np.testing.assert_array_equal(a, b)


def test_looking_changes_nothing():
    """Neither the training nor the graph: bit-identical weights."""
    watched, plain = network(), network()
    train(watched, 5, ["0", "1", "2", "3"], every=1, edges=[-1, 0, 1], per_unit=True)
    optimizer = optim.SGD(plain.parameters(), lr=0.5)
    for step in range(5):
        one_step(plain, optimizer, step)
    for name, array in watched.state_dict().items():
        np.testing.assert_array_equal(array, plain.state_dict()[name])


def test_steps_without_a_forward_are_counted_and_not_recorded():
    model = network()
    with Probe(model, ["0"], every=1) as probe:
        probe.step()
        one_step(model, optim.SGD(model.parameters(), lr=0.5))
        probe.step()
    np.testing.assert_array_equal(probe.series("0", "input", "mean")[0], [1])


# ---- what it leaves behind -------------------------------------------------------------------------------------------


def test_no_activation_is_kept_alive():
    model, alive = network(), []

    def remember(module, inputs, output):
        alive.append(weakref.ref(output))

    handles = [layer.register_forward_hook(remember) for layer in model]
    probe = train(model, 3, ["0", "1", "2", "3"], every=1, edges=[-1, 0, 1], per_unit=True)
    gc.collect()
    assert len(alive) == 12
    assert not any(ref() is not None for ref in alive)
    assert len(probe.rows) == 3 * (4 * 3 + 3)
    held = [value for _, _, _, stats in probe.rows for value in stats.values()]
    assert all(np.size(value) <= 24 for value in held)  # statistics, not activations (80 numbers)
    assert all(value.base is None or value.base.size <= 24 for value in held if isinstance(value, np.ndarray))
    for handle in handles:
        handle.remove()


def test_hooks_are_gone_after_the_context():
    model = network()
    with Probe(model, ["0", "2"], every=1) as probe:
        assert model[0]._forward_hooks
    one_step(model, optim.SGD(model.parameters(), lr=0.5))
    probe.step()
    assert probe.rows == []
    with pytest.raises(ZeroDivisionError), Probe(model, ["0"], every=1) as probe:
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.modules())
    probe.close()  # once more does nothing


def test_a_probe_and_other_hooks_live_together():
    model, seen = network(), []
    with model[0].register_forward_hook(lambda *args: seen.append(1)):
        train(model, 2, ["0"], every=1)
        one_step(model, optim.SGD(model.parameters(), lr=0.5))
    assert len(seen) == 3


# ---- which layers ----------------------------------------------------------------------------------------------------


def test_layers_by_name_or_under_names_of_ones_own():
    model = paper_mlp(sizes=(6, 5, 5, 3)).to(np.float64)
    for layers in ("6", ["6"], ("6",), iter(["6"])):
        assert {row[1] for row in train(model, 1, layers, every=1).rows} == {"6"}
    assert {row[1] for row in train(model, 1, {"last": model[6]}, every=1).rows} == {"last"}


def test_one_name_is_not_taken_apart():
    class Net(nn.Module):
        def __init__(self):
            self.a, self.b, self.ab = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

        def forward(self, x):
            return self.ab(self.b(self.a(x)))

    assert {row[1] for row in train(Net().to(np.float64), 1, "ab", every=1).rows} == {"ab"}


def test_the_network_as_a_whole():
    probe = train(network(), 1, [""], every=1)
    assert_moments(the(probe, "", "input"), batch()[0])


def test_unknown_layers_and_series():
    model = network()
    with pytest.raises(ValueError, match=r"Probe: no layer named \['7', 'x'\]; there are \['0', '1', '2', '3'\]"):
        Probe(model, ["0", "7", "x"])
    with pytest.raises(TypeError, match="Probe: 'x' is a function; it must be a Module"):
        Probe(model, {"x": F.relu})
    with pytest.raises(ValueError, match="every is 0"):
        Probe(model, ["0"], every=0)
    assert not any(module._forward_hooks for module in model.modules())
    probe = train(model, 1, ["0"], every=1)
    for series in (("1", "input", "mean"), ("0", "inputs", "mean"), ("0", "output", "saturated")):
        with pytest.raises(KeyError, match="Probe: nothing recorded for") as error:
            probe.series(*series)
        assert all(repr(part) in str(error.value) for part in series)
        assert "'percentiles'" in str(error.value)


# ---- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), nn.fuse])
def test_a_copy_is_not_recorded(copied):
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    with Probe(model, ["0", "2"], every=1) as probe:
        twins = [copied(model), copied(model[0])]
        one_step(model, optimizer)
        seen = dict(probe._fresh)
        for twin in twins if copied is not copy.copy else twins[1:]:  # a shallow copy has the same layers
            twin(Tensor(batch(7)[0])).sum().backward()
        assert all(probe._fresh[key] is stats for key, stats in seen.items())
        probe.step()
    assert_moments(the(probe, "0", "input"), batch()[0])
    assert not twins[1]._forward_hooks


def test_a_copy_under_a_probe_keeps_other_hooks():
    model, seen = network(), []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(module))
    with Probe(model, ["0"], every=1):
        twin = copy.deepcopy(model)
        twin(Tensor(batch()[0]))
    assert seen == [twin[0]]
    assert len(model[0]._forward_hooks) == 1


def test_a_copy_of_a_probe_looks_at_nothing_of_the_original():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    with Probe(model, ["0"], every=1) as probe:
        _, other = copy.deepcopy((model, probe))
        one_step(model, optimizer)
        other.step()
        probe.step()
        other.close()
        assert model[0]._forward_hooks
    assert len(probe.rows) == 4
    assert other.rows == []


@pytest.mark.parametrize(
    ("kind", "f", "slope", "steepest"),
    [
        (nn.Sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda y: y * (1 - y), 0.25),
        (nn.Tanh, np.tanh, lambda y: 1 - y * y, 1.0),
        (nn.ReLU, lambda x: np.maximum(x, 0), lambda y: (y > 0) * 1.0, 1.0),
    ],
)
def test_saturated_outputs_have_a_tenth_of_the_steepest_slope(kind, f, slope, steepest):
    y = f(np.linspace(-6, 6, 1000))
    assert (saturated(kind, y) == (slope(y) < steepest / 10)).all()
    assert 0 < saturated(kind, y).mean() < 1


def test_of_other_layers_nothing_is_saturated():
    assert saturated(nn.Linear, np.zeros(3)) is None
