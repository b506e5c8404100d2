"""All operations under their public names: `from minidl import functional as F`."""

from minidl.ops.activation import gelu, relu, sigmoid, tanh
from minidl.ops.conv import conv2d
from minidl.ops.conv_transpose import conv_transpose2d
from minidl.ops.dropout import dropout
from minidl.ops.edges import edge_add, edge_softmax, edge_sum
from minidl.ops.embedding import embedding
from minidl.ops.fused import batch_norm_relu_max_pool2d
from minidl.ops.group_norm import group_norm, group_norm_relu
from minidl.ops.linear import linear
from minidl.ops.loss import cross_entropy, log_softmax, mse_loss, softmax
from minidl.ops.norm import batch_norm, layer_norm
from minidl.ops.pool import avg_pool2d, global_avg_pool2d, max_pool2d
from minidl.ops.rectifiers import leaky_relu, silu
from minidl.ops.renorm import batch_renorm, ghost_batch_norm
from minidl.ops.residual import add_relu
from minidl.ops.sparse import sparse_matmul
from minidl.ops.upsample import interpolate
from minidl.ops.whiten import zca_whiten

__all__ = ["add_relu", "avg_pool2d", "batch_norm", "batch_norm_relu_max_pool2d", "batch_renorm", "conv2d",
           "conv_transpose2d", "cross_entropy", "dropout", "edge_add", "edge_softmax", "edge_sum", "embedding", "gelu",
           "ghost_batch_norm", "global_avg_pool2d", "group_norm", "group_norm_relu", "interpolate", "layer_norm",
           "leaky_relu", "linear", "log_softmax", "max_pool2d", "mse_loss", "relu", "sigmoid", "silu", "softmax",
           "sparse_matmul", "tanh", "zca_whiten"]  # fmt: skip
