"""Stacks of sigmoids, and what passes through them: forward the differences between images, backward the gradient."""

import numpy as np

from minidl import functional as F
from minidl import nn
from minidl.lab.models import paper_mlp
from minidl.tensor import Tensor

__all__ = ["EDGES", "prepare", "sigmoid_stack", "signals"]

EDGES = np.linspace(0, 1, 41)  # of the bins in which `signals` counts outputs


def prepare(images: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Turn images (N, 28, 28) into rows (N, 784): minus the mean image of `like`, over the spread of all its pixels.

    After it, the variance of a pixel from image to image is 1, as a mean over the pixels.
    """
    rows, base = (a.reshape(len(a), -1).astype(np.float32) / 255 for a in (images, like))
    return (rows - base.mean(0)) / np.sqrt(base.var(0).mean())


def sigmoid_stack(
    depth: int, gain: float = 1.0, *, norm: str = "none", centred: bool = False, width: int = 100, seed: int = 0
) -> nn.Sequential:
    """Build a network of `depth` hidden layers of sigmoids whose weights have the standard deviation gain / √fan_in.

    The first layer and the last have gain 1: the first is fed with images, whose variance `prepare` makes 1.
    centred     biases of −½·Σ_i w_ij, which make a sigmoid's output of ½ count as nothing in the next layer
    norm        "none", or "batch" for batch norm before each sigmoid, whose layers come without biases
    Shape       (N, 784) → (N, 10)
    Errors      ValueError for no layers, and for biases of layers that have none
    """
    if depth < 1 or (centred and norm != "none"):
        raise ValueError(
            f"sigmoid_stack: depth is {depth}, norm {norm!r}, centred {centred}; there must be a layer, and only those "
            'of norm "none" have biases to centre'
        )
    generator = np.random.default_rng(seed)
    model = paper_mlp(norm, 1.0, (784, *[width] * depth, 10), generator)
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    for i, layer in enumerate(layers):
        layer.weight.data *= np.float32((gain if 0 < i < depth else 1) / np.sqrt(len(layer.weight)))
        if centred and 0 < i < depth and layer.bias is not None:
            layer.bias.data[...] = -layer.weight.data.sum(0) / 2
    return model


def signals(model: nn.Sequential, x: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Measure what reaches each sigmoid of a network, in float64; the network is left as it was.

    Each is one number a layer, (depth,), but for the counts:
    "size"       root mean square of the sigmoids' outputs
    "signal"     standard deviation from image to image of what goes into a sigmoid (root mean square over the units)
    "saturated"  fraction of outputs whose slope is below a tenth of the steepest
    "gradient"   root mean square of ∂loss/∂(what goes into a sigmoid), for a loss that is the sum over the images
    "counts"     how many outputs lie between two of EDGES, (depth, bins)
    """
    state, inputs, outputs = model.state_dict(), [], []
    model.to("float64")
    h = Tensor(x.astype(np.float64))
    for layer in model:
        if isinstance(layer, nn.Sigmoid):
            h.retain_grad()
            inputs.append(h)
        h = layer(h)
        if isinstance(layer, nn.Sigmoid):
            outputs.append(h.data)
    (F.cross_entropy(h, labels) * float(len(x))).backward()
    found = {
        "size": [_rms(y) for y in outputs],
        "signal": [_rms(h.data - h.data.mean(0)) for h in inputs],
        "saturated": [(y * (1 - y) < 0.025).mean() for y in outputs],
        "gradient": [_rms(h.grad) for h in inputs],
        "counts": [np.histogram(y, EDGES)[0] for y in outputs],
    }
    model.to("float32").load_state_dict(state)
    return {name: np.array(values) for name, values in found.items()}


def _rms(x):
    return np.sqrt(np.square(x).mean())
