"""Networks whose answers stay the same when an image is mirrored, left for right.

Mirroring an image mirrors the maps of every layer, and exchanges channels: σ(c) takes the place of channel c, and c that of
σ(c); where σ(c) = c, a map is only mirrored. That holds after a convolution, too, whose channels have their own τ, if

    W[a, b, i, o] = W[a, K − 1 − b, σ(i), τ(o)]

Norms, biases and the last layer treat c and σ(c) alike; activations and pooling do so by themselves, where windows cover a
map evenly. About half of the numbers in the filters are free, and each image teaches the network its mirror image as well,
at the cost of one. From Cohen and Welling 2016, "Group Equivariant Convolutional Networks", for a group of two.
"""

from typing import NamedTuple

import numpy as np

from minidl import nn

__all__ = ["Mirror", "whiten"]


class _Tie(NamedTuple):
    """What mirroring exchanges in an array: channels that come in, and those that go out; None: none."""

    incoming: np.ndarray | None
    outgoing: np.ndarray | None

    def mirrored(self, array):
        """Return filters (kh, kw, C, O), a last layer's weight (C, classes), or a number for each channel, mirrored."""
        if array.ndim == 2:
            return array[self.incoming]
        if array.ndim == 4:
            array = array[:, ::-1, self.incoming]
        return array[..., self.outgoing]

    def averaged(self, array):
        """Return the mean of the array and its mirror image, to the bit equal to its own mirror image."""
        return (array + self.mirrored(array)) * array.dtype.type(0.5)


class Mirror:
    """Ties the weights of a network so that model(x) is model(x mirrored), up to how sums are rounded.

    model    an `nn.Sequential` of convolutions, norms, a last Linear, and layers without weights
    pairs    σ of the channels that its first layer makes, as from `whiten`
    Pairs    of as many channels as come into a convolution are theirs, as filters may begin by passing them on; the rest
             form halves, whose channels are exchanged in order
    Start    of each pair of filters the first stays as it is, and the second becomes its mirror image; others are averaged
             with theirs
    Errors   ValueError for a number of filters that leaves one alone, and for a norm whose groups cut pairs apart

    After `backward` call `average_gradients`, and after the step `average_weights`.
    """

    def __init__(self, model, pairs):
        self.pairs, self._parameters, self._statistics, incoming = [], [], [], None
        for layer in model:
            if isinstance(layer, nn.Conv2d):
                outgoing = pairs if incoming is None else _pairs_of(layer.weight.shape[-1], incoming)
                if incoming is not None:
                    self._parameters.append((layer.weight, _Tie(incoming, outgoing)))
                if layer.bias is not None:
                    self._parameters.append((layer.bias, _Tie(None, outgoing)))
                self.pairs.append(outgoing)
                incoming = outgoing
            elif isinstance(layer, nn.Linear):
                self._parameters.append((layer.weight, _Tie(incoming, None)))
            else:
                _check_groups(layer, incoming)
                tie = _Tie(None, incoming)
                self._parameters += [(parameter, tie) for parameter in layer.parameters()]
                self._statistics += [(buffer, tie) for buffer in layer.buffers() if buffer.ndim]
        for parameter, tie in self._parameters:
            weight, mirrored = parameter.data, tie.mirrored(parameter.data)
            if weight.ndim == 2:
                weight, mirrored = weight.T, mirrored.T
            pairs = tie.incoming if tie.outgoing is None else tie.outgoing
            second = pairs < np.arange(len(pairs))
            weight[..., second] = mirrored[..., second]
        self.average_weights()

    def average_gradients(self):
        """Make each gradient the mean of itself and its mirror image: what the image and its mirror image teach together."""
        for parameter, tie in self._parameters:
            if parameter.grad is not None:
                parameter.grad = tie.averaged(parameter.grad)

    def average_weights(self):
        """Do so with weights, which rounding moves apart, and with running statistics, of images that were not mirrored."""
        for parameter, tie in self._parameters:
            parameter.data = tie.averaged(parameter.data)
        for buffer, tie in self._statistics:
            buffer[...] = tie.averaged(buffer)


def _pairs_of(filters, incoming):
    """σ of a convolution's channels, from that of those that come in."""
    passed_on = incoming if filters >= len(incoming) else incoming[:0]
    rest = filters - len(passed_on)
    if rest % 2:
        raise ValueError(
            f"Mirror: a convolution makes {filters} channels from {len(incoming)}, and {rest} of them come in pairs; make "
            "that an even number"
        )
    return np.concatenate((passed_on, len(passed_on) + np.roll(np.arange(rest), rest // 2)))


def _check_groups(layer, pairs):
    groups = getattr(layer, "num_groups", 1)
    of = np.arange(len(pairs)) // (len(pairs) // groups)
    if any(len(set(of[pairs[of == group]])) > 1 for group in range(groups)):
        raise ValueError(
            f"Mirror: the {groups} groups of a norm cut pairs of channels apart; use one group, or batch norm"
        )


def whiten(layer, images):
    """Whiten by filters that are even or odd (mirrored, they are themselves or their negatives); return their σ.

    Maths    the patches of images and mirrored images have a covariance that mirroring does not change: its eigenvectors
             can be chosen even or odd. So those of `whitening_` are split into both parts, each with its own directions
    layer    a Conv2d with kw = 2 and 2·kh·kw·C filters, of which the second half is the first, negated
    images   (N, H, W, C), as the network gets them
    """
    kh, kw, c, filters = layer.weight.shape
    nn.init.whitening_(layer.weight, np.concatenate((images, images[:, :, ::-1])))
    left, right = layer.weight.data[..., : filters // 2].astype(np.float64).transpose(1, 0, 2, 3)
    each, found = kh * kw * c // 2, []
    for sign in (1, -1):
        part = (left + sign * right).reshape(each, -1) / 2
        directions, lengths, _ = np.linalg.svd(part, full_matrices=False)
        half = (directions * lengths).reshape(kh, c, each)
        found.append(np.stack((half, sign * half), 1))
    found = np.concatenate(found, -1)
    layer.weight.data[...] = np.concatenate((found, -found), -1)
    even = np.arange(filters) % (2 * each) < each
    return np.where(even, np.arange(filters), np.roll(np.arange(filters), filters // 2))
