"""The reference networks: their structure, their first weights, and equal weights whatever the norm."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab.models import cifar_conv, cifar_net, mnist_conv, paper_mlp, resnet8
from minidl.lab.photos import made_up
from minidl.replay import Replay
from tests.helpers import JIT

compiled = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
NETWORKS = {
    "paper_mlp": (paper_mlp, (784,)),
    "paper_mlp none": (lambda **options: paper_mlp("none", **options), (784,)),
    "mnist_conv": (mnist_conv, (28, 28, 1)),
    "mnist_conv none": (lambda **options: mnist_conv("none", **options), (28, 28, 1)),
    "cifar_conv": (cifar_conv, (32, 32, 3)),
    "resnet8": (resnet8, (32, 32, 3)),
}
NARROW = (6, 30, 30)  # the first group has fewer channels than go into it


def rng(seed=0):
    return np.random.default_rng(seed)


def kinds(model):
    return [type(layer).__name__ for layer in model]


def weighted(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def count(model):
    return sum(p.data.size for p in model.parameters())


def test_paper_mlp_is_the_network_of_figure_1():
    assert kinds(paper_mlp()) == [*["Linear", "BatchNorm", "Sigmoid"] * 3, "Linear"]
    assert kinds(paper_mlp("none")) == [*["Linear", "Sigmoid"] * 3, "Linear"]
    sizes = [(784, 100), (100, 100), (100, 100), (100, 10)]
    for norm in ("batch", "none"):
        assert [layer.weight.shape for layer in weighted(paper_mlp(norm))] == sizes
        biases = [layer.bias is not None for layer in weighted(paper_mlp(norm))]
        assert biases == [norm == "none"] * 3 + [True]  # β takes the place of a bias, except in the last layer
    weights = sum(a * b for a, b in sizes)
    assert count(paper_mlp("none")) == weights + 3 * 100 + 10
    assert count(paper_mlp()) == weights + 3 * 200 + 10


def test_paper_mlp_of_other_sizes():
    model = paper_mlp(sizes=(5, 4, 3))
    assert kinds(model) == ["Linear", "BatchNorm", "Sigmoid", "Linear"]
    assert model(Tensor(np.ones((2, 5), np.float32))).shape == (2, 3)


def test_mnist_conv():
    block = ["Conv2d", "BatchNorm", "ReLU", "MaxPool2d"]
    assert kinds(mnist_conv()) == [*block * 2, "Flatten", "Linear", "BatchNorm", "ReLU", "Linear"]
    assert count(mnist_conv("none")) == 9 * 32 + 32 + 9 * 32 * 64 + 64 + 3136 * 128 + 128 + 1290
    assert count(mnist_conv()) == count(mnist_conv("none")) + 32 + 64 + 128


def test_cifar_conv():
    group = ["Conv2d", "MaxPool2d", "BatchNorm", "GELU", "Conv2d", "BatchNorm", "GELU"]
    assert kinds(cifar_conv()) == ["Conv2d", "GELU", *group * 3, "MaxPool2d", "Flatten", "Linear", "Scale"]
    assert repr(cifar_conv()[-1]) == "Scale(0.1111)"
    np.testing.assert_allclose(cifar_conv()[-1](Tensor(np.float32([9, 18]))).data, [1, 2])


def test_cifar_net():
    assert kinds(cifar_net()) == kinds(cifar_conv())
    plain = [kind for kind in kinds(cifar_net()) if kind != "BatchNorm"]
    assert kinds(cifar_net(norm="none")) == plain
    assert [w.weight.shape for w in weighted(cifar_net((64, 128, 128), classes=100))] == [
        (2, 2, 3, 24), (3, 3, 24, 64), (3, 3, 64, 64), (3, 3, 64, 128), (3, 3, 128, 128), (3, 3, 128, 128),
        (3, 3, 128, 128), (128, 100),
    ]  # fmt: skip
    assert [layer.bias is not None for layer in weighted(cifar_net())] == [True, *[False] * 7]
    assert [layer.bias is not None for layer in weighted(cifar_net(norm="none"))] == [*[True] * 7, False]
    norms = [m for m in cifar_net().modules() if isinstance(m, nn.BatchNorm)]
    assert len(norms) == 6
    assert all((m.weight, m.eps, m.momentum) == (None, 1e-12, 0.4) for m in norms)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_cifar_net_passes_channels_on_and_draws_the_rest(norm):
    for layer in weighted(cifar_net(NARROW, norm, generator=rng()))[1:-1]:
        weight = layer.weight.data
        same = min(weight.shape[2:])
        identity = np.zeros((*weight.shape[:3], same))
        identity[1, 1, range(same), range(same)] = 1
        np.testing.assert_array_equal(weight[..., :same], identity)
        drawn, bound = weight[..., same:], np.sqrt((6 if norm == "none" else 1) / np.prod(weight.shape[:-1]))
        if drawn.size:
            assert 0.9 * bound < np.abs(drawn).max() <= bound
            assert abs(drawn.std() * np.sqrt(3) / bound - 1) < 0.1


def test_cifar_net_draws_the_same_numbers_whatever_the_norm():
    a, b = (weighted(cifar_net(NARROW, norm, generator=rng(3)))[-1].weight.data for norm in ("batch", "none"))
    np.testing.assert_allclose(a * np.sqrt(6), b, rtol=1e-6)
    c = weighted(cifar_net(NARROW, generator=rng(4)))[-1].weight.data
    assert np.any(a != c)


@pytest.mark.parametrize("name", ["paper_mlp", "paper_mlp none"])
def test_a_batch_goes_through_a_perceptron_and_back(name):
    assert_trains(name)


@compiled
@pytest.mark.parametrize("name", ["mnist_conv", "mnist_conv none", "cifar_conv"])
def test_a_batch_goes_through_a_convolutional_network_and_back(name):
    assert_trains(name)


def assert_trains(name):
    make, shape = NETWORKS[name]
    model, x = make(generator=rng()), rng(1).standard_normal((5, *shape)).astype(np.float32)
    logits = model(Tensor(x))
    assert logits.shape == (5, 10)
    assert logits.dtype == np.float32
    F.cross_entropy(logits, np.arange(5)).backward()
    for parameter_name, parameter in model.named_parameters():
        assert np.any(parameter.grad != 0), parameter_name
        assert parameter.grad.dtype == np.float32


# ---- first weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("std", [0.01, 0.1])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_paper_mlp_starts_normal_with_the_given_std(norm, std):
    for layer in weighted(paper_mlp(norm, std, generator=rng())):
        values = layer.weight.data
        assert abs(values.std() / std - 1) < 5 / np.sqrt(2 * values.size)
        assert abs(values.mean()) < 5 * std / np.sqrt(values.size)


@pytest.mark.parametrize("make", [mnist_conv, cifar_conv])
def test_convolutional_networks_start_as_he_says(make):
    for layer in weighted(make(generator=rng())):
        values = layer.weight.data
        fan_in = np.prod(values.shape[:-1])
        assert abs(values.std() / np.sqrt(2 / fan_in) - 1) < 5 / np.sqrt(2 * values.size)


@pytest.mark.parametrize("name", NETWORKS)
def test_biases_start_at_zero_and_batch_norms_as_the_identity(name):
    model = NETWORKS[name][0]()
    for layer in weighted(model):
        assert layer.bias is None or not layer.bias.data.any()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm):
            assert np.all(layer.weight.data == 1)
            assert not layer.bias.data.any()


@pytest.mark.parametrize("seed_with", ["generator", "manual_seed"])
@pytest.mark.parametrize("make", [paper_mlp, mnist_conv])
def test_equal_seeds_give_equal_weights_whatever_the_norm(make, seed_with):
    models = []
    for norm in ("batch", "none"):
        minidl.manual_seed(5)
        models.append(make(norm, generator=rng(5)) if seed_with == "generator" else make(norm))
    for a, b in zip(*map(weighted, models), strict=True):
        np.testing.assert_array_equal(a.weight.data, b.weight.data)
        assert a.weight.data.std() > 0


@pytest.mark.parametrize("name", NETWORKS)
def test_the_generator_decides(name):
    make = NETWORKS[name][0]
    state = minidl.default_generator().bit_generator.state
    first, again, other = (weighted(make(generator=rng(seed))) for seed in (1, 1, 2))
    assert minidl.default_generator().bit_generator.state == state  # one that is passed is the only one used
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.weight.data, b.weight.data)
        assert np.any(a.weight.data != c.weight.data)


@compiled
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_batch_goes_through_cifar_net_and_back(norm):
    model = cifar_net((4, 4, 4), norm, 7, rng())
    logits = model(Tensor(rng(1).standard_normal((5, 32, 32, 3)).astype(np.float32)))
    assert logits.shape == (5, 7)
    F.cross_entropy(logits, np.arange(5)).backward()
    assert all(np.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("make", [paper_mlp, mnist_conv])
def test_unknown_norms(make):
    with pytest.raises(ValueError, match='norm is \'layer\'; it must be "batch" or "none"'):
        make("layer")


def test_another_norm_and_activation_take_their_places():
    model = paper_mlp(nn.LayerNorm, activation=nn.ReLU)
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Linear", "LayerNorm", "ReLU"] * 3 + ["Linear"]
    assert model[0].bias is None


def trained(model, step, make_optimizer, steps=12):
    """Losses of a network on made-up photographs, in batches of 32, and its state after them."""
    images, labels = made_up(64, 1).train
    x = (images.astype(np.float32) - 128) / 64
    optimizer, losses = make_optimizer(model.parameters()), []
    for i in range(steps):
        batch = np.s_[:32] if i % 2 else np.s_[32:]
        optimizer.zero_grad()
        losses.append(step(x[batch], labels[batch]))
        optimizer.step()
    return losses, model.state_dict()


@compiled
@pytest.mark.parametrize(
    "make_optimizer",
    [lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), lambda p: optim.Adam(p, lr=0.01),
     lambda p: optim.AdamW(p, lr=0.01)],
    ids=["SGD", "Adam", "AdamW"],
)  # fmt: skip
def test_resnet8_trains_fused_and_replayed_to_the_same_bits(make_optimizer):
    def eager(x, y):
        loss = F.cross_entropy(plain(Tensor(x)), y)
        loss.backward()
        return loss.item()

    plain = resnet8(generator=rng())
    losses, state = trained(plain, eager, make_optimizer)
    assert losses[-1] < 0.5 * losses[0]
    model = resnet8(generator=rng())
    replay = Replay(nn.fuse(model))
    again, fused_state = trained(model, replay, make_optimizer)
    assert replay.why_not is None
    assert again == losses
    assert all(np.array_equal(fused_state[name], array) for name, array in state.items())
    assert repr(nn.fuse(model)).count("ResidualReLU") == 3
