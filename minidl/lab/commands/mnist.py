"""`minidl mnist`: train the paper's network with and without batch norm, and draw its Figure 1."""

import dataclasses
import time
from pathlib import Path

from minidl import data
from minidl.kernels.jit import on_compile
from minidl.lab.commands._flags import check_writable, path, positive, whole
from minidl.lab.commands._results import NAMES, head_of, is_finished, results_of, table, write
from minidl.lab.commands._runs import about_this_run, again, announce_compiling, checkpoints_of, find_saved, set_threads
from minidl.lab.paper.fig1 import Settings, run_arm
from minidl.train import stop_on_interrupt

__all__ = ["HELP", "add_arguments", "run"]

HELP = "train on MNIST with and without batch norm, and draw Figure 1 of the paper"
# Five epochs of 468 batches for conv; rates found on a validation split of the training images.
DEFAULTS = {
    "mlp": Settings(),
    "conv": Settings(model="conv", steps=5 * 468, lr=0.05, batch_size=128, momentum=0.9),
}
QUICK_STEPS = {"mlp": 4000, "conv": 100}
KERNELS = {"mlp": 10, "conv": 12}  # compiled here with nothing cached, both networks; a second process compiles as many


def add_arguments(parser):
    """Add the flags of `minidl mnist`."""
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
    parser.add_argument(
        "--data", type=path, metavar="FOLDER", help="folder with MNIST's four IDX files, or with a folder mnist"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", default=Path("runs/mnist"), help="where results go (runs/mnist)"
    )
    parser.add_argument("--threads", type=positive(int), help="threads to use (all cores); results do not depend on it")
    parser.add_argument(
        "--checkpoint-every", type=positive(int), metavar="N", help="steps between checkpoints (a tenth of --steps)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint, if --out has one of the same settings"
    )
    parser.add_argument(
        "--replay",
        action="store_true",
        help="repeat recorded kernel calls instead of the loop's lines: same bits, faster",
    )
    parser.add_argument("--quick", action="store_true", help="a short run, to see that everything works")


def run(args):
    """Train, print the table, write the results; returns the exit status."""
    settings = _settings(args)
    set_threads(args.threads)
    check_writable(args.out)
    started = time.perf_counter()
    digits = data.mnist(args.data)
    _check_digits(settings, digits)
    norms = ("none", "batch") if args.norm == "both" else (args.norm,)
    head = head_of(settings, digits)
    if args.resume and is_finished(args.out, head, norms):
        print(f"nothing to do: {args.out} holds the results of this run, finished")
        return 0
    print(
        f"{digits.source}: {len(digits.train.labels):,} training and {len(digits.test.labels):,} test images",
        flush=True,
    )
    with stop_on_interrupt() as stop:
        arms, diverged = _train(args, settings, norms, digits, head, stop)
        if not arms:
            raise FloatingPointError("; ".join(diverged))
        results = head | results_of(settings, norms, arms)
        seconds = {"total": time.perf_counter() - started} | {norm: arm.seconds for norm, arm in arms.items()}
        results["run"] = about_this_run(args, seconds)
        try:
            written = write(args.out, results, arms, settings, digits)
        finally:  # work is written before it is printed, and printed where it cannot be written
            print("\n" + table(arms) + "\n")
        print("\n".join(f"wrote {path}" for path in written))
    if diverged:
        raise FloatingPointError("; ".join(diverged))
    if results["finished"]:
        return 0
    print(f"stopped, and saved in {args.out}; to continue:\n{again()}")
    return 130


def _train(args, settings, norms, digits, head, stop):
    """Train the arms, one after the other, up to the one in which the user stops; return them, and who diverged."""
    arms, diverged = {}, []
    every = args.checkpoint_every or max(1, settings.steps // 10)
    with on_compile(announce_compiling(KERNELS[args.model])):
        for norm in norms:
            if (arms or diverged) and stop():
                break
            checkpoints = checkpoints_of(args.out, norm, head | {"norm": norm})
            saved = find_saved(checkpoints, settings.steps, NAMES[norm], args.resume)
            try:
                arms[norm] = run_arm(settings, norm, digits, False, checkpoints, every, saved, stop, args.replay)
            except FloatingPointError as error:
                diverged.append(f"{NAMES[norm]}, {error}")
    return arms, diverged


def _check_digits(settings, digits):
    if settings.batch_size > len(digits.train.labels):
        raise ValueError(f"--batch-size is {settings.batch_size}, but there are {len(digits.train.labels)} examples")
    classes = int(max(digits.train.labels.max(), digits.test.labels.max())) + 1
    if classes > 10:
        raise ValueError(f"the labels go up to {classes - 1}; this network tells ten classes apart, 0 to 9")


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
