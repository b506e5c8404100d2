"""PyTorch as a contender, in its own layout (N, C, H, W): eager, eager with channels last in memory, or compiled.

Written as its users would: `nn.Sequential` and the usual training loop, with its default settings. Who compiles wants speed:
`torch.compile` has channels last in memory, and an SGD that is one kernel.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

__all__ = ["AdamStep", "Operation", "Training", "build", "start"]


def start(variant, threads):
    """Use that many threads."""
    torch.set_num_threads(threads)
    return {"versions": {"torch": torch.__version__}, "instructions": {"ATen": torch.backends.cpu.get_cpu_capability()}}


def build(case, arrays, variant):
    """Build a training step or an operation."""
    if case["name"] == "adam":
        return AdamStep(arrays)
    return Training(case, arrays, variant) if case["kind"] == "network" else Operation(case, arrays)


# ---- the networks -------------------------------------------------------------------------------------------------------


def _mlp():
    layers = []
    for n_in in (784, 100, 100):
        layers += [nn.Linear(n_in, 100, bias=False), nn.BatchNorm1d(100), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(100, 10))


def _mnist_conv():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
        nn.Linear(128, 10),
    )  # fmt: skip


def _cifar_conv():
    def conv(c, o):
        return nn.Conv2d(c, o, 3, padding=1, bias=False)

    def group(c, o):
        return [
            conv(c, o), nn.MaxPool2d(2), nn.BatchNorm2d(o), nn.GELU(),
            conv(o, o), nn.BatchNorm2d(o), nn.GELU(),
        ]  # fmt: skip

    return nn.Sequential(
        nn.Conv2d(3, 24, 2), nn.GELU(), *group(24, 64), *group(64, 256), *group(256, 256),
        nn.MaxPool2d(3), nn.Flatten(), nn.Linear(256, 10, bias=False), _Scale(1 / 9),
    )  # fmt: skip


class _Scale(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


_NETWORKS = {"mlp": _mlp, "mnist_conv": _mnist_conv, "cifar_conv": _cifar_conv}
_FLATTENED = {("mnist_conv", "9.weight"): (7, 7, 64)}  # this layer's inputs: pixels and channels, in another order here


class Training:
    """A training step."""

    def __init__(self, case, arrays, variant):
        self.name, self.variant = case["name"], variant
        self.model = _NETWORKS[self.name]()
        self.x, self.labels = _tensor(_channels_first(arrays["x"])), torch.from_numpy(arrays["labels"])
        self.model.to(self.x.dtype)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(_tensor(self._from_minidl(name, arrays[name])))
        if variant in ("channels-last", "compile"):
            self.model.to(memory_format=torch.channels_last)
            if self.x.ndim == 4:
                self.x = self.x.contiguous(memory_format=torch.channels_last)
        self.forward = torch.compile(self._forward) if variant == "compile" else self._forward
        self.optimizer = torch.optim.SGD(
            self.model.parameters(), lr=case["lr"], momentum=case["momentum"], fused=variant == "compile" or None
        )

    def _forward(self, x, labels):
        return F.cross_entropy(self.model(x), labels)

    def step(self):
        """Do one training step."""
        self.optimizer.zero_grad()
        self.loss = self.forward(self.x, self.labels)
        self.loss.backward()
        self.optimizer.step()

    def check(self):
        """Return the loss of the last step."""
        return [self.loss.item()]

    def gradients(self):
        """Return the loss, all gradients, and the running statistics after one step with no update, as minidl has them."""
        loss = self.forward(self.x, self.labels)
        loss.backward()
        found = {name: self._to_minidl(name, p.grad.numpy()) for name, p in self.model.named_parameters()}
        found |= {name: buffer.numpy() for name, buffer in self.model.named_buffers()}
        return found | {"loss": loss.item()}

    def _from_minidl(self, name, weight):
        """(kh, kw, C, O) → (O, C, kh, kw), and (in, out) → (out, in)."""
        if weight.ndim == 4:
            return weight.transpose(3, 2, 0, 1)
        if image := _FLATTENED.get((self.name, name)):
            weight = weight.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(weight.shape)
        return weight.T

    def _to_minidl(self, name, weight):
        if weight.ndim == 4:
            return weight.transpose(2, 3, 1, 0)
        weight = weight.T
        if image := _FLATTENED.get((self.name, name)):
            height, width, channels = image
            weight = weight.reshape(channels, height, width, -1).transpose(1, 2, 0, 3).reshape(weight.shape)
        return weight


# ---- operations -----------------------------------------------------------------------------------------------------------


class Operation:
    """One operation, forward, or forward and backward with a fixed ∂y."""

    def __init__(self, case, arrays):
        self.backward, self.name = case["backward"], case["name"]
        self.inputs = {}
        for name, array in arrays.items():
            if array.dtype.kind == "f":
                wanted = self.backward and name not in case["constant"]
                self.inputs[name] = _tensor(_own_layout(case["name"], name, array)).requires_grad_(wanted)
        self.wanted = [x for x in self.inputs.values() if x.requires_grad]
        self.operation = _operation(case, arrays, self.inputs)
        y = self.operation().detach()
        self.grad_y = _grad_y(y) if y.ndim else None

    def step(self):
        """Do it once; the gradients of the last step are forgotten first, as in training."""
        for x in self.wanted:
            x.grad = None
        self.y = self.operation()
        if self.backward:
            self.y.backward(self.grad_y)

    def check(self):
        """Return the mean sizes of the numbers in the result and in each gradient; of random ones, how they came about."""
        if self.name == "dropout":
            x = self.inputs["x"]
            return [*_kept(self.y.detach(), x.detach()), *_kept(x.grad, self.grad_y)]
        return [float(a.detach().abs().mean(dtype=torch.float64)) for a in (self.y, *(x.grad for x in self.wanted))]


def _kept(y, x):
    """By what dropout multiplied the numbers that it kept, and their share, to one digit."""
    there = y != 0
    sizes = (a[there].abs().mean(dtype=torch.float64) for a in (y, x))
    return [float(next(sizes) / next(sizes)), round(there.double().mean().item(), 1)]


class AdamStep:
    """Adam's step for one weight, with the same gradient again and again."""

    def __init__(self, arrays):
        self.weight = nn.Parameter(_tensor(arrays["weight"]))
        self.weight.grad = _tensor(arrays["grad"])
        self.step = torch.optim.Adam([self.weight]).step

    def check(self):
        """Return the mean size of the weight, which is known after each number of steps."""
        return [float(self.weight.detach().abs().mean(dtype=torch.float64))]


def _operation(case, arrays, inputs):
    """A function without arguments."""
    x, y, weight, bias = (inputs.get(name) for name in ("x", "y", "weight", "bias"))
    if case["name"] == "batch_norm":
        mean, var = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
        return lambda: F.batch_norm(x, mean, var, weight, bias, True, 0.1, 1e-5)
    if case["name"] == "cross_entropy":
        labels = torch.from_numpy(arrays["labels"])
        return lambda: F.cross_entropy(x, labels)
    if case["name"] == "embedding":
        rows = torch.from_numpy(arrays["labels"])
        return lambda: F.embedding(rows, weight)
    return {
        "conv2d": lambda: F.conv2d(x, weight, bias, case["stride"], case["padding"]),
        "conv_transpose2d": lambda: F.conv_transpose2d(x, weight, bias, case["stride"]),
        "linear": lambda: F.linear(x, weight, bias),
        "matmul": lambda: x @ weight,
        "group_norm": lambda: F.group_norm(x, case["groups"], weight, bias),
        "relu": lambda: F.relu(x),
        "gelu": lambda: F.gelu(x),
        "silu": lambda: F.silu(x),
        "sigmoid": lambda: torch.sigmoid(x),
        "max_pool2d": lambda: F.max_pool2d(x, case["kernel"]),
        "avg_pool2d": lambda: F.avg_pool2d(x, case["kernel"], case["stride"]),
        "add": lambda: x + y,
        "residual": lambda: F.relu(x + y),
        "cat": lambda: torch.cat([x, y], 1),
        "inception": lambda: _inception(inputs),
        "dropout": lambda: F.dropout(x, case["p"]),
    }[case["name"]]


def _inception(inputs):
    x = inputs["x"]

    def conv(x, name, padding=0):
        return F.relu(F.conv2d(x, inputs[name], padding=padding))

    double = conv(conv(x, "first"), "double", 1)
    branches = [
        conv(x, "single"), conv(conv(x, "before"), "three", 1), conv(double, "last", 1),
        conv(F.avg_pool2d(x, 3, 1), "pooled", 1),
    ]  # fmt: skip
    return torch.cat(branches, 1)


def _own_layout(operation, name, array):
    if (operation == "conv2d" and name == "weight") or (operation == "inception" and name != "x"):
        return array.transpose(3, 2, 0, 1)
    if operation == "conv_transpose2d" and name == "weight":
        return array.transpose(2, 3, 0, 1)
    if operation == "linear" and name == "weight":
        return array.T
    return _channels_first(array) if name in ("x", "y") else array


def _grad_y(y):
    """The same numbers as minidl's ∂y, which has the channels last."""
    shape = (*y.shape[:1], *y.shape[2:], y.shape[1]) if y.ndim == 4 else tuple(y.shape)
    return _tensor(_channels_first(np.random.default_rng(2).standard_normal(shape, np.float32)))


def _channels_first(x):
    return np.moveaxis(x, -1, 1) if x.ndim == 4 else x


def _tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array))
