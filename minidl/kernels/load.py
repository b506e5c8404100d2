"""How many cores other programs leave free, so that no thread is started for a core that is taken.

A part of a loop that has begun must be finished by its thread, and waited for. On a taken core that thread runs half of the
time, in slices of some milliseconds, so two threads on one and a half cores can be slower than one. Linux counts what each
core has done, and Python what this process has: the difference is what others did.
"""

import os
import time

__all__ = ["Watch", "can_be_seen"]

_EVERY = 0.2  # seconds; reading takes 0.1 ms, and Linux counts in hundredths of a second
_AT_WORK = 0.7  # of the time between two counts; what others did while this thread rested says nothing of now
_STAT, _WAITS = "/proc/stat", "/proc/thread-self/schedstat"


def _cores():
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _work_done():
    """Return the seconds that this process's cores were busy since the system started, and those that a host took away."""
    names = {f"cpu{core}" for core in _cores()}
    with open(_STAT, encoding="ascii") as lines:
        fields = [line.split() for line in lines if line.startswith("cpu")]
    # user, nice, system, idle, waiting for disks, interrupts of two kinds, stolen by other virtual machines
    counts = [[int(count) for count in row[1:9]] for row in fields if row[0] in names]
    ticks = sum(sum(row) - row[3] - row[4] for row in counts), sum(row[7] for row in counts)
    return tuple(number / os.sysconf("SC_CLK_TCK") for number in ticks)


def _wanted():
    """Return the seconds for which this thread has had a core, or has waited for one."""
    with open(_WAITS, encoding="ascii") as numbers:
        return time.thread_time() + int(numbers.read().split()[1]) / 1e9


def can_be_seen():
    """Return whether the system tells what its cores do."""
    return os.path.exists(_STAT)


class Watch:
    """Whether it is time to count again, and what the last counts say.

    free    cores' worth of time that other programs left between the last two counts; before them, all cores
    """

    def __init__(self):
        self.due, self.free, self._before = 0.0, float(len(_cores())), None

    def count(self, now):
        """Count what the cores have done until `now`."""
        self.due = now + _EVERY
        try:
            counts = now, *_work_done(), time.process_time(), _wanted()
        except (OSError, ValueError, IndexError):  # not on this system
            self.due = float("inf")
            return
        self.free = float(len(_cores()))
        if self._before is not None:
            seconds, work, stolen, own, wanted = (b - a for a, b in zip(self._before, counts, strict=True))
            if wanted + stolen / len(_cores()) >= _AT_WORK * seconds:
                self.free -= max(0.0, (work - own) / seconds)
        self._before = counts
