"""Folding batch norm away: the same answers without it, or a refusal."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab.models import cifar_conv, mnist_conv, paper_mlp
from minidl.nn import fold_batch_norm
from tests.helpers import DTYPES, JIT, assert_close


def lived(model, *shape, dtype=np.float64):
    """The model with random γ, β and running statistics, as if it had been trained on inputs of this shape."""
    model.to(dtype)
    rng = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm):
            for parameter in module.parameters():
                parameter.data[...] = rng.uniform(-2, 2, parameter.shape)
    for _ in range(3):
        model(Tensor((2 * rng.standard_normal(shape) + 1).astype(dtype)))
    return model


def assert_folds(model, *shape, dtype=np.float64):
    """The folded network answers as the model does in evaluation, has no batch norm, and the model is untouched."""
    lived(model, *shape, dtype=dtype)
    before, training = model.state_dict(), [module.training for module in model.modules()]
    folded = fold_batch_norm(model)
    assert not any(isinstance(module, nn.BatchNorm) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm) for module in model.modules())
    assert training == [module.training for module in model.modules()]
    x = Tensor(np.random.default_rng(1).standard_normal(shape).astype(dtype))
    answers = model.eval()(x).data
    assert_close(folded(x).data, answers, dtype)
    for parameter in folded.parameters():
        parameter.data[...] = 7  # nothing is shared with the model
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    return folded


class Custom(nn.Module):
    """A forward of its own, around Sequentials in attributes and in a list; a residual connection."""

    def __init__(self):
        self.stem = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm(5))
        self.blocks = [nn.Sequential(nn.Linear(5, 5, bias=False), nn.BatchNorm(5), nn.Tanh()), nn.ReLU()]
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.blocks[1](x + self.blocks[0](x)))


# ---- what folds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"weight": False}], ids=str)
def test_linear(settings, bias, dtype):
    model = nn.Sequential(nn.Linear(5, 4, bias=bias), nn.BatchNorm(4, eps=1e-3, **settings), nn.Sigmoid())
    folded = assert_folds(model, 9, 5, dtype=dtype)
    assert isinstance(folded[1], nn.Identity)
    assert folded[0].bias.dtype == folded[0].weight.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("stride", "padding", "bias"), [(1, 0, True), (1, 2, False), ((1, 2), (0, 1), True)])
def test_conv2d_with_padding(stride, padding, bias, dtype):
    conv = nn.Conv2d(2, 3, (3, 2), stride, padding, bias=bias)
    folded = assert_folds(nn.Sequential(conv, nn.BatchNorm(3)), 4, 5, 6, 2, dtype=dtype)
    assert (folded[0].stride, folded[0].padding) == (stride, padding)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Sequential(nn.Linear(5, 5)), nn.BatchNorm(5)),
        nn.Sequential(nn.Linear(5, 5), nn.Sequential(nn.BatchNorm(5), nn.ReLU()), nn.Linear(5, 5), nn.BatchNorm(5)),
        nn.Sequential(nn.Sequential(nn.Sequential(nn.Linear(5, 5)), nn.Sequential(nn.BatchNorm(5)))),
        nn.Sequential(nn.Linear(5, 5), nn.Identity(), nn.BatchNorm(5)),
        nn.Sequential(nn.Linear(5, 5), nn.BatchNorm(5), nn.BatchNorm(5)),
        nn.Sequential(nn.Linear(5, 5), nn.BatchNorm(5), Custom(), nn.Linear(2, 3), nn.BatchNorm(3)),
        Custom(),
    ],
    ids=["nested", "inside the next", "twice nested", "identity between", "one after another", "around", "custom"],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nested(model, dtype):
    assert_folds(model, 9, 5, dtype=dtype)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_sequential_that_holds_its_layers_in_a_list(kind):
    class Stack(nn.Sequential):
        def __init__(self):
            self.layers = kind([nn.Linear(5, 4), nn.BatchNorm(4), nn.ReLU()])

    assert_folds(Stack(), 9, 5)


def test_layers_with_tied_weights_fold_separately():
    model = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm(5), nn.Linear(5, 5), nn.BatchNorm(5), nn.Linear(5, 5))
    model[2].weight = model[4].weight = model[0].weight
    assert_folds(model, 9, 5)


def test_subclasses_that_compute_the_same():
    class Named(nn.Linear):
        pass

    assert_folds(nn.Sequential(Named(5, 4), nn.BatchNorm(4)), 9, 5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_papers_network(dtype):
    assert_folds(paper_mlp(sizes=(20, 10, 10, 10)), 30, 20, dtype=dtype)


@pytest.mark.skipif(not JIT, reason="a network of this size takes minutes without compiled kernels")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_convolutional_network(dtype):
    assert_folds(mnist_conv(), 5, 28, 28, 1, dtype=dtype)


def test_a_network_without_batch_norm_is_copied():
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU())
    folded, x = fold_batch_norm(model), Tensor(np.ones((2, 5), np.float32))
    assert folded is not model
    assert folded[0] is not model[0]
    assert not folded.training
    assert model.training
    np.testing.assert_array_equal(folded(x).data, model(x).data)


def test_names_of_other_layers_stay():
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm(4), nn.ReLU(), nn.Linear(4, 3))
    assert [name for name, _ in fold_batch_norm(model).named_parameters()] == [
        "0.weight", "0.bias", "3.weight", "3.bias",
    ]  # fmt: skip


# ---- what does not ---------------------------------------------------------------------------------------------------


class BatchNormInForward(nn.Module):
    def __init__(self):
        self.linear, self.norm = nn.Linear(5, 5), nn.BatchNorm(5)

    def forward(self, x):
        return self.norm(self.linear(x) ** 2)


class FirstInForward(nn.Module):
    def __init__(self):
        self.linear, self.rest = nn.Linear(5, 5), nn.Sequential(nn.BatchNorm(5), nn.ReLU())

    def forward(self, x):
        return self.rest(self.linear(x) ** 2)


class OtherLinear(nn.Linear):
    def forward(self, x):
        return super().forward(x) ** 2


class OtherNorm(nn.BatchNorm):
    def forward(self, x):
        return super().forward(x) ** 2


def shared_linear():
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.BatchNorm(5), nn.ReLU(), layer)


def shared_norm():
    norm = nn.BatchNorm(5)
    return nn.Sequential(nn.Linear(5, 5), norm, nn.Linear(5, 5), norm)


def shared_block():
    block = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm(5))
    return nn.Sequential(block, nn.ReLU(), block)


def shared_with_a_custom_module():
    custom = Custom()
    return nn.Sequential(custom.head, nn.BatchNorm(2), nn.Linear(2, 5), custom)


REFUSED = {
    "a batch norm alone": (nn.BatchNorm(5), "single batch norm"),
    "batch norm first": (nn.Sequential(nn.BatchNorm(5), nn.Linear(5, 5)), "before 0 comes no layer"),
    "after ReLU": (nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.BatchNorm(5)), "before 2 comes ReLU"),
    "after dropout": (nn.Sequential(nn.Linear(5, 5), nn.Dropout(), nn.BatchNorm(5)), "before 2 comes Dropout"),
    "after layer norm": (nn.Sequential(nn.LayerNorm(5), nn.BatchNorm(5)), "before 1 comes LayerNorm"),
    "after pooling": (
        nn.Sequential(nn.Conv2d(1, 5, 3), nn.MaxPool2d(2), nn.BatchNorm(5)), "before 2 comes MaxPool2d",
    ),
    "after average pooling": (
        nn.Sequential(nn.Conv2d(1, 5, 3), nn.AvgPool2d(2), nn.BatchNorm(5)), "before 2 comes AvgPool2d",
    ),
    "after flattening": (
        nn.Sequential(nn.Conv2d(1, 5, 3), nn.Flatten(), nn.BatchNorm(5)), "before 2 comes Flatten",
    ),
    "after a custom module": (nn.Sequential(Custom(), nn.BatchNorm(2)), "before 1 comes no layer"),
    "after a custom layer": (nn.Sequential(OtherLinear(5, 5), nn.BatchNorm(5)), "before 1 comes OtherLinear"),
    "a custom batch norm": (nn.Sequential(nn.Linear(5, 5), OtherNorm(5)), "1 is a OtherNorm with a forward of its own"),
    "in a custom forward": (BatchNormInForward(), "norm is applied by the forward of BatchNormInForward"),
    "nested custom forward": (nn.Sequential(nn.Linear(5, 5), BatchNormInForward()), "1.norm is applied by the forward"),
    "first in a custom module's part": (FirstInForward(), "before rest.0 comes no layer"),
    "linear shared": (shared_linear(), "3 is the same layer as 0"),
    "norm shared": (shared_norm(), "3 is the same layer as 1"),
    "block shared": (shared_block(), "2 is the same layer as 0"),
    "shared with a custom module": (shared_with_a_custom_module(), "3.head is the same layer as 0"),
    "no running statistics": (
        nn.Sequential(nn.Linear(5, 5), nn.BatchNorm(5, track_running_stats=False)), "1 has no running statistics",
    ),
    "features that do not fit": (nn.Sequential(nn.Linear(5, 4), nn.BatchNorm(5)), "1 has 5 features, 4 come before"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    model, words = REFUSED[case]
    before = model.state_dict()
    with pytest.raises(ValueError, match=f"fold_batch_norm: .*{words}"):
        fold_batch_norm(model)
    assert any(isinstance(module, nn.BatchNorm) for module in model.modules())
    assert model.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_largest_network_cannot_be_folded():
    """It pools between convolution and batch norm."""
    with pytest.raises(ValueError, match="before 4 comes MaxPool2d"):
        fold_batch_norm(cifar_conv())
