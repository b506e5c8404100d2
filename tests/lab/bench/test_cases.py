"""Cases: the same parameters as minidl's models, and work that a loop over the definition counts too."""

import itertools
import json

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.lab import models
from minidl.lab.bench import cases
from minidl.lab.bench.worker import make_arrays

MODELS = {"mlp": models.paper_mlp, "mnist_conv": models.mnist_conv, "cifar_conv": models.cifar_conv}


@pytest.mark.parametrize("name", cases.NETWORKS)
def test_a_network_has_the_parameters_of_the_model(name):
    arrays = cases.network(name).arrays
    described = {key: shape for key, (shape, *_) in arrays.items() if key not in ("x", "labels")}
    assert described == {key: p.shape for key, p in MODELS[name]().named_parameters()}


@pytest.mark.parametrize(("name", "batch"), [("mlp", 60), ("mnist_conv", 128), ("cifar_conv", 128)])
def test_the_reference_batches(name, batch):
    assert cases.network(name).arrays["x"][0][0] == batch


@pytest.mark.parametrize("name", cases.NETWORKS)
def test_the_layers_of_a_network_are_those_that_the_model_runs(name):
    """Each operation's input is as large as what reaches the layer in its place."""
    model, batch = MODELS[name](), 4
    x, seen = Tensor(make_arrays(cases.network(name, batch).message())["x"]), []
    for layer in model:
        if not isinstance(layer, nn.Flatten | models.Scale):
            seen.append((type(layer).__name__.lower().removesuffix("2d"), x.shape))
        x = layer(x)
    described = [
        (op.name.replace("_", "").removesuffix("2d"), op.arrays["x"][0]) for op in cases.steps_operations(name, batch)
    ]
    assert described == [*seen, ("crossentropy", (batch, 10))]


def test_momentum_is_for_the_convolutional_networks():
    assert [cases.network(name).options["momentum"] for name in cases.NETWORKS] == [0, 0.9, 0.9]


def test_flops_of_a_convolution_are_those_of_its_loops():
    n, size, c, o, kernel, padding = 2, 5, 3, 4, 3, 1
    count = 0
    for _ in itertools.product(range(n), range(size), range(size), range(o), range(kernel), range(kernel), range(c)):
        count += 2  # a multiplication and an addition
    assert cases.conv2d(n, size, c, o, kernel, padding, backward=False).flops == count
    assert cases.conv2d(n, size, c, o, kernel, padding).flops == 3 * count
    assert cases.conv2d(n, size, c, o, kernel, padding, input_gradient=False).flops == 2 * count
    assert cases.conv2d(n, size, c, o, kernel, 0, backward=False).flops == count * 9 // 25  # 3×3 positions of 5×5


def test_flops_of_products():
    assert cases.matmul(10).flops == 2000
    assert cases.linear(4, 5, 6).flops == 3 * 2 * 4 * 5 * 6


def test_bytes_count_each_array_once_for_each_use():
    x, w, y = 4 * 5, 5 * 6, 4 * 6
    assert cases.linear(4, 5, 6, backward=False).bytes == 4 * (x + w + y)
    assert cases.linear(4, 5, 6).bytes == 4 * ((x + w + y) + (y + x + w) + (x + w))
    assert cases.linear(4, 5, 6, input_gradient=False).bytes == 4 * ((x + w + y) + (y + x + w))
    assert cases.activation("relu", 10, backward=False).bytes == 4 * 20
    assert cases.activation("relu", 10).bytes == 4 * 50
    assert cases.batch_norm(10, 2, backward=False).bytes == 4 * 60
    assert cases.copy(10).bytes == 80


@pytest.mark.parametrize(("size", "kernel", "stride"), [(6, 2, 2), (6, 3, 1), (7, 3, 2)])
def test_flops_of_an_average_are_those_of_its_loops(size, kernel, stride):
    out, forward, backward = (size - kernel) // stride + 1, 0, 0
    for _ in itertools.product(range(out), repeat=2):
        forward, backward = forward + 1, backward + 1  # a division each
        for _ in itertools.product(range(kernel), repeat=2):
            forward += 1
            backward += stride < kernel  # what overlaps is added; else it is written
    case = cases.avg_pool2d(1, size, 1, kernel, stride)
    assert cases.avg_pool2d(1, size, 1, kernel, stride, backward=False).flops == forward
    assert case.flops == forward + backward


def test_an_inception_module_is_the_sum_of_its_operations():
    case = cases.inception(2, 8, 8, 4)
    products = (
        8 * 4 + 8 * 2 + 9 * 2 * 4 + 8 * 2 + 9 * 2 * 2 + 9 * 2 * 4 + 8 * 4
    )  # for each place, were all of them 8 × 8
    activations = 2 * (4 + 2 + 4 + 2 + 2 + 4 + 4) * 2 * 64
    assert case.flops == 3 * 2 * 2 * 64 * products + activations + cases.avg_pool2d(2, 8, 8, 3, 1).flops
    assert set(case.arrays) == {"x", "single", "before", "three", "first", "double", "last", "pooled"}
    assert cases.inception(2, 8, 8, 4, backward=False).flops < case.flops / 2


def test_a_training_step_is_the_sum_of_its_operations():
    parts = cases.steps_operations("mnist_conv", 8)
    assert cases.network("mnist_conv", 8).flops == sum(part.flops for part in parts)
    first = next(part for part in parts if part.name == "conv2d")
    assert first.options["constant"] == ["x"]  # the images need no gradient
    assert cases.network("mnist_conv", 16).flops == pytest.approx(2 * cases.network("mnist_conv", 8).flops)


@pytest.mark.parametrize("quick", [False, True])
def test_operations_have_labels_of_their_own_and_every_kind(quick):
    everything = cases.operations(quick=quick)
    labels = [case.label for case in everything]
    assert len(labels) == len(set(labels))
    assert {case.name for case in everything} == set(cases.OPERATIONS)
    assert {case.name for case in cases.operations(["gelu", "linear"], quick)} == {"gelu", "linear"}
    assert all(case.flops > 0 and case.bytes > 0 for case in everything)


def test_every_operation_of_the_networks_is_timed_alone():
    labels = {case.label for case in cases.operations()}
    for name in cases.NETWORKS:
        assert {case.label for case in cases.steps_operations(name, cases.REFERENCE_BATCH[name])} <= labels


def test_a_message_is_plain_json_and_gives_equal_arrays_everywhere():
    case = cases.network("mlp", 4)
    there = make_arrays(json.loads(json.dumps(case.message())))
    here = make_arrays(case.message())
    assert set(here) == set(there) == set(case.arrays)
    for name, array in here.items():
        np.testing.assert_array_equal(array, there[name])
    assert here["x"].dtype == np.float32
    assert here["labels"].max() < 10
    assert not np.array_equal(here["0.weight"][:100], here["3.weight"])
    assert abs(here["1.weight"].mean() - 1) < 0.1
    assert here["1.weight"].std() > 0.05  # γ away from 1, or its gradient would be checked with it
    assert make_arrays(cases.network("mlp", 4, "float64").message())["x"].dtype == np.float64
