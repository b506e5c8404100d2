"""Networks that are their own mirror image: against training on both images, and against ties that are wrong."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab import mirror
from minidl.lab.mirror import Mirror, whiten
from minidl.lab.models import cifar_net
from tests.helpers import JIT

pytestmark = pytest.mark.skipif(not JIT, reason="takes minutes without compiled kernels")
WIDTHS = (8, 28, 28)  # fewer channels than come in, more, as many


def images(n=12, seed=0):
    """Brighter to the right, so that mirroring matters, with neighbours that are alike."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((n, 33, 33, 3))
    smooth = noise[:, 1:, 1:] + noise[:, :-1, 1:] + noise[:, 1:, :-1]
    return (smooth + np.linspace(-1, 1, 32)[:, None]).astype(np.float32)


def flipped(x):
    return np.ascontiguousarray(x[:, :, ::-1])


def tied(norm="batch", pool=3, widths=WIDTHS, pairs=None):
    """A network of random filters: those that pass channels on would make all that they pass on even."""
    rng = np.random.default_rng(0)
    model = cifar_net(widths, norm, 10, rng, pool)
    for layer in model:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, rng)
    right = whiten(model[0], images())
    return model, Mirror(model, right if pairs is None else pairs)


def loss(model, x):
    return F.cross_entropy(model(Tensor(x)), np.arange(len(x)) % 10)


def apart(model, x):
    """How far apart the answers to images and to their mirror images are, in units of what answers differ by."""
    a, b = (model(Tensor(each)).data for each in (x, flipped(x)))
    return np.abs(a - b).max() / a.std(0).max()


def train(model, ties, steps=3, lr=0.5):
    model.train()
    for step in range(steps):
        loss(model, images(seed=step)).backward()
        ties.average_gradients()
        for parameter in model.parameters():
            if parameter.grad is not None and parameter is not model[0].weight:
                parameter.data = parameter.data - np.float32(lr) * parameter.grad
            parameter.grad = None
        ties.average_weights()
    return model.eval()


# ---- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_mirror_images_get_the_same_answers_before_training_and_after(norm):
    model, ties = tied(norm)
    assert apart(model.eval(), images(seed=7)) < 1e-4
    before = model(Tensor(images(seed=7))).data
    assert apart(train(model, ties), images(seed=7)) < 1e-4
    assert np.abs(model(Tensor(images(seed=7))).data - before).max() > 0.01


def test_weights_are_their_own_mirror_images_to_the_bit():
    model, ties = tied()
    train(model, ties)
    incoming, *others = ties.pairs
    for layer in (each for each in list(model)[1:] if isinstance(each, nn.Conv2d | nn.BatchNorm | nn.Linear)):
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.data
            outgoing = others.pop(0)
            np.testing.assert_array_equal(outgoing[outgoing], np.arange(len(outgoing)))
            for a, b, i, o in np.ndindex(weight.shape):
                assert weight[a, b, i, o] == weight[a, 2 - b, incoming[i], outgoing[o]]
            incoming = outgoing
        elif isinstance(layer, nn.BatchNorm):
            for array in (layer.bias.data, layer.running_mean, layer.running_var):
                np.testing.assert_array_equal(array, array[incoming])
                assert len(np.unique(array)) == len(set(np.minimum(incoming, np.arange(len(array)))))
        else:
            np.testing.assert_array_equal(layer.weight.data, layer.weight.data[incoming])
    np.testing.assert_array_equal(model[0].bias.data, model[0].bias.data[ties.pairs[0]])
    assert np.any(model[0].bias.data)


def without_flips(tie, array):
    array = array[:, :, tie.incoming] if array.ndim == 4 else array
    return array[tie.incoming] if array.ndim == 2 else array[..., tie.outgoing]


def nothing(self):
    pass


WRONG = {
    "pooling that leaves a column out": ({"pool": 2}, {}),
    "gradients as they come": ({}, {(Mirror, "average_gradients"): nothing, (Mirror, "average_weights"): nothing}),
    "filters that are not flipped": ({}, {(mirror._Tie, "mirrored"): without_flips}),
    "statistics of images that were not mirrored": ({}, {(Mirror, "average_weights"): nothing}),
    "a first layer taken to be even": ({"pairs": np.arange(24)}, {}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_other_ties_do_not_keep_it(monkeypatch, wrong):
    options, replaced = WRONG[wrong]
    for place, function in replaced.items():
        monkeypatch.setattr(*place, function)
    assert apart(train(*tied(**options)), images(seed=7)) > 1e-2


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["group", "none"])
def test_gradients_are_those_of_an_image_and_its_mirror_image(norm):
    model, ties = tied(norm)
    x = images(seed=3)
    loss(model, x).backward()
    one = {name: p.grad for name, p in model.named_parameters()}
    ties.average_gradients()
    averaged = {name: p.grad for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = None
    ((loss(model, x) + loss(model, flipped(x))) * 0.5).backward()
    different = 0
    for name, parameter in model.named_parameters():
        if name == "0.weight":
            continue  # frozen by the recipe, so not tied
        size = np.abs(parameter.grad).max()
        np.testing.assert_allclose(averaged[name] / size, parameter.grad / size, atol=2e-4, err_msg=name)
        different += np.abs(one[name] - parameter.grad).max() > 0.01 * size
    assert different >= 7


# ---- the start -------------------------------------------------------------------------------------------------------


def test_the_first_of_a_pair_stays_as_it_was_drawn():
    drawn, model = (cifar_net((8, 60, 6), generator=np.random.default_rng(0), pool=3) for _ in range(2))
    ties = Mirror(model, whiten(model[0], images()))
    convs = [[layer for layer in each if isinstance(layer, nn.Conv2d)][1:] for each in (drawn, model)]
    changed = 0
    for a, b, pairs in zip(*convs, ties.pairs[1:], strict=True):
        first = pairs > np.arange(len(pairs))
        np.testing.assert_array_equal(a.weight.data[..., first], b.weight.data[..., first])
        changed += np.any(a.weight.data[..., pairs[first]] != b.weight.data[..., pairs[first]])
    assert changed >= 3  # others are the identity


def test_channels_are_passed_on_at_first():
    model = cifar_net((30, 30, 40), generator=np.random.default_rng(0), pool=3)
    ties = Mirror(model, whiten(model[0], images()))
    first, *pairs = ties.pairs
    assert [len(each) for each in pairs] == [30, 30, 30, 30, 40, 40]
    np.testing.assert_array_equal(pairs[0], [*first, 27, 28, 29, 24, 25, 26])
    np.testing.assert_array_equal(pairs[4], [*pairs[0], *range(35, 40), *range(30, 35)])
    for i in (2, 6, 9, 13, 16, 20):
        same = min(model[i].weight.shape[2:])
        identity = np.zeros((*model[i].weight.shape[:3], same))
        identity[1, 1, range(same), range(same)] = 1
        np.testing.assert_array_equal(model[i].weight.data[..., :same], identity)


def test_the_first_layer_whitens_images_and_their_mirror_images():
    model, ties = tied()
    both = np.concatenate((images(), flipped(images())))
    filters, pairs = model[0].weight.data, ties.pairs[0]
    np.testing.assert_array_equal(filters[:, ::-1][..., pairs], filters)
    np.testing.assert_array_equal(filters[..., 12:], -filters[..., :12])
    assert sorted(pairs) == list(range(24))
    assert np.mean(pairs == np.arange(24)) == 0.5  # the even ones
    plain = nn.Conv2d(3, 24, 2)
    nn.init.whitening_(plain.weight, both)
    expected, found = (w.data.reshape(12, 24)[:, :12].astype(float) for w in (plain.weight, model[0].weight))
    np.testing.assert_allclose(
        found @ found.T, expected @ expected.T, rtol=1e-3, atol=1e-3
    )  # the inverse of the covariance
    y = model[0](Tensor(both)).data[..., :12].reshape(-1, 12).astype(float)
    covariance = np.cov(y.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3


@pytest.mark.parametrize(
    "x", [np.zeros((4, 32, 32, 3), np.float32), np.ones((4, 32, 32, 3), np.float32)], ids=["0", "1"]
)
def test_images_without_anything_in_them_have_even_and_odd_filters_too(x):
    """All eigenvalues are equal, and a solver's eigenvectors neither even nor odd."""
    layer = nn.Conv2d(3, 24, 2)
    pairs = whiten(layer, x)
    filters = layer.weight.data
    np.testing.assert_array_equal(filters[:, ::-1][..., pairs], filters)
    flat = filters.reshape(12, 24)[:, :12].astype(float)
    np.testing.assert_allclose(flat @ flat.T * 5e-4, np.eye(12), atol=1e-5)


# ---- errors ----------------------------------------------------------------------------------------------------------


def test_a_filter_without_a_partner():
    with pytest.raises(ValueError, match="a convolution makes 31 channels from 24, and 7 of them come in pairs; make"):
        tied(widths=(31, 31, 31))


def test_groups_that_cut_pairs_apart():
    with pytest.raises(
        ValueError, match="the 2 groups of a norm cut pairs of channels apart; use one group, or batch norm"
    ):
        tied("group", widths=(32, 32, 32))
