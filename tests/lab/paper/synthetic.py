"""Made-up results for verdicts to judge, and digits that a network can learn in seconds."""

import dataclasses

import numpy as np

from minidl.data._splits import Digits, Split
from minidl.lab.study.claim import Result, Run, Scale, plain
from minidl.lab.study.sweep import conduct


def result(*pairs):
    """A Result from (configuration, record) pairs."""
    return Result(tuple(Run(plain(config), plain(record)) for config, record in pairs))


def exact(claim, seeds=3):
    """The first stage of a claim's plan, really run, without digits."""

    def first_stage(scale):
        yield next(claim.plan(scale))

    return conduct(dataclasses.replace(claim, plan=first_stage, data=None), Scale(seeds), quiet=True)


def edited(given, where, **entries):
    """The same Result, with other entries in the records of the runs whose configuration has `where`."""
    hit = [all(run.config.get(k) == v for k, v in where.items()) for run in given.runs]
    assert any(hit), f"no run has {where}"
    return Result(
        tuple(
            Run(run.config, run.record | entries) if chosen else run
            for run, chosen in zip(given.runs, hit, strict=True)
        )
    )


def finals(entry, arms, seeds=3, spread=1e-3, **settings):
    """Runs of the stage "final" with these means of an entry: arm → (settings, mean), a little different for each seed."""
    return result(
        *[
            ({**settings, **own, "arm": arm, "stage": "final", "seed": seed}, {entry: np.asarray(mean) + seed * spread})
            for arm, (own, mean) in arms.items()
            for seed in range(seeds)
        ]
    )


def joined(*results):
    """All runs of several results."""
    return Result(tuple(run for one in results for run in one.runs))


def bars(train=480, test=100, seed=0):
    """Digits of blurred bars: the label says where the bar is."""
    generator = np.random.default_rng(seed)
    splits = []
    for n in (train, test):
        labels = generator.integers(0, 10, n)
        images = generator.integers(0, 90, (n, 28, 28)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 2 + 2 * label : 5 + 2 * label] += 150
        splits.append(Split(images, labels))
    return Digits(*splits, "bars")
