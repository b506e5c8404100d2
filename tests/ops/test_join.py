"""Joining tensors: against NumPy, in every dimension, and with the gradient of each part."""

import numpy as np
import pytest

from minidl import Tensor, cat
from minidl.kernels.jit import CHUNK

SHAPES = {
    "columns": ([(3, 2), (3, 5), (3, 1)], 1),
    "rows, of one run": ([(2, 3), (4, 3)], 0),
    "features of images": ([(2, 3, 4, 5), (2, 3, 4, 1), (2, 3, 4, 6)], -1),
    "in the middle": ([(2, 3, 4), (2, 1, 4)], -2),
    "runs longer than a chunk": ([(3, CHUNK + 5), (3, 2 * CHUNK - 1)], 1),
    "more rows than a chunk has numbers": ([(CHUNK + 1, 2), (CHUNK + 1, 3)], 1),
    "one that is empty": ([(3, 0), (3, 2)], 1),
    "none but empty ones": ([(0, 3), (0, 3)], 0),
    "a single one": ([(4, 3)], 0),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("name", SHAPES)
def test_joins_as_numpy_does(name, dtype):
    shapes, dim = SHAPES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 9, shape).astype(dtype) for shape in shapes]
    joined = cat([Tensor(array) for array in arrays], dim)
    wanted = np.concatenate(arrays, dim)
    assert joined.dtype == wanted.dtype
    assert joined.shape == wanted.shape
    assert (joined.data == wanted).all()


@pytest.mark.parametrize("name", SHAPES)
def test_hands_each_part_its_own_gradient(name):
    shapes, dim = SHAPES[name]
    rng = np.random.default_rng(1)
    parts = [Tensor(rng.standard_normal(shape), requires_grad=i != 1) for i, shape in enumerate(shapes)]
    joined = cat(parts, dim)
    if not joined.requires_grad:
        return
    upstream = rng.standard_normal(joined.shape)
    joined.backward(upstream)
    ends = np.cumsum([shape[dim] for shape in shapes])[:-1]
    for part, wanted in zip(parts, np.split(upstream, ends, dim), strict=True):
        if part.requires_grad:
            assert part.grad.shape == part.shape
            assert (part.grad == wanted).all()
        else:
            assert part.grad is None


def test_joins_what_is_not_contiguous():
    table = np.arange(12.0).reshape(3, 4)
    turned, backwards = Tensor(table).permute(1, 0), Tensor(table[:, ::-1].T)
    upstream = np.asfortranarray(np.arange(24.0).reshape(4, 6))
    tensor = Tensor(table, requires_grad=True)
    assert (cat([turned, backwards], 1).data == np.concatenate([table.T, table[:, ::-1].T], 1)).all()
    cat([tensor.permute(1, 0), backwards], 1).backward(upstream)
    assert (tensor.grad == upstream[:, :3].T).all()


def test_a_part_that_occurs_twice_gets_the_sum():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    cat([x, x], 0).backward(np.arange(12.0).reshape(4, 3))
    assert (x.grad == np.arange(6.0).reshape(2, 3) * 2 + 6).all()
