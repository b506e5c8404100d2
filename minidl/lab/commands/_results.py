"""The results of `minidl mnist`: the table, and the files in `--out`."""

import dataclasses

import numpy as np

from minidl import checkpoint
from minidl.lab.commands._runs import all_written, holds_results, what_it_depends_on, write_json
from minidl.lab.paper.fig1 import typical_unit
from minidl.system.files import remove_parts
from minidl.system.tables import text_table

__all__ = ["NAMES", "head_of", "is_finished", "results_of", "table", "write"]

NAMES = {"none": "without batch norm", "batch": "with batch norm"}


def head_of(settings, digits):
    """Return what a run depends on, as its results state it."""
    return what_it_depends_on(_as_dict(settings), digits)


def is_finished(out, head, norms):
    """Return whether the folder holds all results of this very run."""
    files = ("figure1.png", *(f"weights-{norm}.npz" for norm in norms))
    return holds_results(out, head, files, lambda old: set(old["arms"]) == set(norms))


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


def write(out, results, arms, settings, digits):
    """Write all files; returns their names. OSError says how to go on."""
    return all_written(out, _written(out, results, arms, settings, digits))


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
    yield write_json(out, results)


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
