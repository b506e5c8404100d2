# %% [markdown]
# # 01 Autograd: how does `backward()` work?
#
# In [lesson 00](00_start.ipynb) one line, `loss.backward()`, found out for 150,000 numbers at once which way each of
# them had to move. All of training depends on that line, and a mistake in it does not stop a program: it may train a
# little worse, and nobody knows why. Here you build the idea in twenty lines, see where it can go wrong, and write
# the test that notices. Afterwards you can trust a gradient, because you can check it.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 10 s on two cores.
#
# **You need**: to have run [00](00_start.ipynb); the chain rule. Terms are explained in the
# [glossary](README.md#glossary).

# %%
import numpy as np

from minidl import Tensor
from minidl.lab import plot
from minidl.lab.course import check, hint, pick, predict, recall
from minidl.lab.course.defects import DEFECTS, SOUND, WRONG_FUNCTION

# %% [markdown]
# ## One number
#
# Let the prediction of a tiny model be $w x + b$, and its **loss**, the number that says how wrong it is,
# $L = (w x + b - y)^2$. The **gradient** of $L$ with respect to $w$ is the slope $\partial L/\partial w$: if $w$
# grows by a small $h$, $L$ grows by about $h \cdot \partial L/\partial w$. So you can measure it: take a small step,
# and look.
#
# **Prediction**: $w = 2$, $x = 3$, $b = 1$, $y = 5$. What are $\partial L/\partial w$ and $\partial L/\partial b$?
# Before you go on, put your numbers into the next cell, in place of the dots.

# %%
predict(slope_of_the_loss_in_w=..., slope_of_the_loss_in_b=...)  # two numbers, at w = 2, x = 3, b = 1, y = 5


# %%
def loss_of(w, b, x=3.0, y=5.0):
    return (w * x + b - y) * (w * x + b - y)


h = 1e-4
slope_w = (loss_of(2.0 + h, 1.0) - loss_of(2.0, 1.0)) / h
slope_b = (loss_of(2.0, 1.0 + h) - loss_of(2.0, 1.0)) / h
print(f"L = {loss_of(2.0, 1.0):g}")
print(f"a step of {h:g} in w changes L by {slope_w:.3f} times the step")
print(f"a step of {h:g} in b changes L by {slope_b:.3f} times the step")
recall("slope_of_the_loss_in_w", f"{slope_w:.2f}")
recall("slope_of_the_loss_in_b", f"{slope_b:.2f}")

# %% [markdown]
# That costs one more evaluation of $L$ for each parameter: 150,000 of them for every step of lesson 00's network.
# `backward()` gets all slopes in one pass, because it works from the other end.
#
# A `Tensor` is an array that remembers how it was made. Here is what the loss remembers: a **graph**, in which each
# **node** is a number (or an array) and points to the nodes that it was computed from, its **parents**. Nodes that
# were not computed are **leaves**; `requires_grad=True` marks those whose gradient we want (blue), the others are
# constants (dashed). We ask for the picture before `backward()`, which takes the graph apart as it goes; the gradients
# are filled in later.

# %%
w, b = Tensor(2.0, requires_grad=True), Tensor(1.0, requires_grad=True)
error = w * 3.0 + b - 5.0
loss = error * error
graph = loss.graph(w=w, b=b, error=error)
loss.backward()
graph

# %% [markdown]
# Grey lines run down: the computation. Orange lines run up: the gradients. Read these from the bottom. The slope of $L$
# with respect to itself is 1. Each operation knows one small fact: how far its result moves if one of its operands
# moves a little. (If $a$ moves, $a \cdot b$ moves $b$ times as far.) It multiplies the gradient it receives by that,
# and passes the product to this parent. That is the chain rule, one operation at a time. Did 12 and 4 agree with your
# prediction, and with the measured steps?
#
# Here is the same graph with that small fact, the **local slope**, on each arrow. There are two
# paths from $w$ to $L$, because the multiplication uses `error` **twice**. Along each the slopes multiply to
# $3\cdot1\cdot1\cdot2 = 6$, and the two paths add up to 12.

# %%
places = {"w = 2": (0, 3), "x = 3": (1.6, 3), "w·x = 6": (0.8, 2), "b = 1": (2.6, 2), "w·x + b = 7": (1.7, 1)}
places |= {"y = 5": (3.7, 1), "error = 2": (2.7, 0), "L = 4": (4.7, 0)}
arrows = [("w = 2", "w·x = 6", "3", 0), ("x = 3", "w·x = 6", "2"), ("w·x = 6", "w·x + b = 7", "1", 0),
          ("b = 1", "w·x + b = 7", "1"), ("w·x + b = 7", "error = 2", "1", 0), ("y = 5", "error = 2", "−1"),
          ("error = 2", "L = 4", "2", 0, 0.35), ("error = 2", "L = 4", "2", 0, -0.35)]  # fmt: skip
plot.flow(places, arrows, "Along a path the slopes multiply, and paths add up", key={"two paths from w to L": 0});

# %% [markdown]
# (So, in the first picture, the node `error` collected $2 + 2 = 4$.)

# %% [markdown]
# ## The whole idea in twenty lines
#
# For numbers, an operation only has to note its parents and the **slope** toward each of them. This class does just
# that.


# %%
class Number:
    """A number that knows what it was computed from: pairs (parent, slope)."""

    def __init__(self, value, parents=()):
        self.value, self.parents, self.grad = value, parents, 0.0

    def __add__(self, other):
        return Number(self.value + other.value, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Number(self.value * other.value, [(self, other.value), (other, self.value)])


def path_by_path(node, grad=1.0):
    """Hand every gradient on as soon as it comes; return the number of visits, repeated ones too."""
    node.grad += grad
    return 1 + sum(path_by_path(parent, grad * slope) for parent, slope in node.parents)


w, b = Number(2.0), Number(1.0)
error = w * Number(3.0) + b + Number(-5.0)
print(path_by_path(error * error), "visits; w has", w.grad, "and b has", b.grad)

# %% [markdown]
# It works: the same 12 and 4. But the graph has eight nodes, and there were 15 visits: `error` was visited twice, and
# so were all six nodes above it. In deeper graphs it gets worse. **Prediction**: take a number and double
# it, $x \leftarrow x + x$, thirty times. How many visits does `path_by_path` make: about 30, about 60, about 1,000,
# or about two billion?

# %%
predict(visits_path_by_path_after_30_doublings=...)  # 30, 60, 1_000 or 2_000_000_000

# %% [markdown]
# And minidl, in the same graph? To count its visits we use **hooks**: functions that it calls when the gradient of a
# node is complete.

# %%
def doublings(x, n):
    nodes = [x]
    for _ in range(n):
        nodes.append(nodes[-1] + nodes[-1])
    return nodes


def complete_gradients(n):
    """Count the nodes that minidl visits in the same graph: it calls a hook once for each gradient that is complete."""
    seen = []
    nodes = doublings(Tensor(1.0, requires_grad=True), n)
    for node in nodes:
        node.register_hook(seen.append)
    nodes[-1].backward()
    return len(seen)


sizes = list(range(1, 17))
paths = [path_by_path(doublings(Number(1.0), n)[-1]) for n in sizes]
ordered = [complete_gradients(n) for n in sizes]
print(f"{sizes[-1]} doublings: {paths[-1]:,} visits path by path, {ordered[-1]} in order")

_, (ax,) = plot.panels(1, size=(6.5, 3.6))
title = f"Path by path every doubling doubles the visits, up to {paths[-1]:,}"
plot.lines(
    ax, {"path by path": (sizes, paths), "minidl, each node once": (sizes, ordered)},
    title, "doublings x ← x + x", "visits to nodes", log="y",
)
after_30 = paths[-1] * 2 ** (30 - sizes[-1])
recall("visits_path_by_path_after_30_doublings", f"{after_30:,}, if each doubling doubles them")

# %% [markdown]
# `path_by_path` walks every path from the loss to a leaf, and the paths double with each doubling: $2^{n+1} - 1$
# visits, two billion for thirty. The cure: a node **waits** until all nodes that use it, its users, have sent their
# gradients, **adds them up**, and then sends its own once. So each node must be visited after all its users. An order
# of the nodes in which parents come before their users is called **topological**; the walk goes through it backwards.
# One way to make it is to put a node into a list only when all its parents are there. In minidl
# [`walk`](../minidl/autograd/engine.py) makes the list, and [`backward`](../minidl/autograd/engine.py) goes through
# it.

# %% [markdown]
# ## Exercise: the walk
#
# Write `walk(last)`, which does both jobs. It sets `last.grad` to 1, and fills in `.grad` of every node that `last` was
# computed from. Add to `.grad`: it is 0.0 in all nodes at first. Each node has `.parents`, a list of pairs
# `(parent, slope)`; the same parent may occur twice. It must work for a chain of 40 doublings.
#
# (About ten lines; recursion is fine here. It returns nothing. If you are stuck, `hint("walk")` gives a first hint, and
# the next one when you ask again. [Solution](solutions/01_autograd.py).)


# %% tags=["exercise:walk"]
def walk(last):
    raise NotImplementedError  # stuck? hint("walk")


# %%
check("walk", walk);

# %% [markdown]
# ## Arrays: to broadcast is to use many times
#
# In a real network the nodes are arrays: a loss of one number, a matrix of weights, a batch of 60 images. One thing
# is new. In $y = x + b$ with $x$ of shape (4, 3) and $b$ of shape (3,), the same $b$ is added to each of the four
# rows. NumPy calls this **broadcasting**.
#
# **Prediction**: the loss is the sum of all twelve elements of $y$. What is `b.grad`: `[1, 1, 1]`, `[4, 4, 4]`, or
# `[0.25, 0.25, 0.25]`? And its shape?

# %%
predict(gradient_of_a_broadcast_bias=...)  # [1, 1, 1], [4, 4, 4] or [0.25, 0.25, 0.25]
predict(shape_of_a_broadcast_bias_gradient=...)  # a list of whole numbers

# %%
x = Tensor(np.arange(12.0).reshape(4, 3))
b = Tensor(np.zeros(3), requires_grad=True)
(x + b).sum().backward()
print("b.grad, broadcast:     ", b.grad)

b = Tensor(np.zeros(3), requires_grad=True)
rows = [x[i] + b for i in range(4)]
(rows[0] + rows[1] + rows[2] + rows[3]).sum().backward()
print("b.grad, row by row:    ", b.grad)
recall("gradient_of_a_broadcast_bias", b.grad.tolist())
recall("shape_of_a_broadcast_bias_gradient", list(b.grad.shape))

# %% [markdown]
# Broadcasting *is* using a node several times, and its gradients *add up*: a sum over the rows, back in $b$'s own
# shape. There is no new rule. (An average would need a $1/4$ that the loss does not contain.) In minidl this sum is
# [`_reduce`](../minidl/tensor.py), which every operator that broadcasts calls.
#
# Here is a network of one layer, with shapes at its nodes, and for each gradient its size ‖grad‖, the root of the sum
# of its squares. Where does the size change on its way up, and where not?

# %%
rng = np.random.default_rng(0)
x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
W = Tensor(rng.normal(size=(3, 2)), requires_grad=True)
b = Tensor(np.zeros(2), requires_grad=True)
error = x @ W + b - y
loss = (error * error).mean()
graph = loss.graph(W=W, b=b, error=error)
loss.backward()
graph

# %% [markdown]
# The mean hands $1/8$ to each of eight squares: $\sqrt{8 \cdot (1/8)^2} = 0.3536$. The square multiplies it by twice
# the error. From `error` up to the product `@` the size stays the same, since $+$ and $-$ pass gradients on
# unchanged. At $b$ it changes: a gradient of shape (4, 2) has been summed to (2,). At $W$ it has been multiplied by
# $x$.
#
# ## Exercise: the gradient of $y = \gamma x + \beta$
#
# The last operation of batch normalization scales and shifts each **feature**. $x$ is (N, C): each row is an example,
# and each column is a feature, with one number for each example. $\gamma$ and $\beta$ are (C,), and are used for every
# row. Given `grad_y` $= \partial L/\partial y$, of shape (N, C), return the three arrays `grad_x`, `grad_gamma`,
# `grad_beta`, each in the shape of what it belongs to. NumPy only; three lines. In minidl this is part of
# [`batch_norm`](../minidl/ops/norm.py).


# %% tags=["exercise:affine"]
def affine_backward(grad_y, x, gamma):
    raise NotImplementedError  # stuck? hint("affine")


# %%
check("affine", affine_backward);

# %% [markdown]
# ## Is it right? Ask a small step
#
# The measured slope from the top of this lesson can judge every gradient. It has one free choice, the step $h$.
#
# **Prediction**: as $h$ gets smaller and smaller, the measured slope gets (a) ever more exact; (b) more exact up to a
# point, and then worse; (c) neither better nor worse.
#
# One can step to one side, $(f(x+h) - f(x))/h$, or to both, $(f(x+h) - f(x-h))/2h$. The figure shows how far both are,
# on average over 50 random points, from the exact slope of the sigmoid: $y(1-y)$, where $y$ is its value. Both are
# computed in **float64** (numbers with 16 digits, as above), and the second in **float32**, too (7 digits, in which
# networks are trained).

# %%
predict(measured_slope_as_its_step_shrinks=...)  # "a", "b" or "c"


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def errors(steps, dtype, both):
    """The mean distance between measured and exact slope, for each step."""
    x = np.random.default_rng(1).normal(size=50)
    exact, found = sigmoid(x) * (1 - sigmoid(x)), []
    for h in steps:
        a, z = (x - h if both else x).astype(dtype), (x + h).astype(dtype)
        slope = (sigmoid(z) - sigmoid(a)).astype(np.float64) / (2 * h if both else h)
        found.append(np.abs(slope - exact).mean())
    return np.array(found)


steps = 10.0 ** np.arange(-13, 0.5, 0.5)
curves = {
    "one side, float64": (steps, errors(steps, np.float64, False)),
    "both sides, float64": (steps, errors(steps, np.float64, True)),
    "both sides, float32": (steps, errors(steps, np.float32, True)),
}
best = {name: (x[y.argmin()], y.min()) for name, (x, y) in curves.items()}
_, (ax,) = plot.panels(1, size=(7, 4))
title = "A smaller step is better only down to a point"
plot.lines(ax, curves, title, "step h", "mean error of the measured slope", log="xy")
at, least = best["both sides, float64"]
recall("measured_slope_as_its_step_shrinks", f"{'b' if at > steps[0] else 'a'}: best at h = {at:.0e}, off by {least:.0e}")

# %%
for name, (step, least) in best.items():
    print(f"{name}: at its best, h = {step:.0e}, the slope is wrong by {least:.0e}")

# %% [markdown]
# (b). On the right the steps are so large that the sigmoid bends within them: the error falls like $h$ with steps to
# one side, and like $h^2$ with steps to both. On the left the two values agree in almost all digits, and their
# difference is mostly rounding, divided by a tiny $h$. In between is a best step, near $10^{-5}$ for both sides in
# float64, and a thousand times larger in float32, where the best slope is a million times less exact. (At the left end
# float32 cannot even tell $x + h$ from $x$.) So gradients are checked in float64, even if training uses float32.

# %% [markdown]
# ## All gradients in one comparison
#
# An operation takes an array $x$ and returns an array $f(x)$; it has a slope for each pair of their elements. To
# check them all at once, make one number out of it: draw a random array $u$ in the shape of the result, called the
# **cotangent**, and let $L = \sum u \cdot f(x)$. Draw a random direction $v$ in the shape of $x$. Then step along
# $v$:
#
# $$\frac{L(x + hv) - L(x - hv)}{2h} \;\approx\; \sum \frac{\partial L}{\partial x} \cdot v$$
#
# The left side uses only $f$; the right side is what `backward` claims. It takes two evaluations, however many
# elements there are. `y.backward(u)` gives the right side's $\partial L/\partial x$ in `x.grad`.
#
# ## Exercise: hunt them all
#
# Write this check, with a step of $h = 10^{-6}$. A tensor `t` has its array in `t.data`, whose shape is `t.data.shape`.
# `my_gradcheck(f, x, rng)` gets an operation `f` (a Tensor in, a Tensor out), an array `x` of float64, and a random
# generator (`rng.standard_normal(shape)`). It returns one number: how far the two sides are apart, relative to the
# larger of them, or to 1 if both are smaller.
#
# It is tried on four sound operations, for which it must return less than 0.00001. Six others claim a wrong gradient:
# for these it must return more than 0.001, at least once in four tries. They are about batch normalization, or about
# using a node several times. (**Evaluation mode** is what batch norm does when a trained network is used: it takes
# constants in place of the batch's own mean and variance.) You have not met their formulas. You need not: a gradient
# check does not know them either. Two more operations, one with slopes in the millions and one with slopes of a
# millionth, test whether your number is relative as described. (Eight to ten lines.)


# %% tags=["exercise:hunt"]
def my_gradcheck(f, x, rng):
    raise NotImplementedError  # stuck? hint("hunt")


# %%
check("hunt", my_gradcheck);

# %% [markdown]
# minidl's own is [`gradcheck`](../minidl/gradcheck.py); its tests run it on every operation, and check that it
# rejects wrong ones.
#
# ## A check is worth what it rejects
#
# Many programs check with something simpler. Here are the same six wrong gradients, of kinds found in well-known
# teaching code, and below them two operations with a flaw of another kind. Five checks look at each:
#
# - `u = 1`: the loss is the plain sum of the result; $v$ is random
# - `m = 2`: only two examples in the batch; $u$ and $v$ random
# - `x = 0`: $u$ and $v$ random, but at $x = 0$, as with weights that start at zero
# - `one element`: $u$ random, and only the first element of $x$ is moved
# - `random`: six examples, everything random
#
# Each check is made 500 times, with other random numbers each time, and with the step $h = 10^{-6}$. (The folded cell
# below holds our answer to the last exercise. Write yours first.)
#
# **Prediction**: which of the five misses most? And does `random` catch all eight?

# %%
predict(gradient_check_that_misses_most=...)  # "u = 1", "m = 2", "x = 0", "one element" or "random"
predict(random_gradient_check_catches_all_eight=...)  # "yes" or "no"

# %% tags=["hide-input"]
def disagreement(f, x, u, v, h=1e-6):
    """Between the claimed and the measured slope; relative to the larger, or to 1."""
    t = Tensor(x, requires_grad=True)
    f(t).backward(u)
    claimed = (t.grad * v).sum()
    measured = (u * (f(Tensor(x + h * v)).data - f(Tensor(x - h * v)).data)).sum() / (2 * h)
    return abs(claimed - measured) / max(1, abs(claimed), abs(measured))

# %%
def five_checks(f, rng):
    x, v = rng.normal(size=(2, 6, 3))
    first = np.zeros_like(x)
    first[0, 0] = 1
    u, u2 = rng.normal(size=f(Tensor(x)).shape), rng.normal(size=f(Tensor(x[:2])).shape)
    return {
        "u = 1": disagreement(f, x, np.ones_like(u), v),
        "m = 2": disagreement(f, x[:2], u2, v[:2]),
        "x = 0": disagreement(f, 0 * x, u, v),
        "one element": disagreement(f, x, u, first),
        "random": disagreement(f, x, u, v),
    }


# %%
LIMIT, DRAWS = 1e-3, pick(500, 50)


def times_caught(f):
    """In how many of the draws each check disagrees by more than the limit."""
    draws = [five_checks(f, np.random.default_rng(seed)) for seed in range(DRAWS)]
    return {kind: sum(draw[kind] > LIMIT for draw in draws) for kind in draws[0]}


found = {name: times_caught(f) for name, f in (DEFECTS | WRONG_FUNCTION).items()}
always = {kind: sum(found[name][kind] > 0.9 * DRAWS for name in DEFECTS) for kind in found[next(iter(DEFECTS))]}
print(f"found of {len(DEFECTS)} wrong gradients:", ", ".join(f"{n} by “{kind}”" for kind, n in always.items()))
every = [f"“{kind}”" for kind, n in always.items() if n == len(DEFECTS)]
title = f"All {len(DEFECTS)} wrong gradients are found by {' and '.join(every) or 'none of the checks'}"
xlabel = f"the check, and in how many of {DRAWS} draws it disagrees by more than {LIMIT:g}"
plot.tallies(found, DRAWS, title, xlabel).axhline(len(DEFECTS) - 0.5, color="black", linewidth=1.5)
recall("gradient_check_that_misses_most", min(always, key=always.get))
caught = sum(times["random"] > 0.9 * DRAWS for times in found.values())
recall("random_gradient_check_catches_all_eight", f"{caught} of {len(found)}")

# %%
for name, f in SOUND.items():
    worst = max(max(five_checks(f, np.random.default_rng(seed)).values()) for seed in range(DRAWS))
    print(f"sound: {name + ',':25} the largest disagreement in {DRAWS} draws is {worst:.0e}")

# %% [markdown]
# (Found means: in more than nine draws out of ten.) Four of the five checks have a hole:
#
# - A plain sum (`u = 1`) misses two in every draw: the batch norm that sends back **no gradient at all**, and the one
#   that treats only σ² as a constant. The reason is batch norm itself: whatever $x$ is, each column of the normalised
#   batch sums to zero. So the true slope of the sum *is* zero, and both claim just that.
# - With two examples (`m = 2`), normalising always gives +1 and −1; the true gradient is nearly zero, and "no
#   gradient" looks right in most draws.
# - At `x = 0` the gradient through σ² is zero, so the batch norm with only σ² as a constant passes.
# - `one element` is blind to what goes wrong in a row that it does not move.
#
# `random` finds all six. Not in every single draw: sometimes the random numbers happen to agree, in our run in 4 of
# the 500 draws for one of the six. So draw more than once. It never accuses the two below the black line, and could
# not: their gradients are right. They are batch norms that compute **something else** than they should. No sound
# operation comes near the limit.

# %% [markdown]
# ## What we did not show
#
# - Second derivatives. minidl does not support them; its `backward` functions work on plain arrays.
# - A proof. A random check can miss a defect that shows only somewhere else (a kink, an overflow, another mode); so
#   check with several shapes, in training and evaluation mode, and at values that occur.
# - That the *function* is right. The last two rows of the figure stay invisible to any gradient check: they need a
#   second, simple implementation to compare with.
#
# ## Summary
#
# - An operation knows its parents and its own slopes. `backward()` visits each node once, after all its users, and adds
#   up.
# - Whatever is used several times, by broadcasting too, gets the **sum** of its gradients.
# - A gradient is checked with a random cotangent, a random direction, in float64, with steps to both sides, on more
#   than two examples, and more than once.
#
# **Confusions settled**: gradients add up, they do not replace each other, and they are not averaged. A smaller step
# is not a better one. A check that passes is worth as much as the wrong gradients it rejects. A right gradient does
# not mean a right function.
#
# Next: [02 Can I train MNIST?](02_layers.ipynb)
