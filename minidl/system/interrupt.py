"""Ctrl-C while a command is still loading: it ends at once, where Python would show a traceback through its imports."""

import signal
import sys
from pathlib import Path

__all__ = ["handle_interrupts", "leave_interrupts_to_the_system"]

_left = False


def leave_interrupts_to_the_system() -> None:
    """Let Ctrl-C end this process without a word, if it is a command of minidl: `minidl …` or `python -m minidl …`."""
    global _left
    words = sys.orig_argv
    by_name = sys.argv[:1] == ["-m"] and "minidl" in words  # "-m" stands there only while Python looks for the module
    by_script = len(words) > 1 and Path(words[1]).stem == "minidl"
    if (by_name or by_script) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _left = True


def handle_interrupts() -> None:
    """Undo `leave_interrupts_to_the_system`: from now on Ctrl-C is a KeyboardInterrupt again."""
    global _left
    if _left:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _left = False
