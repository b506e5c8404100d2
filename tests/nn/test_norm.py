"""BatchNorm the layer: what it remembers, when, and where. Its arithmetic is tested in tests/ops/test_norm.py."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.train import update_bn
from tests.helpers import DTYPES, assert_close, sizes


def batch(*shape, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return Tensor((3 * rng.standard_normal(shape) + 1).astype(dtype))


def random_affine(layer, seed=1):
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data[...] = rng.standard_normal(parameter.shape)
    return layer


# ---- training and evaluation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(6, 3), (2, 4, 5, 3)], ids=str)
def test_is_its_operation(shape, affine, dtype):
    layer = random_affine(nn.BatchNorm(3, eps=1e-3, momentum=0.3, affine=affine).to(dtype))
    mean, var = np.zeros(3, dtype), np.ones(3, dtype)
    for seed in range(3):
        x = batch(*shape, seed=seed, dtype=dtype)
        expected = F.batch_norm(x, mean, var, layer.weight, layer.bias, True, 0.3, 1e-3)
        np.testing.assert_array_equal(layer(x).data, expected.data)
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)
    expected = F.batch_norm(x, mean, var, layer.weight, layer.bias, False, eps=1e-3)
    np.testing.assert_array_equal(layer.eval()(x).data, expected.data)


def test_starts_as_the_identity_in_evaluation():
    layer, x = nn.BatchNorm(3, eps=0.0).eval(), batch(6, 3)
    np.testing.assert_array_equal(layer.weight.data, np.ones(3))
    np.testing.assert_array_equal(layer.bias.data, np.zeros(3))
    np.testing.assert_array_equal(layer(x).data, x.data)


@pytest.mark.parametrize("shape", sizes((128, 14, 14, 5), (61, 28, 28, 32), tiny=((2, 3, 4, 5), (1, 2, 1, 3))), ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_images_are_the_same_bits_as_their_pixels_one_below_the_other(shape, training):
    """§3.2 of the paper, with features last: (N, H, W, C) is (N·H·W, C)."""
    images = batch(*shape)
    results = []
    for x in (images.data, images.data.reshape(-1, shape[-1])):
        layer, given = random_affine(nn.BatchNorm(shape[-1])).train(training), Tensor(x, requires_grad=True)
        y = layer(given)
        y.backward(batch(*shape, seed=5).data.reshape(x.shape))
        arrays = [y.data, given.grad, layer.weight.grad, layer.bias.grad, *layer.buffers()]
        results.append([a.reshape(-1, shape[-1]) if a.ndim else a for a in arrays])
    for from_images, from_rows in zip(*results, strict=True):
        np.testing.assert_array_equal(from_images, from_rows)


def test_gradients_reach_weight_bias_and_input():
    layer, x = nn.BatchNorm(3), Tensor(batch(6, 3).data, requires_grad=True)
    (layer(x) ** 3).sum().backward()
    assert all(np.any(t.grad != 0) for t in (layer.weight, layer.bias, x))


# ---- what it remembers -----------------------------------------------------------------------------------------------


def test_buffers_are_plain_arrays_updated_in_place():
    layer = nn.BatchNorm(3)
    buffers = dict(layer.named_buffers())
    assert list(buffers) == ["running_mean", "running_var", "num_batches_tracked"]
    assert all(type(b) is np.ndarray for b in buffers.values())
    assert "running_mean" not in dict(layer.named_parameters())
    layer(batch(6, 3))
    layer.reset_running_stats()
    layer(batch(6, 3, seed=1))
    layer.load_state_dict(layer.state_dict())
    for name, array in buffers.items():
        assert getattr(layer, name) is array
    assert np.any(buffers["running_mean"] != 0)
    assert np.any(buffers["running_var"] != 1)
    assert buffers["num_batches_tracked"] == 1


def test_counts_training_batches_once_each():
    layer = nn.BatchNorm(3)
    for n in range(1, 4):
        y = layer(batch(6, 3))
        (y**2).sum().backward()  # neither the backward pass …
        layer.eval()(batch(6, 3))  # … nor evaluation counts
        layer.train()
        assert layer.num_batches_tracked == n


def test_evaluation_leaves_all_buffers_as_they_are():
    layer = random_affine(nn.BatchNorm(3))
    layer(batch(6, 3))
    before = layer.state_dict()
    x = Tensor(batch(6, 3, seed=1).data, requires_grad=True)
    (layer.eval()(x) ** 2).sum().backward()
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_momentum_none_is_the_plain_average_of_all_batches():
    layer = nn.BatchNorm(3, momentum=None).to(np.float64)
    batches = [batch(6, 3, seed=seed, dtype=np.float64) for seed in range(5)]
    for x in batches:
        layer(x)
    means, variances = [x.data.mean(0) for x in batches], [x.data.var(0, ddof=1) for x in batches]
    assert_close(layer.running_mean, np.mean(means, 0))
    assert_close(layer.running_var, np.mean(variances, 0))
    layer.reset_running_stats()
    layer(batches[3])  # a new average begins
    assert_close(layer.running_mean, means[3])
    assert_close(layer.running_var, variances[3])


def test_reset_forgets():
    layer = nn.BatchNorm(3)
    layer(batch(6, 3))
    layer.reset_running_stats()
    fresh = nn.BatchNorm(3).state_dict()
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, fresh[name])


def test_without_running_statistics_evaluation_uses_its_batch():
    layer, x = nn.BatchNorm(3, track_running_stats=False), batch(6, 3)
    assert not list(layer.buffers())
    assert list(layer.state_dict()) == ["weight", "bias"]
    expected = F.batch_norm(x, None, None, training=True).data
    np.testing.assert_array_equal(layer(x).data, expected)
    np.testing.assert_array_equal(layer.eval()(x).data, expected)
    layer.reset_running_stats()  # nothing to forget, and no error
    with pytest.raises(ValueError, match="one value for each feature"):
        layer(batch(1, 3))


def test_without_weight_and_bias():
    layer = nn.BatchNorm(3, affine=False).to(np.float64)
    assert not list(layer.parameters())
    assert list(layer.state_dict()) == ["running_mean", "running_var", "num_batches_tracked"]
    y = layer(batch(6, 3, dtype=np.float64)).data
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), 1, rtol=1e-4)


# ---- one value for each feature --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)], ids=str)
def test_one_value_is_an_error_that_changes_nothing(shape):
    layer = nn.BatchNorm(3)
    layer(batch(6, 3))
    before = layer.state_dict()
    with pytest.raises(ValueError, match="one value for each feature"):
        layer(batch(*shape))
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert np.isfinite(layer.eval()(batch(*shape)).data).all()  # in evaluation one is enough


def test_one_image_of_several_pixels_is_legal():
    y = nn.BatchNorm(3)(batch(1, 2, 2, 3)).data
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-6)


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"features": 0}, "features is 0"),
        ({"features": 3.0}, "features is 3.0"),
        ({"eps": -1e-5}, "eps is -1e-05"),
        ({"eps": float("nan")}, "eps is nan"),
        ({"momentum": 1.5}, "momentum is 1.5"),
        ({"momentum": -0.1}, "momentum is -0.1"),
    ],
)
def test_impossible_settings(settings, words):
    with pytest.raises(ValueError, match=f"BatchNorm: .*{words}"):
        nn.BatchNorm(**{"features": 3} | settings)


def test_the_wrong_number_of_features():
    layer = nn.BatchNorm(3)
    with pytest.raises(ValueError, match=r"x is \(6, 4\)"):
        layer(batch(6, 4))
    assert layer.num_batches_tracked == 0


def test_repr_tells_what_is_not_the_default():
    assert repr(nn.BatchNorm(3, affine=False)) == "BatchNorm(3, eps=1e-05, momentum=0.1, affine=False)"
    assert repr(nn.BatchNorm(3, momentum=None, track_running_stats=False)).startswith(
        "BatchNorm(3, eps=1e-05, momentum=None, track_running_stats=False)"
    )


# ---- statistics that cannot be written to ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["running_mean", "running_var", "num_batches_tracked"])
def test_statistics_that_are_read_only(place):
    """Refused in training, before any of the three has changed; evaluation only reads them."""
    model = nn.Sequential(nn.BatchNorm(3), nn.BatchNorm(3))
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    getattr(model[1], place).flags.writeable = False
    before = model.state_dict()
    for change in (lambda: model[1](Tensor(x)), model[1].reset_running_stats, lambda: update_bn([x], model)):
        with pytest.raises(ValueError, match=rf"BatchNorm: {place} is read-only; it must be a copy: norm.{place} ="):
            change()
        for name, array in model.state_dict().items():
            np.testing.assert_array_equal(array, before[name])
        assert model.training
    model.eval()(Tensor(x))
    setattr(model[1], place, getattr(model[1], place).copy())
    model.train()(Tensor(x))


# ---- without γ -------------------------------------------------------------------------------------------------------


def test_without_weight_the_bias_alone_is_learned():
    layer, plain = nn.BatchNorm(3, weight=False), nn.BatchNorm(3)
    assert layer.weight is None
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert list(layer.state_dict()) == ["bias", "running_mean", "running_var", "num_batches_tracked"]
    for one in (layer, plain):
        one.bias.data[:] = 1, 2, 3
        y = one(batch(6, 3))
        (y**3).sum().backward()
        one.eval()
    np.testing.assert_array_equal(layer.bias.grad, plain.bias.grad)
    np.testing.assert_array_equal(layer(batch(6, 3)).data, plain(batch(6, 3)).data)


def test_without_weight_a_state_goes_on_to_the_same_answers():
    layer, other = nn.BatchNorm(3, weight=False), nn.BatchNorm(3, weight=False)
    random_affine(layer)(batch(6, 3))
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.eval()(batch(6, 3)).data, layer.eval()(batch(6, 3)).data)
    with pytest.raises(ValueError, match="unexpected: weight"):
        other.load_state_dict(nn.BatchNorm(3).state_dict())


def test_without_affine_there_is_no_weight_either_way():
    for weight in (True, False):
        assert not list(nn.BatchNorm(3, affine=False, weight=weight).parameters())


def test_repr_without_weight():
    assert repr(nn.BatchNorm(3, weight=False)).startswith("BatchNorm(3, eps=1e-05, momentum=0.1, weight=False)")


@pytest.mark.parametrize("weight", [None, 0, "no", np.ones(3)])
def test_weight_is_a_switch(weight):
    with pytest.raises(ValueError, match=r"BatchNorm: weight is .*; it must be True or False"):
        nn.BatchNorm(3, weight=weight)
