"""How much distributions move, in units of their own width."""

import numpy as np

__all__ = ["drift"]


def drift(percentiles):
    """Return the mean over units of |change of the median| / (p85 − p15), between each measurement and the next.

    The width is the mean of those before and after; a unit without any width is left out.
    Shape   (T, units, 3), the 15th, 50th and 85th percentile → (T − 1,)
    """
    percentiles = np.asarray(percentiles, dtype=np.float64)
    moved = np.abs(np.diff(percentiles[:, :, 1], axis=0))
    width = percentiles[:, :, 2] - percentiles[:, :, 0]
    width = (width[1:] + width[:-1]) / 2
    return np.nanmean(np.divide(moved, width, out=np.full_like(moved, np.nan), where=width > 0), axis=1)
