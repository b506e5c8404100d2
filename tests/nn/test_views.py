"""AveragedViews is the mean over six views that one writes by hand; it goes wherever a network goes."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.gradcheck import gradcheck
from minidl.train import evaluate, predict_logits


def network(seed=0, norm=False):
    rng = np.random.default_rng(seed)
    layers = [nn.BatchNorm(4)] if norm else []
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, generator=rng), *layers, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4 * 5, 3, generator=rng)
    ).to(np.float64)


def images(n=5, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, 6, 7, 3)).astype(dtype)


def by_hand(model, x, shift):
    """Half of the image and its mirror image, half of four that are cut from the padded one."""
    padded = np.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="reflect")
    corners = padded[:, :6, :7], padded[:, 2 * shift : 2 * shift + 6, 2 * shift : 2 * shift + 7]

    def both(views):
        return (model(Tensor(views.copy())).data + model(Tensor(views[:, :, ::-1].copy())).data) / 2

    return both(x) / 2 + (both(corners[0]) + both(corners[1])) / 4


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_the_mean_over_six_views(shift):
    model = network()
    np.testing.assert_allclose(
        nn.AveragedViews(model, shift)(Tensor(images())).data, by_hand(model, images(), shift), rtol=1e-12, atol=1e-12
    )


def test_without_a_shift_the_image_and_its_mirror_image():
    model, x = network(), images()
    expected = (model(Tensor(x)).data + model(Tensor(x[:, :, ::-1].copy())).data) / 2
    np.testing.assert_array_equal(nn.AveragedViews(model, 0)(Tensor(x)).data, expected)


def test_a_mirrored_image_has_the_same_answer():
    views = nn.AveragedViews(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool2d()), 0)
    x = images(dtype=np.float32)
    np.testing.assert_allclose(views(Tensor(x)).data, views(Tensor(x[:, :, ::-1].copy())).data, rtol=1e-5, atol=1e-6)


def test_evaluated_like_a_network():
    model, labels = network(norm=True), np.array([0, 1, 2, 0, 1])
    model(Tensor(images()))
    views = nn.AveragedViews(model)
    logits = predict_logits(views, images(), batch_size=2)
    np.testing.assert_allclose(logits, by_hand(model.eval(), images(), 1), rtol=1e-12, atol=1e-12)
    model.train()
    assert evaluate(views, images(), labels).accuracy == np.mean(logits.argmax(-1) == labels)
    assert all(module.training for module in model.modules())


def test_the_network_is_shared():
    model = network()
    views = nn.AveragedViews(model)
    before = views(Tensor(images())).data
    model[0].weight.data[:] *= 2
    assert np.any(views(Tensor(images())).data != before)
    assert list(views.state_dict()) == [f"model.{name}" for name in model.state_dict()]
    assert "shift=1" in repr(views)


def test_gradients_flow_through_all_views():
    gradcheck(nn.AveragedViews(network()), images(2))
