"""A recording that nobody has run: made-up numbers in the shape of the real ones."""

import functools

import numpy as np

from minidl.lab.live.record import EDGES, NETS, PERCENTILES, UNITS, moments
from minidl.lab.study.claim import Result, Run, plain

LAYERS = {"sigmoid": 8, "conv": 3}


def record(config, accuracy=None):
    """The record of a made-up run: inputs are normal, narrower in deeper layers of the arm without batch norm."""
    net, layers = NETS[config["net"]], LAYERS[config["net"]]
    steps = moments(config["steps"], net.moments)
    generator = np.random.default_rng([config["seed"], len(config["arm"]), layers])
    found = {name: [] for name in ("counts", "percentiles", "units", "saturated", "signal")}
    for t in range(len(steps)):
        rows = []
        for i in range(layers):
            spread = 0.2**i if config["arm"] == "none" else 1 + 0.1 * t
            x = generator.normal(0.3, spread + 0.1, 100)
            rows.append({
                "counts": np.histogram(np.clip(x, EDGES[0], EDGES[-1]), EDGES)[0],
                "percentiles": np.percentile(x, PERCENTILES),
                "units": np.sort(generator.normal(0, spread, (UNITS, 3)), axis=1),
                "saturated": (np.abs(x) > 3.64).mean(), "signal": spread,
            })  # fmt: skip
        for name, values in found.items():
            values.append([row[name] for row in rows])
    learned = np.linspace(0.1, 0.1 if config["arm"] == "none" else 0.95, len(steps)) + 0.001 * config["seed"]
    return plain({"steps": steps, "accuracy": learned if accuracy is None else accuracy, "loss": 1 - learned, **found})


@functools.lru_cache
def result(seeds=3, steps=40):
    """A Result of all arms of both networks."""
    configs = [
        {"net": name, "arm": arm, "seed": seed, "steps": steps}
        for name, net in NETS.items()
        for arm in net.arms
        for seed in range(seeds)
    ]
    return Result(tuple(Run(config, record(config)) for config in configs))
