"""Progress: whole lines in a log file, a live bar in a terminal, and silence on request."""

import contextlib
import io
import os
import struct
import subprocess
import sys

import pytest

from minidl.system.progress import line_above, progress
from minidl.train import train_one_epoch
from tests.test_train import loader, network, optim


class Screen(io.StringIO):
    """A standard error of our own, for the time of a `with`."""

    def __init__(self, terminal):
        super().__init__()
        self.isatty = lambda: terminal
        self._redirect = contextlib.redirect_stderr(self)

    def __enter__(self):
        self._redirect.__enter__()
        return self

    def __exit__(self, *exc):
        self._redirect.__exit__(*exc)


def lines(log):
    """The log's lines, after making sure that they are whole and hold nothing but text."""
    text = log.getvalue()
    assert text.endswith("\n") or not text
    assert not any(ord(sign) < 32 for sign in text.replace("\n", ""))
    assert all(line.strip() == line != "" for line in text.splitlines())
    assert all(len(line) <= 100 for line in text.splitlines())
    return text.splitlines()


def test_a_log_file_gets_whole_lines():
    with Screen(terminal=False) as log:
        seen = list(progress(range(1000), desc="counting", unit="step", mininterval=0, miniters=100))
    assert seen == list(range(1000))
    written = lines(log)
    assert written[0].startswith("counting:   0%")
    assert len(written) > 5
    assert all(line.startswith("counting: ") for line in written)


def test_a_log_file_gets_few_lines():
    with Screen(terminal=False) as log:
        for _ in progress(range(20_000), desc="counting"):
            pass
        assert progress(range(5)).mininterval == 10  # seconds between two lines
    assert 1 <= len(lines(log)) <= 4


def test_a_bar_moved_by_hand():
    with Screen(terminal=False) as log, progress(desc="by hand", total=10, unit="step", leave=True) as bar:
        bar.update(4)
        bar.set_postfix_str("accuracy 97 %", refresh=False)
        bar.update(6)
    written = lines(log)
    assert written[0].startswith("by hand:   0%")
    assert written[-1].startswith("by hand: 100%")
    assert "10/10" in written[-1]
    assert "accuracy 97 %" in written[-1]


def test_bars_inside_bars_give_whole_lines():
    model = network()
    with Screen(terminal=False) as log:
        for _ in progress(range(3), desc="epochs", leave=True, mininterval=0):
            train_one_epoch(model, loader(), optim.SGD(model.parameters(), lr=0.1))
    assert {line.split(":")[0] for line in lines(log)} == {"epochs", "training"}


def test_an_exception_leaves_whole_lines():
    with Screen(terminal=False) as log, pytest.raises(ZeroDivisionError):
        sum(1 / (5 - i) for i in progress(range(10), desc="failing", mininterval=0))
    assert lines(log)


def test_a_terminal_gets_a_bar_that_moves_and_is_gone_at_the_end():
    with Screen(terminal=True) as terminal:
        for _ in progress(range(100), desc="counting", mininterval=0):
            pass
    text = terminal.getvalue()
    assert text.count("\rcounting: ") > 50
    assert "\n" not in text
    assert text.rsplit("\r", 2)[1].strip() == ""  # overwritten with blanks


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("lines", "columns"), [(0, 0), (0, 100), (24, 0), (24, 20), (24, 100)])
def test_a_terminal_of_any_size_shows_a_bar(lines, columns):
    """Also one that says that it has no columns or lines, as some do under containers and editors."""
    import fcntl
    import pty
    import termios

    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    program = "from minidl.system.progress import progress; list(progress(range(9), desc='on', mininterval=0))"
    subprocess.run([sys.executable, "-c", program], stderr=inside, check=True)
    os.close(inside)
    written = os.read(outside, 65_536).decode()
    os.close(outside)
    assert "on: " in written
    assert all(len(line) <= (columns or 88) for line in written.replace("\x1b[A", "").split("\r"))


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_writes_nothing(terminal):
    with Screen(terminal) as screen:
        assert list(progress(range(5), desc="silent", quiet=True)) == list(range(5))
        with progress(desc="silent", total=5, quiet=True, leave=True) as bar:
            bar.set_postfix_str("nothing")
            bar.update(5 - bar.n)
    assert screen.getvalue() == ""


def test_standard_output_stays_clean(capsys):
    with Screen(terminal=False):
        for _ in progress(range(5), desc="counting"):
            pass
    assert capsys.readouterr().out == ""


def test_without_tqdm_there_is_no_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with Screen(terminal=False) as log:
        assert list(progress(range(5), desc="counting")) == list(range(5))
        with progress(desc="by hand", total=5, initial=2) as bar:
            bar.update()
            bar.total += 1
            bar.set_postfix_str("nothing", refresh=False)
            assert (bar.n, bar.total) == (3, 6)
    assert log.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_line_above_a_bar_is_whole(terminal):
    with Screen(terminal) as log, progress(total=3, desc="counting"):
        line_above("a line of its own")
    assert "a line of its own" in [part.strip() for part in log.getvalue().replace("\r", "\n").split("\n")]


def test_a_line_above_no_bar_and_without_a_stream():
    with Screen(terminal=False) as log:
        line_above("ε > 0")
    assert log.getvalue() == "ε > 0\n"
    with contextlib.redirect_stderr(None):
        line_above("nobody reads it")
