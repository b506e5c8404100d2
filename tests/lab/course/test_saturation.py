"""What lesson 03 measures with: stacks of the right scale, and signals that agree with what one can compute by hand."""

import numpy as np
import pytest

from minidl import functional as F
from minidl import nn
from minidl.lab.course import check
from minidl.lab.course.saturation import prepare, sigmoid_stack, signals
from minidl.tensor import Tensor

X = np.random.default_rng(0).standard_normal((50, 784)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 10, 50)


def linears(model):
    return [layer for layer in model if isinstance(layer, nn.Linear)]


def test_weights_have_the_scale_of_their_gain():
    layers = linears(sigmoid_stack(4, 3.0, seed=2))
    gains = [layer.weight.data.std() * np.sqrt(len(layer.weight.data)) for layer in layers]
    np.testing.assert_allclose(gains, [1, 3, 3, 3, 1], rtol=0.05)
    assert not any(layer.bias.data.any() for layer in layers)


def test_centred_biases_make_one_half_count_as_nothing():
    model = sigmoid_stack(3, 5.0, centred=True)
    for layer in linears(model)[1:-1]:
        np.testing.assert_allclose(layer(Tensor(np.full((1, 100), 0.5, np.float32))).data, 0, atol=1e-5)
    assert not linears(model)[0].bias.data.any()


def test_batch_norm_stands_before_each_sigmoid():
    kinds = [type(layer) for layer in sigmoid_stack(2, norm="batch")]
    assert kinds == [nn.Linear, nn.BatchNorm, nn.Sigmoid] * 2 + [nn.Linear]


@pytest.mark.parametrize("wrong", [{"depth": 0}, {"depth": 2, "norm": "batch", "centred": True}])
def test_stacks_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"sigmoid_stack: .* must"):
        sigmoid_stack(**wrong)


def test_signals_are_those_of_a_pass_by_hand():
    model = sigmoid_stack(2, 6.0)
    before = model.state_dict()
    found = signals(model, X, LABELS)
    first, second, last = ((a.weight.data.astype(float), a.bias.data.astype(float)) for a in linears(model))
    a = X.astype(float) @ first[0] + first[1]
    b = 1 / (1 + np.exp(-a)) @ second[0] + second[1]
    y = [1 / (1 + np.exp(-h)) for h in (a, b)]
    np.testing.assert_allclose(found["signal"], [np.sqrt(h.var(0).mean()) for h in (a, b)])
    np.testing.assert_allclose(found["size"], [np.sqrt((h * h).mean()) for h in y])
    steep = [(h * (1 - h)).ravel() for h in y]
    np.testing.assert_allclose(found["saturated"], [np.mean(slope < 0.1 * 0.25) for slope in steep])
    logits = y[1] @ last[0] + last[1]
    softmax = F.softmax(Tensor(logits)).data
    softmax[np.arange(50), LABELS] -= 1
    grad_b = softmax @ last[0].T * y[1] * (1 - y[1])
    grad_a = grad_b @ second[0].T * y[0] * (1 - y[0])
    np.testing.assert_allclose(found["gradient"], [np.sqrt((g * g).mean()) for g in (grad_a, grad_b)])
    assert found["counts"].sum(1).tolist() == [5000, 5000]
    assert found["counts"][1, 0] == (y[1] < 1 / 40).sum()
    assert all(np.array_equal(array, before[name]) for name, array in model.state_dict().items())
    assert all(p.dtype == np.float32 and p.grad is None for p in model.parameters())


def test_prepared_pixels_vary_by_one():
    images = np.random.default_rng(4).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    rows = prepare(images, images)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-5)
    assert rows.var(0).mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(prepare(images[:3], images), rows[:3], rtol=1e-5)


@pytest.mark.parametrize("off", [1, 1.7, 2.4])
@pytest.mark.parametrize("small", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("flat_enough", [lambda s, f: f > 0.5, lambda s, f: f > 0.75, lambda s, f: s > 10])
def test_any_sensible_limit_is_a_right_diagnosis(off, small, flat_enough):
    def diagnosis(signal, off_centre, flat):
        if off_centre > max(off, signal):
            return "off centre"
        return "asleep" if signal < small else "flat" if flat_enough(signal, flat) else "well"

    assert check("diagnosis", diagnosis) == "pass"


def test_a_layer_that_did_not_move_may_warn_or_not():
    def ratios(before, after):
        steps = [np.std(a - b) / np.std(b) for b, a in zip(before, after, strict=True)]
        return [-np.inf if step == 0 else float(np.log10(step)) for step in steps]

    assert check("update ratio", ratios) == "pass"
