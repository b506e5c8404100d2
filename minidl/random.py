"""The package's default random generator.

Whatever draws random numbers in minidl (initial weights, batch order, dropout) takes a `generator`, and uses this one if
it gets none. NumPy's global state is never touched.
"""

import numpy as np

from minidl._numbers import check_whole

__all__ = ["as_generator", "default_generator", "manual_seed"]

_generator = np.random.default_rng(0)


def manual_seed(seed: int) -> np.random.Generator:
    """Restart the default generator from `seed`, and return it."""
    global _generator
    _generator = np.random.default_rng(check_whole("manual_seed", "seed", seed, 0))
    return _generator


def default_generator() -> np.random.Generator:
    """Return the generator in use where none is passed."""
    return _generator


def as_generator(generator: np.random.Generator | None) -> np.random.Generator:
    """Return the generator that was passed, or the default one for None."""
    if generator is None:
        return _generator
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"generator is {generator!r}, a {type(generator).__name__}; it must be a numpy.random.Generator, such as "
            "numpy.random.default_rng(0)"
        )
    return generator
