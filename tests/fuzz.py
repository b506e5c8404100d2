"""Damaging bytes at random, and watching what a reader does with them."""

import contextlib
import random
import signal
import struct
import tracemalloc

ABSURD = (0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


def flip(data, rng):
    for _ in range(rng.randint(1, 4)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(data, rng):
    at, n = rng.randrange(len(data)), rng.randint(1, 16)
    data[at : at + n] = rng.randbytes(n)


def truncate(data, rng):
    del data[rng.randrange(len(data)) :]


def cut_out(data, rng):
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 64)]


def insert(data, rng):
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.randint(1, 64))


def repeat(data, rng):
    """Copy a piece over another place."""
    n = rng.randint(1, len(data))
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    data[target : target + n] = data[source : source + n]


def absurd_number(data, rng):
    """A two- or four-byte field, of either byte order, that says something absurd."""
    order, (size, kind) = rng.choice("<>"), rng.choice([(2, "H"), (4, "I")])
    at = rng.randrange(max(1, len(data) - size))
    data[at : at + size] = struct.pack(order + kind, rng.choice(ABSURD) % 256**size)


MANNERS = (flip, overwrite, truncate, cut_out, insert, repeat, absurd_number)


def damaged(whole, cases, seed=0):
    """So many damaged versions of some bytes, one manner after the other, now and then two at once."""
    rng = random.Random(seed)
    for i in range(cases):
        data = bytearray(whole)
        MANNERS[i % len(MANNERS)](data, rng)
        if data and rng.random() < 0.2:
            rng.choice(MANNERS)(data, rng)
        yield bytes(data)


@contextlib.contextmanager
def within(seconds):
    """A guard against loops without end, not a measurement."""

    def give_up(*_):
        raise TimeoutError(f"no end after {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(read, error, most):
    """(whether `read()` was refused with `error`, else what it returned); it may take `most` bytes of memory.

    What other threads of the process take meanwhile is counted, too; so what seems too much is measured again: a reader
    that is greedy is so every time.
    """
    for _ in range(3):
        outcome, peak = _measured(read, error)
        if peak <= most:
            return outcome
    raise AssertionError(f"{peak:,} bytes of memory, and {most:,} are allowed")


def _measured(read, error):
    """((whether it was refused, what it returned), the most bytes that were taken at once)."""
    tracemalloc.start()
    try:
        with within(30):
            try:
                outcome = False, read()
            except error:
                outcome = True, None
        return outcome, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
