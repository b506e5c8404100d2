"""`fuse(model)`: a norm and what follows it run as one kernel, from `ops/fused.py` or `ops/group_norm.py`; the same bits."""

import copy

from minidl import functional as F
from minidl.nn.group_norm import GroupNorm, GroupNormReLU
from minidl.nn.layers import MaxPool2d, ReLU
from minidl.nn.module import Identity, Module, replace_child
from minidl.nn.norm import BatchNorm
from minidl.nn.sequential import Sequential
from minidl.tensor import Tensor

__all__ = ["BatchNormReLUMaxPool2d", "fuse"]


def fuse(model: Module) -> Module:
    """Return a network that computes the same in fewer passes over memory, with the parameters and buffers of `model`.

    Fused     in a row in a Sequential: a BatchNorm, a ReLU and a MaxPool2d of 2×2, by a BatchNormReLUMaxPool2d; a GroupNorm
              and a ReLU, by a GroupNormReLU. It takes the place of the first, an Identity those of the others. All else is
              called as before
    Shared    parameters and buffers: training the one trains the other, and both have the same `state_dict`. Not shared are
              `training`, hooks and settings; `to(dtype)` gives a network new arrays, so convert before you fuse
    Left out  layers with forward hooks (somebody looks at what is between), and layers used in several places
    Errors    TypeError for what is no Module
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse: got a {type(model).__name__}; it must be a Module")
    arrays = [*model.parameters(), *model.buffers()]
    fused = copy.deepcopy(model, {id(array): array for array in arrays})  # all but these is copied
    uses = _uses(fused)
    for module in list(fused.modules()):
        if type(module).forward is Sequential.forward:
            _fuse_in(module, uses)
    return fused


class BatchNormReLUMaxPool2d(BatchNorm):
    """Batch norm, ReLU and 2×2 max-pooling in one, with the parameters and buffers of the batch norm: see `fuse`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return y (N, ⌊H / 2⌋, ⌊W / 2⌋, C) for x (N, H, W, C)."""
        y = F.batch_norm_relu_max_pool2d(x, *self._arguments())
        self._count_batch()
        return y


def _uses(model):
    """How often each module occurs in the tree: id → number."""
    uses: dict[int, int] = {}
    for module in model.modules():
        for child in module.children():
            uses[id(child)] = uses.get(id(child), 0) + 1
    return uses


def _fuse_in(sequential, uses):
    children = list(sequential.named_children())
    for start in range(len(children)):
        for kinds, fused in _FUSED.items():
            some = children[start : start + len(kinds)]
            names, layers = [name for name, _ in some], [layer for _, layer in some]
            if not _fuses(layers, kinds) or any(uses[id(layer)] > 1 for layer in layers):
                continue
            norm = fused.__new__(fused)
            vars(norm).update(vars(layers[0]))
            for name, layer in zip(names, (norm, *(Identity() for _ in kinds[1:])), strict=True):
                replace_child(sequential, name, layer)


_FUSED = {(BatchNorm, ReLU, MaxPool2d): BatchNormReLUMaxPool2d, (GroupNorm, ReLU): GroupNormReLU}


def _fuses(layers, kinds):
    return (
        tuple(type(layer) for layer in layers) == kinds
        and all(pool.kernel_size in (2, (2, 2)) and pool.stride in (None, 2, (2, 2)) for pool in layers[2:])
        and not any(layer._forward_hooks for layer in layers)
    )
