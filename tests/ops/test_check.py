"""What operations ask of their tensors: one float type for all, whichever comes first."""

from itertools import product

import numpy as np
import pytest

from minidl import Tensor, cat, nn
from minidl import functional as F


def batch_norm(x, weight, bias, training=True):
    return F.batch_norm(x, np.zeros(3), np.ones(3), weight, bias, training)


OPERATIONS = {
    "linear": (F.linear, [(6, 4), (4, 3), (3,)]),
    "conv2d": (F.conv2d, [(1, 5, 5, 2), (3, 3, 2, 4), (4,)]),
    "batch_norm": (batch_norm, [(5, 3), (3,), (3,)]),
    "batch_norm, evaluation": (lambda *tensors: batch_norm(*tensors, training=False), [(5, 3), (3,), (3,)]),
    "batch_norm_relu_max_pool2d": (
        lambda x, weight, bias: F.batch_norm_relu_max_pool2d(x, None, None, weight, bias, True),
        [(2, 4, 4, 3), (3,), (3,)],
    ),
    "layer_norm": (F.layer_norm, [(5, 3), (3,), (3,)]),
    "group_norm": (lambda x, weight, bias: F.group_norm(x, 3, weight, bias), [(5, 3), (3,), (3,)]),
    "batch_renorm": (
        lambda *tensors: F.batch_renorm(tensors[0], np.zeros(3), np.ones(3), *tensors[1:], training=True),
        [(5, 3), (3,), (3,)],
    ),
    "ghost_batch_norm": (
        lambda *tensors: F.ghost_batch_norm(tensors[0], 2, None, None, *tensors[1:], training=True),
        [(5, 3), (3,), (3,)],
    ),
    "conv_transpose2d": (F.conv_transpose2d, [(1, 5, 5, 2), (3, 3, 2, 4), (4,)]),
    "mse_loss": (F.mse_loss, [(5, 3), (5, 3)]),
    "cat": (lambda *parts: cat(parts), [(2, 2), (2, 2), (2, 2)]),
    "add": (lambda a, b: a + b, [(2, 2), (2, 2)]),
    "sub": (lambda a, b: a - b, [(2, 2), (2, 2)]),
    "mul": (lambda a, b: a * b, [(2, 2), (2, 2)]),
    "div": (lambda a, b: a / b, [(2, 2), (2, 2)]),
    "pow": (lambda a, b: a**b, [(2, 2), (2, 2)]),
    "matmul": (lambda a, b: a @ b, [(2, 2), (2, 2)]),
}
MIXED = [
    (name, types)
    for name, (_, shapes) in OPERATIONS.items()
    for types in product((np.float32, np.float64), repeat=len(shapes))
    if len(set(types)) == 2
]


@pytest.mark.parametrize(("name", "types"), MIXED, ids=lambda value: value if isinstance(value, str) else "")
def test_two_float_types_are_refused_at_every_place(name, types):
    operation, shapes = OPERATIONS[name]
    tensors = [Tensor(np.ones(shape, dtype)) for shape, dtype in zip(shapes, types, strict=True)]
    with pytest.raises(TypeError, match=rf"{name.partition(',')[0]}: .*float.*; convert") as caught:
        operation(*tensors)
    assert len(str(caught.value)) < 200
    assert "float32" in str(caught.value)
    assert "float64" in str(caught.value)


def test_float64_data_in_a_float32_network():
    """What NumPy makes is float64, so this is the first mistake of many."""
    for layer, shape in [
        (nn.Linear(4, 3), (6, 4)),
        (nn.Conv2d(2, 3, 3), (1, 5, 5, 2)),
        (nn.BatchNorm(4), (6, 4)),
        (nn.LayerNorm(4), (6, 4)),
    ]:
        with pytest.raises(TypeError, match=r": x is float64 but \w+ is float32; convert one: x\.to\(np\.float32\)"):
            layer(Tensor(np.ones(shape)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_type_passes(dtype):
    for operation, shapes in OPERATIONS.values():
        assert operation(*[Tensor(np.ones(shape, dtype)) for shape in shapes]).dtype == dtype
