"""The results of `minidl mnist`: the table, and the files in `--out`."""

import dataclasses
import datetime
import json
import platform
import zlib
from pathlib import Path

import numpy as np

import minidl
from minidl import checkpoint
from minidl.lab.paper.fig1 import typical_unit
from minidl.system.files import remove_parts, write_atomically
from minidl.system.tables import text_table

__all__ = ["NAMES", "about_this_run", "head_of", "is_finished", "results_of", "table", "write"]

NAMES = {"none": "without batch norm", "batch": "with batch norm"}


def head_of(settings, digits):
    """Return what a run depends on, as its results state it."""
    checksum = 0
    for array in (*digits.train, *digits.test):
        checksum = zlib.crc32(np.ascontiguousarray(array), checksum)
    return {
        "minidl": minidl.__version__,
        "settings": _as_dict(settings),
        "data": {
            "source": digits.source, "train": len(digits.train.labels), "test": len(digits.test.labels),
            "crc32": f"{checksum:08x}",
        },
    }  # fmt: skip


def is_finished(out, head, norms):
    """Return whether the folder holds all results of this very run."""
    try:
        old = json.loads((out / "results.json").read_text(encoding="utf-8"))
        same = {name: old[name] for name in head} == head and set(old["arms"]) == set(norms) and old["finished"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return same and all((out / name).is_file() for name in ("figure1.png", *(f"weights-{norm}.npz" for norm in norms)))


def results_of(settings, norms, arms):
    """Return the results for strict JSON; they depend on settings and data alone, once the run is finished."""
    unit = typical_unit(arms.get("none") or arms["batch"])  # one unit for both arms, whose initial weights are the same
    return {
        "finished": all(norm in arms and arms[norm].steps[-1] == settings.steps for norm in norms),
        "arms": {
            norm: {
                "steps": arm.steps.tolist(),
                "accuracy": arm.accuracy.round(6).tolist(),
                "loss": arm.loss.tolist(),
                "final_accuracy": round(float(arm.accuracy[-1]), 6),
                "steps_to_95": arm.steps_to(0.95),
                "unit": unit,
                "input_percentiles": arm.inputs[:, unit].tolist(),
            }
            | ({} if arm.before is None else {"before_percentiles": arm.before[:, unit].tolist()})
            for norm, arm in arms.items()
        },
    }


def about_this_run(args, total, arms):
    """Say when, how, where and how fast it ran."""
    seconds = {norm: round(arm.seconds, 2) for norm, arm in arms.items()}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "arguments": {name: str(v) if isinstance(v, Path) else v for name, v in vars(args).items() if name != "run"},
        "seconds": {"total": round(total, 2), **seconds},
        "threads": minidl.get_num_threads(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def write(out, results, arms, settings, digits):
    """Write all files; returns their names. OSError says how to go on."""
    try:
        return list(_written(out, results, arms, settings, digits))
    except OSError as error:
        raise OSError(
            f"cannot write the results to {out} ({error.strerror or error}); make room there, and give the same command "
            "again with --resume: it goes on from the last checkpoint"
        ) from error


def _written(out, results, arms, settings, digits):
    """Write the weights, the figure, and last results.json, whose presence means that all is there; yield each."""
    from minidl.lab import plot

    remove_parts(out)
    for norm, arm in arms.items():
        path = out / f"weights-{norm}.npz"
        checkpoint.save(path, arm.model.state_dict(), {"norm": norm, **_as_dict(settings)})
        yield path
    figure = plot.figure1(results["arms"], settings=results["settings"], source=digits.source)
    plot.save(figure, out / "figure1.png")
    yield out / "figure1.png"
    write_atomically(out / "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode())
    yield out / "results.json"


def table(arms):
    """Lay out accuracy at milestones, steps to 95 %, and time. An arm that was stopped has no accuracy at the later ones."""
    measured = max((arm.steps for arm in arms.values()), key=len)
    wanted = [measured[-1] * share for share in (0.02, 0.1, 0.2, 0.5, 1)]
    at = sorted({int(np.abs(measured - step).argmin()) for step in wanted})
    head = ["test accuracy after", *(f"{measured[i]:,}" for i in at), "steps to 95 %", "time"]
    rows = [head]
    for norm, arm in arms.items():
        reached = arm.steps_to(0.95)
        rows.append([
            NAMES[norm], *(f"{100 * arm.accuracy[i]:.2f} %" if i < len(arm.steps) else "stopped" for i in at),
            "not reached" if reached is None else f"{reached:,}", f"{arm.seconds:.0f} s",
        ])  # fmt: skip
    return text_table(rows)


def _as_dict(settings):
    """The settings that had an effect."""
    return {k: v for k, v in dataclasses.asdict(settings).items() if k != "init_std" or settings.model == "mlp"}
