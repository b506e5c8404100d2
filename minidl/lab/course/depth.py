"""Deep stacks for lesson 12: plain, with batch norm, as residual blocks; and the formulas of its exercises."""

import math

from minidl.lab.after._residual import residual_stack
from minidl.lab.after._stacks import ACTIVATIONS, explosion, stack

__all__ = ["ACTIVATIONS", "branch_scale", "deepest", "explosion", "residual_stack", "stack"]


def deepest(gain: float, ratio: float) -> float:
    """Return how many ReLU layers keep a size between 1 / ratio and ratio of what it was; inf if it does not change.

    A layer multiplies the mean square of what goes into its ReLUs by gain² / 2.
    """
    step = abs(math.log(gain / math.sqrt(2)))
    return math.floor(math.log(ratio) / step) if step > 1e-12 else math.inf


def branch_scale(blocks: int, growth: float) -> float:
    """Return the scale α of the branches with which `blocks` residual blocks multiply the variance by `growth` in all.

    Each block multiplies it by 1 + α².
    """
    return math.sqrt(growth ** (1 / blocks) - 1)
