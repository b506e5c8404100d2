"""What follows when a loss does not change with the length of a weight vector (lesson 11)."""

import numpy as np

from minidl.lab.after._balance import equilibrium

__all__ = ["equilibrium", "norms_ahead"]


def norms_ahead(start: float, gradients: np.ndarray, lr: float) -> np.ndarray:
    """Return ‖w‖ after each step of gradient descent, if every gradient is at right angles to w.

    start      ‖w‖ before the first step; one number, or one for each vector (units,)
    gradients  ‖∂w‖ in each step, (steps,) or (steps, units)
    """
    return np.sqrt(np.square(start) + lr**2 * np.cumsum(np.square(gradients), axis=0))
