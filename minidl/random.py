"""The package's default random generator.

Whatever draws random numbers in minidl (initial weights, batch order, dropout) takes a `generator`, and uses this one if
it gets none. NumPy's global state is never touched.
"""

import numpy as np

__all__ = ["as_generator", "default_generator", "manual_seed"]

_generator = np.random.default_rng(0)


def manual_seed(seed: int) -> np.random.Generator:
    """Restart the default generator from `seed`, and return it."""
    global _generator
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"manual_seed: seed is {seed!r}; it must be a whole number of at least 0")
    _generator = np.random.default_rng(seed)
    return _generator


def default_generator() -> np.random.Generator:
    """The generator in use where none is passed."""
    return _generator


def as_generator(generator: np.random.Generator | None) -> np.random.Generator:
    """The generator that was passed, or the default one for None."""
    if generator is None:
        return _generator
    if not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"generator is {generator!r}, a {type(generator).__name__}; it must be a numpy.random.Generator, such as "
            "numpy.random.default_rng(0)"
        )
    return generator
