"""A language model on characters: a decoder with causal attention, and batch norm over sequences of different lengths.

A batch is (N, T): N lines of a text, T places. What is behind a line's end is padding, a number of its own. Attention looks
back only, so padding, which is behind, reaches no character through it; through statistics of a batch it does.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minidl import Tensor, nn
from minidl import functional as F
from minidl._numbers import check_bool, check_whole
from minidl.data import Text
from minidl.kernels.jit import computed, numpy_kernel

__all__ = ["Attention", "Decoder", "Lines", "SequenceNorm", "causal_attention", "lines_of", "sequence_loss"]

START = 0.1  # standard deviation of embeddings


class Lines(NamedTuple):
    """Lines of a text, each with its own row; number `padding` fills what is behind their ends.

    inputs   int64 (N, T): the characters
    targets  int64 (N, T): the character that follows each, at last the end of the line
    padding  the number that no character has: there are as many characters
    """

    inputs: np.ndarray
    targets: np.ndarray
    padding: int

    def some(self, chosen: np.ndarray | slice) -> "Lines":
        """Return some of the lines."""
        return self._replace(inputs=self.inputs[chosen], targets=self.targets[chosen])


def lines_of(text: Text, ids: np.ndarray, length: int) -> Lines:
    """Return the lines of a part of a text, those without a character left out; of longer ones the first `length` places.

    Errors  ValueError for a part in which no line has a character
    """
    check_whole("lines_of", "length", length)
    padding = len(text.characters)
    rows = [line for line in text.decode(ids).split("\n") if line]
    if "\n" not in text.characters or not rows:
        raise ValueError("lines_of: the text has no lines; it must have some, each with a character and an end")
    whole = np.full((len(rows), length + 1), padding)
    for row, line in zip(whole, rows, strict=True):
        own = text.encode((line + "\n")[: length + 1])
        row[: len(own)] = own
    inputs, targets = whole[:, :-1], whole[:, 1:]
    return Lines(np.where(targets == padding, padding, inputs), np.ascontiguousarray(targets), padding)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Mix values of this place and of earlier ones, by how well their keys fit the query.

    Maths   y_t = Σ_{s ≤ t} a_ts·v_s    a_t = softmax over s ≤ t of q_t·k_s/√d
    Shape   q, k (…, T, d), v (…, T, e) → y (…, T, e)
    Errors  ValueError for shapes that do not fit each other
    Source  Vaswani et al. 2017, §3.2.1 and §3.2.3
    """
    if q.ndim < 2 or q.shape != k.shape or v.ndim != q.ndim or v.shape[:-1] != q.shape[:-1] or not q.shape[-1]:
        raise ValueError(
            f"causal_attention: q is {q.shape}, k {k.shape} and v {v.shape}; they must be (…, T, d), (…, T, d) and (…, T, e)"
        )
    length, width = q.shape[-2:]
    future = np.triu(np.full((length, length), -np.inf, q.dtype), 1)
    last_two = (*range(k.ndim - 2), k.ndim - 1, k.ndim - 2)
    return F.softmax((q * width**-0.5) @ k.permute(*last_two) + future) @ v


class Attention(nn.Module):
    """Causal attention with several heads: each looks at its own part of the features.

    Parameters  query, key, value, out: linear maps (features, features) without biases
    Source      Vaswani et al. 2017, §3.2.2
    """

    def __init__(self, features: int, heads: int, generator: np.random.Generator | None = None):
        check_whole("Attention", "features", features)
        check_whole("Attention", "heads", heads)
        if features % heads:
            raise ValueError(f"Attention: {heads} heads do not divide {features} features; each must get as many")
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            nn.Linear(features, features, bias=False, generator=generator) for _ in range(4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, T, features) to the same shape."""
        n, length, features = x.shape
        q, k, v = (
            part(x).reshape(n, length, self.heads, features // self.heads).permute(0, 2, 1, 3)
            for part in (self.query, self.key, self.value)
        )
        return self.out(causal_attention(q, k, v).permute(0, 2, 1, 3).reshape(n, length, features))


class SequenceNorm(nn.BatchNorm):
    """Batch norm over sequences: y = γ·(x − mean)/√(var + ε) + β, with the choice of what mean and var are taken over.

    length     None: over all lines and places, as `nn.BatchNorm` does; else over the lines, for each of so many places
    padding    whether padding counts; if not, a place at which fewer than two lines have a character keeps the running
               statistics, in training, too
    momentum   as that of `nn.BatchNorm`, whose buffers these are, of shape (features,) or (length, features)
    Parameters weight γ and bias β (features,), the same at each place
    Errors     ValueError for other shapes than (N, T, features), for another T than `length`, and in training for a single
               value, or a single character, a feature
    Source     batch norm of Ioffe and Szegedy 2015, Algorithms 1 and 2, over fewer of the rows
    """

    def __init__(
        self, features: int, length: int | None = None, padding: bool = True, eps: float = 1e-5,
        momentum: float | None = 0.1,
    ):  # fmt: skip
        super().__init__(features, eps, momentum)
        check_bool("SequenceNorm", "padding", padding)
        if length is not None:
            check_whole("SequenceNorm", "length", length)
            self.register_buffer("running_mean", np.zeros((length, features), np.float32))
            self.register_buffer("running_var", np.ones((length, features), np.float32))
        self.length, self.padding = length, padding

    def forward(self, x: Tensor, real: np.ndarray | None = None) -> Tensor:
        """Normalise x (N, T, features); real (N, T, 1) is 1 where a character is, else 0; None: there is no padding."""
        real = self._checked(x, real)
        running_mean, running_var, weight, bias, training, momentum, eps = self._arguments()
        if self.padding or not training:
            y = self._over_everything(x, running_mean, running_var, training, momentum, eps)
        else:
            count = computed(np.sum, real, 0 if self.length else (0, 1))  # (T, 1), or (1,)
            _check_count(count)
            share, known = computed(_shares, real, count), computed(_known, count)
            mean = self._average(x, share, running_mean, known)
            centred = x - mean
            var = self._average(centred * centred, share, running_var, known)
            _move(running_mean, running_var, mean.data, var.data, momentum, count)
            y = centred * (var + eps) ** -0.5
        self._count_batch()
        return y * weight + bias

    def _over_everything(self, x, mean, var, training, momentum, eps):
        """Plain batch norm, without γ and β; by place, each feature at each place is one of its own."""
        if self.length is None:
            return F.batch_norm(x, mean, var, None, None, training, momentum, eps)
        rows, mean, var = x.reshape(x.shape[0], -1), mean.reshape(-1), var.reshape(-1)
        return F.batch_norm(rows, mean, var, None, None, training, momentum, eps).reshape(*x.shape)

    def _average(self, x, share, running, known):
        """The mean over characters; where there are too few, what training has found so far."""
        if self.length:
            return (x * share).sum(0) * known + computed(_others, running, known)
        # a product of matrices is quicker than a sum
        return (Tensor(share.reshape(1, -1)) @ x.reshape(-1, self.features)).reshape(self.features)

    def _checked(self, x, real):
        if x.ndim != 3 or x.shape[2] != self.features or self.length not in (None, x.shape[1]):
            raise ValueError(
                f"SequenceNorm: x is {x.shape}; it must be (N, {self.length or 'T'}, {self.features}), lines of characters"
            )
        real = np.ones((*x.shape[:2], 1), x.dtype) if real is None else np.asarray(real)
        if real.shape != (*x.shape[:2], 1):
            raise ValueError(f"SequenceNorm: x is {x.shape} but real is {real.shape}; it must be {(*x.shape[:2], 1)}")
        return real if real.dtype == x.dtype else computed(np.ndarray.astype, real, x.dtype)

    def extra_repr(self) -> str:
        """Return features and settings."""
        return f"{super().extra_repr()}, length={self.length}, padding={self.padding}"


@numpy_kernel
def _check_count(count):
    if count.max() < 2:
        raise ValueError(
            f"SequenceNorm: training found {int(count.max())} characters to take statistics over; there must be at least two"
        )


def _shares(real, count):
    return real / np.maximum(count, 1)


def _known(count):
    return (count >= 2).astype(count.dtype)


def _others(running, known):
    return running * (1 - known)


@numpy_kernel
def _move(running_mean, running_var, mean, var, momentum, count):
    """Move the running statistics by a batch; where it has too few characters, its statistics are these."""
    running_mean += momentum * (mean - running_mean)
    unbiased = np.where(count >= 2, count / np.maximum(count - 1, 1), 1).astype(var.dtype)
    running_var += momentum * (var * unbiased - running_var)


class Decoder(nn.Module):
    """A decoder on characters: embeddings, blocks of attention and of a network with one hidden layer, and a last map.

    characters  how many there are; the number `characters` is padding
    length      T, of the lines
    norm        norm(features) makes the norms: before attention, before the hidden layer, before the last map; None: none
    layers, features, heads     blocks, width of what runs through them, heads; hidden layers are four times as wide
    generator   of the weights, which do not depend on the norm
    Shape       numbers (N, T) → (N, T, characters)
    Source      Vaswani et al. 2017; norms as in Radford et al. 2019
    """

    _optional = ("norm",)

    def __init__(
        self, characters: int, length: int, norm: Callable[[int], nn.Module] | None = None, layers: int = 2,
        features: int = 64, heads: int = 4, generator: np.random.Generator | None = None,
    ):  # fmt: skip
        for name, number in (("characters", characters), ("length", length), ("layers", layers)):
            check_whole("Decoder", name, number)
        self.padding = characters
        self.table = nn.Embedding(characters + 1, features, generator=generator)
        self.places = nn.Parameter(np.empty((length, features), np.float32))
        for start in (self.table.weight, self.places):
            nn.init.normal_(start, std=START, generator=generator)
        self.blocks = nn.ModuleList([Block(features, heads, norm, generator) for _ in range(layers)])
        self.norm = norm(features) if norm else None
        self.head = nn.Linear(features, characters, generator=generator)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return what may follow each character: logits, also behind a line's end, where they mean nothing."""
        if numbers.ndim != 2 or numbers.shape[1] != len(self.places.data):
            raise ValueError(f"Decoder: got {numbers.shape}; lines must be (N, {len(self.places.data)})")
        real = computed(_is_character, numbers.data, self.padding, self.places.data)
        x = self.table(numbers) + self.places
        for block in self.blocks:
            x = block(x, real)
        return self.head(_normed(self.norm, x, real))


class Block(nn.Module):
    """x + attention(norm(x)), then x + hidden layer(norm(x)): one block of a `Decoder`."""

    _optional = "first_norm", "second_norm"

    def __init__(self, features, heads, norm, generator):
        self.first_norm = norm(features) if norm else None
        self.attention = Attention(features, heads, generator)
        self.second_norm = norm(features) if norm else None
        self.widen = nn.Linear(features, 4 * features, generator=generator)
        self.narrow = nn.Linear(4 * features, features, generator=generator)

    def forward(self, x: Tensor, real: np.ndarray) -> Tensor:
        """Map x (N, T, features) to the same shape; real (N, T, 1) is 1 where a character is."""
        x = x + self.attention(_normed(self.first_norm, x, real))
        return x + self.narrow(F.relu(self.widen(_normed(self.second_norm, x, real))))


def _normed(norm, x, real):
    if norm is None:
        return x
    return norm(x, real) if isinstance(norm, SequenceNorm) else norm(x)


def _is_character(numbers, padding, like):
    return (numbers != padding)[..., None].astype(like.dtype)


def sequence_loss(logits: Tensor, targets: np.ndarray) -> Tensor:
    """Return the mean of −log(probability of the true character), padding left out.

    Maths   loss = −Σ log softmax(logits)_target / number of targets that are characters
    Shape   logits (N, T, V), targets (N, T): from 0 to V − 1, or V for padding; loss: one number
    Errors  ValueError for shapes that do not fit, other numbers, and targets that are all padding
    """
    targets = np.asarray(targets)
    if targets.dtype.kind not in "iu" or targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"sequence_loss: logits are {logits.shape} but targets are {targets.shape} of {targets.dtype}; they must be "
            f"{logits.shape[:-1]}, of whole numbers"
        )
    shares = computed(_true_ones, targets, logits.data)
    return -(F.log_softmax(logits) * shares).sum()


def _true_ones(targets, like):
    """1/count at the true character of each place that is no padding, else 0."""
    classes, flat = like.shape[-1], targets.reshape(-1)
    if not ((flat >= 0) & (flat <= classes)).all() or (flat == classes).all():
        raise ValueError(
            f"sequence_loss: targets run from {flat.min(initial=classes)} to {flat.max(initial=0)} and there are {classes} "
            f"characters; they must be from 0 to {classes - 1}, or {classes} for padding, and not all padding"
        )
    shares = np.zeros((flat.size, classes), like.dtype)
    (rows,) = np.nonzero(flat < classes)
    shares[rows, flat[rows]] = 1 / len(rows)
    return shares.reshape(like.shape)
