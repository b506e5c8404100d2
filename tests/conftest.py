"""What all tests need, wherever they are started."""

import signal

import pytest

from minidl.kernels import aside


@pytest.fixture(autouse=True, scope="session")
def compile_here():
    """Tests that count on threads have them from the first call on; those of `aside` ask for a second process."""
    aside.refused, before = True, aside.refused
    yield
    aside.refused = before


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them press."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
