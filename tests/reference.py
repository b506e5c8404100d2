"""What every operation should give, written so plainly that one can check it by eye. Slow on purpose.

First half: NumPy arrays in, float64 arrays out, one Python loop for each index in the formula.
Second half ("composites"): the same formulas in Tensor arithmetic. Autograd walks through their small steps, so their
gradients know nothing of the hand-written backward passes that they are compared with.
"""

import math

import numpy as np

from minidl import Tensor

# --- linear, convolution, pooling ------------------------------------------------------------------------------------


def linear(x, weight, bias=None):
    """Each output is a dot product: y[n, o] = Σ_i x[n, i] · weight[i, o] + bias[o].

    x may have any number of leading axes; weight is (in, out).
    """
    n_in, n_out = weight.shape
    rows = np.asarray(x, np.float64).reshape(-1, n_in)
    y = np.zeros((len(rows), n_out))
    for n in range(len(rows)):
        for o in range(n_out):
            y[n, o] = 0.0 if bias is None else bias[o]
            for i in range(n_in):
                y[n, o] += rows[n, i] * float(weight[i, o])
    return y.reshape(*x.shape[:-1], n_out)


def conv2d(x, weight, bias=None, stride=1, padding=0):
    """Slide the kernel over the zero-padded image: y[n, p, q, o] = Σ window · weight[:, :, :, o] + bias[o].

    x is (N, H, W, C), weight (kh, kw, C, O); the kernel is not flipped; positions that do not fit are left out.
    """
    stride_h, stride_w = pair(stride)
    pad_h, pad_w = pair(padding)
    n_images, height, width, _ = x.shape
    kernel_h, kernel_w, _, n_out = weight.shape
    out_h = (height + 2 * pad_h - kernel_h) // stride_h + 1
    out_w = (width + 2 * pad_w - kernel_w) // stride_w + 1
    y = np.zeros((n_images, out_h, out_w, n_out))
    for n, p, q, o in np.ndindex(*y.shape):
        y[n, p, q, o] = 0.0 if bias is None else bias[o]
        for i, j in np.ndindex(kernel_h, kernel_w):
            row = p * stride_h + i - pad_h
            column = q * stride_w + j - pad_w
            if 0 <= row < height and 0 <= column < width:
                y[n, p, q, o] += np.sum(x[n, row, column] * weight[i, j, :, o].astype(np.float64))
    return y


def windows(x, kernel_size, stride=None):
    """Yield (index of the output, window of one channel) for each place where a whole window fits.

    The stride is the kernel's size unless given; both are an int or a pair.
    """
    kernel_h, kernel_w = pair(kernel_size)
    stride_h, stride_w = pair(kernel_size if stride is None else stride)
    n_images, height, width, channels = x.shape
    out_h, out_w = (height - kernel_h) // stride_h + 1, (width - kernel_w) // stride_w + 1
    for n, p, q, c in np.ndindex(n_images, out_h, out_w, channels):
        top, left = p * stride_h, q * stride_w
        yield (n, p, q, c), x[n, top : top + kernel_h, left : left + kernel_w, c].astype(np.float64)


def max_pool2d(x, kernel_size, stride=None):
    """The largest value of each window, channel by channel.

    (N, H, W, C) -> (N, H', W', C) with H' = (H - kernel) // stride + 1.
    """
    return _pool(x, kernel_size, stride, np.max)


def avg_pool2d(x, kernel_size, stride=None):
    """The mean of each window, channel by channel.

    (N, H, W, C) -> (N, H', W', C) with H' = (H - kernel) // stride + 1.
    """
    return _pool(x, kernel_size, stride, np.mean)


def _pool(x, kernel_size, stride, summary):
    values = {index: summary(window) for index, window in windows(x, kernel_size, stride)}
    shape = np.max(list(values), axis=0) + 1
    return np.array(list(values.values())).reshape(shape)


def max_pool2d_grad(x, grad_y, kernel_size, stride=None):
    """Each output hands its gradient to the first of the largest inputs of its window, in reading order.

    Where windows overlap, an input adds up what it gets.
    """
    stride_h, stride_w = pair(kernel_size if stride is None else stride)
    grad_x = np.zeros(x.shape)
    for (n, p, q, c), window in windows(x, kernel_size, stride):
        i, j = np.unravel_index(np.argmax(window), window.shape)  # argmax: the first of equals
        grad_x[n, p * stride_h + i, q * stride_w + j, c] += grad_y[n, p, q, c]
    return grad_x


def global_avg_pool2d(x):
    """The mean over all positions of each channel.

    (N, H, W, C) -> (N, C).
    """
    n_images, height, width, channels = x.shape
    y = np.zeros((n_images, channels))
    for n, h, w, c in np.ndindex(*x.shape):
        y[n, c] += float(x[n, h, w, c]) / (height * width)
    return y


# --- activations -----------------------------------------------------------------------------------------------------


def relu(x):
    """y = max(x, 0), element by element.

    Any shape.
    """
    return each(x, lambda value: max(value, 0.0))


def sigmoid(x):
    """y = 1 / (1 + exp(-x)), element by element.

    Any shape; for moderate x, where exp does not overflow.
    """
    return each(x, lambda value: 1 / (1 + math.exp(-value)))


def tanh(x):
    """y = (exp(x) - exp(-x)) / (exp(x) + exp(-x)), element by element.

    Any shape.
    """
    return each(x, math.tanh)


def gelu(x):
    """y = x · Φ(x), where Φ is the distribution function of a standard normal variable.

    Φ(x) = (1 + erf(x / √2)) / 2; any shape.
    """
    return each(x, lambda value: value * (1 + math.erf(value / math.sqrt(2))) / 2)


def silu(x):
    """y = x / (1 + exp(-x)), element by element.

    Any shape; for moderate x.
    """
    return each(x, lambda value: value / (1 + math.exp(-value)))


def leaky_relu(x, negative_slope=0.01):
    """y = x where x > 0, else negative_slope · x.

    Any shape.
    """
    return each(x, lambda value: value if value > 0 else float(negative_slope) * value)


def softmax(x):
    """Along the last axis: y[k] = exp(x[k]) / Σ_j exp(x[j]).

    Each row is positive and adds up to one.
    """
    return each_row(x, lambda row: [math.exp(value) / sum(math.exp(other) for other in row) for value in row])


def log_softmax(x):
    """Along the last axis: y[k] = x[k] - log Σ_j exp(x[j]).

    The logarithm of softmax.
    """
    return each_row(x, lambda row: [value - math.log(sum(math.exp(other) for other in row)) for value in row])


def dropout(x, mask, p):
    """Keep where the mask is true, scaled by 1 / (1 - p) so that the mean stays; zero elsewhere.

    The mask is an argument here: what is left is arithmetic.
    """
    return np.where(mask, np.asarray(x, np.float64) / (1 - p), 0.0)


# --- losses ----------------------------------------------------------------------------------------------------------


def cross_entropy(logits, labels, label_smoothing=0.0):
    """Mean over examples of -Σ_k target[k] · log softmax(logits)[k].

    The target gives every class label_smoothing / classes, and the label the rest.
    """
    n_examples, n_classes = logits.shape
    log_p = log_softmax(logits)
    total = 0.0
    for n in range(n_examples):
        for k in range(n_classes):
            target = label_smoothing / n_classes
            if k == labels[n]:
                target += 1 - label_smoothing
            total -= target * log_p[n, k]
    return total / n_examples


def mse_loss(x, target):
    """Mean over all elements of (x - target)².

    Any shape, the same for both.
    """
    differences = [float(a) - float(b) for a, b in zip(x.flat, target.flat, strict=True)]
    return sum(d * d for d in differences) / len(differences)


# --- normalisation ---------------------------------------------------------------------------------------------------


def layer_norm(x, weight=None, bias=None, eps=1e-5):
    """Each row (last axis) gets mean 0 and variance 1, then scale and shift.

    y = (x - mean) / √(var + eps) · weight + bias, with the biased variance.
    """

    def normalise(row):
        mean = sum(row) / len(row)
        var = sum((value - mean) ** 2 for value in row) / len(row)
        return [(value - mean) / math.sqrt(var + eps) for value in row]

    return _scale_and_shift(each_row(x, normalise), weight, bias)


def batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    """Each channel (last axis) gets mean 0 and variance 1 over the batch, or is scaled by the running statistics.

    Returns (y, running_mean, running_var): new arrays; the variance that is stored is the unbiased one.
    """
    channels = x.shape[-1]
    columns = np.asarray(x, np.float64).reshape(-1, channels)
    x_hat = np.zeros(columns.shape)
    new_mean = np.zeros(channels) if running_mean is None else np.array(running_mean, np.float64)
    new_var = np.ones(channels) if running_var is None else np.array(running_var, np.float64)
    for c in range(channels):
        column = columns[:, c]
        mean, var = new_mean[c], new_var[c]
        if training:
            m = len(column)
            mean = sum(column) / m
            var = sum((value - mean) ** 2 for value in column) / m
            new_mean[c] = (1 - momentum) * new_mean[c] + momentum * mean
            new_var[c] = (1 - momentum) * new_var[c] + momentum * var * m / (m - 1)
        for n in range(len(column)):
            x_hat[n, c] = (column[n] - mean) / math.sqrt(var + eps)
    return _scale_and_shift(x_hat.reshape(x.shape), weight, bias), new_mean, new_var


def _scale_and_shift(x_hat, weight, bias):
    scaled = x_hat if weight is None else x_hat * weight
    return scaled if bias is None else scaled + bias


# --- helpers ---------------------------------------------------------------------------------------------------------


def pair(value):
    """An int stands for the same size in both directions.

    pair(3) and pair((3, 3)) are (3, 3).
    """
    return (value, value) if isinstance(value, int) else tuple(value)


def each(x, function):
    """Apply a function of one number to each element.

    The result is float64 and has the shape of x.
    """
    return np.array([function(float(value)) for value in x.flat], np.float64).reshape(x.shape)


def each_row(x, function):
    """Apply a function of a list of numbers to each row along the last axis.

    The result is float64 and has the shape of x.
    """
    rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
    return np.array([function(row.tolist()) for row in rows], np.float64).reshape(x.shape)


# --- composites: Tensors in, Tensors out, small differentiable steps -------------------------------------------------


def composite_linear(x, weight, bias=None):
    """A matrix product and a broadcast sum.

    The gradient of the bias is what broadcasting gives back: the sum over rows.
    """
    y = x @ weight
    return y if bias is None else y + bias


def composite_sigmoid(x):
    """1 / (1 + exp(-x)).

    For moderate x only.
    """
    return 1 / (1 + (-x).exp())


def composite_tanh(x):
    """(e - 1) / (e + 1) with e = exp(2x).

    For moderate x only.
    """
    e = (2 * x).exp()
    return (e - 1) / (e + 1)


def composite_silu(x):
    """x / (1 + exp(-x)).

    For moderate x only.
    """
    return x / (1 + (-x).exp())


def composite_softmax(x):
    """exp(x) over its sum along the last axis.

    For moderate x only: nothing is subtracted before exp.
    """
    e = x.exp()
    return e / e.sum(axis=-1, keepdims=True)


def composite_cross_entropy(logits, labels, label_smoothing=0.0):
    """Minus log softmax at the label, mixed with its mean over the classes, averaged over the batch.

    Picks the label's entry by indexing.
    """
    n_examples = logits.shape[0]
    log_p = composite_softmax(logits).log()
    at_label = log_p[np.arange(n_examples), labels]
    return -((1 - label_smoothing) * at_label.mean() + label_smoothing * log_p.mean())


def composite_normalise(x, axis, eps):
    """(x - mean) / √(var + eps), with mean and variance over one axis and gradients through both.

    The heart of batch and layer normalisation.
    """
    centred = x - x.mean(axis=axis, keepdims=True)
    var = (centred * centred).mean(axis=axis, keepdims=True)
    return centred / (var + eps) ** 0.5


def composite_layer_norm(x, weight, bias, eps=1e-5):
    """Normalise each row, then scale and shift.

    Over the last axis.
    """
    return composite_normalise(x, -1, eps) * weight + bias


def composite_batch_norm(x, weight, bias, eps=1e-5):
    """Normalise each column over the batch (and positions), then scale and shift: training mode.

    (N, H, W, C) is treated as (N·H·W, C).
    """
    columns = x.reshape(-1, x.shape[-1])
    return (composite_normalise(columns, 0, eps) * weight + bias).reshape(x.shape)


def composite_batch_norm_eval(x, running_mean, running_var, weight, bias, eps=1e-5):
    """Scale and shift by fixed statistics: evaluation mode, one linear map.

    The statistics are arrays, so no gradient flows into them.
    """
    return (x - Tensor(running_mean)) / Tensor(np.sqrt(running_var + eps)) * weight + bias
