"""The results of `minidl cifar`: a line for each epoch, the table, and the files in `--out`."""

import dataclasses

import numpy as np

from minidl import checkpoint
from minidl import functional as F
from minidl.lab.commands._runs import all_written, write_json
from minidl.system.files import remove_parts
from minidl.system.tables import text_table
from minidl.tensor import Tensor

__all__ = ["FILES", "Finished", "about", "epoch_line", "head_line", "table", "write"]

FILES = "cifar.png", "weights.npz"
SHOWN = 16  # images


def about(model, training, photos):
    """Say what is trained on what, in a line or two."""
    settings, where = (
        training.settings,
        "held out of the training images" if training.settings.held_out else "test images",
    )
    channels = ", ".join(map(str, settings.widths))
    return (
        f"{photos.source}: {len(training.train.labels):,} training images, {len(training.test.labels):,} {where}\n"
        f"{model}: {channels} channels, norm: {settings.norm}; {training.steps:,} steps, {settings.epochs:g} epochs"
    )


def head_line(training):
    """Return the head of the lines of epochs."""
    measured = "held out" if training.settings.held_out else "test"
    return f"{'epoch':>6}  {'loss':>7}  {'training':>9}  {measured:>9}  {'time':>7}"


def epoch_line(row):
    """Return the line of an epoch: mean loss, accuracies, and the time from the start of the training."""
    return (
        f"{row['epoch']:6.4g}  {row['training_loss']:7.4f}  {100 * row['training_accuracy']:7.2f} %  "
        f"{100 * row['accuracy']:7.2f} %  {row['seconds']:5.0f} s"
    )


class Finished:
    """What a training came to: the network's answers for the images for measuring.

    One view of each image; and if the training is at its end, the average over six, as `nn.AveragedViews` has it.
    """

    def __init__(self, training, photos):
        self.training, self.photos = training, photos
        self.at_end = training.step == training.steps
        self.logits = training.answers()
        self.of_views = training.answers(views=True) if self.at_end else None
        classes = len(photos.classes)
        pairs = training.test.labels * classes + self.logits.argmax(1)
        self.confusion = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)  # true, answered

    def accuracy(self, logits):
        """Return the share of right answers."""
        return float((logits.argmax(1) == self.training.test.labels).mean())

    def results(self):
        """Return the results for strict JSON; they depend on settings and data alone, once the run is finished."""
        rows = [
            {k: v if k == "step" else round(v, 6) for k, v in row.items() if k != "seconds"}
            for row in self.training.seen
        ]
        return {
            "finished": self.at_end,
            "measured_on": "held-out training images" if self.training.settings.held_out else "test images",
            "steps": self.training.step,
            "epochs": rows,
            "accuracy": round(self.accuracy(self.logits), 6),
            "accuracy_of_six_views": None if self.of_views is None else round(self.accuracy(self.of_views), 6),
            "confusion": self.confusion.tolist(),
        }


def write(out, results, finished):
    """Write the weights, the figure, and last results.json; returns their names. OSError says how to go on."""
    return all_written(out, _written(out, results, finished))


def _written(out, results, finished):
    from minidl.lab import plot

    remove_parts(out)
    training, photos = finished.training, finished.photos
    about_weights = {
        "network": "cifar", **dataclasses.asdict(training.settings), "classes": photos.classes, "source": photos.source,
        "mean": training.mean.tolist(), "std": training.std.tolist(),
    }  # fmt: skip
    checkpoint.save(out / "weights.npz", training.model.state_dict(), about_weights)
    yield out / "weights.npz"
    images = training.test.images[:SHOWN]
    probabilities = F.softmax(Tensor(finished.logits[:SHOWN])).data
    filters = training.model[0].weight.data
    figure = plot.photo_report(
        results["epochs"], filters, images, training.test.labels[:SHOWN], probabilities, finished.confusion, photos.classes,
        measured=results["measured_on"], source=photos.source,
    )  # fmt: skip
    plot.save(figure, out / "cifar.png")
    yield out / "cifar.png"
    yield write_json(out, results)


def table(finished, seconds):
    """Lay out accuracies and times."""
    held = "held-out images" if finished.training.settings.held_out else "test images"
    six = "stopped" if finished.of_views is None else f"{100 * finished.accuracy(finished.of_views):.2f} %"
    rows = [
        [f"accuracy on {len(finished.logits):,} {held}", ""],
        ["one view of each", f"{100 * finished.accuracy(finished.logits):.2f} %"],
        ["average of six views", six],
        ["training", f"{seconds['steps']:.0f} s"],
        ["measuring", f"{seconds['measuring']:.0f} s"],
        ["this command", f"{seconds['total']:.0f} s"],
    ]
    return text_table(rows)
