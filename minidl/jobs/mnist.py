"""`minidl mnist`: train the paper's network with and without batch norm, and draw its Figure 1."""

import dataclasses
import datetime
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np

import minidl
from minidl import checkpoint, data
from minidl._files import write_atomically
from minidl._jit import on_compile
from minidl._table import text_table
from minidl.jobs._flags import check_writable, positive, whole
from minidl.paper.fig1 import Settings, run_arm, typical_unit

__all__ = ["HELP", "add_arguments", "run"]

HELP = "train on MNIST with and without batch norm, and draw Figure 1 of the paper"
NAMES = {"none": "without batch norm", "batch": "with batch norm"}
# Five epochs of 468 batches for conv; rates found on a validation split of the training images.
DEFAULTS = {
    "mlp": Settings(),
    "conv": Settings(model="conv", steps=5 * 468, lr=0.05, batch_size=128, momentum=0.9),
}
QUICK_STEPS = {"mlp": 4000, "conv": 100}


def add_arguments(parser):
    """The flags of `minidl mnist`."""
    parser.add_argument("--steps", type=positive(int), help="training steps of each arm (50000; conv: five epochs)")
    parser.add_argument("--lr", type=positive(float), help="learning rate (0.1; conv: 0.05)")
    parser.add_argument(
        "--init-std", type=positive(float), help="standard deviation of initial weights (0.1; mlp only)"
    )
    parser.add_argument("--batch-size", type=positive(int), help="examples in a batch (60; conv: 128)")
    parser.add_argument("--seed", type=whole, default=0, help="of initial weights and batch order (0)")
    parser.add_argument(
        "--model", choices=list(DEFAULTS), default="mlp", help="the paper's network, or a convolutional one"
    )
    parser.add_argument("--norm", choices=["batch", "none", "both"], default="both", help="which arms to train (both)")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with four IDX files, instead of MNIST")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", default=Path("runs/mnist"), help="where results go (runs/mnist)"
    )
    parser.add_argument("--threads", type=positive(int), help="threads to use (all cores); results do not depend on it")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that everything works")


def run(args):
    """Train, print the table, write the results; returns the exit status."""
    settings = _settings(args)
    if args.threads:
        minidl.set_num_threads(args.threads)
    check_writable(args.out)
    started = time.perf_counter()
    digits = data.mnist(args.data)
    if settings.batch_size > len(digits.train.labels):
        raise ValueError(f"--batch-size is {settings.batch_size}, but there are {len(digits.train.labels)} examples")
    classes = int(max(digits.train.labels.max(), digits.test.labels.max())) + 1
    if classes > 10:
        raise ValueError(f"the labels go up to {classes - 1}; this network tells ten classes apart, 0 to 9")
    print(f"{digits.source}: {len(digits.train.labels):,} training and {len(digits.test.labels):,} test images")
    arms, seconds = {}, {}
    with on_compile(_announce_once()):
        for norm in ("none", "batch") if args.norm == "both" else (args.norm,):
            start = time.perf_counter()
            arms[norm] = run_arm(settings, norm, digits)
            seconds[norm] = round(time.perf_counter() - start, 2)
    print("\n" + _table(arms, seconds) + "\n")
    results = _results(settings, digits, arms)
    results["run"] = _about_this_run(args, time.perf_counter() - started, seconds)
    for path in _write(args.out, results, arms, settings, digits):
        print(f"wrote {path}")
    return 0


def _settings(args):
    defaults = DEFAULTS[args.model]
    if args.batch_size == 1 and args.norm != "none":
        raise ValueError("--batch-size is 1, and batch norm needs at least two examples; use more, or --norm none")
    if args.model == "conv" and args.init_std is not None:
        raise ValueError("--init-std is for --model mlp; conv starts from He's initialisation")
    given = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(Settings)}
    if args.quick and args.steps is None:
        given["steps"] = QUICK_STEPS[args.model]
    return dataclasses.replace(defaults, **{name: value for name, value in given.items() if value is not None})


def _announce_once():
    announced = []

    def announce(name):
        if not announced:
            print(
                "compiling kernels, which later runs find ready; this takes some seconds …", file=sys.stderr, flush=True
            )
        announced.append(name)

    return announce


def _table(arms, seconds):
    """Accuracy at milestones, steps to 95 %, time."""
    some = next(iter(arms.values()))
    wanted = [some.steps[-1] * share for share in (0.02, 0.1, 0.2, 0.5, 1)]
    at = sorted({int(np.abs(some.steps - step).argmin()) for step in wanted})
    head = ["test accuracy after", *(f"{some.steps[i]:,}" for i in at), "steps to 95 %", "time"]
    rows = [head]
    for norm, arm in arms.items():
        reached = arm.steps_to(0.95)
        rows.append([
            NAMES[norm], *(f"{100 * arm.accuracy[i]:.2f} %" for i in at),
            "not reached" if reached is None else f"{reached:,}", f"{seconds[norm]:.0f} s",
        ])  # fmt: skip
    return text_table(rows)


def _results(settings, digits, arms):
    unit = typical_unit(arms.get("none") or arms["batch"])  # one unit for both arms, whose initial weights are the same
    return {
        "minidl": minidl.__version__,
        "settings": _as_dict(settings),
        "data": {"source": digits.source, "train": len(digits.train.labels), "test": len(digits.test.labels)},
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


def _as_dict(settings):
    """The settings that had an effect."""
    return {k: v for k, v in dataclasses.asdict(settings).items() if k != "init_std" or settings.model == "mlp"}


def _about_this_run(args, total, seconds):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "arguments": {name: str(v) if isinstance(v, Path) else v for name, v in vars(args).items() if name != "run"},
        "seconds": {"total": round(total, 2), **seconds},
        "threads": minidl.get_num_threads(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _write(out, results, arms, settings, digits):
    from minidl import plot

    write_atomically(out / "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode())
    yield out / "results.json"
    for norm, arm in arms.items():
        path = out / f"weights-{norm}.npz"
        checkpoint.save(path, arm.model.state_dict(), {"norm": norm, **_as_dict(settings)})
        yield path
    figure = plot.figure1(results["arms"], settings=results["settings"], source=digits.source)
    plot.save(figure, out / "figure1.png")
    yield out / "figure1.png"
