"""Contenders taking turns: the same case in each, one computing at a time, round after round."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from minidl.lab.bench.remote import Worker, WorkerError

__all__ = ["Budget", "Measured", "Team", "turns"]

AGREE = 1e-3  # numbers that all contenders compute may differ by this, relative to the largest (float32, some steps)


@dataclass(frozen=True)
class Budget:
    """How long to measure: rounds, and seconds and the fewest steps for each contender's turn in a round."""

    rounds: int
    seconds: float
    least: int = 2


@dataclass
class Measured:
    """One contender on one case: time of the first step, times of the others by round, cores busy, bytes of memory.

    `result` is what the contender says at the end, if it was asked.
    """

    first: float
    rounds: list = field(default_factory=list)
    cores: list = field(default_factory=list)
    memory: int | None = None
    result: dict | None = None


class Team:
    """The processes of some contenders, for as long as it is open (`with`).

    contenders   the first is the one that others must agree with
    environment  of a contender: a function
    threads      that each may use
    on_turn      called with a contender's name whenever it begins a turn, or leaves
    `about` holds what each told about itself; `left_out` why some are not compared: (contender, case or None, reason).
    """

    def __init__(self, contenders, environment, threads, on_turn=lambda name: None):
        self._contenders, self._environment, self._threads = list(contenders), environment, threads
        self._on_turn, self._stack = on_turn, ExitStack()
        self._workers, self.about, self.left_out = {}, {}, []

    def __enter__(self):
        with ExitStack() as stack:  # closes what has begun if one cannot be started
            for contender in self._contenders:
                self._on_turn(contender.name)
                worker = stack.enter_context(Worker(contender, self._environment(contender)))
                try:
                    self.about[contender.name] = worker.start(self._threads)
                except WorkerError as error:
                    self.left_out.append((contender.name, None, str(error)))
                    continue
                self._workers[contender.name] = worker
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc):
        self._stack.close()

    def compare(self, case, budget, finish=None):
        """Measure the case in all contenders that can do it and agree: name → Measured.

        finish   what to ask each for at the end, as arguments of its `result`
        """
        measured = self._build(case)
        for turn in range(budget.rounds):
            for name in turns(list(measured), turn):
                self._on_turn(name)
                answer = self._ask(name, case, "run", seconds=budget.seconds, least=budget.least)
                if answer is None:
                    del measured[name]
                    continue
                measured[name].rounds.append(answer["times"])
                measured[name].cores.append(answer["cores"])
                measured[name].memory = answer["memory"]
        for name in list(measured):
            if finish is not None:
                self._on_turn(name)
                measured[name].result = self._ask(name, case, "result", **finish)
            if name in self._workers:
                self._ask(name, case, "drop")
        return measured

    def _build(self, case):
        """Build the case in each, and leave out those that compute something else than the first."""
        measured, expected = {}, None
        for name in list(self._workers):
            self._on_turn(name)
            answer = self._ask(name, case, "build", case=case.message())
            if answer is None:
                continue
            expected = expected or answer["check"]
            if agree(answer["check"], expected):
                measured[name] = Measured(answer["first"])
                continue
            self._leave_out(name, case, f"it computes something else: {answer['check']}, not {expected}")
            self._ask(name, case, "drop")
        return measured

    def _ask(self, name, tried, do, **what):
        """Return the answer, or None: then the reason is kept, and a process that has died is not asked again."""
        try:
            return self._workers[name].ask(do, **what)
        except WorkerError as error:
            self._leave_out(name, tried, str(error))
            if not error.alive:
                del self._workers[name]
            return None

    def _leave_out(self, name, case, reason):
        self.left_out.append((name, case.label, reason))


def turns(names, turn):
    """Return the names in the order of a round: the first one changes, so that nobody always follows the same other."""
    start = turn % len(names) if names else 0
    return names[start:] + names[:start]


def agree(numbers, expected):
    """Return whether two lists of numbers are equal up to rounding."""
    if len(numbers) != len(expected):
        return False
    numbers, expected = np.array(numbers), np.array(expected)
    return bool((np.abs(numbers - expected) <= AGREE * np.abs(expected).max(initial=0)).all())
