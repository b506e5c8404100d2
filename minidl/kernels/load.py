"""How many cores other programs leave free, so that no thread is started for a core that is taken.

A part of a loop that has begun must be finished by its thread, and waited for. On a taken core that thread runs half of the
time, in slices of some milliseconds, so two threads on one and a half cores can be slower than one. Linux counts what each
core has done, and Python what this process has: the difference is what others did.
"""

import os
import time

__all__ = ["Watch", "can_be_seen"]

_EVERY = 0.2  # seconds; reading takes 0.1 ms, and Linux counts in hundredths of a second
_LONG = 1  # seconds, after which what was counted says nothing of now: the process may have slept, or been halted
_STAT = "/proc/stat"


def _cores():
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)


def _work_done():
    """Return the seconds that this process's cores were busy since the system started, whoever used them."""
    names = {f"cpu{core}" for core in _cores()}
    with open(_STAT, encoding="ascii") as lines:
        fields = [line.split() for line in lines if line.startswith("cpu")]
    # user, nice, system, idle, waiting for disks, interrupts of two kinds, stolen by other virtual machines
    counts = [[int(count) for count in row[1:9]] for row in fields if row[0] in names]
    return sum(sum(row) - row[3] - row[4] for row in counts) / os.sysconf("SC_CLK_TCK")


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
            work, own = _work_done(), time.process_time()
        except (OSError, ValueError, IndexError):  # not on this system
            self.due = float("inf")
            return
        self.free = float(len(_cores()))
        if self._before is not None and now - self._before[0] < _LONG:
            then, work_then, own_then = self._before
            others = (work - work_then - (own - own_then)) / (now - then)
            self.free -= max(0.0, others)
        self._before = now, work, own
