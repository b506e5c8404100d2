# %% [markdown]
# # 06 Backward: where does the gradient come from?
#
# In training, every output of batch normalization depends on its feature's inputs in the whole batch. So a gradient
# that arrives at one example goes back to all of them. Step by step that takes six equations; put together they
# become one line; and that line is a picture: a shadow, from which two directions are missing. After this lesson you
# can derive the gradient in all three forms, check each, and say what it never lets through. In a batch of two nothing
# gets through, and the network then does not do what you would expect.
#
# **Time**: about 90 minutes with the exercises; the cells run in about 20 s on two cores.
#
# **You need** lessons [01](01_autograd.ipynb) (`backward`, the gradient check) and [05](05_algorithm_1.ipynb) (the forward,
# and its words). [04](04_wrong_ways.ipynb) shows what happens to a network whose gradient is wrong.

# %%
import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.gradcheck import gradcheck, jacobian
from minidl.lab import course, models, plot
from minidl.lab.course import check, hint, predict, recall
from minidl.lab.course.broken_norms import PathNorm
from minidl.lab.course.norm_gradients import at_batch_norms, removed

generator = np.random.default_rng(6)
m, features, eps = 8, 3, 1e-5
x = 2 * generator.standard_normal((m, features)) + 1
gamma, beta = generator.standard_normal((2, features))
grad_y = generator.standard_normal((m, features))  # ∂L/∂y: what arrives from the layers above

# %% [markdown]
# ## The question
#
# The forward, for one feature (column) of a batch of $m$ examples:
#
# $$\mu = \frac1m \sum_i x_i \qquad \sigma^2 = \frac1m \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad y_i = \gamma\,\hat x_i + \beta$$
#
# Somewhere above, the loss $L$, one number, is computed from $y$. The layers above give us $\partial L/\partial y$, a
# table like $y$: the slopes of $L$, one for each entry of $y$. We must pass on $\partial L/\partial x$.
#
# Here are the four lines as tensor operations, with a random $\partial L/\partial y$, and the graph that **autograd**
# (computing gradients along the graph, lesson 01) made of them. Each box has the size of the gradient that arrived
# there. Follow the arrows from $x$ down to the division (`/`), whose result is $\hat x$: there is a direct path
# (through one subtraction), one through the mean, and one through the variance (the square and the second mean). A
# fourth goes through the mean and then the variance; we come back to it.

# %%
def four_lines(x, gamma, beta, mean_knows=True, var_knows=True, eps=eps):
    """Algorithm 1, line by line; a statistic that does not "know" is treated as a constant on the way back."""
    mean = x.mean(0)
    mean = mean if mean_knows else mean.detach()
    distance = x - mean
    var = (distance * distance).mean(0)
    var = var if var_knows else var.detach()
    x_hat = distance / (var + eps) ** 0.5
    return gamma * x_hat + beta


inputs = {name: Tensor(array, requires_grad=True) for name, array in {"x": x, "γ": gamma, "β": beta}.items()}
y = four_lines(*inputs.values())
picture = y.graph(y=y, **inputs)
y.backward(grad_y)
picture

# %% [markdown]
# The same on paper, with the three routes from one $x_i$ in three colours. The two lower routes do not end at
# $\hat x_i$ alone: μ and $\sigma^2$ go into *every* $\hat x_j$ of the batch. The grey arrow from μ to $\sigma^2$, with
# the question mark, belongs to the fourth.

# %%
places = {"xᵢ": (0, 0), "μ": (1.6, -1.7), "σ²": (3.4, -1.7), "x̂ᵢ": (5.2, 0), "all x̂ⱼ": (5.2, -1.7)}
places |= {"y": (6.8, -0.85), "L": (8, -0.85)}
arrows = [("xᵢ", "x̂ᵢ", "", 0), ("xᵢ", "σ²", "", 1, 0.25), ("σ²", "all x̂ⱼ", "", 1), ("xᵢ", "μ", "", 2),
          ("μ", "all x̂ⱼ", "", 2, -0.25), ("μ", "σ²", "?"), ("x̂ᵢ", "y", "γ"), ("all x̂ⱼ", "y", "γ"),
          ("y", "L", "g")]  # fmt: skip
plot.flow(places, arrows, "Three routes lead from one x to the loss", key={"direct": 0, "through σ²": 1, "through μ": 2});

# %% [markdown]
# ## Does the gradient flow through μ and σ?
#
# They are "only statistics", and much code has been written in which they are constants on the way back (with
# `detach()`, which passes on the numbers of a tensor without their history).
#
# **Prediction 1.** With random numbers in batches of 60, treating both as constants makes $\partial L/\partial x$ wrong by
# (a) nothing but rounding, (b) about 1 %, (c) about 20 %, (d) about its own size. And with batches of 4?
#
# First, who is right? A **finite difference** decides, the change of $L$ between two places near each other:
# `gradcheck` moves $x$, γ and β by $10^{-6}$ in random directions, and compares the slope of $L$ there with what
# the gradient says. ("Off by" is relative to that slope, or to 1 if 1 is more. It shows *that* a gradient is wrong. The
# figure measures how wrong.)

# %%
predict(error_of_constant_statistics_at_m_60=..., error_of_constant_statistics_at_m_4=...)  # "a", "b", "c" or "d"

# %%
routes = {"both know": (True, True), "μ constant": (False, True), "σ² constant": (True, False)}
routes["both constant"] = (False, False)
for name, knows in routes.items():
    draws = np.random.default_rng(1)  # the same directions for each
    off = gradcheck(lambda *tensors, k=knows: four_lines(*tensors, *k), x, gamma, beta, tol=np.inf, generator=draws)
    print(f"{name:15} {'right' if off < 1e-7 else 'wrong'}: off by {off:.0e} in the worst of 9 random directions")


def gradient(table, arriving, knows):
    """σ ∂L/∂x with γ = 1; times σ, so that each feature counts the same."""
    tensor = Tensor(table, requires_grad=True)
    four_lines(tensor, 1.0, 0.0, *knows).backward(arriving)
    return tensor.grad * table.std(0)


sizes, errors = [4, 8, 15, 30, 60, 120, 240], {name: [] for name in list(routes)[1:]}
for batch in sizes:
    table, arriving = generator.standard_normal((2, batch, 500))  # 500 features
    truth = gradient(table, arriving, (True, True))
    for name, row in errors.items():
        row.append(np.linalg.norm(gradient(table, arriving, routes[name]) - truth) / np.linalg.norm(truth))

# %%
for name, row in errors.items():
    print(f"{name:15} wrong by {100 * row[sizes.index(60)]:.0f} % at m = 60, by {100 * row[0]:.0f} % at m = 4")
runs = {name: (sizes, 100 * np.array(row)) for name, row in errors.items()}
title, ylabel = "The larger the batch, the smaller the error of constant statistics", "error of ∂L/∂x, in % of its length"
plot.lines(None, runs, title, "m, examples in the batch", ylabel, log="xy", yticks=[5, 10, 20, 50, 100])
recall("error_of_constant_statistics_at_m_60", f"{100 * errors['both constant'][sizes.index(60)]:.0f} %")
recall("error_of_constant_statistics_at_m_4", f"{100 * errors['both constant'][0]:.0f} %")

# %% [markdown]
# **Yes: the gradient flows through both**, and for random numbers each carries about as much as the other. It is (c) at
# 60, and (d) at 4: there the error is as long as the gradient itself. It falls about as $1/\sqrt m$: a large batch
# makes the mistake small, and easy to overlook. (Below you see where this curve comes from, and what happens in a real
# network.)
#
# Watch it on eight numbers: [drag one example of a batch of eight](../docs/live/drag.html). The two lower rows are
# gradients. One arrives at the orange example alone, and something passes to all eight. Choose *constants*: now it stays
# with that one. Back in training, let it arrive at *all alike*, or *in proportion to x̂*: nothing passes at all. The rest
# of this lesson says why.

# %%
course.show("drag")

# %% [markdown]
# ## Five numbers, all three routes
#
# Before any algebra, by hand. Lesson 05's batch was $x = 4, 6, 7, 8, 10$, with μ = 7, $\sigma^2 = 4$ and
# $\hat x = -1.5, -0.5, 0, 0.5, 1.5$ (ε = 0). Let γ = 1, and let the gradient $g = (0, 0, 1, 0, 4)$ arrive. What is
# $\partial L/\partial x_5$? Move $x_5$ up by a small $h$, and follow each route:
#
# - **Directly**: $\hat x_5$ grows by $h/\sigma = h/2$. It has $g_5 = 4$, so $L$ grows by $2h$.
# - **Through μ**: the mean grows by $h/5$, so every $\hat x_j$ falls by $h/10$. Together they have $\sum g_j = 5$, so
#   $L$ falls by $0.5h$.
# - **Through $\sigma^2$**: $(x_5-\mu)^2$ grows by $6h$, and its mean, $\sigma^2$, by $1.2h$. Of 4 that is the share
#   $0.3h$, and the root grows by half that share: σ grows by the share $0.15h$. So every $\hat x_j$
#   shrinks by $0.15h\,\hat x_j$, and $L$ falls by $0.15h \sum g_j\hat x_j = 0.9h$.
#
# The sum is $2 - 0.5 - 0.9 = 0.6$. The next cell does it for all five. It finds what comes through a statistic by
# making only the other one a constant, and taking away the direct part. The last column needs no algebra: it measures
# the loss itself, at two places near $x_i$.

# %%
five, g = np.array([4.0, 6, 7, 8, 10])[:, None], np.array([0.0, 0, 1, 0, 4])[:, None]


def arrives(*knows):
    """∂L/∂x for the five numbers, where mean and variance know, or do not, that they depend on x."""
    tensor = Tensor(five, requires_grad=True)
    four_lines(tensor, 1.0, 0.0, *knows, eps=0.0).backward(g)
    return tensor.grad[:, 0]


def loss_at(table):
    return float((g * four_lines(Tensor(table), 1.0, 0.0, eps=0.0).data).sum())


direct, h = arrives(False, False), 1e-6
through_var, through_mean = arrives(False, True) - direct, arrives(True, False) - direct
measured = [(loss_at(five + h * row[:, None]) - loss_at(five - h * row[:, None])) / (2 * h) for row in np.eye(5)]
print(" x    g   direct  through σ²  through μ     sum   gradient check")
total = direct + through_var + through_mean
for row in zip(five[:, 0], g[:, 0], direct, through_var, through_mean, total, measured, strict=True):
    print("{:2.0f}  {:3.0f}   {:6.2f}  {:10.2f}  {:9.2f}  {:6.2f}   {:14.6f}".format(*(value + 0.0 for value in row)))

# %% [markdown]
# Look at the rows of 4 and 8. Nothing arrives at them ($g = 0$), and yet they get a gradient, of opposite signs: they
# belong to the same batch. Each column of a route adds up to something simple; the sum column adds up to 0.
#
# ## The first form: the chain rule, in stages
#
# One rule is enough: the gradient of a quantity is the sum, over all arrows that leave it, of "gradient at the arrow's
# end × slope of the arrow". (An arrow to "all $\hat x_j$" is $m$ arrows: sum over them, too.) Try it with a pencil for
# μ before you read on: which arrows leave it? (One to each $x_i - \mu$ in the numerators, and one to σ². On paper these
# are separate; the graph shares one subtraction for both.)
#
# **Prediction 2.** Two kinds of arrows leave μ. What arrives through one kind is always 0 in total. Through which?

# %%
predict(arrows_from_the_mean_that_bring_0=...)  # "to x − μ" or "to σ²"

# %% [markdown]
# ### Exercise: in stages
#
# Derive the gradient with that rule, with a pencil, for one feature: first $\partial L/\partial\hat x_i$, then
# $\partial L/\partial\sigma^2$, then $\partial L/\partial\mu$, and last $\partial L/\partial x_i$, which collects from
# all three. Test each of them on the five numbers above, where $\partial L/\partial\sigma^2 = -0.75$ and
# $\partial L/\partial\mu = -2.5$. Then write it down: one line for each stage.
#
# `grad_y` and `x` are (m, C), `gamma` is (C,). Return three arrays: ∂L/∂x (m, C), ∂L/∂γ (C,), ∂L/∂β (C,). NumPy alone.

# %% tags=["exercise:staged"]
def staged(grad_y, x, gamma, eps):
    raise NotImplementedError  # stuck? hint("staged")

# %%
check("staged", staged);

# %% [markdown]
# <details><summary>The paper's six equations, to compare with yours</summary>
#
# $$\frac{\partial L}{\partial \hat x_i} = \frac{\partial L}{\partial y_i}\,\gamma \qquad\qquad
# \frac{\partial L}{\partial \sigma^2} = \sum_i \frac{\partial L}{\partial \hat x_i}\,(x_i - \mu)\cdot
# \left(-\tfrac12\right)(\sigma^2 + \varepsilon)^{-3/2}$$
#
# $$\frac{\partial L}{\partial \mu} = \sum_i \frac{\partial L}{\partial \hat x_i}\cdot\frac{-1}{\sqrt{\sigma^2+\varepsilon}}
# \;+\; \frac{\partial L}{\partial \sigma^2}\cdot\frac{\sum_i -2\,(x_i-\mu)}{m}$$
#
# $$\frac{\partial L}{\partial x_i} = \frac{\partial L}{\partial \hat x_i}\cdot\frac{1}{\sqrt{\sigma^2+\varepsilon}}
# + \frac{\partial L}{\partial \sigma^2}\cdot\frac{2\,(x_i-\mu)}{m} + \frac{\partial L}{\partial \mu}\cdot\frac1m$$
#
# $$\frac{\partial L}{\partial \gamma} = \sum_i \frac{\partial L}{\partial y_i}\,\hat x_i \qquad\qquad
# \frac{\partial L}{\partial \beta} = \sum_i \frac{\partial L}{\partial y_i}$$
#
# </details>
#
# ## The second form: one line
#
# What is always 0 comes to μ through $\sigma^2$: the distances from the mean add up to 0. (So
# $\sigma^2$ does not depend on $\mu$ to first order: the mean is where the mean square distance is least.)
#
# Write $s = \sqrt{\sigma^2+\varepsilon}$ and $g_i = \partial L/\partial y_i$, and note $x_i - \mu = s\,\hat x_i$. With
# these, each of the stages becomes a short sum.
#
# <details><summary>The two sums, if you want to start from them</summary>
#
# - $\partial L/\partial\sigma^2 = -\dfrac{\gamma}{2 s^2} \sum_j g_j\,\hat x_j$, as $(\sigma^2+\varepsilon)^{-3/2} = s^{-3}$;
# - $\partial L/\partial\mu = -\dfrac{\gamma}{s} \sum_j g_j$.
#
# </details>
#
# ### Exercise: closed form
#
# Put $\partial L/\partial\sigma^2$ and $\partial L/\partial\mu$ into your equation of $\partial L/\partial x_i$ (or the
# paper's, above), and factor out what all three terms share. You get one line in $g$, $\hat x$, $1/s$, γ and means over
# the batch; $x$, μ and σ² no longer occur. `grad_y` and `x_hat` are (m, C); `inv_std`, which is $1/s$, and `gamma` are
# (C,). Return ∂L/∂x.

# %% tags=["exercise:closed"]
def closed(grad_y, x_hat, inv_std, gamma):
    raise NotImplementedError  # stuck? hint("closed")

# %%
check("closed", closed);

# %% [markdown]
# <details><summary>The result</summary>
#
# $$\frac{\partial L}{\partial x_i} = \frac{\gamma}{s}\Big(g_i - \overline{g} - \hat x_i\;\overline{g\,\hat x}\Big)$$
#
# with bars for means over the batch.
#
# </details>
#
# It is what the library computes, in one pass over the table
# ([`input_gradient`](../minidl/ops/norm.py)); and the two means are, but for the $1/m$, the gradients of β and γ, which are
# needed anyway. On paper it equals what autograd finds on its way through the graph above. In numbers:

# %%
def library(grad_y, x, gamma, beta, eps=eps):
    """The three gradients as minidl gives them."""
    tensors = [Tensor(array, requires_grad=True) for array in (x, gamma, beta)]
    F.batch_norm(tensors[0], None, None, *tensors[1:], training=True, eps=eps).backward(grad_y)
    return [tensor.grad for tensor in tensors]


for name, ours, autograd in zip("xγβ", library(grad_y, x, gamma, beta), inputs.values(), strict=True):
    print(f"∂L/∂{name}: one line and the graph of four lines differ by {np.abs(ours - autograd.grad).max():.0e}")
distances = x - x.mean(0)
print(f"and the term that is 0: Σ(x − μ) = {np.abs(distances.sum(0)).max():.0e}")
recall("arrows_from_the_mean_that_bring_0", "to σ²")  # whose slope is −2 Σ(x − μ)/m

# %% [markdown]
# ## The third form: a projection
#
# Forget the algebra for a moment, and look at the forward.
#
# **Prediction 3.** We move the numbers of a batch by a small step of length 0.001. First the same for all of them (a step
# along $\mathbf 1 = (1, …, 1)$); then each in proportion to its own $\hat x_i$ (a step along $\hat x$); then in a random
# direction. How far does $\hat x$ move, each time?

# %%
predict(move_of_x_hat_after_a_step_of_0_001=...)  # a list of three numbers: along 1, along x̂, at random

# %%
def normalise(column, eps=0.0):
    """x̂ of one feature, (m,) → (m,)."""
    return F.batch_norm(Tensor(np.asarray(column)[:, None]), None, None, training=True, eps=eps).data.ravel()


column = np.sort(x[:, 0])
x_hat, sigma = normalise(column), column.std()
directions, moves = {"along 1": np.ones(m), "along x̂": x_hat, "at random": generator.standard_normal(m)}, []
for name, direction in directions.items():
    step = 0.001 * direction / np.linalg.norm(direction)
    moves.append(np.linalg.norm(normalise(column + step) - x_hat))
    print(f"a step of 0.001 {name}: x̂ moves by {moves[-1]:.1e}")
recall("move_of_x_hat_after_a_step_of_0_001", ", ".join(f"{move:.1g}" for move in moves))

# %% [markdown]
# The forward undoes the first two, a shift and a stretch of the batch. So no loss above it can depend on them, and
# the gradient has no part along them. That is what the line says: it removes from $g$ its mean, which is its part
# along $\mathbf 1$, and the part that is proportional to $\hat x$.
#
# Think of the column $g = (g_1, …, g_m)$ as one arrow in a space of $m$ dimensions. $\mathbf 1$ and $\hat x$ are two
# arrows in it, at right angles, as $\sum_i \hat x_i = 0$. Removing the parts along both leaves the shadow that $g$
# casts on the space at right angles to both: an **orthogonal projection**.
#
# With $m = 3$ you can see it. Three numbers are a point in space, and we look at it along $\mathbf 1$: adding the
# same number to all three moves the point straight towards us, and we see nothing. Now let the library normalise 300
# batches of three, and send gradients back through some of them.

# %%
draws = np.random.default_rng(3)
threes = Tensor(draws.standard_normal((3, 300)), requires_grad=True)  # a column is a batch of three
hats, arriving = F.batch_norm(threes, None, None, training=True, eps=0), draws.standard_normal((3, 300))
hats.backward(arriving)
passing = threes.grad * threes.data.std(0)
plot.batches_of_three(threes.data, hats.data, arriving, passing)
distance = np.sqrt((hats.data**2).sum(0))
print(f"all 300 are {distance.mean():.3f} from the centre, but for {np.ptp(distance):.0e}")
print(f"the part of what passes that points outwards is at most {np.abs((passing * hats.data).sum(0)).max():.0e}")

# %% [markdown]
# Here is the picture. All batches of three lie on one circle after the forward (of radius $\sqrt 3$, as the mean
# square is 1), and only one freedom is left: *where* on the circle. A gradient can push along it, not off it. For any
# $m$ the circle becomes a sphere: one of the $m$ directions is the one we look along, one points outwards, and
# $m - 2$ run along the surface.
#
# Take one batch and one gradient: [the circle of all batches of three](../docs/live/circle.html). Drag the tip of the
# orange arrow around: what passes (green) is its shadow on the tangent, and when the arrow points straight outwards,
# nothing passes. Then drag the grey dot, the batch: however far you pull it, its $\hat x$ (blue) stays on the circle.

# %%
course.show("circle")

# %% [markdown]
# ### Exercise: the matrix of it
#
# For one feature and ε = 0, write the line as a matrix: $\partial L/\partial x = \frac{\gamma}{\sigma}\,P\,g$. Given
# `x_hat`, of shape (m,), with mean 0 and mean square 1, return $P$, of shape (m, m). (`np.eye`, `np.outer` help.)

# %% tags=["exercise:projector"]
def projector(x_hat):
    raise NotImplementedError  # stuck? hint("projector")

# %%
check("projector", projector);

# %% [markdown]
# ### Exercise: is it a projection?
#
# A matrix is an orthogonal projection if $PP = P$ (a shadow of a shadow is the shadow) and $P^\top = P$ (the light
# falls at right angles: with the first alone the shadow may be slanted). Write a function that says (True or False)
# whether a square matrix is one, within $10^{-9}$ for rounding. A check must be able to say no: yours is tried on
# matrices that are nearly projections, and on some that only look like one.

# %% tags=["exercise:is_projection"]
def is_projection(matrix):
    raise NotImplementedError  # stuck? hint("is_projection")

# %%
check("is_projection", is_projection);

# %% [markdown]
# ## The Jacobian
#
# The **Jacobian** of a function is the table of all its slopes: row $i$, column $j$ is $\partial y_i/\partial x_j$,
# how much example $j$ moves example $i$. As a test of our algebra the library computes it, number by number (here with
# γ = 1, times σ, so it should be $P$).

# %% tags=["hide-input"]
def slopes(column, eps=0.0):
    """The Jacobian of x̂ for one feature, times σ: (m, m)."""
    table = np.asarray(column)[:, None]
    whole = jacobian(lambda t: F.batch_norm(t, None, None, training=True, eps=eps), table)
    return whole.reshape(len(table), len(table)) * table.std()


P = slopes(column)
print(f"largest of |PP − P|: {np.abs(P @ P - P).max():.0e}, of |Pᵀ − P|: {np.abs(P.T - P).max():.0e}")
print(f"P·1: {np.abs(P.sum(1)).max():.0e}, P·x̂: {np.abs(P @ x_hat).max():.0e}, rank {np.linalg.matrix_rank(P, tol=1e-6)}")
terms = {"identity": np.eye(m), "minus the mean": -np.ones((m, m)) / m, "minus the stretch": -np.outer(x_hat, x_hat) / m}
figure, axes = plot.panels(4, title="An example at the end moves itself less than one in the middle", size=(3.1, 3.0))
for ax, (name, matrix) in zip(axes, {**terms, "= the Jacobian × σ": P}.items(), strict=True):
    plot.heat_map(ax, matrix, name, "x of example j, sorted", "x̂ of example i" if ax is axes[0] else "", limit=1, bar=False)
print(f"the three terms add up to the Jacobian to {np.abs(sum(terms.values()) - P).max():.0e}")

# %% [markdown]
# Read the last one. On the diagonal: how much an example moves itself. It is less than 1 everywhere, and less at the
# two ends than in the middle: an extreme example stretches the ruler that it is measured with (lesson 05). Off the
# diagonal: let the top example go up. It takes the mean with it, so all others go down. And it stretches the ruler, so
# all others go towards the mean. For those above the mean, both effects push down (orange). For those below, they work
# against each other, and at the far end the second wins (purple): the bottom example goes up.
#
# And the whole layer? Features do not mix: for three features the Jacobian is three blocks, and zeros. (This time it is not
# multiplied by σ: a block is paler where its feature's σ is larger.)

# %%
whole = jacobian(lambda t: F.batch_norm(t, None, None, training=True, eps=0), x)  # (m, C, m, C)
whole = whole.transpose(1, 0, 3, 2).reshape(features * m, features * m)  # sorted by feature, then by example
figure, (left, right) = plot.panels(2, size=(4.8, 3.9))
rank = np.linalg.matrix_rank(whole, tol=1e-6)
title = f"A block for each feature: rank {rank} of {features * m}"
plot.heat_map(left, whole, title, "entry of x, feature by feature", "entry of x̂")
counts = np.arange(2, 17)
ranks = [[np.linalg.matrix_rank(slopes(generator.standard_normal(k)), tol=1e-6) for k in counts] for _ in range(5)]
same = int(sum(np.array_equal(row, counts - 2) for row in ranks))
right.plot(counts, counts, color="0.6", linestyle=":", label="m")
right.plot(counts, np.transpose(ranks), "o", color=plot.INKS[0], markersize=4)
right.plot(counts, counts - 2, color=plot.INKS[1], linewidth=1, label="m − 2")
right.legend(frameon=False)
plot.label(right, f"One feature: in {same} of 5 random draws the rank is m − 2 at every m", "m", "rank of the Jacobian");

# %% [markdown]
# The **rank** is the number of independent directions that survive. One feature of a batch of $m$ numbers has $m$
# directions to move in, and $m - 2$ of them get a gradient.
#
# ### Exercise: what is left
#
# How many independent directions pass back through a whole BN layer (training, ε = 0), given `m` and the number of
# `features`? It must be right for every $m$ from 1 on (in a batch of one $\hat x = 0$ for any $x$, lesson 05).

# %% tags=["exercise:freedom"]
def freedom(m, features):
    raise NotImplementedError  # stuck? hint("freedom")

# %%
check("freedom", freedom);

# %% [markdown]
# With ipywidgets installed, the next cell has sliders: how far the last example stands out, the size of the batch, and ε (as
# a power of ten, against a variance near 1). Watch the last row and column fade as that example moves away. The
# eigenvalues say by how much the matrix stretches the directions that it does not turn: they stay $m - 2$ ones and two
# zeros.

# %% tags=["widget"]
def draw(outlier=0.0, m=8, log10_eps=-5.0):
    """The Jacobian of a batch, and its eigenvalues (by how much it stretches its own directions)."""
    column = np.sort(np.random.default_rng(0).standard_normal(m))
    column[-1] += outlier
    matrix = slopes(column, 10**log10_eps)
    plot.heat_map(plot.panels(1)[1][0], matrix, "The Jacobian × σ", "x of example j", "x̂ of example i", limit=1)
    print("m =", m, "eigenvalues:", np.round(np.linalg.eigvalsh(matrix)[::-1], 3) + 0.0)


course.explore(draw, outlier=(0.0, 20.0), m=(2, 12), log10_eps=(-8.0, 1.0))

# %% [markdown]
# ## ε lets a little through
#
# For any $m$, ε > 0 makes $\sum_i \hat x_i^2$ a little less than $m$, so the part along $\hat x$ is not removed
# completely: the share $\varepsilon/(\sigma^2+\varepsilon)$ of it passes. The part along $\mathbf 1$ is removed exactly,
# for every ε: $\sum_i \partial L/\partial x_i = 0$, always. (That is why the bias before BN has no gradient: its gradient
# *is* that sum.)

# %%
for value in (0, 1e-5, 1e-3, 0.1):
    matrix = slopes(column, value) * np.sqrt(1 + value / column.var())  # times √(σ² + ε)
    along_one = np.ones(m) @ matrix @ np.ones(m) / m
    along_x = x_hat @ matrix @ x_hat / m
    print(f"ε = {value:<6g} passes along 1: {abs(along_one):.0e}   along x̂: {abs(along_x):.1e}"
          f"   (ε/(σ² + ε) = {value / (column.var() + value):.1e})")  # fmt: skip

# %% [markdown]
# ## A batch of two
#
# At $m = 2$ the rank is 0: $\hat x$ is $(-1, +1)$ or $(+1, -1)$, by which of the two is larger, and moving either a little
# changes nothing. (Of the circle above only two points are left, and no path between them.) No gradient passes.
#
# **Prediction 4.** We train with batches of two (ε = $10^{-5}$, as always). The weights below the BN layers (a) do not
# move at all, (b) move a little, because of ε, (c) move as with any other batch, (d) move more than with any other.
#
# First one BN layer, the sums of 100 units with random weights, and random gradients from above. Here the **gain** of
# a unit (in lesson 03 it was that of weights), $|\partial L/\partial x| \,/\, |\partial L/\partial y|$, is how many
# times as long its gradient is when it leaves as when it arrived. Then the paper's network, and how far each training
# step moves the weights of its first layer.

# %%
predict(weights_below_bn_in_batches_of_two=...)  # "a", "b", "c" or "d"

# %%
digits = course.digits()
images = (digits.train.images.reshape(-1, 784) > 127).astype(np.float32)
labels = digits.train.labels
weights = generator.normal(0, 0.1, (784, 100)).astype(np.float32)
print("gain:      median      mean   root mean square   largest")
for batch in (2, 3, 4, 8, 60):
    found = []
    for _ in range(course.pick(400, 100)):
        rows = generator.integers(0, len(images), batch)
        u = Tensor(images[rows] @ weights, requires_grad=True)
        arriving = generator.standard_normal(u.shape).astype(np.float32)
        F.batch_norm(u, None, None, training=True).backward(arriving)
        found.append(np.linalg.norm(u.grad, axis=0) / np.linalg.norm(arriving, axis=0))  # a number for each unit
    gain = np.concatenate(found)
    print(f"m = {batch:2}   {np.median(gain):8.2g}  {gain.mean():8.1f}  {(gain**2).mean() ** 0.5:17.1f}  {gain.max():8.0f}")


# %%
def movement(batch, seed):
    """How far the first weight matrix moves, over all and in each step; in its own first length."""
    rng = np.random.default_rng(seed)
    model = models.paper_mlp("batch", generator=rng)
    weight, optimizer, steps = model[0].weight, optim.SGD(model.parameters(), lr=0.1), []
    first = weight.data.copy()
    for _ in range(course.pick(300, 60)):
        rows, before = rng.integers(0, len(images), batch), weight.data.copy()
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(images[rows])), labels[rows]).backward()
        optimizer.step()
        steps.append(np.linalg.norm(weight.data - before) / np.linalg.norm(first))
    return np.linalg.norm(weight.data - first) / np.linalg.norm(first), np.array(steps)


few = [2, 3, 4, 8, 16, 60]
moved = np.array([[movement(batch, seed)[0] for batch in few] for seed in range(5)])
for batch, values in zip(few, moved.T, strict=True):
    print(f"m = {batch:2}: in five runs the first weights moved by {values.min():.3g} to {values.max():.3g} lengths")
least, most = moved[:, 0].min(), moved[:, 1:].max()
recall("weights_below_bn_in_batches_of_two", f"they move by {least:.3g} lengths or more, with other m by {most:.2g} at most")

# %%
single = {f"m = {batch}": movement(batch, seed=0)[1] for batch in (60, 2)}
figure, (left, right) = plot.panels(2, size=(4.9, 3.8))
runs = {name: (np.arange(1, len(steps) + 1), steps) for name, steps in single.items()}
plot.lines(left, runs, "At m = 2 a few huge steps stand out", "training step", "‖step of W‖ / ‖W at first‖", log="y")
title = "The smaller the batch, the further the weights move"
plot.lines(right, {"five seeds": (few, moved)}, title, "m", "‖change of W‖ / ‖W at first‖", log="xy")
for name, steps in single.items():
    print(f"{name}: half of the steps are below {np.median(steps):.1g} lengths, {np.sum(steps > 10)} are above 10")
print(f"in all, the weights move {np.exp(np.log(moved[:, 0] / moved[:, -1]).mean()):.0f} times as far at m = 2 as at m = 60")

# %% [markdown]
# (d)! In our run the weights moved by less than a tenth of their length at $m = 60$, and by ten lengths and more at
# $m = 2$. And look at how: half of the steps at $m = 2$ are below 0.002 lengths, hardly more than at $m = 60$. A few huge
# steps do it all; on the left, three of the 300 are longer than ten lengths.
#
# The algebra is right, and the obvious conclusion from it is wrong. The rank is 0 *at ε = 0*. With ε the share
# $\varepsilon/(\sigma^2+\varepsilon)$ of the part along $\hat x$ passes, times $1/\sqrt{\sigma^2+\varepsilon}$; so
# the gain of a batch of two is at most $\varepsilon/(\sigma^2+\varepsilon)^{3/2}$: next to nothing for most pairs,
# but $1/\sqrt\varepsilon \approx 316$ for a pair that this unit finds equal.
#
# The picture behind it: with $m = 2$, $\hat x_1$ is a *step function* of $x_1 - x_2$ (not a training step): it jumps
# from −1 to +1, and ε rounds off the edge.

# %%
distance = np.linspace(-2, 2, 200_001)
runs = {}
for name, value in {"10⁻¹": 1e-1, "10⁻³": 1e-3, "10⁻⁵": 1e-5}.items():
    pairs = Tensor(np.array([distance, np.zeros_like(distance)]))  # a column is a batch of two
    step = F.batch_norm(pairs, None, None, training=True, eps=value).data[0]
    slope, runs[f"ε = {name}"] = np.diff(step) / np.diff(distance), (distance[::100], step[::100])
    print(f"ε = {name}: slope {slope.mean():.2f} on average, {np.sqrt((slope**2).mean()):.1f} in root mean square, "
          f"{slope.max():.0f} at most")  # fmt: skip
plot.lines(None, runs, "In a batch of two, x̂ is a step", "x₁ − x₂", "x̂ of the first");

# %% [markdown]
# A smaller ε makes the edge narrower and steeper. The jump keeps its height of 2, so the *mean* slope hardly changes;
# in the table, too, the mean gain is about 1 for every $m$. But the mean *square* grows: what the flat parts lack
# goes into a few huge training steps, and one of those outweighs hundreds of small ones. (The gain of 316 is twice the
# steepest slope: $x_1$ moves $\hat x_2$ as fast as $\hat x_1$, the other way, and with $g_2 = -g_1$ the two add up.)
#
# ## How much of a real gradient is taken away?
#
# A random arrow in $m$ dimensions has, on average, the share $1/m$ of its squared length along any given direction:
# at $m = 60$ some 1.7 % along $\mathbf 1$, and 1.7 % along $\hat x$. (That is the curve of the first figure: treating
# the statistics as constants keeps 2 parts of $m$ that should go, in addition to the $m - 2$ that should stay. The
# error is $\sqrt{2/(m-2)}$ of the true length: 19 % at 60, 100 % at 4.) But real gradients are not random arrows.
#
# **Prediction 5.** In the paper's network (three BN layers) while it learns MNIST, the share along $\mathbf 1$ is (a)
# near 1.7 % in all three layers, (b) much larger in all, because the loss pushes whole batches one way, (c) different
# from layer to layer: in which way? ([`at_batch_norms`](../minidl/lab/course/norm_gradients.py) collects the gradients
# that arrive at the BNs, `removed` computes their two shares.)

# %%
predict(share_of_gradients_along_1_in_three_layers=...)  # "a", "b", or in a few words how the layers differ

# %%
marks = [0, 10, 30, 100, 300, *course.pick([1000], [])]


def shares(seed):
    """Shares along 1 and x̂, averaged over 20 batches of 60: (marks, layers, 2)."""
    rng = np.random.default_rng(seed)
    model, rows = models.paper_mlp("batch", generator=rng), []
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    for step in range(marks[-1] + 1):
        if step in marks:
            batches = [rng.integers(0, len(images), 60) for _ in range(20)]
            seen = [at_batch_norms(model, images[batch], labels[batch]) for batch in batches]
            rows.append(np.mean([[removed(*norm) for norm in norms] for norms in seen], axis=0))
        batch = rng.integers(0, len(images), 60)
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(images[batch])), labels[batch]).backward()
        optimizer.step()
    return rows


measured = 100 * np.array([shares(seed) for seed in range(course.pick(5, 2))])  # (seeds, marks, layers, 2)

# %%
figure, axes = plot.panels(2, size=(4.9, 3.8))
at, ticks = np.array(marks) + 1, [0.1, 0.2, 0.5, 1, 2, 5, 10]
below = measured[:, -1, :, 1].mean(0).max() < 100 / 60
titles = "Along 1, the layers differ", f"Along x̂, {'all' if below else 'not all'} end below a random arrow"
for k, (ax, title) in enumerate(zip(axes, titles, strict=True)):
    runs = {f"layer {i + 1}": (at, measured[:, :, i, k]) for i in range(3)}
    runs["a random arrow"] = at, np.full(len(at), 100 / 60)
    plot.lines(ax, runs, title, "training step, from 1", "share of Σ g² (%)", log="xy", key=k == 0, yticks=ticks)
mean, stretch = measured.mean(0).transpose(2, 0, 1)  # (marks, layers) each
for i in range(3):
    print(f"layer {i + 1}: along 1 from {mean[:, i].min():.2f} to {mean[:, i].max():.2f} %; along x̂ {stretch[0, i]:.1f} % "
          f"at first, at most {stretch[:, i].max():.1f} %, {stretch[-1, i]:.2f} % at the end")  # fmt: skip
found = ", ".join(f"{share:.1g}" for share in mean.mean(0))
recall("share_of_gradients_along_1_in_three_layers", f"{found} % in layers 1, 2, 3, as a mean over the steps")

# %% [markdown]
# It is (c). In our run the two lower layers carry about 0.1 % along $\mathbf 1$, far *less* than a random arrow
# (dotted), and the top layer 3 to 6 %, more than one. A likely reason: the gradient that reaches layers 1 and 2 has
# just passed the BN above them, which has removed the mean. The linear layer below that BN multiplies each example's
# gradient by the same matrix, so a mean of 0 stays 0; only the sigmoid can bring some back. The top layer has no BN
# above it. If that is the reason, the share must rise when the BNs above remove nothing. We can try that: the same
# weights, with statistics that are constants on the way back (lesson 04's `PathNorm`).

# %%
rng = np.random.default_rng(0)
batches = [rng.integers(0, len(images), 60) for _ in range(20)]
for name, norm in {"BN": "batch", "constant statistics": lambda n: PathNorm(n, mean=False, variance=False)}.items():
    model = models.paper_mlp(norm, generator=np.random.default_rng(0))
    seen = [at_batch_norms(model, images[batch], labels[batch]) for batch in batches]
    percent = 100 * np.mean([[removed(*one)[0] for one in norms] for norms in seen], axis=0)
    print(f"{name}, before training: {', '.join(f'{p:.2g}' for p in percent)} % along 1 in layers 1, 2, 3")

# %% [markdown]
# Before training it is the reason: with constant statistics the lower layers are about where the top one is.
#
# Along $\hat x$ all three start where a random arrow would be. The top layer's share rises to about 6 % within ten
# steps; after a thousand steps all three are near 0.6 %, below the random arrow. We do not know why.
#
# So at $m = 60$ the projection removes little: in the lower layers about 2 % of the squared length, then less; in the
# top one 5 % before training, about 12 % after ten steps, 3 % at the end. If it matters, it is not because of how
# *much* it removes, but what: the very part that would push the mean and the scale of the inputs (lesson 04: the
# runaway bias).
#
# ## Train with your own
#
# A network of two layers, BN between them, without autograd: every gradient below is written by hand, and only BN's is
# the library's. When your `staged` passes, set `MINE = True`: then it is yours. Next to it the same network is trained
# by `loss.backward()`.

# %%
MINE = False


def bn_gradient(grad_y, u, gamma, beta):
    return staged(grad_y, u, gamma, eps) if MINE else library(grad_y, u, gamma, beta)


def by_hand(w1, gamma, beta, w2, inputs, classes):
    """The loss, and the gradients of w1, γ, β and w2, of softmax(sigmoid(BN(x w1)) w2)."""
    u = inputs @ w1
    x_hat = (u - u.mean(0)) / np.sqrt(u.var(0) + eps)
    hidden = 1 / (1 + np.exp(-(gamma * x_hat + beta)))
    logits = hidden @ w2
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    loss = -np.log(p[np.arange(len(p)), classes]).mean()
    grad_logits = (p - np.eye(10)[classes]) / len(p)
    grad_u, grad_gamma, grad_beta = bn_gradient(grad_logits @ w2.T * hidden * (1 - hidden), u, gamma, beta)
    return loss, (inputs.T @ grad_u, grad_gamma, grad_beta, hidden.T @ grad_logits)

# %%
rng = np.random.default_rng(0)
parameters = [rng.normal(0, 0.1, (784, 50)), np.ones(50), np.zeros(50), rng.normal(0, 0.1, (50, 10))]
w1, norm, w2 = nn.Linear(784, 50, bias=False), nn.BatchNorm(50), nn.Linear(50, 10, bias=False)
model = nn.Sequential(w1, norm, nn.Sigmoid(), w2).to(np.float64)
for parameter, array in zip((w1.weight, norm.weight, norm.bias, w2.weight), parameters, strict=True):
    parameter.data[...] = array
optimizer, losses = optim.SGD(model.parameters(), lr=0.5), []
for _ in range(course.pick(300, 60)):
    rows = rng.integers(0, len(images), 60)
    hand, grads = by_hand(*parameters, images[rows].astype(np.float64), labels[rows])
    parameters = [array - 0.5 * grad for array, grad in zip(parameters, grads, strict=True)]
    optimizer.zero_grad()
    loss = F.cross_entropy(model(Tensor(images[rows].astype(np.float64))), labels[rows])
    loss.backward()
    optimizer.step()
    losses.append((hand, loss.item()))
losses = np.array(losses)
print(f"{len(losses)} steps: the loss goes from {losses[0, 0]:.2f} to {losses[-10:, 0].mean():.2f} (mean of the last ten)")
print(f"the largest difference between the two losses, at any step: {np.abs(losses[:, 0] - losses[:, 1]).max():.0e}")

# %%
w1, gamma, beta, w2 = parameters
u = images[:5000] @ w1  # their mean and variance serve all test digits: lesson 08
test = digits.test.images
hats = ((test.reshape(-1, 784) > 127) @ w1 - u.mean(0)) / np.sqrt(u.var(0) + eps)
answers = ((1 / (1 + np.exp(-(gamma * hats + beta)))) @ w2).argmax(1)
whose = "your own backward" if MINE else "the library's backward for BN"
print(f"trained with {whose}, it reads {100 * np.mean(answers == digits.test.labels):.1f} % of the test digits")
plot.images(test[:12], answers[:12], f"What a network says that was trained with {whose}", columns=12);

# %% [markdown]
# ## What we did not show
#
# - Evaluation mode: there mean and variance *are* constants, nothing is removed, and
#   $\partial L/\partial x = \gamma\,g/\sqrt{\sigma^2+\varepsilon}$ (lesson 08).
# - That the projection is what makes BN useful. It makes the gradient *right*; lessons 07 and 10 ask whether BN
#   helps.
# - Why the share along $\hat x$ falls below that of a random arrow while the network learns. We measured it on one network,
#   at one learning rate, with five seeds.
# - That a network cannot be trained with batches of two: we only looked at how its gradients are spread, and how far
#   the weights of its first layer moved.
#
# ## In short
#
# - Six equations, one line, one picture: $\partial L/\partial x = \frac{\gamma}{s}\,(g - \overline g -
#   \hat x\,\overline{g\hat x})$ removes what is along $\mathbf 1$ and (but for ε) along $\hat x$.
# - At ε = 0 the rank is $m - 2$ for each feature: the forward undoes shift and stretch, so the backward ignores them.
#   What is left runs along a sphere.
#
# **Confusions settled.** The gradient flows through μ and through σ. Treating them as constants makes an error of
# $\sqrt{2/(m-2)}$ of its length if a random gradient arrives, and of more or less in a network. The bias before BN
# has no gradient because $\sum_i \partial L/\partial x_i = 0$. A batch of two has no gradient at ε = 0, and with ε > 0 one
# that is usually tiny and occasionally huge; a batch of one has none at all.
#
# `python -m minidl reproduce --claim alg1` tests these identities as a claim of the paper.
#
# Next: now that we have the layer, does the paper's experiment replicate? [07](07_figure_1.ipynb)
