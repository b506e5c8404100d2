"""What an operation costs: multiply–adds, counted from shapes, and memory, measured in the graph of a forward pass."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minidl.anatomy.trace import Op, Trace
from minidl.autograd import Node
from minidl.autograd.changes import held_by
from minidl.replay.surroundings import Surroundings, owner_of

__all__ = ["COUNTED", "NOT_COUNTED", "kept_bytes", "multiply_adds"]


def _by_last_weight_size(op):
    """Each number of the result is a sum of as many products as one column of the weight has numbers."""
    return op.out.data.size * math.prod(op.parents[1].shape[:-1])


# Operations that are products of matrices, or sums of such: their name → multiply–adds.
COUNTED: dict[str, Callable[[Op], int]] = {
    "linear": _by_last_weight_size,
    "conv2d": _by_last_weight_size,
    # each number of the input is multiplied by the weights of one channel
    "conv_transpose2d": lambda op: op.parents[0].data.size * op.parents[1].data.size // op.parents[1].shape[2],
    "matmul": lambda op: op.out.data.size * op.parents[0].shape[-1],
    "matmul_nd": lambda op: op.out.data.size * op.parents[0].shape[-1],
    # each entry multiplies one row of x, or one head of it
    "sparse_matmul": lambda op: op.parents[0].data.size * op.parents[1].shape[-1],
    "zca_whiten": lambda op: 2 * op.out.data.size * op.out.shape[-1],  # the covariance, and the product with its root
}
# Operations that do a few things for each number: memory is what they wait for.
NOT_COUNTED = {
    "add", "sub", "mul", "truediv", "pow", "neg", "exp", "log", "to", "sum", "mean", "max", "reshape", "permute", "getitem",
    "cat", "relu", "sigmoid", "tanh", "gelu", "softmax", "log_softmax", "cross_entropy", "mse_loss", "dropout", "batch_norm",
    "layer_norm", "batch_norm_relu_max_pool2d", "max_pool2d", "avg_pool2d", "global_avg_pool2d", "add_relu", "silu",
    "leaky_relu", "group_norm", "group_norm_relu", "batch_renorm", "ghost_batch_norm", "embedding", "interpolate",
    "edge_add", "edge_softmax", "edge_sum",
}  # fmt: skip


def multiply_adds(op: Op) -> int | None:
    """Count the multiplications whose products are added up; None for an operation that is not known.

    Counted   products of matrices and convolutions, as if done directly: N·in·out, and N·H′·W′·O·kh·kw·C. Nothing else, as
              in the tables of most papers: norms, activations and pooling do a few things for each number
    """
    if op.is_ours and op.name in COUNTED:
        return COUNTED[op.name](op)
    return 0 if op.is_ours and op.name in NOT_COUNTED else None


def kept_bytes(trace: Trace, model: Any) -> tuple[dict[Any, int], int]:
    """Measure what the graph of a forward pass keeps until `backward()`: bytes by call; and of the inputs.

    Kept is each array that can be reached from the outputs: results, and what backward functions hold. It counts once, for
    the call that made it, and as a whole if only a view of it is needed. Parameters and buffers are kept in any case, and
    not counted.
    """
    around = Surroundings([model])
    tensors = [*model.parameters(), *around.tensors]
    known = {id(owner_of(a)): a for a in (*(t.data for t in tensors), *model.buffers(), *around.arrays)}
    maker: dict[int, Any] = {}
    given = {id(owner_of(tensor.data)) for tensor in trace.inputs}
    for op in trace.ops:
        for array in (op.out.data, *_held(op)):
            maker.setdefault(id(owner_of(array)), op.call)
        for parent in op.parents:  # such as a constant that a forward made
            maker.setdefault(id(owner_of(parent.data)), op.call)
    by_call: dict[Any, int] = defaultdict(int)
    inputs = 0
    for op in _needed(trace):
        for array in (op.out.data, *_held(op), *(parent.data for parent in op.parents)):
            owner = owner_of(array)
            if id(owner) in known:
                continue
            known[id(owner)] = owner
            if id(owner) in given:
                inputs += owner.nbytes
            else:
                by_call[maker[id(owner)]] += owner.nbytes
    return by_call, inputs


def _needed(trace) -> Iterable[Op]:
    """The operations that `backward()` would visit from the outputs."""
    needed = {id(tensor) for tensor in trace.calls_in_order[0].outputs}
    found = []
    for op in reversed(trace.ops):
        if id(op.out) in needed and op.out.requires_grad:
            found.append(op)
            needed.update(id(parent) for parent in op.parents)
    return reversed(found)


def _held(op):
    """The arrays that an operation's backward holds, its own or those of tensors."""
    for value in held_by(op.backward):
        array = value.data if isinstance(value, Node) else value
        if isinstance(array, np.ndarray):
            yield array
