"""Networks of random layers, twice: of PyTorch's modules and of minidl's, with inputs for both."""

import numpy as np
import pytest

from minidl import nn

torch = pytest.importorskip("torch")

__all__ = ["as_tensors", "channels_first", "pair", "torch"]

ACTIVATIONS = [
    (torch.nn.ReLU, nn.ReLU),
    (torch.nn.Sigmoid, nn.Sigmoid),
    (torch.nn.Tanh, nn.Tanh),
    (torch.nn.GELU, nn.GELU),
]


def channels_first(x):
    """Images (N, H, W, C) as (N, C, H, W); vectors as they are."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x


def as_tensors(state):
    """A state of arrays as PyTorch's `load_state_dict` takes it."""
    return {name: torch.from_numpy(array) for name, array in state.items()}


def norm_options(rng):
    """The same settings of batch norm for both, all kinds."""
    options = {"eps": float(rng.choice([1e-5, 1e-3])), "momentum": rng.choice([0.1, 0.3, None])}
    options["affine"], options["track_running_stats"] = bool(rng.random() < 0.8), bool(rng.random() < 0.9)
    return options


def conv(rng, c, h, w):
    kernel = tuple(int(k) for k in rng.integers(1, 4, 2))
    settings = {"stride": int(rng.integers(1, 3)), "padding": tuple(int(p) for p in rng.integers(0, 2, 2))}
    settings["bias"], out = bool(rng.random() < 0.6), int(rng.integers(2, 6))
    sizes = [
        (n + 2 * p - k) // settings["stride"] + 1 for n, k, p in zip((h, w), kernel, settings["padding"], strict=True)
    ]
    if min(sizes) < 1:
        return conv(rng, c, h, w)
    return torch.nn.Conv2d(c, out, kernel, **settings), nn.Conv2d(c, out, kernel, **settings), (out, *sizes)


def image_layer(rng, c, h, w):
    kind = rng.choice(["conv", "conv", "norm", "activation", "pool", "nested", "identity"])
    if kind == "conv":
        return conv(rng, c, h, w)
    if kind == "norm":
        options = norm_options(rng)
        return torch.nn.BatchNorm2d(c, **options), nn.BatchNorm(c, **options), (c, h, w)
    if kind == "pool" and min(h, w) >= 2:
        theirs, ours = [(torch.nn.MaxPool2d, nn.MaxPool2d), (torch.nn.AvgPool2d, nn.AvgPool2d)][rng.integers(2)]
        return theirs(2), ours(2), (c, h // 2, w // 2)
    if kind == "nested":
        first, second = conv(rng, c, h, w), (torch.nn.ReLU(), nn.ReLU())
        return torch.nn.Sequential(first[0], second[0]), nn.Sequential(first[1], second[1]), first[2]
    if kind == "identity":
        return torch.nn.Identity(), nn.Identity(), (c, h, w)
    theirs, ours = ACTIVATIONS[rng.integers(4)]
    return theirs(), ours(), (c, h, w)


def vector_layer(rng, n):
    kind = rng.choice(["linear", "norm", "layer norm", "activation"])
    if kind == "norm":
        options = norm_options(rng)
        return torch.nn.BatchNorm1d(n, **options), nn.BatchNorm(n, **options), n
    if kind == "layer norm":
        return torch.nn.LayerNorm(n), nn.LayerNorm(n), n
    if kind == "activation":
        theirs, ours = ACTIVATIONS[rng.integers(4)]
        return theirs(), ours(), n
    out, bias = int(rng.integers(2, 9)), bool(rng.random() < 0.7)
    return torch.nn.Linear(n, out, bias=bias), nn.Linear(n, out, bias=bias), out


def pair(seed, batch=16):
    """(theirs, ours, a batch for ours): three of four begin with images, most of which are flattened."""
    torch.manual_seed(seed)  # it draws the weights
    rng, layers = np.random.default_rng(seed), []
    if seed % 4 == 3:
        n = int(rng.integers(3, 12))
        x = rng.standard_normal((batch, n))
    else:
        c, h, w = int(rng.integers(1, 4)), int(rng.integers(6, 10)), int(rng.integers(6, 10))
        x = rng.standard_normal((batch, h, w, c))
        layers.append(conv(rng, c, h, w))
        for _ in range(rng.integers(2, 6)):
            layers.append(image_layer(rng, *layers[-1][2]))
        c, h, w = layers[-1][2]
        if rng.random() < 0.2:
            both = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
            layers.append((both, nn.GlobalAvgPool2d(), c))
        else:
            layers.append((torch.nn.Flatten(), nn.Flatten(), c * h * w))
        n = layers[-1][2]
    for _ in range(rng.integers(0, 4)):
        layers.append(vector_layer(rng, n))
        n = layers[-1][2]
    layers.append((torch.nn.Linear(n, 3), nn.Linear(n, 3), 3))
    theirs = torch.nn.Sequential(*(layer[0] for layer in layers))
    ours = nn.Sequential(*(layer[1] for layer in layers))
    with torch.no_grad():
        for parameter in theirs.parameters():  # γ and β of 1 and 0 would hide an order that is wrong
            parameter.copy_(torch.from_numpy(np.asarray(parameter) + 0.3 * rng.standard_normal(tuple(parameter.shape))))
    return theirs, ours, x.astype(np.float32)
