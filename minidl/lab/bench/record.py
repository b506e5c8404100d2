"""What was measured, as one dict for JSON: everything that the tables and the figure show is read from it."""

import datetime

import numpy as np

import minidl
from minidl.lab.bench.environment import pinned
from minidl.lab.bench.limits import floor_seconds, limits_of
from minidl.lab.bench.quartiles import five_digits, quartiles, speed_ratio
from minidl.system.machine import commit, machine

__all__ = ["as_record"]


def as_record(run, settings, arguments):
    """Return the results of a run, all numbers plain and finite.

    Times are in ms: the median of each round, and their median and quartiles. `against` says how many times as fast a
    contender was as another: median and quartiles of the ratios in single rounds.
    """
    limits = limits_of(run.measurements)
    return {
        "minidl": minidl.__version__,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "arguments": arguments,
        "machine": machine(),
        "threads": settings.threads,
        "isa": settings.isa,
        "pinned_in_environment": pinned(),
        "cold": settings.cold,
        "ours": [c.name for c in settings.ours],
        "peers": [c.name for c in settings.peers],
        "contenders": run.about,
        "limits": limits and {"gflops": five_digits(limits.flops / 1e9), "gb_per_s": five_digits(limits.bytes / 1e9)},
        "results": [_entry(m, limits, settings) for m in run.measurements if m.measured],
        "left_out": [{"contender": who, "case": case, "reason": reason} for who, case, reason in run.left_out],
    }


def _entry(measurement, limits, settings):
    case, measured = measurement.case, measurement.measured
    medians = {name: quartiles(one.rounds).median for name, one in measured.items()}
    peers = [c.name for c in settings.peers if c.name in measured]
    floor = limits and floor_seconds(case, limits)
    memory = {}
    if measurement.part == "networks":  # elsewhere a process has had other cases before
        memory = {name: {"peak_mb": one.memory and round(one.memory / 1e6)} for name, one in measured.items()}
    return {
        "part": measurement.part,
        "name": case.name,
        "shape": case.shape,
        "passes": case.passes,
        "batch": case.arrays["x"][0][0] if "x" in case.arrays else None,  # an embedding or an optimizer has none
        "threads": measurement.threads,
        "gflop": five_digits(case.flops / 1e9),
        "mb": five_digits(case.bytes / 1e6),
        "floor_ms": floor and five_digits(1e3 * floor),
        "fastest_peer": min(peers, key=medians.get) if peers else None,
        "contenders": {name: _contender(name, case, measured, floor) | memory.get(name, {}) for name in measured},
    }


def _contender(name, case, measured, floor):
    one = measured[name]
    low, median, high = quartiles(one.rounds)
    against = {other: speed_ratio(one.rounds, measured[other].rounds) for other in measured if other != name}
    return {
        "ms": {"low": five_digits(1e3 * low), "median": five_digits(1e3 * median), "high": five_digits(1e3 * high)},
        "rounds_ms": [five_digits(1e3 * float(np.median(times))) for times in one.rounds],
        "steps": sum(map(len, one.rounds)),
        "first_step_s": five_digits(one.first),
        "cores_busy": five_digits(float(np.median(one.cores))),
        "gflops": five_digits(case.flops / median / 1e9),
        "gb_per_s": five_digits(case.bytes / median / 1e9),
        "of_roof": floor and five_digits(floor / median),
        "against": {other: {k: five_digits(v) for k, v in ratio._asdict().items()} for other, ratio in against.items()},
    }
