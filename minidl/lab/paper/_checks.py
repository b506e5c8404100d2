"""What the exact claims share: the largest deviation over all runs, against what rounding allows."""

import numpy as np

__all__ = ["deviation", "largest", "worst"]


def deviation(a, b):
    """Return the largest difference between two arrays, in units of the largest number in either."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    scale = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return float(np.abs(a - b).max(initial=0) / scale) if scale > 0 else 0.0


def largest(result, allowed, **where):
    """Return name → (largest value over the runs, allowed), for every name in `allowed`; nan counts as infinite."""
    return {
        name: (float(np.nan_to_num(np.abs(result.values(name, **where)), nan=np.inf).max()), bound)
        for name, bound in allowed.items()
    }


def worst(rows):
    """Count the rows (measured, allowed) within bounds, and name the one nearest to its bound, or beyond it."""
    within = sum(measured <= bound for measured, bound in rows.values())
    name = max(rows, key=lambda name: rows[name][0] / rows[name][1] if rows[name][1] else 1e300 * rows[name][0])
    return within, name
