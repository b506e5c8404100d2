"""JAX as a contender: the whole training step compiled by `jit`, old parameters donated to the new ones.

Channels are last, as in minidl; channels first brought nothing. Pooling is `lax.reduce_window`, as in Flax. A reshape and a
maximum trained up to 1.7 times as fast, but its gradient was wrong once compiled: in float64 half of `mnist_conv`'s
gradients differed, while without `jit` they were right. It looks as if XLA computed the numbers and their maximum in two
places that round differently, so that the two are no longer equal where the gradient looks for the maximum.
"""

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

__all__ = ["Training", "build", "start"]

MOMENTUM, EPS = 0.1, 1e-5  # of batch norm


def start(variant, threads):
    """Report versions; XLA takes its number of threads from the environment."""
    return {"versions": {"jax": jax.__version__}, "instructions": {}}


def build(case, arrays, variant):
    """Build a training step; operations are not offered."""
    if case["kind"] != "network":
        raise NotImplementedError("only training steps are offered for JAX")
    return Training(case, arrays)


# ---- the networks: lists of (kind, place in minidl's model, options) ---------------------------------------------------


def _mlp():
    hidden = [layer for i in (0, 3, 6) for layer in (("linear", i), ("batch_norm", i + 1), ("sigmoid", None))]
    return [*hidden, ("linear", 9)]


def _mnist_conv():
    return [
        ("conv", 0), ("batch_norm", 1), ("relu", None), ("max_pool", 2),
        ("conv", 4), ("batch_norm", 5), ("relu", None), ("max_pool", 2),
        ("flatten", None), ("linear", 9), ("batch_norm", 10), ("relu", None), ("linear", 12),
    ]  # fmt: skip


def _cifar_conv():
    def group(i):
        return [
            ("conv", i), ("max_pool", 2), ("batch_norm", i + 2), ("gelu", None),
            ("conv", i + 4), ("batch_norm", i + 5), ("gelu", None),
        ]  # fmt: skip

    return [
        ("conv_inside", 0), ("gelu", None), *group(2), *group(9), *group(16),
        ("max_pool", 3), ("flatten", None), ("linear", 25), ("scale", 1 / 9),
    ]  # fmt: skip


_NETWORKS = {"mlp": _mlp, "mnist_conv": _mnist_conv, "cifar_conv": _cifar_conv}


def _conv(x, params, place, padding):
    dimensions = ("NHWC", "HWIO", "NHWC")
    y = lax.conv_general_dilated(x, params[f"{place}.weight"], (1, 1), padding, dimension_numbers=dimensions)
    return y + params.get(f"{place}.bias", 0)


def _batch_norm(x, params, place, statistics):
    axes = tuple(range(x.ndim - 1))
    mean, var, size = x.mean(axes), x.var(axes), x.size // x.shape[-1]
    for name, new in ("running_mean", mean), ("running_var", var * size / (size - 1)):
        old = statistics[f"{place}.{name}"]
        statistics[f"{place}.{name}"] = (1 - MOMENTUM) * old + MOMENTUM * lax.stop_gradient(new)
    return (x - mean) * (params[f"{place}.weight"] * lax.rsqrt(var + EPS)) + params[f"{place}.bias"]


def _max_pool(x, size):
    window = (1, size, size, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


_LAYERS = {
    "conv": lambda x, params, place: _conv(x, params, place, "SAME"),  # 3×3: a border of 1
    "conv_inside": lambda x, params, place: _conv(x, params, place, "VALID"),
    "linear": lambda x, params, place: x @ params[f"{place}.weight"] + params.get(f"{place}.bias", 0),
    "max_pool": lambda x, params, size: _max_pool(x, size),
    "flatten": lambda x, params, _: x.reshape(len(x), -1),
    "relu": lambda x, params, _: jax.nn.relu(x),
    "sigmoid": lambda x, params, _: jax.nn.sigmoid(x),
    "gelu": lambda x, params, _: jax.nn.gelu(x, approximate=False),
    "scale": lambda x, params, factor: x * factor,
}


def _loss(params, statistics, x, labels, layers):
    """Mean cross-entropy, and the new running statistics."""
    statistics = dict(statistics)
    for kind, option in layers:
        if kind == "batch_norm":
            x = _batch_norm(x, params, option, statistics)
        else:
            x = _LAYERS[kind](x, params, option)
    log_probabilities = jax.nn.log_softmax(x)
    return -jnp.take_along_axis(log_probabilities, labels[:, None], 1).mean(), statistics


class Training:
    """A training step."""

    def __init__(self, case, arrays):
        if case["dtype"] == "float64":
            jax.config.update("jax_enable_x64", True)
        arrays = {name: jnp.asarray(array) for name, array in arrays.items()}
        self.x, self.labels = arrays.pop("x"), arrays.pop("labels")
        layers = _NETWORKS[case["name"]]()
        norms = [(place, arrays[f"{place}.bias"]) for kind, place in layers if kind == "batch_norm"]
        statistics = {f"{place}.running_mean": jnp.zeros_like(like) for place, like in norms}
        statistics |= {f"{place}.running_var": jnp.ones_like(like) for place, like in norms}
        lr, momentum = case["lr"], case["momentum"]
        buffers = {name: jnp.zeros_like(p) for name, p in arrays.items() if momentum}  # plain SGD keeps none
        self.state = arrays, statistics, buffers

        def both(params, statistics, x, labels):
            return jax.value_and_grad(_loss, has_aux=True)(params, statistics, x, labels, layers)

        def step(state, x, labels):
            params, statistics, buffers = state
            (loss, statistics), grads = both(params, statistics, x, labels)
            if momentum:
                buffers = grads = {name: momentum * buffers[name] + grads[name] for name in params}
            params = {name: params[name] - lr * grads[name] for name in params}
            return (params, statistics, buffers), loss

        self._both, self._step = jax.jit(both), jax.jit(step, donate_argnums=0)

    def step(self):
        """Do one training step, and wait for all its results: JAX computes in the background."""
        self.state, self.loss = self._step(self.state, self.x, self.labels)
        self.loss.block_until_ready()

    def check(self):
        """Return the loss of the last step."""
        return [float(self.loss)]

    def gradients(self):
        """Return the loss, all gradients, and the running statistics after one step with no update."""
        params, statistics, _ = self.state
        (loss, statistics), grads = self._both(params, statistics, self.x, self.labels)
        return {name: np.asarray(a) for name, a in (grads | statistics | {"loss": loss}).items()}
