# %% [markdown]
# One solution to each exercise of lesson 01.


# %% tags=["exercise:walk"]
def walk(last):
    order, seen = [], set()

    def visit(node):
        if node in seen:
            return
        seen.add(node)
        for parent, _ in node.parents:
            visit(parent)
        order.append(node)

    visit(last)
    last.grad = 1.0
    for node in reversed(order):
        for parent, slope in node.parents:
            parent.grad += node.grad * slope


# %% tags=["exercise:affine"]
def affine_backward(grad_y, x, gamma):
    return grad_y * gamma, (grad_y * x).sum(0), grad_y.sum(0)


# %% tags=["exercise:hunt"]
from minidl import Tensor


def my_gradcheck(f, x, rng):
    h = 1e-6
    t = Tensor(x, requires_grad=True)
    y = f(t)
    u, v = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    y.backward(u)
    claimed = (t.grad * v).sum()
    measured = (u * (f(Tensor(x + h * v)).data - f(Tensor(x - h * v)).data)).sum() / (2 * h)
    return abs(claimed - measured) / max(1, abs(claimed), abs(measured))
