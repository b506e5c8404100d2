"""Networks with a forward of their own, to and from PyTorch: residual blocks, and orders that only a trace can tell."""

import copy

import numpy as np
import pytest

from minidl import Tensor, cat, exchange, nn
from minidl import functional as F
from tests.exchange.architectures import torch
from tests.exchange.test_torch import assert_agree
from tests.helpers import JIT

ours_only = pytest.mark.skipif(not JIT, reason="sizes are tried in plain Python")


# ---- residual blocks, as in torchvision -------------------------------------------------------------------------------


class TheirBlock(torch.nn.Module):
    def __init__(self, c, out, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(c, out, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(out)
        self.relu = torch.nn.ReLU()
        self.conv2 = torch.nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(out)
        self.downsample = None
        if stride > 1 or c != out:
            norm = torch.nn.BatchNorm2d(out)
            self.downsample = torch.nn.Sequential(torch.nn.Conv2d(c, out, 1, stride, bias=False), norm)

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(x + shortcut)


class TheirResNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 4, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(4)
        self.layer1 = torch.nn.Sequential(TheirBlock(4, 4, 1), TheirBlock(4, 4, 1))
        self.layer2 = torch.nn.Sequential(TheirBlock(4, 6, 2))
        self.avgpool, self.fc = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Linear(6, 3)

    def forward(self, x):
        x = self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class OurBlock(nn.Module):
    def __init__(self, c, out, stride):
        self.conv1, self.bn1 = nn.Conv2d(c, out, 3, stride, 1, bias=False), nn.BatchNorm(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm(out)
        self.downsample = None
        if stride > 1 or c != out:
            self.downsample = nn.Sequential(nn.Conv2d(c, out, 1, stride, bias=False), nn.BatchNorm(out))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(x + shortcut)


class OurResNet(nn.Module):
    def __init__(self):
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm(4)
        self.layer1 = nn.Sequential(OurBlock(4, 4, 1), OurBlock(4, 4, 1))
        self.layer2 = nn.Sequential(OurBlock(4, 6, 2))
        self.avgpool, self.fc = nn.GlobalAvgPool2d(), nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(self.avgpool(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))))


def images(*shape, batch=12):
    return np.random.default_rng(2).standard_normal((batch, *shape)).astype(np.float32)


def test_residual_blocks():
    torch.manual_seed(0)
    assert_agree(TheirResNet(), OurResNet(), images(8, 6, 3))


# ---- where features are in another order ------------------------------------------------------------------------------


class Theirs(torch.nn.Module):
    """Two convolutions whose flattened results are joined and normalised; a vector is scaled, and becomes an image again."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(2, 3, 3), torch.nn.Conv2d(2, 4, 3, 2)
        self.norm = torch.nn.BatchNorm1d(3 * 6 + 4 * 2)
        self.scale = torch.nn.Parameter(torch.rand(3 * 6 + 4 * 2))
        self.hidden = torch.nn.Linear(3 * 6 + 4 * 2, 2 * 2 * 3)
        self.hidden_norm = torch.nn.LayerNorm(2 * 2 * 3)
        self.last = torch.nn.Conv2d(3, 3, 2)

    def forward(self, x):
        x = torch.cat([self.first(x).flatten(1), torch.tanh(self.second(x)).flatten(1)], 1)
        x = self.hidden_norm(self.hidden(torch.relu(self.norm(x)) * self.scale + x))
        return self.last(x.view(len(x), 3, 2, 2)).flatten(1)


class Ours(nn.Module):
    def __init__(self):
        self.first, self.second = nn.Conv2d(2, 3, 3), nn.Conv2d(2, 4, 3, 2)
        self.norm = nn.BatchNorm(3 * 6 + 4 * 2)
        self.scale = nn.Parameter(np.ones(3 * 6 + 4 * 2, np.float32))
        self.hidden = nn.Linear(3 * 6 + 4 * 2, 2 * 2 * 3)
        self.hidden_norm = nn.LayerNorm(2 * 2 * 3)
        self.last = nn.Conv2d(3, 3, 2)

    def forward(self, x):
        n = len(x)
        x = cat([self.first(x).reshape(n, -1), F.tanh(self.second(x)).reshape(n, -1)], 1)
        x = self.hidden_norm(self.hidden(F.relu(self.norm(x)) * self.scale + x))
        return self.last(x.reshape(n, 2, 2, 3)).reshape(n, -1)


def random_vectors(theirs):
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    return theirs


def test_joined_normalised_scaled_and_unflattened():
    torch.manual_seed(1)
    assert_agree(random_vectors(Theirs()), Ours(), images(5, 4, 2), example=images(5, 4, 2, batch=1))


class Flattening(nn.Module):
    """A convolution, and a linear layer on what `flatten` makes of it."""

    def __init__(self, flatten, channels=3, out=3 * 12):
        self.conv, self.fc, self.flatten = nn.Conv2d(2, channels, 3), nn.Linear(out, 3), flatten

    def forward(self, x):
        return self.fc(self.flatten(self.conv(x)))


class TheirFlattening(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(36, 3)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


def plain(x):
    return x.reshape(len(x), -1)


@ours_only
def test_the_size_of_an_image_is_found_by_trying():
    """Of a square one; 36 features of 3 channels are no square, and an example is asked for."""
    with pytest.raises(ValueError, match=r"takes no square images of those that were tried.*pass example, a batch"):
        exchange.torch.state_dict(Flattening(plain))
    theirs = TheirFlattening()
    theirs.fc = torch.nn.Linear(27, 3)
    ours = Flattening(plain, out=27)
    assert_agree(theirs, ours, images(5, 5, 2))


def test_with_an_example_of_another_size():
    assert_agree(TheirFlattening(), Flattening(plain), images(6, 5, 2), example=(images(8, 4, 2, batch=2),))


def test_who_permutes_by_hand_has_the_order_already():
    permuted = Flattening(lambda x: plain(F.relu(x.permute(0, 3, 1, 2)) * 1.0))
    theirs = TheirFlattening()
    theirs.forward = lambda x: theirs.fc(torch.relu(theirs.conv(x)).flatten(1))
    assert_agree_in_evaluation(theirs, permuted, images(6, 5, 2))


def assert_agree_in_evaluation(theirs, ours, x):
    exchange.torch.load_state_dict(ours, theirs.state_dict(), example=x)
    expected = theirs(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).detach().numpy()
    np.testing.assert_allclose(ours(Tensor(x)).data, expected, rtol=0, atol=1e-5)


LOST = {
    "reversed": (lambda x: plain(x)[:, ::-1], "getitem"),
    "another axis first": (lambda x: plain(x.permute(0, 2, 1, 3)), "permuted by"),
    "in two": (lambda x: plain(x).reshape(len(x), 6, 6).reshape(len(x), 36), "reshape"),
    "turned": (lambda x: plain(x).T.T, "permute"),
    "two orders": (lambda x: plain(x) + plain(x.permute(0, 3, 1, 2)), "add.*two orders meet"),
}


@pytest.mark.parametrize("name", LOST)
def test_what_cannot_be_followed_is_refused(name):
    flatten, why = LOST[name]
    model = Flattening(flatten)
    before = model.state_dict()
    theirs = exchange.torch.state_dict(Flattening(plain), example=images(6, 5, 2))
    with pytest.raises(ValueError, match=f"cannot be followed through .*{why}"):
        exchange.torch.load_state_dict(model, theirs, example=images(6, 5, 2))
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_reduction_loses_the_order_and_that_is_well():
    model = Flattening(lambda x: plain(x) - plain(x).mean(1, keepdim=True) + plain(x).sum(0) * plain(x)[:, :])
    theirs = TheirFlattening()

    def forward(x):
        x = theirs.conv(x).flatten(1)
        return theirs.fc(x - x.mean(1, keepdim=True) + x.sum(0) * x)

    theirs.forward = forward
    assert_agree_in_evaluation(theirs, model, images(6, 5, 2))


def test_colours_that_come_straight_into_a_flatten():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 5))
    theirs = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 5))
    with pytest.raises(ValueError, match="may be colour images of 8×8; pass example"):
        exchange.torch.load_state_dict(model, theirs.state_dict())
    assert_agree_in_evaluation(theirs, model, images(8, 8, 3))
    grey = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 5))
    np.testing.assert_array_equal(exchange.torch.state_dict(grey)["1.weight"], grey[1].weight.data.T)


def test_neither_the_network_nor_its_mode_changes():
    model = OurResNet()
    model.layer1.eval()
    seen = []
    model.fc.register_forward_hook(lambda *_: seen.append(1))
    before = copy.deepcopy(model.state_dict())
    exchange.torch.state_dict(model, example=images(8, 8, 3))
    assert model.training
    assert not model.layer1.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
