# %% [markdown]
# # 04 Wrong ways: why not normalise outside the graph?
#
# Lesson 03 ended with a wish: in every step, bring what goes into a sigmoid back to mean 0 and standard deviation 1.
# Nothing seems easier: compute the mean and the standard deviation of the batch, subtract, divide. One line of NumPy.
# In this lesson you do that. You watch a parameter run away while the loss does not move, watch a layer of 100 units
# turn into one, and find out why. And you learn to tell, from a batch norm's gradient alone, which paths are missing
# in it. Afterwards you can explain §2 of the paper, and why batch normalization is one operation *with a gradient of
# its own*.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 1 minute on two cores.
#
# **You need** [01](01_autograd.ipynb) (the graph), [03](03_signal.ipynb) (why the scale and the centre matter).

# %%
from functools import partial

import numpy as np

from minidl import Tensor
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, hint, pick, predict, recall
from minidl.lab.course.broken_norms import MovingNorm, PathNorm, normalise, suspects, watch

(images, labels), _ = digits()
x = (images.reshape(-1, 784) > 127).astype(np.float32)  # black and white pixels, as in the paper
print(f"{len(x):,} images")

# %% [markdown]
# ## 1. One bias, alone
#
# The smallest example, from §2 of the paper. A unit adds a bias $b$ to each of the $m$ numbers $u_i$ of a batch, and
# then we subtract the mean:
#
# $$x_i = u_i + b \qquad \hat x_i = x_i - \mathrm{E}[x] \qquad \text{loss} = \frac{1}{2m}\sum_i (\hat x_i - t_i)^2$$
#
# $\mathrm{E}[x] = \frac1m\sum_j x_j$ is the mean of the batch (in the paper's example, of the whole training set),
# the $t_i$ are the targets of $\hat x_i$. Here all $t_i = 1$.
#
# We do it twice. *Outside the graph*, the mean is computed as a plain number: for the gradient it is a constant
# (`x.mean().detach()`; `detach` gives a tensor with the same numbers but without their history). *Inside the graph*,
# the gradient knows that $\mathrm{E}[x]$ depends on $b$. The forward computation is the same in both.
#
# **Prediction.** 1,000 steps of gradient descent on $b$, learning rate 0.1, from $b = 0$. Outside the graph: (a) $b$
# stays at 0; (b) $b$ goes to 1, where the loss wants the mean, and the loss to its minimum; (c) $b$ grows without end,
# and the loss falls; (d) $b$ grows without end, and the loss does not move.

# %%
predict(bias_with_the_mean_outside_the_graph=...)  # "a", "b", "c" or "d"

# %%
u, t, lr, steps = np.random.default_rng(0).standard_normal(50), 1.0, 0.1, 1000


def train_bias(inside):
    """b and the loss before each step."""
    b, rows = Tensor(np.zeros(1), requires_grad=True), []
    for _ in range(steps + 1):
        x = Tensor(u) + b
        mean = x.mean() if inside else x.mean().detach()
        loss = ((x - mean - t) ** 2).mean() / 2
        rows.append((b.data[0], loss.item()))
        b.grad = None
        loss.backward()
        b.data -= lr * b.grad
    return np.array(rows).T


outside, inside = train_bias(inside=False), train_bias(inside=True)
for name, (b, loss) in {"outside": outside, "inside": inside}.items():
    print(f"{name + ' the graph:':19} b = {b[-1]:9.4g}, the loss went from {loss[0]:.6f} to {loss[-1]:.6f}")
moved = "stays" if np.ptp(outside[1]) < 1e-6 else "moves"
recall("bias_with_the_mean_outside_the_graph", f"b = {outside[0, -1]:.4g} after {steps:,} steps, and the loss {moved}")

# %%
figure, (left, right) = plot.panels(2, size=(5.2, 3.8))
at = np.arange(steps + 1)
title = f"Outside the graph the bias goes to {outside[0, -1]:.4g}"
plot.lines(left, {"mean outside the graph": (at, outside[0]), "inside": (at, inside[0])}, title, "training step", "b")
title = f"Outside the graph the loss {'stays' if np.ptp(outside[1]) < 1e-6 else 'ends'} at {outside[1, -1]:.4f}"
plot.lines(right, {"mean outside the graph": (at, outside[1]), "inside": (at, inside[1])}, title, "training step", "loss")
right.set_ylim(0, 1.2 * outside[1].max());

# %% [markdown]
# (d). The gradient says: "a larger $b$ makes all $\hat x_i$ larger". That would be true if the mean were a constant.
# But the next forward computes the mean again, and takes out exactly what the step put in:
#
# $$u_i + (b + \Delta b) - \mathrm{E}[u + (b + \Delta b)] = u_i + b - \mathrm{E}[u + b]$$
#
# So the next gradient is the same, and the next, and so on forever. Inside the graph there are two paths from $b$ to
# $\hat x_i$, the direct one and the one through the mean, and they cancel:
# $\partial \hat x_i/\partial b = 1 - \frac1m\sum_j 1 = 0$. A gradient of 0 is correct: $b$ *cannot* change the loss.
#
# **Exercise `runaway`.** Any $u$ and $t$ (arrays of $m$ numbers), any learning rate: where is $b$ after so many steps,
# from $b = 0$, with the mean outside the graph? Write `runaway(u, t, lr, steps)`. You need no loop.

# %% tags=["exercise:runaway"]
def runaway(u, t, lr, steps):
    """b after so many steps."""
    raise NotImplementedError  # stuck? hint("runaway")


# %%
check("runaway", runaway);

# %% [markdown]
# ## 2. And the scale?
#
# Batch normalization also divides by the standard deviation. The same experiment for a factor $a$: $x_i = a\,u_i$,
# $\hat x_i = (x_i - \mathrm{E}[x])/\sqrt{\operatorname{Var}[x]}$, and the loss wants $\hat x$ twice as large as it
# can ever be. Mean and variance are outside the graph.
#
# **Prediction.** $a$ starts at 1. In 1,000 steps at learning rate 0.1 it grows (a) as $b$ did, by the same amount in
# every step; (b) faster and faster; (c) slower and slower, but without end; (d) up to some number, where it settles.

# %%
predict(factor_with_the_variance_outside_the_graph=...)  # "a", "b", "c" or "d"

# %%
u_hat = (u - u.mean()) / u.std()


def train_factor(inside):
    """a and the loss before each step."""
    a, rows = Tensor(np.ones(1), requires_grad=True), []
    for _ in range(steps + 1):
        x_hat = normalise((Tensor(u_hat) * a).reshape(-1, 1), mean=inside, variance=inside, eps=0.0)
        loss = ((x_hat - 2 * u_hat.reshape(-1, 1)) ** 2).mean() / 2
        rows.append((a.data[0], loss.item()))
        a.grad = None
        loss.backward()
        a.data -= lr * a.grad
    return np.array(rows).T


outside, inside = train_factor(inside=False), train_factor(inside=True)
theory = np.sqrt(1 + 2 * lr * at)
print(f"a goes to {outside[0, -1]:.3g} outside the graph, and the loss from {outside[1, 0]:.4f} to {outside[1, -1]:.4f}")

figure, (ax,) = plot.panels(1, size=(7, 3.8))
title = f"Outside the graph a goes to {outside[0, -1]:.3g}"
curves = {"outside the graph": (at, outside[0]), "inside": (at, inside[0]), "formula: √(1 + 2·lr·step)": (at, theory)}
plot.lines(ax, curves, title, "training step", "a", inks=[0, 1, 5])
told = ", ".join(f"{outside[0, step]:.1f} after {step}" for step in (0, 250, 500, 750, 1000))
recall("factor_with_the_variance_outside_the_graph", f"a = {told} steps")

# %% [markdown]
# (c). Again the loss cannot react and $a$ never stops. But it brakes itself: the larger $a$, the larger the standard
# deviation by which the gradient is divided, so a step is $\mathrm{lr}/a$, and a quantity that grows by $c/a$ grows
# like $\sqrt{2c\cdot\text{steps}}$. Remember both laws: **the centre runs away at a steady pace, the scale ever more
# slowly.**
#
# ## 3. In a network
#
# Is that a curiosity of two toy examples, or does it ruin a network? We take the paper's network (three hidden layers
# of 100 sigmoids) with a bias in each layer, and before each sigmoid a normalisation (without the trainable $\gamma$
# and $\beta$ of the next lesson). From $x$ to $\hat x$ lead three paths: the direct one, one through the mean and one
# through the variance. (Lesson 06 looks at a fourth, from the mean into the variance.) The forward is the same in all
# networks but the last:
#
# - **both paths**: beside the direct path, the gradient takes those through the mean and the variance. That is batch
#   normalization.
# - **no mean path**, **no variance path**: one of the two statistics is a constant for the gradient.
# - **neither path**: both are constants, and only the direct path is left.
# - **moving average**: another idea. Normalise with the average statistics of *earlier* batches. In each step these
#   really are constants, so nothing is missing from the gradient.
#
# [`watch`](../minidl/lab/course/broken_norms.py) trains one network. Every 30 steps it records the loss, the root mean
# square of the biases and of the weights, and what part 4 needs.
#
# **Prediction.** At a learning rate of 1, which biases will grow, and which weights (to more than twice their start)?
# And which of the five networks still learn, at 0.1 and at 1, that is, end below the loss of guessing, $\log 10$?

# %%
predict(networks_whose_biases_grow=..., networks_whose_weights_grow=...)  # two lists of the five names in bold
predict(networks_that_learn_at_rate_0_1=..., networks_that_learn_at_rate_1=...)  # the same

# %%
norms = {
    "both paths": PathNorm,
    "no mean path": partial(PathNorm, mean=False),
    "no variance path": partial(PathNorm, variance=False),
    "neither path": partial(PathNorm, mean=False, variance=False),
    "moving average": MovingNorm,
}
rates, seeds, steps, every = (0.1, 1.0), range(pick(3, 1)), pick(600, 120), pick(30, 20)
runs = {
    (lr, name): [watch(norm, x, labels, lr, steps, every, seed) for seed in seeds]
    for lr in rates
    for name, norm in norms.items()
}


def ends(lr, what):
    """Name → what is measured at the end, a number for each seed."""
    return {name: np.array([run[what][-1] for run in runs[lr, name]]) for name in norms}


for lr in rates:
    print(f"learning rate {lr:g}: at the end     loss  (more than with both)     bias   weight")
    for name, loss in ends(lr, "loss").items():
        more = loss - ends(lr, "loss")["both paths"]  # seed by seed: the same first weights, the same batches
        bias, weight = (ends(lr, what)[name].mean() for what in ("bias", "weight"))
        print(f"  {name:25}  {loss.mean():5.2f}  ({more.min():+.2f} to {more.max():+.2f})    {bias:7.1g}  {weight:7.2g}")


# %%
def those(lr, what, low, high):
    """The networks for which something ends between two numbers, as a mean over the seeds."""
    return ", ".join(name for name, values in ends(lr, what).items() if low < values.mean() < high) or "none"


recall("networks_whose_biases_grow", those(1.0, "bias", 0.01, np.inf))
recall("networks_whose_weights_grow", those(1.0, "weight", 0.2, np.inf))  # to more than twice their start
recall("networks_that_learn_at_rate_0_1", those(0.1, "loss", 0, np.log(10)))  # log 10 is guessing
recall("networks_that_learn_at_rate_1", those(1.0, "loss", 0, np.log(10)))

# %%
figure, axes = plot.panels(2, 2, size=(5.2, 3.4), note=f"seeds: {len(seeds)}; upper row: learning rate 0.1, lower row: 1")
units = {"bias": "biases, root mean square", "loss": f"loss, means of {every} steps"}
through_mean = ("both paths", "no variance path")
for row, lr in enumerate(rates):
    for column, (what, unit) in enumerate(units.items()):
        curves = {name: (runs[lr, name][0]["step"], [run[what] for run in runs[lr, name]]) for name in norms}
        end = {name: values.mean() for name, values in ends(lr, what).items()}
        least = min(end[name] for name in norms if name not in through_mean)
        word = "larger" if least > max(end[name] for name in through_mean) else "not larger"
        title = f"Rate {lr:g}, {what}: {word} in all\nthat lack the path through the mean"
        plot.lines(axes[2 * row + column], curves, title, "training step", unit, key=row == column == 0)

# %% [markdown]
# What this shows, in our run (3 seeds):
#
# - **The biases move exactly where the path through the mean is missing** (and with the moving average). Where it is
#   there they do not move, up to rounding. The path through the variance has nothing to do with it.
# - **The bias does not keep a steady pace here** (left panels), as it did alone. The sums to which it is added spread
#   wider as the network trains (at rate 1 the weights grow fivefold), and its gradient is divided by their standard
#   deviation: the brake of part 2.
# - **At learning rate 0.1 nobody is ruined.** The paper says that $b$ grows "while the loss remains fixed"; here the
#   biases grow *and* the loss falls, as the other parameters keep learning. Each missing path costs a little, in
#   every seed; the variance path more than the mean path.
# - **At learning rate 1 the two paths part.** Without the variance path the network learns nearly as well as with both
#   (0.38 and 0.36). Without the mean path it ends at about 5, far *above* the loss of guessing ($\log 10$). So does the
#   moving average. Its gradient is right for a mean and a variance that are constants. But they follow each step, a few
#   batches later, and undo it.
# - The paper reports something similar: its model "blows up when the normalization parameters are computed outside
#   the gradient descent step". It also says that this "can get worse" if one scales as well as centres. Here that was
#   so at rate 0.1. At rate 1 three seeds cannot tell *neither path* from *no mean path* (5.09 and 4.79, but the ranges
#   overlap).
#
# ## 4. What has happened to them?
#
# The runaway biases cannot be the reason: the mean is subtracted, so a bias changes nothing at all. Something else must
# have gone wrong. Let us see what the missing path does to the weights.
#
# Let $g_i$ be the gradient that arrives at a unit for example $i$. And let $u_i$ now be the layer's whole input, a
# vector with one number for each unit below. Without the mean path, the mean $\bar g$ of the $g_i$ is not subtracted.
# It is the same for all examples, and moves the unit's weights by $-\mathrm{lr}\,\bar g \sum_i u_i$, along the
# **mean input** $\bar u$. In a bias this common part is harmless. In weights on sigmoids (whose outputs are about ½) it
# gives every unit, with some factor, *the same* new ingredient $\bar u \cdot u_i$, essentially "how many of the units
# below are on". That does vary from image to image, so subtracting the mean does not remove it.
#
# If this is right, the units of a layer must become alike. That can be measured: **one direction** is the share of
# the units' total variance (each unit scaled to 1) that they have in common, from 1/100 for unrelated units to 1 if
# all of them compute the same number.
#
# **Prediction.** After 600 steps at learning rate 1: how much of what the last 100 units do is the same, with both
# paths, and with no mean path?

# %%
predict(percent_that_units_share_with_both_paths=..., percent_that_units_share_without_mean_path=...)  # 1 to 100

# %%
def directions(ax, runs, title, **options):
    """What the units do together over training, in percent, for name → runs."""
    curves = {name: (found[0]["step"], [100 * run["one direction"] for run in found]) for name, found in runs.items()}
    plot.lines(ax, curves, title, "training step", "share that the units do together (%)", **options)
    ax.set_ylim(0, 102)


figure, axes = plot.panels(2, size=(5.2, 3.9))
for ax, lr in zip(axes, rates, strict=True):
    end = {name: 100 * shares.mean() for name, shares in ends(lr, "one direction").items()}
    print(f"rate {lr:g}, in one direction:", ", ".join(f"{name} {share:.0f} %" for name, share in end.items()))
    title = f"Rate {lr:g}: {end['no mean path']:.0f} % in one direction with no mean path"
    directions(ax, {name: runs[lr, name] for name in norms}, title, key=lr == rates[0])
recall("percent_that_units_share_with_both_paths", f"{end['both paths']:.0f}")  # at the last rate, 1
recall("percent_that_units_share_without_mean_path", f"{end['no mean path']:.0f}")

# %% [markdown]
# At learning rate 1, within the first 30 steps (60 with the moving average), a layer of 100 units has become one
# unit, a hundred times. What 100 different units could say about a digit is gone. At 0.1 nothing of the kind
# happens without the mean path; without the variance path the units become a little more alike.
#
# The collapse and the bad loss go together. But does it happen as we described, along $\bar u$? And where does so
# large a common part $\bar g$ come from? Two interventions, on the network without mean path at rate 1:
#
# - **ū = 0**: before each hidden layer, subtract the mean of its inputs over the batch. Then the common part of the
#   gradient has no direction to move the weights in. (The biases may run as before.)
# - **Small steps**: a learning rate of 0.1 instead of 1, for only some of the layers: either for the output layer, or
#   for the three hidden ones, which collapse.
#
# **Prediction.** In which of the three does the collapse not happen: ū = 0; small steps of the output layer; small steps
# of the hidden layers?

# %%
predict(changes_that_prevent_the_collapse=...)  # a list of "ū = 0", "output layer at 0.1", "hidden layers at 0.1"

# %%
changes = {
    "ū = 0": {"lr": 1.0, "less_mean": True},
    "output layer at 0.1": {"lr": 1.0, "last_lr": 0.1},
    "hidden layers at 0.1": {"lr": 0.1, "last_lr": 1.0},
}
train = partial(watch, norms["no mean path"], x, labels, steps=steps, every=every)
arms = {name: runs[1.0, name] for name in ("both paths", "no mean path")}
arms |= {name: [train(seed=seed, **change) for seed in seeds] for name, change in changes.items()}
print("                      in one direction    loss    bias    common part of the gradient at first")
for name, found in arms.items():
    one, loss, bias = (np.mean([run[what][-1] for run in found]) for what in ("one direction", "loss", "bias"))
    common = np.mean([run["common"][0] for run in found])
    print(f"{name:22}{100 * one:14.0f} %  {loss:8.2f}  {bias:6.1g}  {100 * common:25.0f} %")

# %%
figure, (ax,) = plot.panels(1, size=(8, 4))
together = {name: 100 * np.mean([run["one direction"][-1] for run in found]) for name, found in arms.items()}
cured = [name for name in changes if together[name] < together["no mean path"] / 2]
directions(ax, arms, f"No mean path, rate 1: no collapse with {' or '.join(cured) or 'none of the changes'}")
recall("changes_that_prevent_the_collapse", ", ".join(cured) or "none")

# %% [markdown]
# In our run $\bar u = 0$ cures it altogether: the units stay as different as with both paths and the loss ends at the
# same 0.36, *while the biases still run away*. So a runaway bias is a symptom, and the missing path does its harm in
# the weights.
#
# And the steps responsible are those of the *output* layer. With its rate at 0.1 there is no collapse, only short
# excursions, though the hidden layers keep their rate of 1. With its rate at 1 they collapse even at 0.1. The last
# column fits: where the output layer takes large steps, a fifth to a third of the gradient that reaches the last
# hidden layer in the first 30 steps is the same for all examples, and 3 % where it takes small ones. (Sixty unrelated
# gradients would have 1/60 in common, about 2 %. Our reading: a large step of the output layer overshoots, for the
# whole batch together.) **With both paths that common part arrives as well, but batch normalization takes it out**
# before it gets into the weights, and the network recovers.
#
# ## 5. The detective
#
# In real code a missing path does not announce itself. The outputs are right, and the network learns, but a little
# worse. Three examples of what has been found in published teaching code: statistics computed by NumPy from `x.data`;
# statistics computed under `no_grad()`; a gradient check with the loss `y.sum()`, which passes even a batch norm that
# sends nothing back (lesson 01).
#
# So let us find out from the gradient alone. Write $\partial x_i$ for $\partial\text{loss}/\partial x_i$, of one
# feature. If the gradient is true, then
#
# - adding the same small number to all $x_i$ changes no output (the mean takes it out), so $\sum_i \partial x_i = 0$;
# - stretching all $x_i$ away from their mean, $x_i \to x_i + \delta\,\hat x_i$, changes no output (the standard
#   deviation takes it out, but for $\varepsilon$, the small number under its root), so
#   $\sum_i \partial x_i\,\hat x_i = 0$.
#
# The first sum is 0 only thanks to the path through the mean, the second only thanks to the path through the variance.
# Two numbers, two paths. Here they are for the normalisations from above:

# %%
def two_sums(bn, rng):
    """Σ ∂x and Σ ∂x·x̂ of one feature, as shares of Σ |∂x|."""
    x = Tensor(rng.normal(3, 2, (20, 1)), requires_grad=True)
    bn(x).backward(rng.standard_normal((20, 1)))
    x_hat = (x.data - x.data.mean()) / x.data.std()
    return np.array([x.grad.sum(), (x.grad * x_hat).sum()]) / np.abs(x.grad).sum()


table = {name: two_sums(norm(1), np.random.default_rng(1)) for name, norm in list(norms.items())[:4]}
for name, (first, second) in table.items():
    print(f"{name:18} Σ ∂x = {first:8.1e}    Σ ∂x·x̂ = {second:8.1e}    (shares of Σ |∂x|)")

# %% [markdown]
# **Exercise `detective`.** Write `missing_paths(bn)`. `bn` is a function that normalises a float64 `Tensor` (m, C) over
# its rows, perhaps with a $\gamma$ and a $\beta$ that you do not know. Return the set of the paths that its gradient
# misses: `set()`, `{"mean"}`, `{"variance"}` or `{"mean", "variance"}`. (The direct path is never missing.) You choose
# m, C, the numbers that you feed it, and the gradient that you send back, as above. The check tries your detective on
# batch norms that you have not seen.
#
# Two traps: with $\varepsilon = 10^{-5}$ the sums are not *exactly* 0. And some gradients at the output hide a missing
# path. (If the mean is a constant, what is $\sum_i \partial x_i$? For which gradients is it 0 all the same?)

# %% tags=["exercise:detective"]
def missing_paths(bn):
    """The paths that bn's gradient misses."""
    raise NotImplementedError  # stuck? hint("detective")


# %%
check("detective", missing_paths);

# %% [markdown]
# **Exercise `suspects`.** Four people wrote a batch norm. The outputs of all four are right, but for rounding:

# %%
people = suspects()
sample = np.random.default_rng(2).normal(3, 2, (20, 4))
right = F.batch_norm(Tensor(sample), None, None, training=True).data
for name, bn in people.items():
    print(f"{name}: outputs differ from the library's by at most {np.abs(bn(Tensor(sample)).data - right).max():.0e}")

# %% [markdown]
# Not all their gradients are right. Question them (`people["A"]` is a function of a tensor), and give for each the set
# of its missing paths. (Their code is in the library, below [`suspects`](../minidl/lab/course/broken_norms.py). Read it
# after the verdict, not before.)

# %% tags=["exercise:suspects"]
# stuck? hint("suspects")
verdicts = ...  # a set for each: {"A": …, "B": …, "C": …, "D": …}


# %%
check("suspects", verdicts);

# %% [markdown]
# <details><summary>After the verdict</summary>
#
# Three are guilty. Read the code of the innocent one: it also takes a mean as a constant, and gets away with it. Why?
# (By how much does $\sum_i (x_i - \mu)^2$ change if $\mu$ alone moves a little? Its slope is $-2\sum_i (x_i - \mu)$.)
#
# </details>
#
# We left out another kind of defect: an output with no gradient function at all. It gives itself away, as
# `backward()` stops with an error. The dangerous ones are silent.
#
# ## What we did not show
#
# - That a bias grows without end. $b$ alone grows as long as one runs it. In float32 it would stop at about two
#   million, where a step of 0.1 no longer changes it. Of the networks we saw 600 steps.
# - $\gamma$ and $\beta$. A $\beta$ after the normalisation can do what the gradient asks of the bias, so the bias is
#   driven less.
# - Two learning rates are no curve, and the losses are on training batches.
# - Why a collapsed network is *worse* than guessing. With a hundred equal units each step of the output layer counts
#   a hundred times, which would explain it; we did not test that.
# - **Whitening**, the paper's first idea in §2: making the units uncorrelated as well. It would keep units from becoming
#   alike, and it has a price: study `whitening` of `minidl reproduce`.
#
# ## In short
#
# - If a statistic is computed from the batch, it depends on the parameters, and the gradient has to know. Otherwise
#   each step is undone by the next forward, and repeated by the next gradient.
# - The bias then grows by the same amount each step, the scale as a root; the loss sees neither.
# - In a network the runaway bias is harmless. The common part of the gradient, which batch normalization removes,
#   does the harm: it pushes all units into one direction. At a small learning rate that is hardly noticed, at a large
#   one (of the output layer) it ruins the layers below.
# - $\sum_i \partial x_i = 0$ and $\sum_i \partial x_i \hat x_i = 0$ are the marks of a true gradient. Send back
#   something random.
#
# **Confusions settled.** "The gradient flows through $\gamma$ and $\beta$, the statistics are only measured": no, two
# of its three paths lead through the statistics. "The loss falls, so the gradient is right": at learning rate 0.1 it
# falls in all five networks, with and without missing paths. "Using running averages in training would be cleaner": see
# the network *moving average*.
#
# Now let us do it properly: [05 What does batch normalization compute?](05_algorithm_1.ipynb)
