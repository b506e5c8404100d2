"""The parts of a benchmark: limits, networks, busy or not, operations, scaling: each a team of contenders and its cases."""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from minidl.lab.bench.cases import REFERENCE_BATCH, Case, copy, matmul, network, operations
from minidl.lab.bench.contest import Budget, Team
from minidl.lab.bench.environment import worker_environment
from minidl.lab.bench.remote import Contender, fused_and_replayed, minidl_at, numpy_contender, on_one_thread
from minidl.system.progress import progress

__all__ = ["Measurement", "Run", "Settings", "measure_busy", "measure_limits", "measure_networks", "measure_operations",
           "measure_scaling"]  # fmt: skip

BATCHES = (8, 32, 128, 512)
_BUDGETS = {  # seconds and fewest steps of a turn
    "limits": Budget(3, 0.5, 3),
    "networks": Budget(7, 0.3, 2),
    "busy": Budget(7, 0.6, 2),  # longer: what a scheduler does with three programs on two cores changes by the second
    "ops": Budget(7, 0.05, 2),
    "scaling": Budget(3, 0.2, 1),
}
_QUICK = Budget(2, 0.005, 1)


@dataclass(frozen=True)
class Settings:
    """How to measure.

    ours, peers   contenders: minidl (and another version of it), and the others
    cold          let nothing be found compiled by those networks' first steps
    scratch       a folder for compiled kernels
    """

    ours: tuple[Contender, ...]
    peers: tuple[Contender, ...]
    threads: int
    isa: str = "native"
    rounds: int | None = None
    cold: bool = True
    quick: bool = False
    scratch: Path | None = None

    def budget(self, part):
        """Return the time to spend on a case."""
        budget = _QUICK if self.quick else _BUDGETS[part]
        return replace(budget, rounds=self.rounds or budget.rounds)


class Measurement(NamedTuple):
    """A case, with how many threads, and what came of it: contender → `contest.Measured`."""

    part: str
    case: Case
    threads: int
    measured: dict


@dataclass
class Run:
    """What was measured, what the contenders told about themselves, and who was left out where, and why."""

    measurements: list = field(default_factory=list)
    about: dict = field(default_factory=dict)
    left_out: list = field(default_factory=list)


def measure_limits(run, settings):
    """Measure a large matrix product and a large copy, by minidl with its threads and by NumPy."""
    size, length = (64, 10_000) if settings.quick else (2048, 32 * 1024 * 1024)
    contenders = (minidl_at(), numpy_contender())
    _measure(run, settings, "limits", contenders, [matmul(size), copy(length)])


def measure_networks(run, settings, names):
    """Measure training steps, each in fresh processes, so that first steps and memory are its own."""
    for name in names:
        _measure_network(run, settings, "networks", name)


def measure_busy(run, settings, names):
    """Measure the same training steps while another process keeps one core busy, at the same priority as everyone."""
    for name in names:
        with _one_core_taken():
            _measure_network(run, replace(settings, cold=False), "busy", name)


@contextmanager
def _one_core_taken():
    """Run a program that does nothing but compute."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            yield
        finally:
            other.kill()


def _measure_network(run, settings, part, name):
    case = network(name, 8 if settings.quick else None)
    alone = settings.ours[:1] if part == "networks" and settings.threads > 1 else ()
    everyone = (
        *settings.ours, *map(fused_and_replayed, settings.ours), *map(on_one_thread, alone), *settings.peers
    )  # fmt: skip
    contenders = [c for c in everyone if not c.images or len(case.arrays["x"][0]) == 4]
    _measure(run, settings, part, contenders, [case], cold=settings.cold)


def measure_operations(run, settings, names):
    """Measure single operations, by minidl and PyTorch eager; products of matrices by NumPy, too, as its BLAS is another."""
    for product, cases in groupby(operations(names, settings.quick), lambda case: case.name == "matmul"):
        others = (numpy_contender(),) if product and settings.peers else ()
        _measure(run, settings, "ops", (*_in_brief(settings), *others), list(cases))


def measure_scaling(run, settings, names):
    """Measure training steps with growing batches, and with 1, 2, 4, … threads, by minidl and PyTorch eager."""
    batches = (4, 8) if settings.quick else BATCHES
    fewer = [2**i for i in range(settings.threads.bit_length()) if 2**i < settings.threads]
    for name in names:
        _measure(run, settings, "scaling", _in_brief(settings), [network(name, batch) for batch in batches])
        for threads in (*fewer, settings.threads):
            limited = replace(settings, threads=threads)
            reference = network(name, 8 if settings.quick else REFERENCE_BATCH[name])
            _measure(run, limited, "scaling", _in_brief(settings), [reference])


def _in_brief(settings):
    return (*settings.ours, *(peer for peer in settings.peers if peer.variant == "eager"))


def _measure(run, settings, part, contenders, cases, cold=False):
    """Send the cases through a team, and keep what comes back."""
    budget, environment = settings.budget(part), worker_environment(settings.isa, settings.threads)
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    folder = settings.scratch / f"{part}-{cases[0].name}" if cold else None
    turns = len(contenders) * (1 + len(cases) * (1 + budget.rounds))
    desc = part if len(cases) > 1 else f"{part}: {cases[0].name}"
    with progress(desc=desc, total=turns, unit="turn") as bar:

        def on_turn(name):
            bar.set_postfix_str(name, refresh=False)
            bar.update(1)

        with Team(contenders, lambda c: environment | _caches(folder, c), settings.threads, on_turn) as team:
            for case in cases:
                run.measurements.append(Measurement(part, case, settings.threads, team.compare(case, budget)))
        for name, about in team.about.items():
            run.about.setdefault(name, about)
        run.left_out += team.left_out


def _caches(folder, contender):
    """Name empty folders for compiled kernels, so that a first step compiles; without a folder, those that are there."""
    if folder is None:
        return {}
    own = folder / contender.name.replace(" ", "-")  # torch.compile does not quote what it hands to the C++ compiler
    return {"NUMBA_CACHE_DIR": str(own / "numba"), "TORCHINDUCTOR_CACHE_DIR": str(own / "inductor")}
