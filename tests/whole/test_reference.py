"""The naive reference agrees with PyTorch, so that both can be trusted to judge minidl."""

import numpy as np
import pytest

from tests import reference, reference_layers
from tests.helpers import golden

FAMILIES = ("linear", "conv2d", "pool", "activation", "loss", "layer_norm")
RESULTS = ("y", "grad_y", "grad_x", "grad_weight", "grad_bias", "grad_logits", "grad_target")


def arguments(case):
    """What the reference takes: arrays as they are, numbers and pairs of numbers as Python's."""
    options = ("stride", "padding", "kernel_size", "eps", "label_smoothing")
    inputs = {name: value for name, value in case.items() if name not in RESULTS}
    return {
        name: value if name not in options else value.tolist() if value.ndim == 0 else tuple(value.tolist())
        for name, value in inputs.items()
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_agrees_with_pytorch(family):
    for name, case in golden(family).items():
        op = getattr(reference, name.split("-")[0] if family in ("pool", "activation", "loss") else family)
        np.testing.assert_allclose(op(**arguments(case)), case["y"], rtol=1e-10, atol=1e-11, err_msg=name)


def test_batch_norm_agrees_with_pytorch():
    for name, case in golden("batch_norm").items():
        names = ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
        y, mean, var = reference.batch_norm(case["x"], *[case.get(n) for n in names])
        np.testing.assert_allclose(y, case["y"], rtol=1e-10, atol=1e-11, err_msg=name)
        if "running_mean" in case:
            np.testing.assert_allclose(mean, case["new_running_mean"], rtol=1e-12, err_msg=name)
            np.testing.assert_allclose(var, case["new_running_var"], rtol=1e-12, err_msg=name)


def test_max_pool_gradient_agrees_with_pytorch():
    for name, case in golden("pool", "max_pool2d").items():
        kernel, stride = tuple(case["kernel_size"]), tuple(case["stride"]) if "stride" in case else None
        grad_x = reference.max_pool2d_grad(case["x"], case["grad_y"], kernel, stride)
        np.testing.assert_allclose(grad_x, case["grad_x"], rtol=1e-12, err_msg=name)


# golden family → its inputs and options, as the reference names them
OPTIONS = ("stride", "padding", "output_padding", "scale_factor")
LAYERS = {
    "group_norm": ("x", "num_groups", "weight", "bias", "eps"),
    "rectifiers": ("x", "negative_slope"),
    "embedding": ("input", "weight"),
    "conv_transpose2d": ("x", "weight", "bias", "stride", "padding", "output_padding"),
    "interpolate": ("x", "scale_factor", "align_corners"),
}


@pytest.mark.parametrize("family", LAYERS)
def test_layers_agree_with_pytorch(family):
    for name, case in golden(family).items():
        given = {key: case[key] for key in LAYERS[family] if key in case}
        given |= {key: tuple(value.tolist()) for key, value in given.items() if value.shape == (2,) and key in OPTIONS}
        if family == "interpolate":
            given["mode"] = name.split("-")[0]
        op = getattr(reference, name.split("-")[0]) if family == "rectifiers" else getattr(reference_layers, family)
        np.testing.assert_allclose(op(**given), case["y"], rtol=1e-10, atol=1e-11, err_msg=name)


def test_relatives_of_batch_norm_agree_with_pytorch():
    for name, case in golden("batch_renorm").items():
        options = ("running_mean", "running_std", "weight", "bias", "momentum", "eps", "r_max", "d_max")
        y, mean, std = reference_layers.batch_renorm(case["x"], *[case.get(option) for option in options])
        for found, expected in ((y, "y"), (mean, "new_running_mean"), (std, "new_running_std")):
            np.testing.assert_allclose(found, case[expected], rtol=1e-10, atol=1e-11, err_msg=name)
    for name, case in golden("ghost_batch_norm").items():
        options = ("running_mean", "running_var", "weight", "bias", "momentum")
        y, mean, var = reference_layers.ghost_batch_norm(
            case["x"], int(case["ghost_size"]), *[case[option] for option in options]
        )
        for found, expected in ((y, "y"), (mean, "new_running_mean"), (var, "new_running_var")):
            np.testing.assert_allclose(found, case[expected], rtol=1e-10, atol=1e-11, err_msg=name)
