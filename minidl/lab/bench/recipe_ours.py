"""minidl as a contender in a recipe: steps of `minidl cifar`, augmentation and all."""

import numpy as np

import minidl
from minidl.data._splits import Photos, Split
from minidl.lab.recipe import Settings, Training

__all__ = ["Recipe", "build", "start"]


def start(variant, threads):
    """Use that many threads."""
    minidl.set_num_threads(threads)
    return {"versions": {"minidl": minidl.__version__, "numpy": np.__version__}, "instructions": {}}


def build(case, arrays, variant):
    """Build the training."""
    return Recipe(case)


class Recipe:
    """The training of the command."""

    def __init__(self, case):
        with np.load(case["file"]) as file:
            train, test = (Split(file[f"{part}_images"], file[f"{part}_labels"]) for part in ("train", "test"))
        settings = case["settings"]
        photos = Photos(train, test, "", tuple(map(str, range(case["classes"]))))
        self.training = Training(Settings(**settings | {"widths": tuple(settings["widths"])}), photos)

    def step(self):
        """Do one training step."""
        self.loss = self.training.do_step()

    def check(self):
        """Return the loss of the last step."""
        return [self.loss]

    def result(self, least):
        """Train on until at least so many steps are done; returns their number, the last loss, and the accuracy."""
        while self.training.step < least:
            self.step()
        return {"steps": self.training.step, "loss": self.loss, "accuracy": self.training.measure()["accuracy"]}
