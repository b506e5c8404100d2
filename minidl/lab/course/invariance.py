"""What follows when a loss does not change with the length of a weight vector (lesson 11)."""

import numpy as np

__all__ = ["equilibrium", "norms_ahead"]


def norms_ahead(start: float, gradients: np.ndarray, lr: float) -> np.ndarray:
    """Return ‖w‖ after each step of gradient descent, if every gradient is at right angles to w.

    start      ‖w‖ before the first step; one number, or one for each vector (units,)
    gradients  ‖∂w‖ in each step, (steps,) or (steps, units)
    """
    return np.sqrt(np.square(start) + lr**2 * np.cumsum(np.square(gradients), axis=0))


def equilibrium(lr: float, decay: float, squared: float) -> float:
    """Return the ‖w‖ at which weight decay takes away what the steps add: ‖w‖⁴ = lr · squared / (2 · decay).

    squared  the mean of ‖w‖²‖∂w‖², which is the squared gradient of a vector of length 1
    Source   van Laarhoven 2017, "L2 Regularization versus Batch and Weight Normalization"
    """
    return (lr * squared / (2 * decay)) ** 0.25
