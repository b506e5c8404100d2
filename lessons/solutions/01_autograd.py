# %% [markdown]
# # Solutions of lesson 01


# %% [markdown]
# ## `walk`
#
# Two passes. The first, `visit`, appends a node only after all its parents, so that in `order` parents come before
# those computed from them; `seen` keeps it from going down a path twice. The second goes through the list backwards.
# Then a node's turn comes after all its users have added what they owe it, and one visit is enough. `+=` adds up the
# users, and the pairs of `x + x` too, as the same parent is in the list twice.


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


# %% [markdown]
# ## `affine`
#
# $y_{ij} = \gamma_j x_{ij} + \beta_j$. One element $x_{ij}$ reaches one $y_{ij}$, with the slope $\gamma_j$: no sum.
# But $\gamma_j$ reaches the whole column $j$, with the slopes $x_{ij}$, and $\beta_j$ with slopes of 1; so both add
# up over $i$, which is axis 0.


# %% tags=["exercise:affine"]
def affine_backward(grad_y, x, gamma):
    return grad_y * gamma, (grad_y * x).sum(0), grad_y.sum(0)


# %% [markdown]
# ## `hunt`
#
# `u` makes one number of the result, $L = \sum u \cdot f(x)$, and `y.backward(u)` gives its gradient. If the gradient
# is right, a step $hv$ changes $L$ by $h \sum \partial L/\partial x \cdot v$. The measured side takes $f$ at both
# ends of the step, $2h$ apart. Dividing by the larger size, or by 1, makes the number comparable for large and small
# gradients, and safe for those that are 0.


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
