"""Networks: modules, layers, initial weights; folding batch norm away, fusing layers, averaging over views."""

from minidl.nn import init
from minidl.nn.fold import fold_batch_norm
from minidl.nn.fuse import BatchNormReLUMaxPool2d, fuse
from minidl.nn.group_norm import GroupNorm, GroupNormReLU
from minidl.nn.layers import (
    GELU,
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sigmoid,
    Tanh,
)
from minidl.nn.module import Identity, Module
from minidl.nn.more_layers import ConvTranspose2d, Embedding, LeakyReLU, SiLU, Upsample
from minidl.nn.norm import BatchNorm, LayerNorm
from minidl.nn.parameter import Parameter
from minidl.nn.renorm import BatchRenorm, GhostBatchNorm
from minidl.nn.sequential import Sequential
from minidl.nn.views import AveragedViews

__all__ = ["GELU", "AveragedViews", "AvgPool2d", "BatchNorm", "BatchNormReLUMaxPool2d", "BatchRenorm", "Conv2d",
           "ConvTranspose2d", "Dropout", "Embedding", "Flatten", "GhostBatchNorm", "GlobalAvgPool2d", "GroupNorm",
           "GroupNormReLU", "Identity", "LayerNorm", "LeakyReLU", "Linear", "MaxPool2d", "Module", "Parameter", "ReLU",
           "Sequential", "SiLU", "Sigmoid", "Tanh", "Upsample", "fold_batch_norm", "fuse", "init"]  # fmt: skip
