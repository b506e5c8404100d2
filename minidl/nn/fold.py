"""Folding: in evaluation batch norm is one linear map, and disappears into the layer before it (Algorithm 2; lesson 08)."""

import copy

import numpy as np

from minidl.nn.layers import Conv2d, Linear
from minidl.nn.module import Identity, Module
from minidl.nn.more_layers import ConvTranspose2d
from minidl.nn.norm import BatchNorm
from minidl.nn.parameter import Parameter
from minidl.nn.renorm import BatchRenorm, GhostBatchNorm
from minidl.nn.replace import replace_child
from minidl.nn.sequential import Sequential

__all__ = ["fold_batch_norm"]

_NORMS = (BatchNorm, BatchRenorm)
_LINEAR = (Linear, Conv2d, ConvTranspose2d)


def fold_batch_norm(model: Module) -> Module:
    """Return a copy of the network, in evaluation mode, with each batch norm folded into the linear or conv layer before it.

    Maths     γ·(x·W + b − mean)/√(var + ε) + β  =  x·(W·s) + (b − mean)·s + β    with s = γ/√(var + ε)
              GhostBatchNorm is the same map in evaluation, and BatchRenorm is with running_std for the root
    Exact     W·s and the new bias are computed in float64; an Identity keeps the batch norm's place and name
    Errors    ValueError for a batch norm that cannot be folded exactly: nothing linear directly before it in a
              Sequential (nested ones are followed), no running statistics, or a layer used in several places
    """
    if not isinstance(model, Module):
        raise TypeError(f"fold_batch_norm: got a {type(model).__name__}; it must be a Module")
    model = copy.deepcopy(model).eval()
    if isinstance(model, _NORMS):
        raise ValueError("fold_batch_norm: the model is a single batch norm; there is no layer to fold it into")
    seen: dict[int, str] = {}
    before = None
    for name, parent, attribute, layer in _in_order("", model, seen):
        if isinstance(layer, _NORMS):
            _fold_into(before, layer, name)
            replace_child(parent, attribute, Identity())
        elif not isinstance(layer, Identity):
            before = layer
    return model


def _in_order(path, module, seen):
    """Layers in the order in which they are applied; None marks where that order is not known.

    Yields (name, parent, attribute, layer). Only a Sequential says in which order it applies its children.
    """
    sequential = type(module).forward is Sequential.forward
    for attribute, child in list(module.named_children()):
        name = f"{path}.{attribute}" if path else attribute
        again = id(child) in seen
        if again:
            _refuse_shared(child, name, seen[id(child)])
        seen[id(child)] = name
        if not sequential:
            if isinstance(child, _NORMS):
                raise ValueError(
                    f"fold_batch_norm: {name} is applied by the forward of {type(module).__name__}, which may do anything "
                    "before it; only a batch norm inside a Sequential can be folded"
                )
            yield name, module, attribute, None
        if any(True for _ in child.children()) and not again:
            yield from _in_order(name, child, seen)
            if type(child).forward is not Sequential.forward:
                yield name, module, attribute, None
        else:
            yield name, module, attribute, child


def _refuse_shared(module, name, first):
    if any(isinstance(m, (*_NORMS, *_LINEAR)) for m in module.modules()):
        raise ValueError(
            f"fold_batch_norm: {name} is the same layer as {first}; folding would change it in both places. Give each "
            "place a layer of its own"
        )


def _fold_into(layer, norm, name):
    if type(norm).forward not in (BatchNorm.forward, GhostBatchNorm.forward, BatchRenorm.forward):
        raise ValueError(f"fold_batch_norm: {name} is a {type(norm).__name__} with a forward of its own")
    if getattr(type(layer), "forward", None) not in [kind.forward for kind in _LINEAR]:
        found = "no layer that is known" if layer is None else type(layer).__name__
        raise ValueError(
            f"fold_batch_norm: before {name} comes {found}; it must be a Linear, Conv2d or ConvTranspose2d"
        )
    if isinstance(norm, BatchNorm) and not norm.track_running_stats:
        raise ValueError(f"fold_batch_norm: {name} has no running statistics, so it is not a fixed linear map")
    if layer.weight.shape[-1] != norm.features:
        raise ValueError(
            f"fold_batch_norm: {name} has {norm.features} features, {layer.weight.shape[-1]} come before it"
        )
    gamma, beta = (None if parameter is None else parameter.data for parameter in (norm.weight, norm.bias))
    bias = None if layer.bias is None else layer.bias.data
    if isinstance(norm, BatchRenorm):
        statistics = norm.running_mean, np.square(norm.running_std, dtype=np.float64), 0.0
    else:
        statistics = norm.running_mean, norm.running_var, norm.eps
    weight, bias = folded(layer.weight.data, bias, statistics, gamma, beta)
    layer.weight, layer.bias = Parameter(weight), Parameter(bias)


def folded(weight, bias, statistics, gamma, beta):
    """Return the weight (…, O) and bias (O,) of a layer and its batch norm in one; `statistics` are mean, variance and ε."""
    mean, var, eps = statistics
    scale = 1 / np.sqrt(var.astype(np.float64) + eps)
    shift = -mean.astype(np.float64)
    if bias is not None:
        shift += bias
    if gamma is not None:
        scale *= gamma
    shift *= scale
    if beta is not None:
        shift += beta
    return (weight * scale).astype(weight.dtype), shift.astype(weight.dtype)
