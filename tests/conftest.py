"""What all tests need, wherever they are started."""

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def ctrl_c():
    """A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them press."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
