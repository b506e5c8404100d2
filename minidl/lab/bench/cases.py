"""What is timed: training steps of three networks and single operations, each with its amount of work.

The work is counted here and nowhere else, as in the textbook, no matter who computes it and how:

    flops   a multiplication, an addition, a comparison, an exponential: one each. Every convolution counts as a direct
            one, so a faster algorithm (Winograd) can exceed the processor's peak
    bytes   what passes through memory, each array once for each time that it is needed: batch norm reads its input twice,
            once for the statistics and once to apply them. Arrays that stay in a cache can beat this
"""

import math
from dataclasses import dataclass, field

__all__ = ["NETWORKS", "OPERATIONS", "REFERENCE_BATCH", "Case", "network", "operations"]

_FLOAT = 4  # bytes of a float32
REFERENCE_BATCH = {"mlp": 60, "mnist_conv": 128, "cifar_conv": 128}


@dataclass(frozen=True)
class Case:
    """One thing to time.

    kind     "network" (a training step), "recipe" (steps of a whole training) or "operation"
    name     of the network or the operation;  shape: in words
    arrays   name → (shape, mean, standard deviation) of normal numbers, or (shape, classes) of labels
    options  what else the contenders need to know
    """

    kind: str
    name: str
    shape: str
    arrays: dict
    flops: float
    bytes: float
    options: dict = field(default_factory=dict)

    @property
    def label(self):
        """Name, shape and passes in one line; no two cases share it."""
        return " ".join(part for part in (self.name, self.shape, self.passes) if part)

    @property
    def passes(self):
        """What an operation is timed for."""
        if self.kind != "operation":
            return ""
        return "forward + backward" if self.options["backward"] else "forward"

    def message(self):
        """Return what the process of a contender is told: plain JSON."""
        return {"kind": self.kind, "name": self.name, "arrays": self.arrays, **self.options}


# ---- operations: shapes → arrays, flops, bytes -------------------------------------------------------------------------


def conv2d(n, size, c, o, kernel=3, padding=1, stride=1, bias=False, backward=True, input_gradient=True):
    """Convolve square images n × size × size × c, to o channels."""
    out = (size + 2 * padding - kernel) // stride + 1
    fan_in = kernel * kernel * c
    product, x, w, y = 2 * n * out * out * fan_in * o, n * size * size * c, fan_in * o, n * out * out * o
    arrays = {"x": ((n, size, size, c), 0, 1), "weight": ((kernel, kernel, c, o), 0, math.sqrt(2 / fan_in))}
    arrays |= {"bias": ((o,), 0, 0.1)} if bias else {}
    shape = f"{_times(n, size, size, c)}→{o}, {kernel}×{kernel}" + (f", stride {stride}" if stride > 1 else "")
    shape += "" if input_gradient or not backward else ", no ∂x"
    steps = {"padding": padding, "stride": stride}
    return _linear_map("conv2d", shape, arrays, product, x, w, y, backward, input_gradient, **steps)


def linear(n, n_in, n_out, bias=False, backward=True, input_gradient=True):
    """Multiply x (n, n_in) by weight (n_in, n_out)."""
    arrays = {"x": ((n, n_in), 0, 1), "weight": ((n_in, n_out), 0, math.sqrt(2 / n_in))}
    arrays |= {"bias": ((n_out,), 0, 0.1)} if bias else {}
    shape = f"{_times(n, n_in)}→{n_out}" + ("" if input_gradient or not backward else ", no ∂x")
    sizes = n * n_in, n_in * n_out, n * n_out
    return _linear_map("linear", shape, arrays, 2 * n * n_in * n_out, *sizes, backward, input_gradient)


def matmul(n, backward=False):
    """Multiply two square matrices."""
    arrays = {"x": ((n, n), 0, 1), "weight": ((n, n), 0, 1 / math.sqrt(n))}
    return _linear_map("matmul", f"{_times(n, n)} @ {_times(n, n)}", arrays, 2 * n**3, n * n, n * n, n * n, backward)


def _linear_map(name, shape, arrays, product, x, w, y, backward, input_gradient=True, **options):
    """Forward one product; backward one for the weight, and one for the input if its gradient is asked for."""
    flops, numbers = product, x + w + y
    if backward:
        flops += product * (1 + input_gradient)
        numbers += y + x + w + (x + w if input_gradient else 0)
    constant = [] if input_gradient else ["x"]
    return _operation(name, shape, arrays, flops, numbers, backward, constant=constant, **options)


def batch_norm(*shape, backward=True):
    """Forward: statistics (3 an element), then (x − mean)·scale + shift. Backward: two sums, then ∂x."""
    size, c = math.prod(shape), shape[-1:]
    arrays = {"x": (shape, 0.5, 2), "weight": (c, 1, 0.1), "bias": (c, 0, 0.1)}
    flops, passes = (16, 8) if backward else (6, 3)
    return _operation("batch_norm", _times(*shape), arrays, flops * size, passes * size, backward)


def group_norm(*shape, groups, backward=True):
    """Forward and backward as for batch norm; γ, which differs within a group, takes one multiplication more."""
    size, c = math.prod(shape), shape[-1:]
    arrays = {"x": (shape, 0.5, 2), "weight": (c, 1, 0.1), "bias": (c, 0, 0.1)}
    flops, passes = (17, 8) if backward else (6, 3)
    name = f"{_times(*shape)}, {groups} groups"
    return _operation("group_norm", name, arrays, flops * size, passes * size, backward, groups=groups)


def conv_transpose2d(n, size, c, o, kernel=2, backward=True):
    """Make square images n × size × size × c kernel times as large, with o channels; no two filters overlap."""
    fan_in = kernel * kernel * c
    arrays = {"x": ((n, size, size, c), 0, 1), "weight": ((kernel, kernel, c, o), 0, math.sqrt(2 / fan_in))}
    shape, product = f"{_times(n, size, size, c)}→{o}, {kernel}×{kernel}", 2 * n * size * size * fan_in * o
    sizes = n * size * size * c, fan_in * o, n * (size * kernel) ** 2 * o
    return _linear_map("conv_transpose2d", shape, arrays, product, *sizes, backward, stride=kernel)


# of an element, forward and backward
_ACTIVATION_FLOPS = {"relu": (1, 1), "sigmoid": (4, 3), "gelu": (5, 11), "silu": (4, 8)}


def activation(name, *shape, backward=True):
    """Describe relu, sigmoid, gelu or silu: it reads and writes an array; backward reads two and writes one."""
    forward, back = _ACTIVATION_FLOPS[name]
    size = math.prod(shape)
    flops, passes = (forward + back, 5) if backward else (forward, 2)
    return _operation(name, _times(*shape), {"x": (shape, 0, 1)}, flops * size, passes * size, backward)


def max_pool2d(n, size, c, kernel, backward=True):
    """Windows side by side; backward writes ∂x, and reads ∂y and where each maximum was."""
    x, y = n * size * size * c, n * (size // kernel) ** 2 * c
    flops, numbers = (x + y, x + y + x + 2 * y) if backward else (x, x + y)
    return _pooling("max_pool2d", n, size, c, kernel, flops, numbers, backward)


def avg_pool2d(n, size, c, kernel, stride=None, backward=True):
    """Sums of windows and a division; backward divides ∂y, and adds it at each place of its window, or writes it there."""
    stride = stride or kernel
    x, y = n * size * size * c, n * ((size - kernel) // stride + 1) ** 2 * c
    inside = kernel * kernel * y
    overlap = inside if stride < kernel else 0
    flops, numbers = (inside + 2 * y + overlap, 2 * (x + y)) if backward else (inside + y, x + y)
    return _pooling("avg_pool2d", n, size, c, kernel, flops, numbers, backward, stride)


def _pooling(name, n, size, c, kernel, flops, numbers, backward, stride=None):
    arrays, stride = {"x": ((n, size, size, c), 0, 1)}, stride or kernel
    shape = f"{_times(n, size, size, c)}, {kernel}×{kernel}" + (f", stride {stride}" if stride != kernel else "")
    return _operation(name, shape, arrays, flops, numbers, backward, kernel=kernel, stride=stride)


def add(*shape, backward=True):
    """x + y: reads two arrays and writes one; backward hands ∂y on, to both."""
    size = math.prod(shape)
    return _operation("add", _times(*shape), {"x": (shape, 0, 1), "y": (shape, 0, 1)}, size, 3 * size, backward)


def residual(*shape, backward=True):
    """relu(x + y), a residual block's end: reads two arrays and writes one; backward reads two, and writes two."""
    size = math.prod(shape)
    arrays = {"x": (shape, 0, 1), "y": (shape, 0, 1)}
    flops, passes = (4, 7) if backward else (2, 3)
    return _operation("residual", _times(*shape), arrays, flops * size, passes * size, backward)


def cat(*shape, backward=True):
    """Join the channels of two arrays: both are read and written, backward again."""
    size = 2 * math.prod(shape)
    arrays = {"x": (shape, 0, 1), "y": (shape, 0, 1)}
    return _operation("cat", f"2 · {_times(*shape)}", arrays, size, (4 if backward else 2) * size, backward)


def inception(n, size, c, o, backward=True):
    """A small Inception module: branches of o channels each, which `cat` joins, with ReLU after each convolution.

    1×1; 1×1 and 3×3; 1×1 and two 3×3; 3×3 average pooling of stride 1 and 1×1, whose border of zeros restores the size.
    The 1×1 before a 3×3 has half as many channels.
    Source   Szegedy et al. 2014; Ioffe and Szegedy 2015, §4.2
    """
    half, arrays = o // 2, {"x": ((n, size, size, c), 0, 1)}
    parts = [avg_pool2d(n, size, c, 3, 1, backward)]
    for name, n_in, n_out, kernel in (
        ("single", c, o, 1), ("before", c, half, 1), ("three", half, o, 3), ("first", c, half, 1),
        ("double", half, half, 3), ("last", half, o, 3), ("pooled", c, o, 1),
    ):  # fmt: skip
        side, padding = (size - 2, 1) if name == "pooled" else (size, kernel // 2)
        convolution = conv2d(n, side, n_in, n_out, kernel, padding, backward=backward)
        arrays[name] = convolution.arrays["weight"]
        parts += [convolution, activation("relu", n, size, size, n_out, backward=backward)]
    joined = (4 if backward else 2) * 4 * n * size * size * o
    flops, numbers = sum(part.flops for part in parts), sum(part.bytes for part in parts) // _FLOAT + joined
    return _operation("inception", f"{_times(n, size, size, c)}→4·{o}", arrays, flops, numbers, backward)


def dropout(*shape, backward=True):
    """Draw a number, compare, multiply; backward multiplies by the mask. p is 0.1."""
    size = math.prod(shape)
    flops, passes = (4, 6) if backward else (3, 3)
    return _operation("dropout", _times(*shape), {"x": (shape, 0, 1)}, flops * size, passes * size, backward, p=0.1)


def embedding(n, rows, width, backward=True):
    """Look up n rows of a table; backward clears a gradient of its size, and adds n rows to it."""
    looked_up, table = n * width, rows * width
    arrays = {"weight": ((rows, width), 0, 1), "labels": ((n,), rows)}
    numbers = 2 * looked_up + (3 * looked_up + table if backward else 0)
    shape = f"{n} of {_times(rows, width)}"
    return _operation("embedding", shape, arrays, looked_up, numbers, backward)


def adam(n_in, n_out):
    """Take a step of Adam: reads the gradient, reads and writes the weight and both moments."""
    size = n_in * n_out
    arrays = {"weight": ((n_in, n_out), 0, 1), "grad": ((n_in, n_out), 0, 1)}
    return _operation("adam", _times(n_in, n_out), arrays, 14 * size, 7 * size, False)


def cross_entropy(n, classes, backward=True):
    """Softmax takes 5 an element; backward, subtracting the labels and scaling take 2."""
    arrays = {"x": ((n, classes), 0, 1), "labels": ((n,), classes)}
    flops, passes = (7, 4) if backward else (5, 1)
    return _operation("cross_entropy", _times(n, classes), arrays, flops * n * classes, passes * n * classes, backward)


def copy(size):
    """Copy one array onto another."""
    return _operation("copy", f"{size:,}", {"x": ((size,), 0, 1)}, 0, 2 * size, False)


def _operation(name, shape, arrays, flops, numbers, backward, **options):
    options = {"backward": backward, "constant": [], "seed": 1} | options
    return Case("operation", name, shape, arrays, flops, _FLOAT * numbers, options)


def _times(*sizes):
    return "×".join(map(str, sizes))


# ---- networks: the operations of a training step, by their place in the model; None does no work worth counting --------


def _mlp(n):
    hidden = [(784, False), (100, True), (100, True)]
    layers = []
    for n_in, input_gradient in hidden:
        layers += [linear(n, n_in, 100, input_gradient=input_gradient), batch_norm(n, 100)]
        layers += [activation("sigmoid", n, 100)]
    return [*layers, linear(n, 100, 10, bias=True)]


def _mnist_conv(n):
    return [
        conv2d(n, 28, 1, 32, input_gradient=False), batch_norm(n, 28, 28, 32), activation("relu", n, 28, 28, 32),
        max_pool2d(n, 28, 32, 2),
        conv2d(n, 14, 32, 64), batch_norm(n, 14, 14, 64), activation("relu", n, 14, 14, 64),
        max_pool2d(n, 14, 64, 2),
        None,  # flatten
        linear(n, 3136, 128), batch_norm(n, 128), activation("relu", n, 128),
        linear(n, 128, 10, bias=True),
    ]  # fmt: skip


def _cifar_conv(n):
    def group(size, c, o):
        small = size // 2
        return [
            conv2d(n, size, c, o), max_pool2d(n, size, o, 2), batch_norm(n, small, small, o),
            activation("gelu", n, small, small, o),
            conv2d(n, small, o, o), batch_norm(n, small, small, o), activation("gelu", n, small, small, o),
        ]  # fmt: skip

    return [
        conv2d(n, 32, 3, 24, kernel=2, padding=0, bias=True, input_gradient=False), activation("gelu", n, 31, 31, 24),
        *group(31, 24, 64), *group(15, 64, 256), *group(7, 256, 256),
        max_pool2d(n, 3, 256, 3), None, linear(n, 256, 10), None,  # flatten; division by 9
    ]  # fmt: skip


_LAYERS = {"mlp": _mlp, "mnist_conv": _mnist_conv, "cifar_conv": _cifar_conv}
_INPUT = {"mlp": (784,), "mnist_conv": (28, 28, 1), "cifar_conv": (32, 32, 3)}
NETWORKS = tuple(_LAYERS)


def network(name, batch=None, dtype="float32"):
    """Make the case of a training step of one of `NETWORKS`; its work is that of its layers and of the loss."""
    batch = batch or REFERENCE_BATCH[name]
    arrays = {"x": ((batch, *_INPUT[name]), 0, 1), "labels": ((batch,), 10)}
    for place, layer in enumerate(_LAYERS[name](batch)):
        if layer is not None:
            arrays |= {f"{place}.{key}": layer.arrays[key] for key in ("weight", "bias") if key in layer.arrays}
    work = steps_operations(name, batch)
    momentum = 0.0 if name == "mlp" else 0.9
    options = {"seed": 0, "lr": 0.01, "momentum": momentum, "dtype": dtype}
    flops, size = sum(op.flops for op in work), sum(op.bytes for op in work)
    return Case("network", name, f"batch {batch}", arrays, flops, size, options)


def steps_operations(name, batch):
    """List the operations, forward and backward, of a network's training step."""
    return [layer for layer in _LAYERS[name](batch) if layer is not None] + [cross_entropy(batch, 10)]


# ---- the operations that are timed alone --------------------------------------------------------------------------------

OPERATIONS = ("conv2d", "conv_transpose2d", "linear", "matmul", "batch_norm", "group_norm", "relu", "gelu", "silu",
              "sigmoid", "max_pool2d", "avg_pool2d", "cross_entropy", "add", "residual", "cat", "inception",
              "dropout", "embedding", "adam")  # fmt: skip
_CONVOLUTIONS = [(128, 14, 32, 64), (128, 32, 64, 64), (128, 16, 128, 128), (128, 8, 256, 256), (128, 16, 64, 256)]


def operations(names=(), quick=False):
    """List operations to time alone: some of round sizes, and all that the networks use; `names` selects kinds of them."""
    chosen = _small() if quick else _round() + [op for n in NETWORKS for op in steps_operations(n, REFERENCE_BATCH[n])]
    once = {case.label: case for case in chosen if not names or case.name in names}
    return sorted(once.values(), key=lambda case: OPERATIONS.index(case.name))


def _round():
    return [
        *(conv2d(*sizes, backward=backward) for backward in (False, True) for sizes in _CONVOLUTIONS),
        conv2d(128, 32, 64, 64, stride=2), conv2d(128, 16, 32, 64, kernel=5, padding=2),
        conv2d(128, 16, 128, 64, kernel=1, padding=0), *(matmul(n) for n in (256, 512, 1024, 2048)),
        conv_transpose2d(128, 16, 128, 64), linear(4096, 512, 512), batch_norm(128, 32, 32, 64),
        group_norm(128, 32, 32, 64, groups=32), group_norm(128, 8, 8, 256, groups=32), activation("relu", 128, 32, 32, 64),
        activation("gelu", 128, 32, 32, 64), activation("silu", 128, 32, 32, 64), activation("sigmoid", 128, 32, 32, 64),
        max_pool2d(128, 32, 64, 2), avg_pool2d(128, 32, 64, 2), avg_pool2d(128, 16, 64, 3, stride=1),
        cross_entropy(4096, 1000), group_norm(4096, 512, groups=32), add(128, 16, 16, 64), residual(128, 16, 16, 64),
        cat(128, 16, 16, 32), inception(128, 16, 64, 32), dropout(128, 3136), embedding(8192, 10000, 128), adam(3136, 128),
    ]  # fmt: skip


def _small():
    return [
        conv2d(4, 8, 4, 8, backward=False), conv2d(4, 8, 4, 8), conv2d(4, 8, 4, 8, stride=2),
        conv2d(4, 8, 4, 8, kernel=5, padding=2), conv_transpose2d(4, 3, 4, 8), linear(8, 12, 10, bias=True),
        matmul(32), batch_norm(4, 6, 6, 8), group_norm(4, 6, 6, 8, groups=2), activation("relu", 4, 60),
        activation("gelu", 4, 60), activation("silu", 4, 60), activation("sigmoid", 4, 60), max_pool2d(4, 6, 8, 2),
        avg_pool2d(4, 6, 8, 2), avg_pool2d(4, 6, 8, 3, stride=1), cross_entropy(6, 10), add(4, 6, 6, 8),
        residual(4, 6, 6, 8), cat(4, 6, 6, 8), inception(2, 8, 8, 4), dropout(200, 200), embedding(20, 30, 8), adam(12, 10),
    ]  # fmt: skip
