"""Probe: what happens inside a network while it trains, as compact statistics, never as stored activations.

with Probe(model, ["2", "5", "8"], every=100) as probe:
    for inputs, targets in loader:
        …zero_grad, forward, backward, step…
        probe.step()
steps, spread = probe.series("8", "output", "std")

To take the numbers elsewhere: `probe.records()`, or `Probe(…, jsonl="probe.jsonl")`, which writes them during the run.
"""

import json
import math
import os
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidl import nn
from minidl.autograd import is_grad_enabled
from minidl.system.files import append_lines, as_path, write_atomically

__all__ = ["PERCENTILES", "Probe", "saturated", "unit_percentiles"]

PERCENTILES = (15, 50, 85)  # those of the paper's Figure 1; for a normal distribution, mean and ± 1.04 std

# activation → which of its outputs are saturated: those where its slope is below a tenth of its steepest
_SATURATED = {
    nn.Sigmoid: lambda y: y * (1 - y) < 0.025,
    nn.Tanh: lambda y: 1 - y * y < 0.1,
    nn.ReLU: lambda y: y <= 0,
}


class Probe:
    """Record statistics of chosen layers at every k-th training step.

    layers      a name or names as in `model.named_modules()`, or a dict of names of your own to modules
    every       k; the first step is recorded, then each k-th
    edges       borders of the bins in which inputs and outputs are counted, for histograms over time; None: no counts
    per_unit    keep percentiles of each feature (last axis) besides those of all numbers
    jsonl       a file to which each recorded step is appended as it is made, one record a line (see `to_jsonl`): a run that
                dies keeps what it wrote. One that is resumed goes on in the same file: set `probe.now` to its step
    Records     for "input", "output" and "gradient" (of the loss with respect to the output):
                "mean", "std", "percentiles" (15th, 50th, 85th); of outputs also "saturated" (the fraction whose slope is
                below a tenth of the steepest; sigmoid, tanh, ReLU); with the options "counts", "unit_percentiles"
                for "update" (what a step did to the layer's weight): "mean", "std" and "log10_ratio", the logarithm of
                std(update) / std(weight)
    Only forwards in training mode count, so evaluating in between is not recorded, and no copies of the model are. Leaving
    the context takes all hooks away.
    """

    def __init__(
        self, model: nn.Module, layers: str | Iterable[str] | dict[str, nn.Module], every: int = 100,
        edges: ArrayLike | None = None, per_unit: bool = False, jsonl: str | os.PathLike | None = None,
    ):  # fmt: skip
        known = dict(model.named_modules())
        if not isinstance(layers, dict):
            layers = [layers] if isinstance(layers, str) else list(layers)
            unknown = [name for name in layers if name not in known]
            if unknown:
                raise ValueError(f"Probe: no layer named {unknown}; there are {[name for name in known if name]}")
            layers = {name: known[name] for name in layers}
        if wrong := [name for name, layer in layers.items() if not isinstance(layer, nn.Module)]:
            raise TypeError(f"Probe: {wrong[0]!r} is a {type(layers[wrong[0]]).__name__}; it must be a Module")
        if every < 1 or not layers:
            raise ValueError(f"Probe: every is {every}, for {len(layers)} layers; both must be at least 1")
        if edges is not None and (np.ndim(edges) != 1 or np.size(edges) < 2 or not (np.diff(edges) > 0).all()):
            raise ValueError(f"Probe: edges are {edges}; there must be at least two, each above the one before")
        self.every, self.edges, self.per_unit = every, edges, per_unit
        self._jsonl = None if jsonl is None else _file("Probe", jsonl)
        if self._jsonl is not None:
            append_lines(self._jsonl, [])  # what cannot be written to is refused now, not in a later step
        self.now = 0  # training steps so far
        self.rows: list[tuple[int, str, str, dict[str, Any]]] = []  # (step, layer, what, statistics)
        self._layers = layers
        self._fresh: dict[tuple[str, str], dict[str, Any]] = {}
        self._weights: dict[str, np.ndarray] = {}
        self._last: Any = (lambda: None, {})  # a weak reference to the output seen last, and its statistics
        self._handles = [module.register_forward_hook(self._hook(name)) for name, module in layers.items()]

    def step(self) -> None:
        """Call once after each optimizer step."""
        new = []
        if self._fresh:
            for name, before in self._weights.items():
                self._fresh[name, "update"] = _update_statistics(before, self._layers[name].weight.data)
            new = [(self.now, layer, what, stats) for (layer, what), stats in self._fresh.items()]
            self.rows += new
            self._fresh, self._weights = {}, {}
        self.now += 1
        if new and self._jsonl is not None:
            append_lines(self._jsonl, [_line(record) for record in _records(new)])

    def series(self, layer: str, what: str, statistic: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps, and one statistic at each of them, as two arrays."""
        rows = [(step, stats) for step, of, kind, stats in self.rows if (of, kind) == (layer, what)]
        found = [(step, stats[statistic]) for step, stats in rows if statistic in stats]
        if not found:
            have = sorted({(of, kind, *stats) for _, of, kind, stats in self.rows})
            raise KeyError(f"Probe: nothing recorded for {layer!r}, {what!r}, {statistic!r}; there is {have}")
        steps, values = zip(*found, strict=True)
        return np.array(steps), np.array(values)

    def records(self) -> list[dict[str, Any]]:
        """List all numbers so far, one in each record: {"step": 0, "layer": "8", "name": "output.std", "value": 0.7}.

        `pandas.DataFrame(probe.records())` is a table of them. Percentiles are named "output.p15", "output.p50" and so on,
        bins "output.counts.3", and percentiles of feature 7 "output.7.p15". Values are floats, and ints in bins.
        """
        return list(_records(self.rows))

    def to_jsonl(self, path: str | os.PathLike) -> None:
        """Write all records so far to a file, one a line, in strict JSON: what is NaN or infinite is null.

        The file is written whole or not at all, in the place of one that is there. OSError passes.
        """
        lines = "".join(f"{_line(record)}\n" for record in _records(self.rows))
        write_atomically(_file("to_jsonl", path), lines.encode())

    def close(self) -> None:
        """Take all hooks away."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _hook(self, name):
        def look(module, inputs, output):
            if self.now % self.every or not (module.training and is_grad_enabled()):
                return
            seen, stats = self._last  # in a Sequential, one layer's output is the next one's input
            self._fresh[name, "input"] = stats if seen() is inputs[0] else self._statistics(inputs[0].data)
            stats = self._statistics(output.data)
            self._last = weakref.ref(output), stats
            flat = saturated(type(module), output.data)
            extra = {} if flat is None else {"saturated": float(flat.mean())}
            self._fresh[name, "output"] = stats | extra
            if output.requires_grad:
                output.register_hook(lambda grad: self._see_gradient(name, grad))
            weight = getattr(module, "weight", None)
            if weight is not None:
                self._weights[name] = weight.data.copy()

        look.looks_at_this_module = True  # a copy of the module is not recorded
        return look

    def _see_gradient(self, name, grad):
        self._fresh[name, "gradient"] = _moments(grad)

    def _statistics(self, x):
        stats = _moments(x)
        if self.edges is not None:
            stats["counts"] = np.histogram(x, self.edges)[0]
        if self.per_unit:
            stats["unit_percentiles"] = unit_percentiles(x)
        return stats


def saturated(kind: type[nn.Module], y: np.ndarray) -> np.ndarray | None:
    """Return which outputs y of an activation of this class are saturated, an array of bools; None for another class.

    Saturated: its slope there is below a tenth of its steepest. Sigmoid: y(1 − y) < 1/40; Tanh: 1 − y² < 1/10; ReLU: y ≤ 0.
    """
    test = _SATURATED.get(kind)
    return None if test is None else test(y)


def _file(op, path):
    path = as_path(op, path)
    if path.is_dir():
        raise IsADirectoryError(f"{op}: {path} is a folder; name a file in it, such as {path / 'probe.jsonl'}")
    return path


def _records(rows):
    for step, layer, what, stats in rows:
        for name, value in stats.items():
            for place, number in _numbers(name, value):
                yield {"step": step, "layer": layer, "name": f"{what}.{place}", "value": number}


def _numbers(name, value):
    """The numbers of a statistic, each with its name."""
    if name == "percentiles":
        yield from ((f"p{p}", float(number)) for p, number in zip(PERCENTILES, value, strict=True))
    elif name == "unit_percentiles":
        for unit, of_unit in enumerate(value):
            yield from ((f"{unit}.{place}", number) for place, number in _numbers("percentiles", of_unit))
    elif name == "counts":
        yield from ((f"counts.{i}", int(number)) for i, number in enumerate(value))
    else:
        yield name, float(value)


def _line(record):
    value = record["value"]
    return json.dumps(record if math.isfinite(value) else record | {"value": None}, allow_nan=False)


def unit_percentiles(x: np.ndarray) -> np.ndarray:
    """Return the 15th, 50th and 85th percentile of each feature over all other axes: (…, C) → (C, 3)."""
    if x.ndim == 0 or x.size == 0:
        raise ValueError(
            f"unit_percentiles: x is {x.shape}; it must be (…, C), with at least one number for each feature"
        )
    return _percentiles(x.reshape(-1, x.shape[-1])).T


def _percentiles(x):
    """np.percentile(x, PERCENTILES, axis=0); sorting everything is several times faster than its partitioning."""
    ordered = np.sort(x, axis=0)
    values = []
    for percent in PERCENTILES:
        place = percent / 100 * (len(x) - 1)
        below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
        values.append(below + np.float64(place % 1) * (above - below))
    return np.where(np.isnan(ordered[-1]), np.nan, values)  # a NaN is sorted to the end, and makes all of them NaN


def _moments(x):
    mean, std = _mean_std(x)
    return {"mean": mean, "std": std, "percentiles": _percentiles(x.reshape(-1))}


def _mean_std(x):  # x.std() alone would compute the mean once more
    mean = x.mean()
    return float(mean), math.sqrt(np.square(x - mean).mean())


def _update_statistics(before, after):
    (mean, std), (_, spread) = _mean_std(after - before), _mean_std(before)
    with np.errstate(divide="ignore"):
        log10_ratio = float(np.log10(std / spread)) if spread > 0 else math.nan
    return {"mean": mean, "std": std, "log10_ratio": log10_ratio}
