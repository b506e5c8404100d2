"""TensorFlow as a contender: a Keras model, and the whole training step in `tf.function`, also compiled by XLA.

Channels are last, as in minidl. Keras keeps the variance of the batch where minidl and PyTorch keep the unbiased one, in the
running statistics: what a step computes does not depend on it, and `gradients` tells the unbiased one.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else it reports what devices it does not find
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

__all__ = ["Training", "build", "start"]

MOMENTUM = 0.1  # of batch norm; Keras states what is kept instead


def start(variant, threads):
    """Use that many threads in an operation, and one operation at a time, as the networks are one after the other."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return {"versions": {"tensorflow": tf.__version__, "keras": keras.__version__}, "instructions": {}}


def build(case, arrays, variant):
    """Build a training step; operations are not offered."""
    if case["kind"] != "network":
        raise NotImplementedError("only training steps are offered for TensorFlow")
    return Training(case, arrays, variant)


# ---- the networks: Keras layers, and their place in minidl's model if they have parameters -----------------------------


def _norm():
    return layers.BatchNormalization(momentum=1 - MOMENTUM, epsilon=1e-5)


def _mlp():
    hidden = []
    for i in (0, 3, 6):
        hidden += [(layers.Dense(100, use_bias=False), i), (_norm(), i + 1), (layers.Activation("sigmoid"), None)]
    return [*hidden, (layers.Dense(10), 9)]


def _mnist_conv():
    def block(i, channels):
        return [
            (layers.Conv2D(channels, 3, padding="same", use_bias=False), i), (_norm(), i + 1), (layers.ReLU(), None),
            (layers.MaxPooling2D(2), None),
        ]  # fmt: skip

    return [
        *block(0, 32), *block(4, 64), (layers.Flatten(), None),
        (layers.Dense(128, use_bias=False), 9), (_norm(), 10), (layers.ReLU(), None), (layers.Dense(10), 12),
    ]  # fmt: skip


def _cifar_conv():
    def conv(channels, i):
        return layers.Conv2D(channels, 3, padding="same", use_bias=False), i

    def gelu():
        return layers.Activation(lambda x: keras.activations.gelu(x, approximate=False)), None

    def group(i, channels):
        return [
            conv(channels, i), (layers.MaxPooling2D(2), None), (_norm(), i + 2), gelu(),
            conv(channels, i + 4), (_norm(), i + 5), gelu(),
        ]  # fmt: skip

    return [
        (layers.Conv2D(24, 2), 0), gelu(), *group(2, 64), *group(9, 256), *group(16, 256),
        (layers.MaxPooling2D(3), None), (layers.Flatten(), None), (layers.Dense(10, use_bias=False), 25),
        (layers.Rescaling(1 / 9), None),
    ]  # fmt: skip


_NETWORKS = {"mlp": _mlp, "mnist_conv": _mnist_conv, "cifar_conv": _cifar_conv}
_NAMES = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias",
          "moving_mean": "running_mean", "moving_variance": "running_var"}  # fmt: skip


class Training:
    """A training step."""

    def __init__(self, case, arrays, variant):
        keras.config.set_floatx(case["dtype"])
        self.x, self.labels = tf.constant(arrays["x"]), tf.constant(arrays["labels"])
        placed = _NETWORKS[case["name"]]()
        self.model = keras.Sequential([keras.Input(arrays["x"].shape[1:]), *(layer for layer, _ in placed)])
        self.named = {f"{i}.{_NAMES[v.name]}": v for layer, i in placed if i is not None for v in layer.variables}
        for name, variable in self.named.items():
            if name in arrays:
                variable.assign(arrays[name])
        self.optimizer = keras.optimizers.SGD(case["lr"], case["momentum"])
        self.optimizer.build(self.model.trainable_variables)
        self.loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._step = tf.function(self._one_step, jit_compile=variant == "xla")

    def _both(self, x, labels):
        with tf.GradientTape() as tape:
            loss = self.loss_of(labels, self.model(x, training=True))
        return loss, tape.gradient(loss, self.model.trainable_variables)

    def _one_step(self, x, labels):
        loss, grads = self._both(x, labels)
        self.optimizer.apply(grads, self.model.trainable_variables)
        return loss

    def step(self):
        """Do one training step."""
        self.loss = self._step(self.x, self.labels)

    def check(self):
        """Return the loss of the last step."""
        return [float(self.loss)]

    def gradients(self):
        """Return the loss, all gradients, and the running statistics after one step with no update."""
        loss, grads = self._both(self.x, self.labels)
        places = {id(variable): name for name, variable in self.named.items()}
        found = {places[id(v)]: g.numpy() for v, g in zip(self.model.trainable_variables, grads, strict=True)}
        found |= {name: v.numpy() for name, v in self.named.items() if "running" in name}
        for layer in self.model.layers:
            if isinstance(layer, layers.BatchNormalization):
                name, size = places[id(layer.moving_variance)], np.prod(layer.output.shape[1:-1]) * len(self.x)
                batch = (found[name] - (1 - MOMENTUM)) / MOMENTUM
                found[name] = (1 - MOMENTUM) + MOMENTUM * batch * size / (size - 1)
        return found | {"loss": loss.numpy()}
