"""Known files from the internet: from the first mirror that works, into memory, in bounded time and with a checksum."""

import contextlib
import hashlib
import importlib
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from minidl.system.progress import progress

_CONNECT_TIMEOUT = 4.0  # seconds for one address of a server
_READ_TIMEOUT = 12.0  # seconds without a single byte
_PATIENCE = 12.0  # seconds that a file may take beyond what its size explains ...
_SLOWEST = 40_000.0  # ... at this many bytes a second
_CHUNK = 16_384
_NOT_THE_FILE = "the server sent something else"


class RemoteFile(NamedTuple):
    """A file whose exact content is known: its name on every mirror, its bytes, their SHA-256."""

    name: str
    size: int
    sha256: str

    def matches(self, data: bytes | bytearray) -> bool:
        """Return whether `data` is this very file."""
        return len(data) == self.size and hashlib.sha256(data).hexdigest() == self.sha256


class DownloadError(Exception):
    """No mirror delivered; the message says why in a few words."""


def fetch_all(
    files: Sequence[RemoteFile], mirrors: Sequence[str], *, title: str, quiet: bool
) -> Iterator[tuple[RemoteFile, bytes]]:
    """Yield each file with its verified content as it arrives; a mirror that fails once is not asked again.

    Raises `DownloadError` when the last mirror has failed. Progress goes to stderr.
    """
    _import_libraries()
    mirrors, reasons, done = list(mirrors), [], 0
    total = sum(file.size for file in files)
    bar = progress(desc=title, total=total, unit="B", unit_scale=True, quiet=quiet, delay=0.3)  # no flicker if offline
    with bar:
        for file in files:
            while mirrors:
                try:
                    data = _fetch(mirrors[0] + file.name, file, bar, done)
                    break
                except DownloadError as error:
                    reasons.append(str(error))
                    mirrors.pop(0)
            else:
                raise DownloadError(", ".join(dict.fromkeys(reasons)))
            done += file.size
            yield file, data


def _import_libraries() -> None:
    """Import what a download needs, without the remarks that these libraries make on each other's versions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("requests", "pooch"):
            importlib.import_module(name)


class _Inbox:
    """What the downloader writes into: memory that takes no more than a limit and can be shut from another thread."""

    def __init__(self, limit: int):
        self.data = bytearray()
        self.limit = limit
        self.shut = False
        self.error: Exception | None = None

    def write(self, chunk: bytes) -> None:
        if self.shut:
            raise DownloadError("given up")
        if len(self.data) + len(chunk) > self.limit:
            raise DownloadError(_NOT_THE_FILE)
        self.data += chunk

    def flush(self) -> None:
        """Part of what the downloader expects of a file."""


def _fetch(url: str, file: RemoteFile, bar, done: int) -> bytes:
    """One file from one mirror; `done` bytes of the bar belong to the files before it.

    It arrives in a thread: a socket's timeouts cover neither a slow name server nor a server that sends a byte now and
    then. The thread is a daemon, so one that had to be left behind does not keep Python from ending.
    """
    inbox = _Inbox(file.size)
    thread = threading.Thread(target=_receive, args=(url, inbox), daemon=True)
    started = time.monotonic()
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.05)
            arrived = len(inbox.data)
            bar.update(done + arrived - bar.n)
            if time.monotonic() - started > _PATIENCE + arrived / _SLOWEST:
                raise DownloadError("too slow")
    finally:
        inbox.shut = True
    if inbox.error:
        raise DownloadError(_reason(inbox.error)) from inbox.error
    if not file.matches(inbox.data):
        raise DownloadError(_NOT_THE_FILE)
    return bytes(inbox.data)


def _receive(url: str, inbox: _Inbox) -> None:
    import pooch

    timeouts = (_CONNECT_TIMEOUT, _READ_TIMEOUT)
    try:
        with contextlib.ExitStack() as at_the_end:

            def close_at_the_end(response, **_):  # pooch leaves it open when something goes wrong
                at_the_end.callback(response.close)

            hooks = {"response": close_at_the_end}
            pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=timeouts, hooks=hooks)(url, inbox, None)
    except Exception as error:  # whatever is wrong with one mirror, the next one is worth a try
        inbox.error = error


def _reason(error: Exception) -> str:
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, exceptions.Timeout):
        return "no answer in time"
    if isinstance(error, exceptions.ConnectionError | exceptions.ChunkedEncodingError):
        return "no connection"
    return str(error) if isinstance(error, DownloadError) else type(error).__name__
