"""minidl as a contender: this version, or any other that has the same public names."""

import contextlib
import platform
import sys

import numpy as np

import minidl
from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.kernels.jit import CHUNK, kernel, n_chunks, prange
from minidl.lab import models

__all__ = ["AdamStep", "Operation", "Replaying", "Training", "build", "start"]

_NETWORKS = {"mlp": models.paper_mlp, "mnist_conv": models.mnist_conv, "cifar_conv": models.cifar_conv}


def start(variant, threads):
    """Use that many threads, or one, and tell what the kernels are compiled for."""
    minidl.set_num_threads(1 if variant == "one thread" else threads)
    numba = sys.modules["numba"]
    from llvmlite.binding import get_host_cpu_name
    from threadpoolctl import threadpool_info

    instructions = {  # as minidl.system.machine tells it; another version may not have that
        f"BLAS {i['version']}": i.get("architecture", "?") for i in threadpool_info() if i["user_api"] == "blas"
    }
    instructions["Numba"] = numba.config.CPU_NAME or get_host_cpu_name()
    versions = {"minidl": minidl.__version__, "numba": numba.__version__, "python": platform.python_version()}
    return {"versions": versions | {"numpy": np.__version__}, "instructions": instructions}


def settle():
    """Wait until all is compiled; versions of minidl before 2026-11-30 compile everything in the first step."""
    with contextlib.suppress(ImportError):
        from minidl.kernels import aside

        aside.wait()


def build(case, arrays, variant):
    """Build a training step or an operation."""
    if case["name"] == "adam":
        return AdamStep(arrays)
    if case["kind"] != "network":
        return Operation(case, arrays)
    return Replaying(case, arrays) if variant == "replay" else Training(case, arrays)


class Training:
    """The lines of the training loop."""

    def __init__(self, case, arrays):
        self.x, self.labels = Tensor(arrays["x"]), arrays["labels"]
        self.model = _NETWORKS[case["name"]]().to(arrays["x"].dtype)
        for name, parameter in self.model.named_parameters():
            parameter.data = arrays[name]
        self.optimizer = optim.SGD(self.model.parameters(), lr=case["lr"], momentum=case["momentum"])

    def backward(self):
        """Compute the gradients; returns the loss."""
        loss = F.cross_entropy(self.model(self.x), self.labels)
        loss.backward()
        return loss

    def step(self):
        """Do one training step."""
        self.optimizer.zero_grad()
        self.loss = self.backward()
        self.optimizer.step()

    def check(self):
        """Return the loss of the last step."""
        return [float(self.loss)]

    def gradients(self):
        """Return the loss, all gradients, and the running statistics after one step with no update."""
        self.optimizer.zero_grad()
        loss = float(self.backward())
        found = {name: parameter.grad for name, parameter in self.model.named_parameters()}
        return found | dict(self.model.named_buffers()) | {"loss": loss}


class Replaying(Training):
    """The same steps by a fused network, but for the first ones replayed; an error if they cannot be."""

    def __init__(self, case, arrays):
        from minidl.replay import Replay  # another version may have none

        super().__init__(case, arrays)
        fuse = getattr(nn, "fuse", None)  # an older version fuses by itself
        self.replay, self.calls = Replay(fuse(self.model) if fuse else self.model), 0

    def backward(self):
        """Compute the gradients; returns the loss."""
        loss = self.replay(self.x.data, self.labels)
        self.calls += 1
        if self.calls > 1 and self.replay.why_not:
            raise RuntimeError(self.replay.why_not)
        return loss

    def gradients(self):
        """Return those of a replay, after a step that leaves no trace but its recording."""
        before = self.model.state_dict()
        self.backward()
        self.model.load_state_dict(before)
        return super().gradients()


class Operation:
    """One operation, forward, or forward and backward with a fixed ∂y."""

    def __init__(self, case, arrays):
        self.backward, self.name = case["backward"], case["name"]
        floats = {name: a for name, a in arrays.items() if a.dtype.kind == "f"}
        self.inputs = {
            name: Tensor(a, requires_grad=self.backward and name not in case["constant"]) for name, a in floats.items()
        }
        self.wanted = [x for x in self.inputs.values() if x.requires_grad]
        self.operation = _operation(case, arrays, self.inputs)
        y = self.operation()
        self.grad_y = None if y.ndim == 0 else np.random.default_rng(2).standard_normal(y.shape, np.float32)

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
            return [*_kept(self.y.data, x.data), *_kept(x.grad, self.grad_y)]
        return [float(np.abs(a).mean(dtype=np.float64)) for a in (self.y.data, *(x.grad for x in self.wanted))]


def _kept(y, x):
    """Return by what dropout multiplied the numbers that it kept, and their share, to one digit."""
    there = y != 0
    return [
        float(np.abs(y[there]).mean(dtype=np.float64) / np.abs(x[there]).mean(dtype=np.float64)),
        round(there.mean(), 1),
    ]


class AdamStep:
    """Adam's step for one weight, with the same gradient again and again."""

    def __init__(self, arrays):
        self.weight = nn.Parameter(arrays["weight"])
        self.weight.grad = arrays["grad"]
        self.step = optim.Adam([self.weight]).step

    def check(self):
        """Return the mean size of the weight, which is known after each number of steps."""
        return [float(np.abs(self.weight.data).mean(dtype=np.float64))]


def _operation(case, arrays, inputs):
    """Return the operation as a function without arguments."""
    x, y, weight, bias = (inputs.get(name) for name in ("x", "y", "weight", "bias"))
    if case["name"] == "batch_norm":
        mean, var = np.zeros(x.shape[-1], np.float32), np.ones(x.shape[-1], np.float32)
        return lambda: F.batch_norm(x, mean, var, weight, bias, True, 0.1, 1e-5)
    if case["name"] == "copy":
        y = Tensor(np.empty_like(x.data))
        return lambda: _copy(x.data, y)
    return {
        "conv2d": lambda: F.conv2d(x, weight, bias, case["stride"], case["padding"]),
        "conv_transpose2d": lambda: F.conv_transpose2d(x, weight, bias, case["stride"]),
        "linear": lambda: F.linear(x, weight, bias),
        "matmul": lambda: x @ weight,
        "group_norm": lambda: F.group_norm(x, case["groups"], weight, bias),
        "relu": lambda: F.relu(x),
        "gelu": lambda: F.gelu(x),
        "silu": lambda: F.silu(x),
        "sigmoid": lambda: F.sigmoid(x),
        "max_pool2d": lambda: F.max_pool2d(x, case["kernel"]),
        "avg_pool2d": lambda: F.avg_pool2d(x, case["kernel"], case["stride"]),
        "cross_entropy": lambda: F.cross_entropy(x, arrays["labels"]),
        "add": lambda: x + y,
        "residual": lambda: F.add_relu(x, y),
        "cat": lambda: minidl.cat([x, y], -1),
        "inception": lambda: _inception(inputs),
        "dropout": lambda: F.dropout(x, case["p"], training=True),
        "embedding": lambda: F.embedding(arrays["labels"], weight),
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
    return minidl.cat(branches, -1)


def _copy(x, y):
    """Copy with all threads: the most that memory can do."""
    _copy_chunks[x.size](x, y.data)
    return y


@kernel
def _copy_chunks(x, y):
    for k in prange(n_chunks(x.size, CHUNK)):
        chunk = slice(k * CHUNK, (k + 1) * CHUNK)
        y[chunk] = x[chunk]
