"""Printing that works everywhere: where the terminal lacks a sign, the pipe is closed, the disk full, or nobody listens.

Work must not fail because somebody stopped reading about it. The commands print through `printing()`, all of them.
"""

import contextlib
import errno
import os
import re
import sys
import unicodedata

__all__ = ["SafeStream", "note", "printing", "readable", "safe", "say"]

# What is read instead of a sign that an encoding lacks. Greek letters get their names; accents are left out.
_PLAIN = {
    "±": "+/-", "×": "x", "·": "*", "⊙": "*", "∘": "o", "−": "-", "‐": "-", "‑": "-", "–": "-", "—": "-", "⁄": "/",
    "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "→": "->", "←": "<-", "√": "sqrt", "∂": "d", "∇": "grad ", "∞": "inf",
    "∑": "sum", "∈": " in ", "′": "'", "″": '"', "‖": "||", "⌊": "[", "⌋": "]", "⌈": "[", "⌉": "]", "\u0302": "_hat",
    "\u0303": "_tilde", "\u0304": "_bar", "∓": "-/+", "⋮": ":", "÷": "/", "⟨": "<", "⟩": ">",
    "µ": "u", "§": "sec. ", "°": " deg", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "•": "*",
    "✓": "ok", "✔": "ok", "✗": "x", "✘": "x", "○": "o", "●": "*", "█": "#", "▀": '"', "▄": "_", "│": "|", "─": "-",
    "├": "|", "┤": "|", "┬": "-", "┴": "-", "┼": "+", "╭": "/", "╮": "\\", "╯": "/", "╰": "\\",
    "†": "+", "ß": "ss", "æ": "ae", "Æ": "AE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L",
}  # fmt: skip


def readable(text: str, encoding: str | None) -> str:
    """Return the text with a readable stand-in for each sign that the encoding lacks: "γ ≤ 10⁻²" as "gamma <= 10^-2"."""
    try:
        if encoding is None or _has(encoding, text):
            return text
    except (LookupError, TypeError):  # no encoding that Python knows: whoever named it knows better
        return text
    parts, level = [], ""
    for sign in text:
        kind = {"<super>": "^", "<sub>": "_"}.get(unicodedata.decomposition(sign).partition(" ")[0], "")
        if _has(encoding, sign):
            parts.append(sign)
        else:
            parts.append(("" if kind == level else kind) + _stand_in(sign))
        level = kind
    return "".join(parts)


def _has(encoding, text):
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _stand_in(sign):
    if sign in _PLAIN:
        return _PLAIN[sign]
    if greek := re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(sign, "")):
        name = greek[2].replace("LAMDA", "LAMBDA")
        return name.lower() if greek[1] == "SMALL" else name.capitalize()
    pieces = unicodedata.normalize("NFKD", sign)
    if pieces == sign:
        return sign if sign.isascii() else "?"
    return "".join(_stand_in(piece) for piece in pieces if not unicodedata.combining(piece)) or "?"


class SafeStream:
    """A text stream to which printing never fails; what it cannot do, it leaves out.

    Signs that the stream's encoding lacks are replaced (`readable`). After an error of any kind, say because the reader has
    gone or the disk is full, nothing more is written. Everything else is the stream's own.

    stream    such as sys.stdout; None, as where a program has no terminal, swallows everything
    complain  called with a sentence when the stream fails for another reason than a closed pipe
    """

    def __init__(self, stream, complain=None):
        self._stream, self._complain = stream, complain
        self._error = None

    def write(self, text):
        """Write what can be written; returns the text's length."""
        self._attempt(lambda: self._stream.write(readable(text, getattr(self._stream, "encoding", None))))
        return len(text)

    def flush(self):
        """Hand on what was written."""
        self._attempt(lambda: getattr(self._stream, "flush", lambda: None)())

    def isatty(self):
        """Return whether this is a terminal."""
        try:
            return bool(self._stream.isatty())
        except Exception:  # it is closed, there is none, or it is one of somebody's own making
            return False

    def failed(self):
        """Flush, and return whether something was lost to more than a closed pipe."""
        self.flush()
        return self._error is not None and not _is_closed_pipe(self._error)

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def _attempt(self, action):
        if self._stream is None or self._error is not None:
            return
        try:
            action()
        except Exception as error:  # ValueError: it is closed; anything, from a stream of somebody's own making
            self._error = error
            self._let_go()
            if self._complain and not _is_closed_pipe(error):
                self._complain(f"minidl: no more can be printed ({getattr(error, 'strerror', None) or error})\n")

    def _let_go(self):
        """Lead standard output or error to nowhere, with what is still in its buffer; Python flushes it at its end."""
        with contextlib.suppress(Exception):
            if (number := self._stream.fileno()) in (1, 2):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def _is_closed_pipe(error):
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and getattr(error, "errno", None) == errno.EINVAL)


def safe(stream) -> SafeStream:
    """Return the stream as one to which printing never fails; None as one that swallows everything."""
    return stream if isinstance(stream, SafeStream) else SafeStream(stream)


def say(text: str) -> None:
    """Print a line, in signs that the standard output has, if there is one; for code that may run outside of a command."""
    print(text, file=safe(sys.stdout))


def note(text: str) -> None:
    """Print a line to the standard error, as `say` does to the output."""
    print(text, file=safe(sys.stderr), flush=True)


@contextlib.contextmanager
def printing():
    """Make standard output and error safe for the time of a `with`; gives the output, whose `failed()` tells of losses."""
    _fill_the_first_three()
    before = sys.stdout, sys.stderr
    errors = safe(sys.stderr)
    output = SafeStream(sys.stdout, complain=errors.write)
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        output.flush()
        errors.flush()
        sys.stdout, sys.stderr = before


def _fill_the_first_three():
    """Open nothing where standard input, output or error is closed: else a file of results gets its number.

    A message that goes to number 2, as one does on Ctrl-C, would then be written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
