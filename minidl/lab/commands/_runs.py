"""What the commands that train have in common: threads, checkpoints, how a run is continued, and its results."""

import datetime
import itertools
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np

import minidl
from minidl.checkpoint import Checkpoints
from minidl.kernels.load import can_be_seen
from minidl.system.files import write_atomically
from minidl.system.progress import line_above

__all__ = ["about_this_run", "again", "all_written", "announce_compiling", "checkpoints_of", "find_saved", "holds_results",
           "set_threads", "what_it_depends_on", "write_json"]  # fmt: skip

_SECONDS = 5  # between two lines about what is compiled


def set_threads(threads):
    """Use so many threads; with None all cores, and say if that is unwise."""
    if not threads:
        _mind_the_load()
        return
    try:
        minidl.set_num_threads(threads)
    except ValueError as error:
        raise ValueError(f"--threads: {str(error).partition(': ')[2]}") from None


def _mind_the_load():
    """Say where time would be lost, before it is: where minidl cannot see by itself that other programs use the cores."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0] if hasattr(os, "getloadavg") else 0
    if not can_be_seen() and minidl.get_num_threads() > 1 and load > cores / 2:
        print(
            f"minidl: other programs keep this machine busy (load {load:.1f}, {cores} cores), where threads wait for each "
            "other; --threads 1 may be several times faster, with the same results",
            file=sys.stderr,
        )


def checkpoints_of(out, name, run):
    """Return those of one network. The folder's name depends on all that its bits depend on, so runs do not mix."""
    mark = zlib.crc32(json.dumps(run, sort_keys=True).encode())
    return Checkpoints(out / "checkpoints" / f"{name}-{mark:08x}", run)


def find_saved(checkpoints, steps, name, resume):
    """Find where to continue. A run that starts over moves an unfinished one out of its way."""
    if resume:
        saved = checkpoints.latest()
        at = f"continues after step {saved[0]:,}" if saved else f"starts over: {_why_anew(checkpoints)}"
        print(f"{name}: {at}", flush=True)
        return saved
    reached = checkpoints.newest_step()
    if reached is not None and reached < steps:
        aside = checkpoints.folder.with_name(checkpoints.folder.name + ".old")
        shutil.rmtree(aside, ignore_errors=True)
        checkpoints.folder.rename(aside)
        print(
            f"{name}: starts over, without --resume; the unfinished run (step {reached:,}) is now in {aside}",
            flush=True,
        )
    return None


def _why_anew(checkpoints):
    name = checkpoints.folder.name.rpartition("-")[0]
    if any(checkpoints.folder.parent.glob(f"{name}-*")):
        return "no checkpoint has these settings and data"
    return "nothing of it was saved yet"


def again():
    """Return the given command as one that resumes."""
    given = [word for word in sys.orig_argv if word != "--resume"]
    join = subprocess.list2cmdline if os.name == "nt" else shlex.join  # as the shell there takes it
    return join([*given, "--resume"])


def announce_compiling(about):
    """Return what names the kernel being compiled, and its number of `about` so many: at the first, then every 5 seconds."""
    count, due = itertools.count(1), 0.0

    def announce(name):
        nonlocal due
        number, now = next(count), time.monotonic()
        if now >= due:
            due = now + _SECONDS
            line_above(
                f"compiling kernels, which later runs find ready: {number} of about {max(about, number)}, {name}"
            )

    return announce


def what_it_depends_on(settings, dataset):
    """Return the head of a run's results: version, settings (a dict) and data."""
    checksum = 0
    for array in (*dataset.train, *dataset.test):
        checksum = zlib.crc32(np.ascontiguousarray(array), checksum)
    return {
        "minidl": minidl.__version__,
        "settings": settings,
        "data": {
            "source": dataset.source, "train": len(dataset.train.labels), "test": len(dataset.test.labels),
            "crc32": f"{checksum:08x}",
        },
    }  # fmt: skip


def holds_results(out, head, files, fits=lambda old: True):
    """Return whether the folder holds these files, and finished results with this head that `fits` accepts."""
    try:
        old = json.loads((out / "results.json").read_text(encoding="utf-8"))
        same = {name: old[name] for name in head} == head and fits(old) and old["finished"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return same and all((out / name).is_file() for name in files)


def about_this_run(args, seconds):
    """Say when, how, where and how fast it ran; `seconds` names what took how long."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "arguments": {name: str(v) if isinstance(v, Path) else v for name, v in vars(args).items() if name != "run"},
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "threads": minidl.get_num_threads(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def all_written(out, files):
    """Write the files that a generator writes and yields; returns their names. OSError says how to go on."""
    try:
        return list(files)
    except OSError as error:
        raise OSError(
            f"cannot write the results to {out} ({error.strerror or error}); make room there, and give the same command "
            "again with --resume: it goes on from the last checkpoint"
        ) from error


def write_json(out, results):
    """Write results.json; returns its name."""
    write_atomically(out / "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode())
    return out / "results.json"
