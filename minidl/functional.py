"""All operations under their public names: `from minidl import functional as F`."""

from minidl.ops.activation import gelu, relu, sigmoid, tanh
from minidl.ops.conv import conv2d
from minidl.ops.dropout import dropout
from minidl.ops.fused import batch_norm_relu_max_pool2d
from minidl.ops.linear import linear
from minidl.ops.loss import cross_entropy, log_softmax, mse_loss, softmax
from minidl.ops.norm import batch_norm, layer_norm
from minidl.ops.pool import avg_pool2d, global_avg_pool2d, max_pool2d
from minidl.ops.residual import add_relu
from minidl.ops.whiten import zca_whiten

__all__ = ["add_relu", "avg_pool2d", "batch_norm", "batch_norm_relu_max_pool2d", "conv2d", "cross_entropy", "dropout",
           "gelu", "global_avg_pool2d", "layer_norm", "linear", "log_softmax", "max_pool2d", "mse_loss", "relu", "sigmoid",
           "softmax", "tanh", "zca_whiten"]  # fmt: skip
