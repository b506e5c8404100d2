"""Optimisers, schedules for their learning rates, and averages of weights over steps."""

from minidl.optim.adam import Adam, AdamW
from minidl.optim.averages import Lookahead, MovingAverage, update_bn
from minidl.optim.later_schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
)
from minidl.optim.muon import Muon
from minidl.optim.optimizer import Optimizer
from minidl.optim.piecewise import PiecewiseLinearLR
from minidl.optim.plateau import ReduceLROnPlateau
from minidl.optim.schedules import LambdaLR, StepLR
from minidl.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "CosineAnnealingLR", "ExponentialLR", "LambdaLR", "LinearLR", "Lookahead",
           "MovingAverage", "MultiStepLR", "Muon", "OneCycleLR", "Optimizer", "PiecewiseLinearLR",
           "ReduceLROnPlateau", "SequentialLR", "StepLR", "update_bn"]  # fmt: skip
