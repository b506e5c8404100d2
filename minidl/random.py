"""The package's default random generator.

Whatever draws random numbers in minidl (initial weights, batch order, dropout) takes a `generator`, and uses this one if
it gets none. NumPy's global state is never touched.
"""

import numpy as np

__all__ = ["default_generator", "manual_seed"]

_generator = np.random.default_rng(0)


def manual_seed(seed):
    """Restart the default generator from `seed`, and return it."""
    global _generator
    _generator = np.random.default_rng(seed)
    return _generator


def default_generator():
    """The generator in use where none is passed."""
    return _generator
