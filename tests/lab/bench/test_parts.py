"""Who takes part in which part of a benchmark."""

import pytest

from minidl.lab.bench import parts
from minidl.lab.bench.remote import PEERS, minidl_at


@pytest.mark.parametrize("peers", [(), ("eager",), ("eager", "jax")])
def test_products_alone_are_measured_beside_numpy(monkeypatch, peers):
    asked = {}

    def noted(run, settings, part, contenders, cases):
        asked.update({case.label: (case.name, [one.name for one in contenders]) for case in cases})

    monkeypatch.setattr(parts, "_measure", noted)
    settings = parts.Settings((minidl_at(),), tuple(PEERS[name] for name in peers), threads=2, quick=True)
    parts.measure_operations(None, settings, ())
    beside = ["minidl", *(["torch eager"] if peers else [])]
    assert {name for name, _ in asked.values()} > {"matmul", "conv2d", "adam"}
    for name, contenders in asked.values():
        assert contenders == beside + (["numpy"] if name == "matmul" and peers else [])
