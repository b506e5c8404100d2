"""The guard against changes: `backward()` refuses a graph whose arrays are no longer what they were in the forward pass.

Until `backward()` has walked it, a graph needs the arrays that it was computed from. Changes that minidl itself makes in
place (an optimizer's step, `load_state_dict`, `nn.init`, `Module.to`) are counted here, and `backward()` compares. Your own
(`w.data -= …`, a buffer that the next batch is written into) are noticed under `detect_anomaly()` only, because NumPy
keeps no record of them.
"""

import numpy as np

__all__ = ["changed_in_place", "check_unchanged", "freed", "held_by", "moment", "name_of", "needs"]

moment = 0  # counts the changes that minidl makes in place


def changed_in_place(tensors):
    """Note that the arrays of some tensors hold other numbers from now on."""
    global moment
    moment += 1
    for tensor in tensors:
        tensor._moment = moment


def check_unchanged(order):
    """Check that nothing in a graph was freed, and that minidl changed no array that it needs; `order`: parents first."""
    changed = {}  # results that changed with their parent, as views of it (`w.T`, `w[0]`) → when
    for node in order:
        if node._backward is freed:
            freed(None)
        then = node._moment
        if then == moment:  # nothing at all has changed since it was computed
            continue
        for parent in node._parents:
            when = changed.get(parent, parent._moment)
            if when <= then:
                continue
            if needs(node._backward, parent):
                raise RuntimeError(
                    f"backward: {node.op} needs a tensor of shape {parent.data.shape} as it was in the forward pass, and it "
                    "was changed since (by an optimizer's step, load_state_dict, init or to); call backward before that, "
                    "or compute the loss again"
                )
            if np.may_share_memory(node.data, parent.data):
                changed[node] = when


def needs(backward, parent):
    """Return whether a backward function may look at a parent's array: it holds the array, or the tensor and its `.data`.

    Most hold the tensor only to ask for its shape or `requires_grad`, and a change of its numbers does them no harm. So
    what counts is whether the name `data` occurs in the function's code, of whichever tensor: an error too many is
    better than a wrong gradient.
    """
    held = held_by(backward)
    if "data" in backward.__code__.co_names and any(value is parent for value in held):
        return True
    return any(isinstance(value, np.ndarray) and np.may_share_memory(value, parent.data) for value in held)


def held_by(backward):
    """List what a backward function has kept of the forward pass: what its closure holds, also in containers or a record."""
    kept = [value for cell in backward.__closure__ or () for value in _in_containers(cell.cell_contents)]
    return kept + [value for record in kept for value in getattr(record, "__dict__", {}).values()]


def _in_containers(value):
    if isinstance(value, slice):
        value = (value.start, value.stop, value.step)
    if isinstance(value, tuple | list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _in_containers(part)
    else:
        yield value


def name_of(backward):
    """Return the name of the operation that a backward function belongs to."""
    return backward.__qualname__.split(".<locals>")[0].rsplit(".")[-1].strip("_")


def freed(grad):
    """Take the place of a backward function after the walk, and raise."""
    raise RuntimeError(
        "backward: part of this graph was walked before, and freed; compute the loss again, or add the losses up and "
        "call backward once"
    )
