# %% [markdown]
# # Solutions of lesson 02


# %% [markdown]
# ## `linear`
#
# $y_{ij} = \sum_k x_{ik} W_{kj} + b_j$. The slope of $y_{ij}$ toward $x_{ik}$ is $W_{kj}$, so $\partial L/\partial
# x_{ik} = \sum_j \partial L/\partial y_{ij} W_{kj}$: `grad_y @ W.T`. Toward $W_{kj}$ it is $x_{ik}$, for each example
# $i$: `x.T @ grad_y`. Toward $b_j$ it is 1, for each example: a sum over axis 0.


# %% tags=["exercise:linear"]
def linear_forward(x, W, b):
    return x @ W + b


def linear_backward(grad_y, x, W):
    return grad_y @ W.T, x.T @ grad_y, grad_y.sum(0)


# %% [markdown]
# ## `cross-entropy`
#
# Subtracting each row's largest logit changes no probability, and no $e^z$ is above 1 after it. `log_softmax` takes
# the logarithm by hand, $z_k - \log \sum e^z$, and never of a probability that was rounded to 0. The loss picks the
# entry of the true class in each row. Its gradient: $-z_{\text{label}}$ gives −1 at the label, $\log \sum e^z$ gives
# $p_k$ everywhere, and the mean gives the $1/N$.


# %% tags=["exercise:cross-entropy"]
import numpy as np


def log_softmax(logits):
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def loss_forward(logits, labels):
    return -log_softmax(logits)[np.arange(len(labels)), labels].mean()


def loss_backward(logits, labels):
    grad = np.exp(log_softmax(logits))
    grad[np.arange(len(labels)), labels] -= 1
    return grad / len(labels)


# %% [markdown]
# ## `loop`
#
# The gradients are forgotten first, because `backward()` adds to what is there. The loss is noted before the step.
# The step is against the gradient, hence the minus, and changes the array in place: `p = p.data - …` would only give
# a new array the name `p`.


# %% tags=["exercise:loop"]
from minidl import Tensor
from minidl import functional as F


def descend(model, images, labels, steps, lr):
    losses = []
    for _ in range(steps):
        for p in model.parameters():
            p.grad = None
        loss = F.cross_entropy(model(Tensor(images)), labels)
        loss.backward()
        for p in model.parameters():
            p.data -= lr * p.grad
        losses.append(loss.item())
    return losses
