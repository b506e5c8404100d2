"""Progress of long work, by tqdm: a live bar in a terminal or a notebook, a line now and then in a log file."""

import contextlib
import os
import sys
import warnings

from minidl.system.terminal import safe

__all__ = ["line_above", "progress"]

_COLUMNS, _LINES = 88, 24  # where there is no terminal, or one that does not know its size


def progress(iterable=None, desc=None, total=None, unit="it", quiet=False, **options):
    """Return a tqdm bar over `iterable`, or one to move by hand with `.update(n)`; on stderr, gone when it is done.

    There is none if `quiet`, or without tqdm. No stream, whatever is wrong with it, stops the work.
    """
    if not quiet:
        with contextlib.suppress(Exception):  # the work needs no bar
            return _bar(iterable, desc=desc, total=total, unit=unit, **({"leave": False} | options))
    return _Silence(iterable, total, options.get("initial", 0))


def line_above(text):
    """Write a line on stderr, above a bar that may be there."""
    with contextlib.suppress(Exception):  # as for bars
        from tqdm import tqdm

        tqdm.write(text, file=_stderr())
        sys.stderr.flush()


_seen = None, safe(None)  # a standard error, and the safe stream made of it


def _stderr():
    """Return the same safe stream for as long as the standard error is the same: tqdm asks which bars are on it."""
    global _seen
    if _seen[0] is not sys.stderr:
        _seen = sys.stderr, safe(sys.stderr)
    return _seen[1]


def _bar(iterable, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without ipywidgets tqdm warns, and then draws the bar as text
        from tqdm.auto import tqdm

        stderr = _stderr()
        if _in_notebook():
            return tqdm(iterable, **options)
        if stderr.isatty():
            return tqdm(iterable, **({"file": stderr} | _size_of_the_terminal() | options))
        options = {"file": _Lines(stderr), "mininterval": 10, "maxinterval": 10, "ncols": _COLUMNS} | options
        return tqdm(iterable, **options)


class _Silence:
    """What tqdm's bars do, as far as minidl uses them, without a bar."""

    def __init__(self, iterable, total, n):
        self._iterable, self.total, self.n = iterable, total, n

    def __iter__(self):
        return iter(self._iterable)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def update(self, n=1):
        self.n += n

    def set_postfix_str(self, text, refresh=True):
        pass


def _size_of_the_terminal():
    """The size, which tqdm asks of `sys.stderr` alone; with no columns, or no lines, it would write nothing at all."""
    try:
        size = os.get_terminal_size(sys.stderr.fileno())
    except Exception:  # no terminal, or none that is a file
        return {}
    columns = size.columns - (os.name == "nt")  # there a full line is two
    return {"ncols": columns if size.columns else _COLUMNS, "nrows": size.lines or _LINES}


class _Lines:
    """A file in which every update is a line of its own, where a terminal would overwrite the last one."""

    def __init__(self, file):
        self._file = file

    def write(self, text):
        text = text.replace("\x1b[A", "").strip("\r\n ")  # "up one line", from a bar inside a bar
        if text:
            self._file.write(text + "\n")

    def flush(self):
        self._file.flush()


def _in_notebook():
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"
