"""Contenders that compute nothing, and a record made of them."""

from pathlib import Path

from minidl.lab.bench.cases import network
from minidl.lab.bench.contest import Measured
from minidl.lab.bench.parts import Measurement, Run, Settings
from minidl.lab.bench.record import as_record
from minidl.lab.bench.remote import Contender, minidl_at

FAKE = Path(__file__).parent / "fake_contender.py"


def fake(name, behaviour=""):
    return Contender(name, FAKE, f"{name} {behaviour}")


def measured(*rounds, first=1.0):
    return Measured(first, [list(times) for times in rounds], [1.0] * len(rounds), 200_000_000)


def run_of(*measurements):
    about = {"minidl": {"versions": {"minidl": "1"}, "instructions": {"BLAS": "fast"}}}
    return Run(list(measurements), about, [("torch.compile", "mlp batch 60", "RuntimeError: no compiler")])


def settings(peers=("torch eager", "jax jit"), ours=("minidl",), **options):
    contenders = [Contender(name, FAKE) for name in peers]
    return Settings(tuple(minidl_at(name=name) for name in ours), tuple(contenders), threads=2, **options)


def training(part="networks", name="mlp", batch=60, threads=2, **contenders):
    names = {"eager": "torch eager", "jax": "jax jit"}
    entries = {names.get(key, key): value for key, value in contenders.items()}
    return Measurement(part, network(name, batch), threads, entries)


def a_record(*measurements, **options):
    return as_record(run_of(*measurements), settings(**options), ["--networks", "mlp"])
