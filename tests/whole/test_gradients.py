"""Every operation in `functional.__all__` passes the gradient check, in every mode it has; none can be left out.

The inputs make no gradient vanish by accident: at least five examples, random γ and β, a random cotangent (gradcheck
draws it), inputs away from the kinks of relu and max pooling.
"""

import numpy as np
import pytest

from minidl import CSR
from minidl import functional as F
from minidl.gradcheck import gradcheck


def cases_of_linear(rng):
    yield F.linear, [normal(rng, 6, 4), normal(rng, 4, 3), normal(rng, 3)]
    yield F.linear, [normal(rng, 5, 4), normal(rng, 4, 3)]
    yield F.linear, [normal(rng, 2, 3, 4), normal(rng, 4, 3), normal(rng, 3)]


def cases_of_conv2d(rng):
    x, weight, bias = normal(rng, 5, 6, 5, 2), normal(rng, 3, 2, 2, 3), normal(rng, 3)
    for options in ({}, {"padding": 1}, {"stride": 2, "padding": (2, 1)}, {"stride": (3, 1)}):
        yield with_options(F.conv2d, **options), [x, weight, bias]
        yield with_options(F.conv2d, **options), [x, weight]
    yield F.conv2d, [x, normal(rng, 1, 1, 2, 3), bias]


def cases_of_max_pool2d(rng):
    x = distinct(rng, 5, 6, 7, 2)
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": (2, 3), "stride": (3, 1)}):
        yield with_options(F.max_pool2d, **options), [x]


def cases_of_avg_pool2d(rng):
    x = normal(rng, 5, 6, 7, 2)
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": (2, 3), "stride": (3, 1)}):
        yield with_options(F.avg_pool2d, **options), [x]


def cases_of_global_avg_pool2d(rng):
    yield F.global_avg_pool2d, [normal(rng, 5, 3, 4, 2)]


def cases_of_batch_norm(rng):
    for shape in [(5, 3), (60, 4), (2, 3, 4, 3), (1, 2, 3, 3)]:
        channels = shape[-1]
        x, weight, bias = 2 * normal(rng, *shape) + 1, normal(rng, channels), normal(rng, channels)
        mean, var = normal(rng, channels), rng.uniform(0.5, 2, channels)

        def training(x, weight=None, bias=None):
            return F.batch_norm(x, None, None, weight, bias, training=True)

        def training_tracked(x, weight, bias, mean=mean, var=var):
            return F.batch_norm(x, mean.copy(), var.copy(), weight, bias, training=True)

        def evaluation(x, weight=None, bias=None, mean=mean, var=var):
            return F.batch_norm(x, mean, var, weight, bias)

        yield training_tracked, [x, weight, bias]
        for f in (training, evaluation):
            yield f, [x, weight, bias]
            yield f, [x, weight]
            yield f, [x]
        yield lambda x, bias, f=training: f(x, None, bias), [x, bias]


def cases_of_add_relu(rng):
    x = normal(rng, 6, 7)
    yield F.add_relu, [x, away_from_zero(rng, 6, 7) - x]


def cases_of_batch_norm_relu_max_pool2d(rng):
    x, weight, bias = distinct(rng, 5, 5, 6, 2), normal(rng, 2), normal(rng, 2)
    mean, var = normal(rng, 2), rng.uniform(0.5, 2, 2)
    for training in (True, False):

        def op(x, weight=None, bias=None, training=training):
            return F.batch_norm_relu_max_pool2d(x, mean.copy(), var.copy(), weight, bias, training)

        yield op, [x, weight, bias]
        yield op, [x, weight]


def cases_of_layer_norm(rng):
    for shape in [(6, 5), (2, 3, 7)]:
        yield F.layer_norm, [2 * normal(rng, *shape) + 1, normal(rng, shape[-1]), normal(rng, shape[-1])]


def cases_of_group_norm(rng):
    for groups, shape in [(2, (5, 4)), (1, (5, 2, 3, 4)), (2, (5, 2, 3, 4)), (4, (5, 2, 3, 4))]:
        x, weight, bias = 2 * normal(rng, *shape) + 1, normal(rng, 4), normal(rng, 4)
        for inputs in ([x, weight, bias], [x, weight], [x]):
            yield lambda *tensors, g=groups: F.group_norm(tensors[0], g, *tensors[1:], eps=1e-3), inputs
        yield lambda x, bias, g=groups: F.group_norm(x, g, None, bias), [x, bias]


def cases_of_group_norm_relu(rng):
    def op(x, weight, bias):
        return F.group_norm_relu(x, 2, weight, bias)

    yield op, [normal(rng, 5, 2, 3, 4), normal(rng, 4), normal(rng, 4)]


def cases_of_batch_renorm(rng):
    """With r and d at their limits, constants for the differences, too; `ops/test_renorm.py` has the others."""
    for shape in [(8, 3), (5, 2, 2, 3)]:
        x, weight, bias = 2 * normal(rng, *shape) + 1, normal(rng, 3), normal(rng, 3)
        mean, std = normal(rng, 3), rng.uniform(0.5, 2, 3)
        for limits in ((1.0, 0.0), (3.0, 0.5)):

            def training(x, weight=None, bias=None, mean=mean, std=std, limits=limits):
                return F.batch_renorm(x, mean + 100, std + 100, weight, bias, True, 0.1, 1e-3, *limits)

            yield training, [x, weight, bias]
            yield training, [x]
        yield lambda x, weight, bias, m=mean, s=std: F.batch_renorm(x, m, s, weight, bias), [x, weight, bias]


def cases_of_ghost_batch_norm(rng):
    for shape, size in [((15, 3), 5), ((13, 3), 4), ((7, 2, 3, 3), 3)]:
        x, weight, bias = 2 * normal(rng, *shape) + 1, normal(rng, 3), normal(rng, 3)

        def training(x, weight=None, bias=None, size=size):
            return F.ghost_batch_norm(x, size, None, None, weight, bias, training=True)

        yield training, [x, weight, bias]
        yield training, [x]
    mean, var = normal(rng, 3), rng.uniform(0.5, 2, 3)
    yield lambda x, weight, bias: F.ghost_batch_norm(x, 2, mean, var, weight, bias), [x, weight, bias]


def cases_of_conv_transpose2d(rng):
    x, weight, bias = normal(rng, 5, 3, 4, 2), normal(rng, 3, 2, 2, 3), normal(rng, 3)
    for options in ({}, {"padding": 1}, {"stride": 2, "output_padding": (1, 0)}, {"stride": (1, 3), "padding": (1, 0)}):
        yield with_options(F.conv_transpose2d, **options), [x, weight, bias]
        yield with_options(F.conv_transpose2d, **options), [x, weight]


def cases_of_interpolate(rng):
    x = normal(rng, 5, 3, 4, 2)
    for options in ({}, {"mode": "bilinear"}, {"mode": "bilinear", "align_corners": True}):
        for scale in (2, (1.5, 0.5)):
            yield with_options(F.interpolate, scale_factor=scale, **options), [x]


def cases_of_embedding(rng):
    numbers = rng.integers(0, 5, (4, 6))
    yield lambda weight: F.embedding(numbers, weight), [normal(rng, 6, 3)]
    yield lambda weight: F.embedding(numbers, weight, padding_idx=-1), [normal(rng, 6, 3)]


def cases_of_sparse_matmul(rng):
    graph = some_graph(rng)
    yield lambda values, x: F.sparse_matmul(graph, values, x), [normal(rng, graph.nnz), normal(rng, 5, 3)]
    yield lambda values, x: F.sparse_matmul(graph, values, x), [normal(rng, graph.nnz, 2), normal(rng, 5, 2, 3)]


def cases_of_edge_add(rng):
    graph = some_graph(rng)
    for more in ((), (2,)):
        yield lambda row, column: F.edge_add(graph, row, column), [normal(rng, 7, *more), normal(rng, 5, *more)]


def cases_of_edge_softmax(rng):
    graph = some_graph(rng)
    for more in ((), (2,)):
        yield lambda x: F.edge_softmax(graph, x), [2 * normal(rng, graph.nnz, *more)]


def cases_of_edge_sum(rng):
    graph = some_graph(rng)
    for more in ((), (2,), (2, 3)):
        yield lambda x: F.edge_sum(graph, x), [normal(rng, graph.nnz, *more)]


def cases_of_cross_entropy(rng):
    labels = rng.integers(0, 4, 6)
    for smoothing in (0.0, 0.1, 1.0):
        yield lambda x, s=smoothing: F.cross_entropy(x, labels, label_smoothing=s), [3 * normal(rng, 6, 4)]


def cases_of_mse_loss(rng):
    yield F.mse_loss, [normal(rng, 6, 4), normal(rng, 6, 4)]


def cases_of_dropout(rng):
    for p in (0.3, 0.8):
        yield lambda x, p=p: F.dropout(x, p, True, generator=np.random.default_rng(0)), [normal(rng, 20, 5)]
    yield lambda x: 1 * F.dropout(x, 0.5, False), [normal(rng, 20, 5)]


def cases_of_relu(rng):
    yield F.relu, [away_from_zero(rng, 6, 7)]


def cases_of_sigmoid(rng):
    yield F.sigmoid, [2 * normal(rng, 6, 7)]


def cases_of_tanh(rng):
    yield F.tanh, [2 * normal(rng, 6, 7)]


def cases_of_gelu(rng):
    yield F.gelu, [2 * normal(rng, 6, 7)]


def cases_of_silu(rng):
    yield F.silu, [3 * normal(rng, 6, 7)]


def cases_of_leaky_relu(rng):
    for slope in (0.01, 0.5, -0.3):
        yield with_options(F.leaky_relu, negative_slope=slope), [away_from_zero(rng, 6, 7)]


def cases_of_softmax(rng):
    yield F.softmax, [2 * normal(rng, 6, 5)]
    yield F.softmax, [2 * normal(rng, 2, 3, 5)]


def cases_of_log_softmax(rng):
    yield F.log_softmax, [2 * normal(rng, 6, 5)]
    yield F.log_softmax, [2 * normal(rng, 2, 3, 5)]


def cases_of_zca_whiten(rng):
    mixed = normal(rng, 12, 4) @ (np.eye(4) + 0.3 * normal(rng, 4, 4)) + 1
    yield with_options(F.zca_whiten, eps=0.0), [mixed]
    yield with_options(F.zca_whiten, eps=0.1), [mixed]
    yield with_options(F.zca_whiten, eps=0.1), [normal(rng, 5, 6)]  # a singular covariance
    yield with_options(F.zca_whiten, eps=0.1), [np.vstack([np.eye(3), -np.eye(3)])]  # equal eigenvalues


# --- inputs ----------------------------------------------------------------------------------------------------------


def normal(rng, *shape):
    return rng.standard_normal(shape)


def away_from_zero(rng, *shape):
    return rng.choice([-1, 1], shape) * rng.uniform(0.1, 2, shape)


def distinct(rng, *shape):
    """No two elements are nearer than 0.01, so a small step changes no maximum."""
    return 0.01 * rng.permutation(np.prod(shape)).reshape(shape)


def some_graph(rng):
    """7 nodes with edges from 5 others: one has none, one has one, one has the same edge twice."""
    rows, columns = rng.integers(0, 5, 12), rng.integers(0, 5, 12)
    return CSR.from_coo([*rows, 6, 3, 3], [*columns, 2, 1, 1], (7, 5))[0]


def with_options(op, **options):
    return lambda *tensors: op(*tensors, **options)


def cases_of(name):
    builder = globals().get(f"cases_of_{name}")
    assert builder, f"functional.{name} has no gradient check: write cases_of_{name} in this file"
    return list(builder(np.random.default_rng(0)))


@pytest.mark.parametrize("name", F.__all__)
def test_gradient(name):
    cases = cases_of(name)
    assert cases
    for f, arrays in cases:
        gradcheck(f, *arrays, generator=np.random.default_rng(1))


def test_every_check_belongs_to_an_operation():
    checked = {name.removeprefix("cases_of_") for name in globals() if name.startswith("cases_of_")}
    assert checked == set(F.__all__)
