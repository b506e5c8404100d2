"""Optimisers, and schedules for their learning rates."""

from minidl.optim.schedules import CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR, StepLR
from minidl.optim.sgd import SGD

__all__ = ["SGD", "CosineAnnealingLR", "LambdaLR", "LinearLR", "SequentialLR", "StepLR"]
