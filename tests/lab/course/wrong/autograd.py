"""Wrong answers to the exercises of lesson 01."""

import numpy as np

from minidl import Tensor


def order_of(last):
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for parent, _ in node.parents:
                visit(parent)
            order.append(node)

    visit(last)
    return order


def by_paths(last, grad=1.0):
    last.grad += grad
    for parent, slope in last.parents:
        by_paths(parent, grad * slope)


def overwrites(last):
    last.grad = 1.0
    for node in reversed(order_of(last)):
        for parent, slope in node.parents:
            parent.grad = node.grad * slope


def slope_alone(last):
    last.grad = 1.0
    for node in reversed(order_of(last)):
        for parent, slope in node.parents:
            parent.grad += slope


def each_parent_once(last):
    last.grad = 1.0
    for node in reversed(order_of(last)):
        for parent, slope in dict(node.parents).items():
            parent.grad += node.grad * slope


def no_start(last):
    for node in reversed(order_of(last)):
        for parent, slope in node.parents:
            parent.grad += node.grad * slope


def impatient(last):
    """Breadth first, each node once, but not after all its users."""
    last.grad, queue, seen = 1.0, [last], {last}
    for node in queue:
        for parent, slope in node.parents:
            parent.grad += node.grad * slope
            if parent not in seen:
                seen.add(parent)
                queue.append(parent)


def parents_first(last):
    """The list as it was made, and not backwards."""
    last.grad = 1.0
    for node in order_of(last):
        for parent, slope in node.parents:
            parent.grad += node.grad * slope


def depth_first(last):
    """Each node once, and its parents at once."""
    seen = set()

    def visit(node):
        seen.add(node)
        for parent, slope in node.parents:
            parent.grad += node.grad * slope
        for parent, _ in node.parents:
            if parent not in seen:
                visit(parent)

    last.grad = 1.0
    visit(last)


def each_time(last):
    """Path by path, and each time with all that the node has collected so far."""

    def visit(node):
        for parent, slope in node.parents:
            parent.grad += node.grad * slope
            visit(parent)

    last.grad = 1.0
    visit(last)


def slopes(f, x, u, v, h=1e-6, factor=2.0):
    t = Tensor(x, requires_grad=True)
    f(t).backward(u)
    measured = (u * (f(Tensor(x + h * v)).data - f(Tensor(x - h * v)).data)).sum() / (factor * h)
    return (t.grad * v).sum(), measured


def relative(a, b):
    return abs(a - b) / max(1, abs(a), abs(b))


def plain_sum(f, x, rng):
    return relative(*slopes(f, x, np.ones(f(Tensor(x)).shape), rng.normal(size=x.shape)))


def first_element(f, x, rng):
    v = np.zeros(x.shape)
    v.flat[0] = 1
    return relative(*slopes(f, x, rng.normal(size=f(Tensor(x)).shape), v))


def all_together(f, x, rng):
    """The direction is a plain sum's."""
    return relative(*slopes(f, x, rng.normal(size=f(Tensor(x)).shape), np.ones(x.shape)))


def one_side(f, x, rng):
    t, h = Tensor(x, requires_grad=True), 1e-4
    y = f(t)
    u, v = rng.normal(size=y.shape), rng.normal(size=x.shape)
    y.backward(u)
    return relative((t.grad * v).sum(), (u * (f(Tensor(x + h * v)).data - y.data)).sum() / h)


def one_tiny_side(f, x, rng):
    """One side with a step so small that the bend does not show in the sound operations."""
    t, h = Tensor(x, requires_grad=True), 1e-6
    y = f(t)
    u, v = rng.normal(size=y.shape), rng.normal(size=x.shape)
    y.backward(u)
    return relative((t.grad * v).sum(), (u * (f(Tensor(x + h * v)).data - y.data)).sum() / h)


def in_float32(f, x, rng):
    return plain_sum(f, x.astype(np.float32), rng)


def half_the_way(f, x, rng):
    return relative(*slopes(f, x, rng.normal(size=f(Tensor(x)).shape), rng.normal(size=x.shape), factor=1))


def judged_by(judge):
    """A sound measurement whose two slopes are compared in another way."""
    return lambda f, x, rng: judge(*slopes(f, x, rng.normal(size=f(Tensor(x)).shape), rng.normal(size=x.shape)))


def at_zero(f, x, rng):
    return relative(*slopes(f, 0 * x, rng.normal(size=f(Tensor(x)).shape), rng.normal(size=x.shape)))


def of_two_rows(f, x, rng):
    return relative(*slopes(f, x[:2], rng.normal(size=f(Tensor(x[:2])).shape), rng.normal(size=(2, x.shape[1]))))


WRONG = {
    "walk": [
        ((by_paths,), "goes down every path on its own"),
        ((overwrites,), "overwrites the others; add them up"),
        ((slope_alone,), "passes on its slope alone"),
        ((each_parent_once,), "gets one gradient; it should get both"),
        ((no_start,), "The last node has no gradient"),
        ((impatient,), "level by level (breadth first)"),
        ((depth_first,), "goes to a node's parents at once"),
        ((parents_first,), "go through it backwards"),
        ((each_time,), "hands on once more what it handed on before"),
    ],
    "affine": [
        ((lambda g, x, gamma: (g, (g * x).sum(0), g.sum(0)),), "γ scales y"),
        ((lambda g, x, gamma: (g * gamma, g * x, g.sum(0)),), "γ is used once for each example"),
        ((lambda g, x, gamma: (g * gamma, (g * x).mean(0), g.mean(0)),), "averaged; the chain rule adds them up"),
        ((lambda g, x, gamma: (g * gamma, g.sum(0), g.sum(0)),), "the factor x is missing"),
        ((lambda g, x, gamma: (g * gamma, (g * x).sum(0), np.ones_like(gamma)),), "that is ∂y/∂β"),
        ((lambda g, x, gamma: ((g * gamma).astype(np.float32), (g * x).sum(0), g.sum(0)),), "seven digits of float32"),
    ],
    "hunt": [
        ((plain_sum,), "as of a plain sum"),
        ((first_element,), "moves only some elements"),
        ((all_together,), "direction v is the same in every row"),
        ((one_side,), "one side only"),
        ((one_tiny_side,), "one side only"),
        ((lambda f, x, rng: float("nan"),), "is nan, which is not a number"),
        ((in_float32,), "stay in float64"),
        ((half_the_way,), "are 2h apart"),
        ((judged_by(lambda a, b: abs(a - b)),), "by the larger of their two sizes"),
        ((judged_by(lambda a, b: abs(a - b) / max(1, abs(a))),), "by the larger of their two sizes"),
        ((judged_by(lambda a, b: relative(a, b) ** 2),), "by the larger of their two sizes"),
        ((judged_by(lambda a, b: abs(a - b) / max(abs(a), abs(b))),), "Divide by 1 if both are smaller"),
        ((judged_by(lambda a, b: "0"),), "is a str; it should be one number"),
        ((at_zero,), "far from the x that it is given"),
        ((of_two_rows,), "move x as a whole"),
    ],
}
