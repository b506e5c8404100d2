"""Contenders, and the processes in which they compute."""

import contextlib
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = [
    "ONE_THREAD",
    "PEERS",
    "REPLAYED",
    "Contender",
    "Worker",
    "WorkerError",
    "fused_and_replayed",
    "minidl_at",
    "numpy_contender",
    "on_one_thread",
]

_HERE = Path(__file__).parent
REPLAYED = ", fused and replayed"  # after the name of a minidl that is
ONE_THREAD = ", one thread"
_CAN_HALT = hasattr(signal, "SIGSTOP")


@dataclass(frozen=True)
class Contender:
    """Who computes: a file of `minidl.lab.bench`, and what it needs to know.

    root    the folder that holds the package minidl to be measured; None for others
    images  whether it makes sense for networks of images only
    """

    name: str
    file: Path
    variant: str = ""
    package: str = "numpy"
    root: Path | None = None
    images: bool = False

    def installed(self):
        """Return whether its package can be found (it is not imported)."""
        return importlib.util.find_spec(self.package) is not None


def minidl_at(root=None, name="minidl"):
    """Return this minidl as a contender, or the one in another folder."""
    return Contender(name, _HERE / "ours.py", package="minidl", root=Path(root or _HERE.parents[2]))


def fused_and_replayed(ours):
    """Return the same minidl, with `nn.fuse(model)`, and a replay in place of forward and backward."""
    return replace(ours, name=ours.name + REPLAYED, variant="replay")


def on_one_thread(ours):
    """Return the same minidl, which leaves all cores but one to others: what a step on a taken core is measured by."""
    return replace(ours, name=ours.name + ONE_THREAD, variant="one thread")


def numpy_contender():
    """Return NumPy as a contender, for the limits of the machine."""
    return Contender("numpy", _HERE / "peers_numpy.py")


PEERS = {
    "eager": Contender("torch eager", _HERE / "peers_torch.py", "eager", "torch"),
    "channels-last": Contender("torch channels-last", _HERE / "peers_torch.py", "channels-last", "torch", images=True),
    "compile": Contender("torch.compile", _HERE / "peers_torch.py", "compile", "torch"),
    "jax": Contender("jax jit", _HERE / "peers_jax.py", package="jax"),
    "tensorflow": Contender("tf.function", _HERE / "peers_tensorflow.py", "function", "tensorflow"),
    "xla": Contender("tf.function, XLA", _HERE / "peers_tensorflow.py", "xla", "tensorflow"),
}


class WorkerError(RuntimeError):
    """A contender could not do what it was asked for; `alive` says whether its process still answers."""

    def __init__(self, message, alive):
        super().__init__(message)
        self.alive = alive


class Worker:
    """The process of a contender, halted unless it has been asked something.

    An idle process is not quiet by itself: OpenMP's threads wait for their next task by spinning. Telling them not to
    would change the speed of what is measured; halting the whole process (SIGSTOP) does not. Where there is no such
    signal (Windows), idle contenders may disturb.
    """

    def __init__(self, contender, environment):
        self.contender = contender
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / "worker.py")], env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
        )  # fmt: skip

    def start(self, threads):
        """Import the library; returns its versions, instructions and memory."""
        root = self.contender.root and str(self.contender.root)
        return self.ask(
            "start", file=str(self.contender.file), root=root, variant=self.contender.variant, threads=threads
        )

    def ask(self, do, **what):
        """Return the answer of the process. WorkerError if it refuses, or has died."""
        self._signal("SIGCONT")
        try:
            self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise WorkerError(self._last_words(), alive=False)
        self._signal("SIGSTOP")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"], alive=True)
        return answer

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            with contextlib.suppress(OSError):  # what was still to be written to a dead process
                pipe.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _signal(self, name):
        if _CAN_HALT and self._process.poll() is None:
            self._process.send_signal(getattr(signal, name))

    def _last_words(self):
        """Say why a process that no longer answers has ended."""
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return f"its process ended with status {status}: {last[:120]}"
