"""Checks of the pictures' arrays, with errors that say what to change. Drawing begins after all checks."""

from collections.abc import Mapping

import numpy as np

__all__ = ["check_curve", "check_curves", "check_fractions", "check_increasing", "check_mapping", "check_percentiles"]


def check_mapping(op: str, name: str, value, what: str) -> None:
    """Check that a value is a dict with something in it; `what` says of what."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{op}: {name} is a {type(value).__name__}; it must be a dict, {what}")
    if not value:
        raise ValueError(f"{op}: {name} is empty; it must be a dict, {what}")


def check_increasing(op: str, name: str, values) -> np.ndarray:
    """Check a row of at least one finite number, each larger than the one before, and return it as an array."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"{op}: {name} is {values.shape}; it must be one row of at least one number")
    if not np.isfinite(values).all() or not (np.diff(values) > 0).all():
        raise ValueError(f"{op}: {name} must be finite and increase from each to the next")
    return values


def check_curve(op: str, label: str, steps, values) -> tuple[np.ndarray, np.ndarray]:
    """Check steps (T,) and values (T,) or (S, T), and return the values as (S, T)."""
    steps = check_increasing(op, f"steps of {label!r}", steps)
    values = np.asarray(values, dtype=float)
    if values.ndim not in (1, 2) or values.shape[-1] != steps.size or not values.size:
        raise ValueError(
            f"{op}: {label!r} has {steps.size} steps but values of shape {values.shape}; they must be (steps,), "
            "or (seeds, steps)"
        )
    return steps, np.atleast_2d(values)


def check_curves(op: str, runs: Mapping) -> dict:
    """Check label → (steps, values), at least one; return label → (steps (T,), values (S, T))."""
    check_mapping(op, "runs", runs, "label → (steps, values)")
    curves = {}
    for label, run in runs.items():
        if len(run) != 2:
            raise ValueError(f"{op}: {label!r} has {len(run)} parts; it must be a pair (steps, values)")
        curves[label] = check_curve(op, label, *run)
    return curves


def check_fractions(op: str, label: str, values: np.ndarray) -> None:
    """Check that every value is from 0 to 1."""
    if not ((values >= 0) & (values <= 1)).all():
        low, high = values.min(), values.max()
        raise ValueError(f"{op}: {label!r} goes from {low:g} to {high:g}; accuracies are fractions from 0 to 1")


def check_percentiles(op: str, steps, percentiles) -> tuple[np.ndarray, np.ndarray]:
    """Check steps (T,) and percentiles (T, 3), in order along each row; rows that are not finite become nan."""
    steps = check_increasing(op, "steps", steps)
    percentiles = np.asarray(percentiles, dtype=float)
    if percentiles.shape != (steps.size, 3):
        raise ValueError(
            f"{op}: percentiles is {percentiles.shape} but there are {steps.size} steps; it must be "
            f"{(steps.size, 3)}: the 15th, 50th and 85th percentile at each step"
        )
    percentiles = np.where(np.isfinite(percentiles).all(1, keepdims=True), percentiles, np.nan)
    if (np.diff(percentiles, axis=1) < 0).any():
        raise ValueError(f"{op}: a row of percentiles decreases; the columns must be the 15th, the 50th and the 85th")
    return steps, percentiles
