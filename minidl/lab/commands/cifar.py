"""`minidl cifar`: train a small network for photographs on CIFAR-10 by the recipe, and show what it learned."""

import argparse
import dataclasses
import math
import time
from pathlib import Path

from minidl.data import DataError
from minidl.kernels.jit import on_compile
from minidl.lab.commands._cifar_results import FILES, Finished, about, epoch_line, head_line, table, write
from minidl.lab.commands._flags import check_writable, fraction, path, positive, whole, zero_or_more
from minidl.lab.commands._runs import (
    about_this_run,
    again,
    announce_compiling,
    checkpoints_of,
    find_saved,
    holds_results,
    set_threads,
    what_it_depends_on,
)
from minidl.lab.paper.fig1 import save
from minidl.lab.photos import DATASETS, MADE_UP, first_ones, made_up
from minidl.lab.recipe import RATES, SIZES, Training, settings_for
from minidl.system.progress import progress
from minidl.train import stop_on_interrupt

__all__ = ["HELP", "QUICK", "QUICK_IMAGES", "add_arguments", "first_or_made_up", "run"]

HELP = "train a network for photographs on CIFAR-10 or CIFAR-100"
HELD_OUT = 0.1  # of the training images, with --validate: 5,000 of CIFAR's
QUICK = {"widths": (16, 32, 32), "epochs": 2.0, "batch_size": 128}  # in place of the model's own
QUICK_IMAGES = 2560, 512  # of the data at hand, or made up
KERNELS = 15  # compiled here with nothing cached (counted with --quick); a second process compiles the others


def add_arguments(parser):
    """Add the flags of `minidl cifar`."""
    parser.add_argument(
        "--model", choices=list(SIZES), default="fast",
        help="fast, best (a wider network), or plain: without any normalisation (fast)",
    )  # fmt: skip
    parser.add_argument("--epochs", type=positive(float), help="passes over the images (10)")
    parser.add_argument("--seed", type=whole, default=0, help="of initial weights, batch order and augmentation (0)")
    parser.add_argument("--norm", choices=list(RATES), help="normalisation (batch; plain: none)")
    parser.add_argument(
        "--dataset", choices=list(DATASETS), default="cifar10", help="with 10 classes or with 100 (cifar10)"
    )
    parser.add_argument(
        "--data", type=path, metavar="FOLDER", help="folder with the files of the dataset, or with a folder of its name"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", default=Path("runs/cifar"), help="where results go (runs/cifar)"
    )
    parser.add_argument("--threads", type=positive(int), help="threads to use (all cores); results do not depend on it")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="hold out a tenth of the training images, always the same ones, and measure on them instead of the test images",
    )
    parser.add_argument(
        "--checkpoint-every", type=positive(int), metavar="N", help="steps between checkpoints (an epoch)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint, if --out has one of the same settings"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a narrow network and few images, to see that everything works; without data, on made-up pictures",
    )
    tuning = parser.add_argument_group("what the recipe has of its own for each norm (docs/cifar.md)")
    tuning.add_argument(
        "--widths",
        type=positive(int),
        nargs=3,
        metavar="N",
        help="channels of the three groups, in place of the model's",
    )
    tuning.add_argument(
        "--mirror", action=argparse.BooleanOptionalAction, default=None,
        help="whether filters come in mirrored pairs, and so a mirrored image gets the same answer (yes; group: no)",
    )  # fmt: skip
    tuning.add_argument(
        "--shift", type=whole, metavar="N", help="pixels that images are moved by at most (4; plain: 2)"
    )
    tuning.add_argument(
        "--cutout", type=whole, metavar="N", help="side of the square that is covered in each image (8; plain: 0, none)"
    )
    tuning.add_argument("--batch-size", type=positive(int), help="images in a batch (1024)")
    tuning.add_argument("--lr", type=positive(float), help=f"learning rate at its highest ({_defaults('lr')})")
    tuning.add_argument("--decay", type=zero_or_more, help=f"weight decay, whatever the rate ({_defaults('decay')})")
    tuning.add_argument(
        "--label-smoothing", type=fraction, metavar="S", help=f"as in F.cross_entropy ({_defaults('label_smoothing')})"
    )
    tuning.add_argument(
        "--bias-lr", type=positive(float), metavar="FACTOR",
        help=f"how many times as fast the biases of norms learn, and that of the first layer ({_defaults('bias_lr')})",
    )  # fmt: skip

    tuning.add_argument(
        "--muon-lr", type=positive(float), metavar="RATE",
        help=f"rate of Muon at its highest, for the filters of 3×3 convolutions ({_defaults('muon_lr')})",
    )  # fmt: skip


def _defaults(name):
    """Return the defaults of a flag for a help text: that of batch norm, and where others differ."""
    values = {norm: getattr(rates, name) for norm, rates in RATES.items()}
    others = [f"{norm}: {value:g}" for norm, value in values.items() if value != values["batch"]]
    return "; ".join([f"{values['batch']:g}", *others])


def run(args):
    """Train, print an epoch a line and a table, write the results; returns the exit status."""
    settings = _settings(args)
    set_threads(args.threads)
    check_writable(args.out)
    started = time.perf_counter()
    photos = first_or_made_up(args.dataset, args.data) if args.quick else DATASETS[args.dataset](args.data)
    training = _training(settings, photos)
    head = what_it_depends_on(dataclasses.asdict(settings) | {"widths": list(settings.widths)}, photos)
    if args.resume and holds_results(args.out, head, FILES):
        print(f"nothing to do: {args.out} holds the results of this run, finished")
        return 0
    print(about(args.model, training, photos), flush=True)
    with stop_on_interrupt() as stop, on_compile(announce_compiling(KERNELS)):
        checkpoints = checkpoints_of(args.out, args.model, head)
        saved = find_saved(checkpoints, training.steps, args.model, args.resume)
        if saved:
            training.load_state_dict(*saved)
        _train(training, checkpoints, args.checkpoint_every or training.per_epoch, stop)
        finished = Finished(training, photos)
        seconds = {"total": time.perf_counter() - started} | training.seconds
        results = head | finished.results() | {"run": about_this_run(args, seconds)}
        try:
            written = write(args.out, results, finished)
        finally:  # work is written before it is printed, and printed where it cannot be written
            print("\n" + table(finished, seconds) + "\n")
        print("\n".join(f"wrote {path}" for path in written))
    if results["finished"]:
        return 0
    print(f"stopped, and saved in {args.out}; to continue:\n{again()}")
    return 130


def _train(training, checkpoints, every, stop):
    """Train to the end, or until the user stops; print a line for each epoch, also for those of an earlier run."""
    print("\n" + head_line(training))
    for row in training.seen:
        print(epoch_line(row), flush=True)
    while training.step < training.steps and not stop():
        epoch = training.step // training.per_epoch
        first, end = epoch * training.per_epoch, min((epoch + 1) * training.per_epoch, training.steps)
        desc = f"epoch {epoch + 1} of {math.ceil(training.steps / training.per_epoch)}"
        with progress(desc=desc, total=end - first, initial=training.step - first, unit="step") as bar:
            while training.step < end and not stop():
                loss = training.do_step()
                bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
                bar.update()
                if training.step == end:
                    bar.set_postfix_str("measuring")
                    row = training.measure()
                if training.step % every == 0 or training.step == training.steps:
                    save(checkpoints, training)
        if training.step == end:
            print(epoch_line(row), flush=True)
    if training.step < training.steps:
        save(checkpoints, training)


def _settings(args):
    names = "epochs", "lr", "decay", "label_smoothing", "bias_lr", "muon_lr", "mirror", "shift", "cutout", "batch_size"
    changes = {name: getattr(args, name) for name in names}
    if args.model == "plain" and args.norm not in (None, "none"):
        raise ValueError(f"--model plain has no normalisation, and --norm is {args.norm}; use --model fast for that")
    changes["widths"] = args.widths and tuple(args.widths)
    if args.quick:
        changes = {name: QUICK.get(name) if value is None else value for name, value in changes.items()}
    return settings_for(args.model, args.norm, seed=args.seed, held_out=HELD_OUT if args.validate else None, **changes)


def first_or_made_up(dataset, folder):
    """Load a few photographs, for --quick; made-up ones where there are none, if no folder is named."""
    try:
        return first_ones(DATASETS[dataset](folder, download=False), *QUICK_IMAGES)
    except DataError as error:
        if folder:
            raise
        print(f"{MADE_UP} in place of photographs, as there are none: {error}")
        return made_up(*QUICK_IMAGES)


def _training(settings, photos):
    try:
        return Training(settings, photos)
    except ValueError as error:
        message = (
            str(error)
            .replace("cifar_net: norm is", "--norm is")
            .replace("the batch size", "--batch-size")
            .replace("epochs are", "--epochs is")
            .replace("Mirror: a convolution makes", "--widths: a convolution makes")
            .replace("make that an even number", "make that an even number, or use --no-mirror")
            .replace("Mirror: the", "--mirror: the")
        )
        raise ValueError(message) from None
