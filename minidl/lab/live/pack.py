"""From recorded runs to the JSON in the page, and back to arrays."""

import base64
from typing import Any

import numpy as np

from minidl.lab.live.record import ARMS, EDGES, NETS, PERCENTILES, UNITS

__all__ = ["pack", "shares", "unit_bands"]

# The input at which a sigmoid's slope is a tenth of its steepest: y (1 − y) = 1/40.
_FLAT = float(np.log(np.divide(*(1 + np.sqrt(0.9) * np.array([1, -1])))))
_TEXTS: dict[str, dict[str, Any]] = {
    "sigmoid": {
        "title": "8 layers of 100 sigmoids", "layers": [str(i) for i in range(1, 9)],
        "unit": "sigmoid", "off": "saturated", "flat": [[float(EDGES[0]), -_FLAT], [_FLAT, float(EDGES[-1])]],
    },
    "conv": {
        "title": "2 convolutions and a hidden layer, ReLU", "layers": ["conv 1", "conv 2", "hidden"],
        "unit": "ReLU", "off": "off", "flat": [[float(EDGES[0]), 0.0]],
    },
}  # fmt: skip


def pack(result, about):
    """Return what the page shows, as plain JSON, from the Result of a recording.

    about     texts on where it comes from, which are handed on
    An arm    "acc" percent [seed][moment], "sat" percent and "signal" [seed][moment][layer]; "p", percentiles of the first
              seed, [moment][layer][5]; and base64 of bytes: "h", 255·√(share of the bin), uint8 [seed][moment][layer][bin];
              "u", the 15th, 50th and 85th percentile of a unit in tenths, int8 [moment][layer][unit][3], first seed
    """
    nets = [_pack_net(name, result.where(net=name)) for name in NETS]
    return {
        "about": about, "edges": [round(float(e), 6) for e in EDGES], "percentiles": list(PERCENTILES), "units": UNITS,
        "nets": nets,
    }  # fmt: skip


def _pack_net(name, result):
    settings = NETS[name].settings
    first = result.runs[0]
    return {
        "id": name, **_TEXTS[name], "lr": settings.lr, "momentum": settings.momentum, "batch": settings.batch_size,
        "tested": NETS[name].tested, "watched": NETS[name].watched,
        "seeds": result.settings("seed"), "steps": first.record["steps"],
        "arms": [{"id": arm, "name": ARMS[arm], **_pack_arm(result.where(arm=arm))} for arm in NETS[name].arms],
    }  # fmt: skip


def _pack_arm(result):
    records = [run.record for run in result.runs]
    counts = np.array([record["counts"] for record in records])
    share = counts / counts.sum(-1, keepdims=True)
    units = np.array(records[0]["units"])
    return {
        "acc": [[round(100 * a, 2) for a in record["accuracy"]] for record in records],
        "sat": [[[round(100 * s, 1) for s in moment] for moment in record["saturated"]] for record in records],
        "signal": [[[float(f"{s:.3g}") for s in moment] for moment in record["signal"]] for record in records],
        "p": [[[round(v, 2) for v in layer] for layer in moment] for moment in records[0]["percentiles"]],
        "h": _text(np.round(255 * np.sqrt(share)).astype(np.uint8)),
        "u": _text(np.clip(np.round(10 * units), -127, 127).astype(np.int8)),
    }


def _text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def shares(net, arm):
    """Return the share of each bin, (seeds, moments, layers, bins), of an arm of the packed data."""
    roots = np.frombuffer(base64.b64decode(arm["h"]), np.uint8) / 255
    return (roots**2).reshape(len(net["seeds"]), len(net["steps"]), len(net["layers"]), -1)


def unit_bands(net, arm):
    """Return the percentiles of single units, (moments, layers, units, 3), of an arm of the packed data."""
    tenths = np.frombuffer(base64.b64decode(arm["u"]), np.int8)
    return (tenths / 10).reshape(len(net["steps"]), len(net["layers"]), -1, 3)
