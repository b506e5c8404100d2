"""Checks of lesson 01 (autograd): the walk over a graph, the gradient of γx + β, a gradient check that finds defects."""

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise, number, parts
from minidl.lab.course.defects import DEFECTS, SOUND
from minidl.tensor import Tensor

_PATIENCE = 20_000  # looks at parents; the largest graph below has 200 nodes
_ACCUSED, _CLEARED = 1e-3, 1e-5


class _Number:
    """A Number as in the lesson, which counts how often its parents are read."""

    looks = 0

    def __init__(self, value, parents=()):
        self.value, self.grad, self._parents = value, 0.0, parents

    @property
    def parents(self):
        _Number.looks += 1
        if _Number.looks > _PATIENCE:
            raise Wrong(
                "A chain of 40 doublings takes your walk more than 20,000 looks: it goes down every path on its own, "
                "and there are 2⁴⁰. Visit each node once, after all its users."
            )
        return self._parents


def _line(rng):
    """A chain without any node used twice."""
    nodes = [_Number(0.0)]
    for slope in rng.normal(size=5):
        nodes.append(_Number(0.0, [(nodes[-1], float(slope))]))
    return nodes


def _diamonds(rng, far_first):
    """Every node has the two before it as parents: many paths, of different lengths.

    A walk level by level is caught by the last node's order alone, so that one is not left to chance.
    """
    nodes = [_Number(0.0), _Number(0.0)]
    for turned in [*(rng.random(7) < 0.5), far_first]:
        a, b = (float(slope) for slope in rng.uniform(0.5, 1.5, 2))
        parents = [(nodes[-1], a), (nodes[-2], b)]
        nodes.append(_Number(0.0, parents[::-1] if turned else parents))
    return nodes


def _gradients(nodes):
    grads = {node: 0.0 for node in nodes}
    grads[nodes[-1]] = 1.0
    for node in reversed(nodes):
        for parent, slope in node._parents:
            grads[parent] += grads[node] * slope
    return grads


@exercise(
    "walk",
    hints=(
        "When may a node hand its gradient on? What must have happened to all of its users?",
        "First make the list: visit(node) visits its parents and only then appends the node. Now every node"
        " stands behind its parents. In which direction must you go through it?",
        "From the last node to the first: parent.grad += node.grad · slope, for each of the node's parents,"
        " with last.grad = 1 at the start.",
    ),
)
def walk(answer):
    """Every node speaks once, after all its users, and what comes from several users is added up."""
    rng = np.random.default_rng()
    for nodes in (_line(rng), *(_diamonds(rng, far_first) for far_first in (False, True) * 5)):
        _Number.looks = 0
        ask(answer, nodes[-1])
        _compare_walk(nodes)
    nodes = [_Number(1.0)]
    for _ in range(40):
        nodes.append(_Number(0.0, [(nodes[-1], 1.0), (nodes[-1], 1.0)]))
    _Number.looks = 0
    ask(answer, nodes[-1])
    _compare_walk(nodes)


def _compare_walk(nodes):
    grads = _gradients(nodes)
    got, want = array("the nodes' grad", [node.grad for node in nodes]), [grads[node] for node in nodes]
    if got.shape == (len(nodes),) and got[-1] == 0:
        raise Wrong("The last node has no gradient; it starts the walk: its own slope to itself is 1.")
    if not got[:-1].any():
        raise Wrong("No gradient left the last node; every parent must be given grad · slope.")
    hint = "Does a node wait until all its users have spoken, and are their gradients added up?"
    compare("the nodes' grad", got, want, instead=_misconceptions(nodes), hint=hint)


def _misconceptions(nodes):
    once = {node: 0.0 for node in nodes}
    once[nodes[-1]] = 1.0
    overwritten = {node: 0.0 for node in nodes}
    overwritten[nodes[-1]] = 1.0
    slopes_only = {node: 0.0 for node in nodes}
    slopes_only[nodes[-1]] = 1.0
    for node in reversed(nodes):
        for parent, slope in node._parents:
            overwritten[parent] = overwritten[node] * slope
            slopes_only[parent] += slope
        for parent, slope in dict(node._parents).items():
            once[parent] += once[node] * slope
    again = {node: 0.0 for node in nodes}
    again[nodes[-1]] = 1.0
    _each_time(nodes[-1], again)
    return {
        "only the parents of the last node have a gradient. The list of nodes has parents first; go through it backwards "
        "(reversed)": _in_order(nodes, nodes),
        "it goes level by level (breadth first), so a node speaks when its first user has, and not after the last":
            _in_order(nodes, _by_levels(nodes[-1])),
        "it goes to a node's parents at once (depth first), so a node speaks when its first user has, and not after the "
        "last: list the nodes first, each *after* its parents": _in_order(nodes, _by_depth(nodes[-1], [])),
        "a parent that occurs twice, as in x + x, gets one gradient; it should get both": list(once.values()),
        "where a node has several users, the last one's gradient overwrites the others; add them up": 
            list(overwritten.values()),
        "each node passes on its slope alone; by the chain rule it is the node's own gradient times the slope":
            list(slopes_only.values()),
        "a node that is reached again hands on once more what it handed on before; it must speak once, with the whole sum":
            list(again.values()),
    }  # fmt: skip


def _in_order(nodes, order):
    """The gradients when the nodes speak in this order, once each."""
    grads = {node: 0.0 for node in nodes}
    grads[nodes[-1]] = 1.0
    for node in order:
        for parent, slope in node._parents:
            grads[parent] += grads[node] * slope
    return list(grads.values())


def _each_time(node, grads):
    """Hand on all that a node has so far, each time that it is reached."""
    if len(grads) < 20:  # ways double from node to node: not on the long chain
        for parent, slope in node._parents:
            grads[parent] += grads[node] * slope
            _each_time(parent, grads)


def _by_levels(last):
    queue = [last]
    for node in queue:
        queue += [parent for parent in dict(node._parents) if parent not in queue]
    return queue


def _by_depth(node, order):
    order.append(node)
    for parent, _ in node._parents:
        if parent not in order:
            _by_depth(parent, order)
    return order


@exercise(
    "affine",
    hints=(
        "How many elements of y does one element of γ touch? And one element of x?",
        "An element of x goes to one y only. An element of γ goes to a whole column, so it collects from a "
        "whole column.",
        "∂L/∂xᵢⱼ = ∂L/∂yᵢⱼ · γⱼ;  ∂L/∂γⱼ = Σᵢ ∂L/∂yᵢⱼ · xᵢⱼ;  ∂L/∂βⱼ = Σᵢ ∂L/∂yᵢⱼ.",
    ),
)
def affine(answer):
    """Whatever is broadcast is used many times, so its gradient is a sum over the examples."""
    rng = np.random.default_rng()
    n, c = rng.integers(5, 9), rng.integers(10, 14)
    x, grad_y = rng.normal(size=(2, n, c))
    gamma = rng.normal(size=c)
    result = ask(answer, grad_y, x, gamma)
    names = ("grad_x", "grad_gamma", "grad_beta")
    grad_x, grad_gamma, grad_beta = parts(result, names)
    want, second, third = (grad_y * x).sum(0), array(names[1], grad_gamma), array(names[2], grad_beta)
    if np.array_equal(second, grad_y.sum(0)) and third.shape == (c,) and np.allclose(third, want):
        raise Wrong("The gradients of γ and β have changed places: grad_x, grad_gamma, grad_beta.")
    compare("grad_x", grad_x, grad_y * gamma, instead={"γ scales y, so it scales the way back too": grad_y})
    compare(
        "grad_gamma", grad_gamma, want,
        instead={
            "γ is used once for each example, and their gradients are not added up": grad_y * x,
            "the examples' gradients are averaged; the chain rule adds them up": want / n,
            "the factor x is missing: a change of γ moves y by x": grad_y.sum(0),
            "the sum runs over the features; it must run over the examples": (grad_y * x).sum(1),
        },
    )  # fmt: skip
    compare(
        "grad_beta", grad_beta, grad_y.sum(0),
        instead={
            "β is used once for each example, and their gradients are not added up": grad_y,
            "the examples' gradients are averaged; the chain rule adds them up": grad_y.mean(0),
            "it is 1; that is ∂y/∂β, which the chain rule multiplies by grad_y": np.ones(c),
        },
    )  # fmt: skip


class _Spy:
    """Calls an operation, and notes where, and what gradient its result was given."""

    def __init__(self, operation, x):
        self.operation, self.shape, self.points, self.cotangents, self.results = operation, x.shape, [], [], []

    def __call__(self, x):
        if not isinstance(x, Tensor):
            raise Wrong(f"f was given a {type(x).__name__}; it takes a Tensor: f(Tensor(x)).")
        if x.dtype != np.float64:
            raise Wrong("f was given float32: a step of 10⁻⁶ drowns in its rounding; stay in float64.")
        if x.shape != self.shape:
            raise Wrong(f"f was given the shape {x.shape}, and x has {self.shape}; move x as a whole: x + h * v.")
        self.points.append(x.data.copy())
        y = self.operation(x)
        self.results.append(y.data.copy())
        if y.requires_grad:
            y.register_hook(self._note)
        return y

    def _note(self, grad):
        self.cotangents.append(grad.copy())


@exercise(
    "hunt",
    hints=(
        "What does `backward` claim about a small step along v, and how would you measure the same without it?",
        "Make a tensor t of x that asks for its gradient, and y = f(t). Draw u in the shape of y.data, and v in that "
        "of x. y.backward(u) fills t.grad; f(Tensor(x + h * v)).data is an array.",
        "What `backward` claims is Σ t.grad · v. What is measured is Σ u · (f(x + hv) − f(x − hv)) / 2h, with h "
        "of about 10⁻⁶. The answer is the size of their difference, over the largest of 1 and their two sizes.",
    ),
)
def hunt(answer):
    """Your gradient check accuses all six planted defects, and no sound operation."""
    rng = np.random.default_rng()
    for name, operation in SOUND.items():
        for _ in range(3):
            error, spy, x = _ask(answer, operation, rng)
            if not error < _CLEARED:
                raise Wrong(f"It says {error:.1e} of a sound operation ({name}). {_why_accused(spy, x)}")
            if _one_sided(_steps(spy, x)):
                raise Wrong(f"It clears a sound operation ({name}) by luck. {_ONE_SIDE}")
    missed = []
    for name, operation in DEFECTS.items():
        errors = []
        for _ in range(4):  # in one draw in some hundreds even a good check sees nothing
            error, spy, x = _ask(answer, operation, rng)
            errors.append(error)
        if not max(errors) > _ACCUSED:
            missed.append(name)
            why = _why_missed(spy, x)
    if missed:
        raise Wrong(f"It misses {len(missed)} of {len(DEFECTS)}: {'; '.join(missed)}. {why}")
    if not max(_number(ask(answer, _turned, rng.normal(size=(6, 3)), rng)) for _ in range(4)) > _ACCUSED:
        raise Wrong("It does not mind a gradient whose sign is turned: compare the two slopes, not their sizes.")
    for _ in range(4):
        large, small = (_number(ask(answer, _two_thirds(size), rng.normal(size=(6, 3)), rng)) for size in (1e6, 1e-6))
        if abs(large - 1 / 3) > 1e-3:
            raise Wrong(
                f"Where the measured slope is in the millions, and the claimed one is two thirds of it, it says {large:.2g} "
                "and should say 0.33: divide their distance by the larger of their two sizes."
            )
        if small > 1e-3:
            raise Wrong(
                f"Where both slopes are as small as a millionth, it says {small:.2g}: of slopes that should be 0 only "
                "rounding would be compared. Divide by 1 if both are smaller."
            )


def _ask(answer, operation, rng):
    x = rng.normal(size=(rng.integers(5, 8), rng.integers(2, 5)))
    spy = _Spy(operation, x)
    error = _number(ask(answer, spy, x, rng))
    if spy.points and np.median([np.abs(point - x).max() for point in spy.points]) > 0.5 and _one_sided(_steps(spy, x)):
        raise Wrong("It looks at f far from the x that it is given; both slopes should be those at x.")
    return error, spy, x


def _two_thirds(size):
    """Return an operation with a slope of 3·size that claims 2·size."""
    return lambda x: Tensor._from_op(3 * size * x.data, (x,), lambda grad: (2 * size * grad,))


def _turned(x):
    """Twice x, with minus its gradient."""
    return Tensor._from_op(2 * x.data, (x,), lambda grad: (-2 * grad,))


def _number(error):
    error = number("The disagreement", error)
    if error < 0:
        raise Wrong(f"It says {error:.2g}; a disagreement is a size: take the absolute value of the difference.")
    return error


def _parallel(a, b):
    return a.shape == b.shape and abs((a * b).sum()) > 0.999 * np.linalg.norm(a) * np.linalg.norm(b)


def _steps(spy, x):
    return [point - x for point in spy.points if np.abs(point - x).max() > 0]


_ONE_SIDE = "It steps to one side only, which is off by the bend times h; step to x + hv and x − hv."


def _one_sided(steps):
    """Whether steps were taken, but no two that are opposite."""
    return bool(steps) and not any(np.abs(a + b).max() < 1e-3 * np.abs(a).max() for a in steps for b in steps)


def _why_accused(spy, x):
    steps = _steps(spy, x)
    if not steps:
        return "It never steps away from x, so there is no slope to compare with."
    if max(np.abs(step).max() for step in steps) < 1e-8:
        return "Its step h is so small that the difference is mostly rounding; take about 10⁻⁶."
    if max(np.abs(step).max() for step in steps) > 1e-3:
        return "Its step h is large, and the operation bends on the way; take about 10⁻⁶."
    if _one_sided(steps):
        return _ONE_SIDE
    return "The two points x + hv and x − hv are 2h apart: does it divide by that? Are the same u and v in both slopes?"


def _why_missed(spy, x):
    steps = _steps(spy, x)
    if spy.cotangents and not np.ptp(spy.cotangents[0], 0).any():
        return "Its cotangent u is the same in every row, as of a plain sum: sums of a normalised batch never move."
    if spy.cotangents and _parallel(spy.cotangents[0], spy.results[0]):
        return "Its cotangent u is the result itself, as of a sum of squares, which a normalised batch never changes."
    if steps and (steps[0] == 0).mean() > 0.3:
        return "It moves only some elements of x; a defect may sit in the others: draw a direction v over all of them."
    if steps and np.ptp(steps[0], 0).max() < 1e-3 * np.abs(steps[0]).max():
        return "Its direction v is the same in every row: a batch that moves as a whole is normalised to what it was."
    if steps and _parallel(steps[0], x):
        return "Its direction v is x itself: a batch that grows as a whole is normalised to what it was."
    return "Do the two slopes come from the same u and v, and keep their signs when they are compared?"
