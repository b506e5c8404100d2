"""Layers that came after the paper: their operation with parameters or settings of its own; states, texts, first weights."""

import copy

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.nn import init
from tests.helpers import DTYPES
from tests.nn.test_layers import array, assert_is


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 2, 6)], ids=str)
def test_group_norm(shape, affine):
    layer = nn.GroupNorm(3, 6, eps=0.1, affine=affine)
    if affine:
        np.testing.assert_array_equal(layer.weight.data, np.ones(6))
        np.testing.assert_array_equal(layer.bias.data, np.zeros(6))
        layer.weight.data, layer.bias.data = array(2, 6, seed=1)
    assert list(layer.state_dict()) == (["weight", "bias"] if affine else [])
    for mode in (True, False):
        layer.train(mode)
        assert_is(layer, lambda x: F.group_norm(x, 3, layer.weight, layer.bias, 0.1), array(*shape))


@pytest.mark.parametrize("layer", [nn.GroupNorm(3, 6), nn.GroupNorm(3, 6, affine=False)], ids=repr)
def test_group_norm_knows_its_channels(layer):
    with pytest.raises(ValueError, match=r"GroupNorm: x is \(5, 3\); its last size must be 6"):
        layer(Tensor(array(5, 3)))


def test_activations():
    for shape in [(7,), (2, 3, 4, 2)]:
        assert_is(nn.SiLU(), F.silu, array(*shape))
        assert_is(nn.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2), array(*shape))
    assert nn.LeakyReLU().negative_slope == 0.01


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_upsample(mode):
    assert_is(nn.Upsample((2, 1.5), mode), lambda x: F.interpolate(x, (2, 1.5), mode), array(2, 3, 4, 2))
    assert_is(nn.Upsample(2, "bilinear", True), lambda x: F.interpolate(x, 2, "bilinear", True), array(2, 3, 4, 2))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [(3, 2, 1, 1), ((2, 3), (2, 1), 0, (1, 0)), ([2, 2], 2)], ids=str)
def test_conv_transpose2d(options, bias):
    layer = nn.ConvTranspose2d(2, 3, *options, bias=bias)
    size = (options[0], options[0]) if isinstance(options[0], int) else tuple(options[0])
    assert layer.weight.shape == (*size, 2, 3)
    assert list(layer.state_dict()) == (["weight", "bias"] if bias else ["weight"])
    assert_is(layer, lambda x: F.conv_transpose2d(x, layer.weight, layer.bias, *options[1:]), array(2, 3, 4, 2))


@pytest.mark.parametrize("padding", [None, 0, -1])
def test_embedding(padding):
    layer = nn.Embedding(7, 4, padding_idx=padding, generator=np.random.default_rng(0))
    numbers = np.array([[0, 6, 2], [2, 0, 2]])
    assert list(layer.state_dict()) == ["weight"]
    assert layer.padding_idx == (None if padding is None else padding % 7)
    y = layer(Tensor(numbers))
    np.testing.assert_array_equal(y.data, layer.weight.data[numbers])
    y.backward(np.ones(y.shape))
    counts = np.bincount(numbers.ravel(), minlength=7)
    if padding is not None:
        counts[padding] = 0
        assert not layer.weight.data[padding].any()
    np.testing.assert_array_equal(layer.weight.grad, counts[:, None] * np.ones((1, 4)))


# ---- batch renormalization, ghost batches ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_renorm(dtype):
    layer = nn.BatchRenorm(3, 1e-3, 0.2, r_max=2.0, d_max=1.0, warmup=0, r_steps=0, d_steps=0).to(dtype)
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_std", "num_batches_tracked"]
    mean, std = layer.running_mean.copy(), layer.running_std.copy()
    for step in range(3):
        x = 2 * array(6, 3, seed=step, dtype=dtype) + 1
        y = layer(Tensor(x)).data
        expected = F.batch_renorm(Tensor(x), mean, std, layer.weight, layer.bias, True, 0.2, 1e-3, 2.0, 1.0).data
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(layer.running_mean, mean)
        np.testing.assert_array_equal(layer.running_std, std)
    assert layer.num_batches_tracked == 3
    layer.eval()
    np.testing.assert_array_equal(
        layer(Tensor(x)).data, F.batch_renorm(Tensor(x), mean, std, layer.weight, layer.bias, eps=1e-3).data
    )
    assert layer.num_batches_tracked == 3
    layer.reset_running_stats()
    assert not layer.running_mean.any()
    assert (layer.running_std == 1).all()
    assert layer.num_batches_tracked == 0


def limits_at(layer, step):
    layer.num_batches_tracked[...] = step
    layer(Tensor(array(6, 3)))
    return [float(limit) for limit in layer._limits]


def test_the_limits_follow_the_schedule_of_the_paper():
    """Batch norm for 5,000 steps; r_max = 3 at 40,000 and d_max = 5 at 25,000."""
    layer = nn.BatchRenorm(3)
    assert limits_at(layer, 0) == limits_at(layer, 5_000) == [1, 0]
    np.testing.assert_allclose(limits_at(layer, 15_000), [1 + 2 * 10 / 35, 2.5])
    np.testing.assert_allclose(limits_at(layer, 25_000), [1 + 2 * 20 / 35, 5])
    assert limits_at(layer, 40_000) == limits_at(layer, 10**9) == [3, 5]


def test_a_schedule_that_is_over_at_once():
    layer = nn.BatchRenorm(3, warmup=2, r_steps=2, d_steps=2)
    assert [limits_at(layer, step) for step in (1, 2)] == [[1, 0], [3, 5]]


def test_a_refused_batch_is_not_counted():
    for layer in (nn.BatchRenorm(3), nn.GhostBatchNorm(3, 2)):
        before = layer.state_dict()
        with pytest.raises(ValueError, match="one value for each feature"):
            layer(Tensor(array(1, 3)))
        assert all(np.array_equal(before[name], value) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("name", ["running_mean", "running_std", "num_batches_tracked"])
def test_statistics_that_cannot_be_written_to(name):
    layer = nn.BatchRenorm(3)
    getattr(layer, name).flags.writeable = False
    before = layer.state_dict()
    with pytest.raises(ValueError, match=f"BatchRenorm: {name} is read-only; it must be a copy"):
        layer(Tensor(array(5, 3)))
    assert all(np.array_equal(before[n], value) for n, value in layer.state_dict().items())


def test_batch_renorm_converges_to_what_evaluation_gives():
    """The point of the paper: once statistics have settled, training and evaluation compute the same."""
    layer = nn.BatchRenorm(3, momentum=0.1, warmup=0, r_steps=0, d_steps=0)
    x = Tensor(array(40, 3))
    for _ in range(200):
        y = layer(x).data
    np.testing.assert_allclose(layer.eval()(x).data, y, atol=1e-5)


def test_ghost_batch_norm():
    layer = nn.GhostBatchNorm(3, 2, momentum=0.3)
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(layer.state_dict()) == names == list(nn.BatchNorm(3).state_dict())
    mean, var = np.zeros(3, np.float32), np.ones(3, np.float32)
    x = Tensor(array(7, 3))
    expected = F.ghost_batch_norm(x, 2, mean, var, layer.weight, layer.bias, True, 0.3).data
    np.testing.assert_array_equal(layer(x).data, expected)
    np.testing.assert_array_equal(layer.running_mean, mean)
    np.testing.assert_array_equal(layer.running_var, var)
    assert layer.num_batches_tracked == 1
    plain = nn.BatchNorm(3).eval()
    plain.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(layer.eval()(x).data, plain(x).data)


def test_ghost_batch_norm_without_momentum_averages_all_parts_alike():
    layer = nn.GhostBatchNorm(3, 4, momentum=None)
    batches = [array(12, 3) for _ in range(5)]
    for batch in batches:
        layer(Tensor(batch))
    parts = np.array(batches, np.float64).reshape(15, 4, 3)
    np.testing.assert_allclose(layer.running_mean, parts.mean((0, 1)), atol=1e-6)
    np.testing.assert_allclose(layer.running_var, parts.var(1, ddof=1).mean(0), rtol=1e-5)
    assert layer.num_batches_tracked == 5


# ---- fusing and folding ------------------------------------------------------------------------------------------------


def with_groups():
    generator = np.random.default_rng(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, generator=generator), nn.GroupNorm(2, 4), nn.ReLU(), nn.GroupNorm(4, 4, affine=False), nn.ReLU(),
        nn.GroupNorm(1, 4), nn.SiLU(),
    )  # fmt: skip


def test_group_norm_and_relu_are_fused_to_the_same_bits():
    model = with_groups()
    fused = nn.fuse(model)
    kinds = [type(layer).__name__ for layer in fused]
    assert kinds == ["Conv2d", "GroupNormReLU", "Identity", "GroupNormReLU", "Identity", "GroupNorm", "SiLU"]
    assert [id(p) for p in fused.parameters()] == [id(p) for p in model.parameters()]
    assert fused.state_dict().keys() == model.state_dict().keys()
    x, results = array(3, 6, 5, 2), []
    for net in (model, fused):
        net.zero_grad()
        y = net(Tensor(x))
        y.backward(array(*y.shape, seed=4))
        results.append([y.data.tobytes(), *(p.grad.tobytes() for p in net.parameters())])
    assert results[0] == results[1]
    assert fused[1](Tensor(array(2, 3, 3, 4), requires_grad=True)).op == "group_norm_relu"


def test_group_norm_is_not_fused_when_somebody_looks_between():
    model = with_groups()
    model[1].register_forward_hook(lambda module, inputs, output: None)
    assert [type(layer).__name__ for layer in nn.fuse(model)][1:3] == ["GroupNorm", "ReLU"]


@pytest.mark.parametrize("norm", [nn.GhostBatchNorm(4, 2), nn.BatchRenorm(4, warmup=0, r_steps=0, d_steps=0)], ids=repr)
@pytest.mark.parametrize("before", [nn.Linear(3, 4), nn.ConvTranspose2d(3, 4, 2, 2), nn.Conv2d(3, 4, 1)], ids=repr)
def test_relatives_of_batch_norm_fold_away(before, norm):
    norm = copy.deepcopy(norm)
    norm.weight.data, norm.bias.data = array(2, 4, seed=1)
    model, x = nn.Sequential(before, norm).to(np.float64), array(5, 2, 2, 3, dtype=np.float64)
    for _ in range(3):
        model(Tensor(x))
    folded = nn.fold_batch_norm(model)
    assert [type(layer) for layer in folded] == [type(before), nn.Identity]
    np.testing.assert_allclose(folded(Tensor(x)).data, model.eval()(Tensor(x)).data, rtol=1e-10, atol=1e-10)


# ---- first weights, texts, errors ----------------------------------------------------------------------------------------


def test_first_weights():
    """Embedding: standard normal. Transposed convolution: uniform within 1/√(kh·kw·O), as in PyTorch."""
    values = nn.Embedding(300, 40, generator=np.random.default_rng(0)).weight.data
    assert abs(values.mean()) < 0.05
    assert abs(values.std() - 1) < 0.03
    layer, bound = nn.ConvTranspose2d(50, 30, (2, 4), generator=np.random.default_rng(0)), 1 / np.sqrt(240)
    for parameter in (layer.weight, layer.bias):
        assert 0.9 * bound < np.abs(parameter.data).max() <= bound
    assert abs(layer.weight.data.std() / (bound / np.sqrt(3)) - 1) < 0.03


def test_fans_of_a_transposed_convolution():
    layer = nn.ConvTranspose2d(50, 30, (2, 4))
    std = init.kaiming_normal_(layer.weight, np.random.default_rng(0)).data.std()
    assert abs(std / np.sqrt(2 / (2 * 4 * 50)) - 1) < 0.03  # fan_in = kh·kw·C


def test_first_weights_come_from_the_passed_generator():
    for make in (lambda g: nn.Embedding(5, 3, generator=g), lambda g: nn.ConvTranspose2d(2, 3, 2, generator=g)):
        first, again, other = (make(np.random.default_rng(seed)).weight.data for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert np.any(first != other)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True)"),
        (nn.GroupNorm(4, 4, 0.1, False), "GroupNorm(4, 4, eps=0.1, affine=False)"),
        (nn.BatchRenorm(3), "BatchRenorm(3, eps=1e-05, momentum=0.01, r_max=3.0, d_max=5.0)"),
        (nn.GhostBatchNorm(3, 4), "GhostBatchNorm(3, ghost_size=4, eps=1e-05, momentum=0.1)"),
        (nn.SiLU(), "SiLU()"),
        (nn.LeakyReLU(), "LeakyReLU(negative_slope=0.01)"),
        (nn.Embedding(5, 3), "Embedding(5, 3)"),
        (nn.Embedding(5, 3, padding_idx=-1), "Embedding(5, 3, padding_idx=4)"),
        (
            nn.ConvTranspose2d(1, 2, 3, 2, 1, 1),
            "ConvTranspose2d(1, 2, kernel_size=(3, 3), stride=2, padding=1, output_padding=1, bias=True)",
        ),
        (nn.Upsample(2), "Upsample(scale_factor=2, mode='nearest')"),
        (nn.Upsample(2, "bilinear", True), "Upsample(scale_factor=2, mode='bilinear', align_corners=True)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_repr(layer, text):
    assert repr(layer).startswith(text)
