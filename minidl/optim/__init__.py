"""Optimisers, schedules for their learning rates, and averages of weights over steps."""

from minidl.optim.averages import Lookahead, MovingAverage
from minidl.optim.piecewise import PiecewiseLinearLR
from minidl.optim.schedules import CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR, StepLR
from minidl.optim.sgd import SGD

__all__ = ["SGD", "CosineAnnealingLR", "LambdaLR", "LinearLR", "Lookahead", "MovingAverage", "PiecewiseLinearLR",
           "SequentialLR", "StepLR"]  # fmt: skip
