# %% [markdown]
# # 12 Depth: what trains only with BN, and what not even then?
#
# Deep networks multiply: whatever one layer does to the size of a signal or of a gradient, twenty layers do to the
# twentieth power. Batch normalization stops one of these products, that of the signal, at each layer. Here you map
# what trains with it and without, find the product that BN itself sets off, and see what residual networks do about
# both. Afterwards you can state where BN helps a deep network, and where it does harm.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 2 minutes on two cores.
#
# **You need** [03](03_signal.ipynb) (gain, and what a signal is), [06](06_backward.ipynb) (BN's gradient) and
# [11](11_learning_rate.ipynb) (scale invariance). Words are in the [glossary](README.md#glossary).

# %%
import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, depth, digits, hint, pick, predict, recall
from minidl.lab.course.saturation import prepare
from minidl.train import evaluate

(images, labels), _ = found = digits()
x = prepare(images, images)  # rows of 784, less the mean image; a pixel varies by 1
HELD = pick(2000, 500)  # images to measure with; the others are for training
print(f"{found.source}: {len(x) - HELD:,} images for training, {HELD:,} held out")

# %% [markdown]
# ## 1. One factor, many times
#
# The pixels of our images have a variance of 1, on average. In all our stacks a layer's weights have mean 0 and the
# standard deviation $g/\sqrt n$, where $n$ is the number of its inputs and $g$ its **gain**. Then the sums have $g^2$
# times the mean square of the inputs. ReLU, max(0, x), cuts off half of that again. So one layer, here a ReLU and the
# weights after it, multiplies the mean square by $g^2/2$, and the *size*, its root, by $g/\sqrt 2$.
#
# ### Exercise: how deep does it get?
#
# The size of what goes into the first ReLU is 1. Write a function of the gain $g$ (not √2) and of a ratio $r > 1$. It
# returns the largest number of such layers after which the size is still between $1/r$ and $r$. (No test is a tie.)

# %% tags=["exercise:deepest"]
def deepest(gain, ratio):
    raise NotImplementedError  # stuck? hint("deepest")


# %%
check("deepest", deepest);

# %% [markdown]
# ## 2. The map
#
# Now stacks of 2 to 20 hidden layers of 50 units (as in sections 4 and 6), with gains from ½ to 4 and three
# activations, without BN and with BN before each activation. Each network trains for 150 steps of plain SGD at two
# learning rates, 0.03 and 0.3. Its cell in the map shows the better result: the percentage of held-out images that it
# reads, where dark is good. Guessing gives 10.
#
# **Prediction.** (1) Which gains will train 20 layers of ReLU without BN? Keep your answer in mind. (2) With BN, in how
# many of the 60 cells do the networks read less than half of the digits: 0, about 10, about 30? Put that number in
# place of the dots.

# %%
predict(cells_that_fail_with_bn=...)
DEPTHS, GAINS, STEPS = pick((2, 5, 10, 20), (2, 8)), pick((0.5, 1, 1.41, 2, 4), (1, 4)), pick(150, 30)


def train(model, lr, steps=STEPS, seed=0, look=None):
    """Plain SGD with batches of 60; percent of the held-out images, 10 if the loss overflows."""
    generator, optimizer = np.random.default_rng([seed, 1]), optim.SGD(model.parameters(), lr)
    with np.errstate(all="ignore"):
        for step in range(steps):
            chosen = generator.integers(HELD, len(x), 60)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(x[chosen])), labels[chosen])
            if not np.isfinite(loss.item()):
                return 10.0
            loss.backward()
            if look:
                look(step)
            optimizer.step()
        return 100 * evaluate(model, x[:HELD], labels[:HELD]).accuracy


def table(activation, norm):
    return np.array(
        [[max(train(depth.stack(d, g, activation, norm), lr) for lr in (0.03, 0.3)) for g in GAINS] for d in DEPTHS]
    )


maps = {(activation, norm): table(activation, norm) for norm in (False, True) for activation in depth.ACTIVATIONS}

# %%
figure, axes = plot.panels(3, 2, size=(4.1, 3.2), note=f"{STEPS} steps, one seed, {found.source}")
for ax, ((activation, norm), values) in zip(axes, maps.items(), strict=True):
    fails = int((values < 50).sum())
    title = f"{activation}, {'BN' if norm else 'no BN'}: {fails} of {values.size} fail"
    plot.cells(ax, values, DEPTHS, GAINS, title, "gain of the weights", "hidden layers", limits=(10, 100))
failing = {norm: sum((maps[a, norm] < 50).sum() for a in depth.ACTIVATIONS) for norm in (False, True)}
total = sum(maps[a, True].size for a in depth.ACTIVATIONS)
print(f"below half of the digits: {failing[False]} of {total} cells without BN, {failing[True]} of {total} with BN")
recall("cells_that_fail_with_bn", int(failing[True]))
for gain in GAINS:
    limit = min(depth.deepest(gain, 1000), 100)
    trained = [d for d, row in zip(DEPTHS, maps["ReLU", False], strict=True) if row[GAINS.index(gain)] >= 50]
    print(f"ReLU without BN, gain {gain:<5g} size from 1/1,000 to 1,000 to layer {limit}; trained with {trained} layers")

# %% [markdown]
# Without BN, 26 of our 60 cells fail, and with BN none. For ReLU the formula of the exercise, with a ratio of 1,000
# that we had chosen beforehand, says nearly which cells: the size stays in range to layer 6 with gains ½ and 4, to
# layer 19 with gains 1 and 2, and at any depth with 1.41. It is wrong in one cell, 5 layers with gain 4, where the size
# would still be in range. (A signal that is far too large makes steps that are too large, too.) So with 20 layers of
# ReLU only one of our five gains trains, and with BN all five do.
#
# Two more things are in the map. Tanh trains 20 layers without BN, too: as well as with BN if the gain is 1.41, and a
# little less well if it is 1. And the worst row with BN is that of 20 layers with ReLU. Something is going on there.
#
# ## 3. The product that BN sets off
#
# BN fixes the size of the signal, so nothing can shrink or explode on the way *forward*. And on the way back? Lesson 06
# has shown that BN divides the gradient by the standard deviation σ of its input.
#
# **Prediction.** A stack of 30 layers with BN and ReLU, before training. Compared with the last hidden layer, the
# gradient that reaches the first one is (a) smaller; (b) the same; (c) about 10 times as large; (d) over 100 times.

# %%
predict(gradient_30_layers_down=...)  # "a", "b", "c" or "d"

# %% [markdown]
# ### Exercise: by how much, in one layer?
#
# Take a layer $h = Wf(\hat x)$ and then BN, with γ = 1, β = 0 and a large batch. W has as many inputs as outputs,
# many of both, and its weights are independent, with mean 0 and one variance. Suppose that the $\hat x$ that reach
# $f$ are normal with mean 0 and variance 1, and independent. Follow the mean square of the gradient from BN's output
# back through BN, W and $f$. (In a large batch BN's projection takes next to nothing away.) By which factor does one
# layer multiply that mean square? Write a function that gets $f$, its slope $f'$ (functions of arrays) and many
# samples `z` of such an $\hat x$. Mind what σ² is: a variance *over the batch*.

# %% tags=["exercise:explosion"]
def explosion(f, slope, z):
    raise NotImplementedError  # stuck? hint("explosion")


# %%
check("explosion", explosion);

# %%
DEEP, SEEDS = pick(30, 8), range(pick(3, 2))


def gradient_sizes(activation, seed):
    """Root mean square of the gradient of each hidden layer's sums, the first layer first; before training."""
    model, rows = depth.stack(DEEP, 1.0, activation, norm=True, width=pick(200, 50), seed=seed), slice(0, pick(500, 100))
    h, sums = Tensor(x[rows]), []
    for layer in model:
        h = layer(h)
        if isinstance(layer, nn.Linear):
            h.retain_grad()
            sums.append(h)
    F.cross_entropy(h, labels[rows]).backward()
    return np.sqrt([np.square(s.grad, dtype=np.float64).mean() for s in sums[:-1]])


sizes = {activation: np.array([gradient_sizes(activation, s) for s in SEEDS]) for activation in depth.ACTIVATIONS}

# %%
functions = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
}
print("factor of the mean square in each layer, going back")
for activation, rows in sizes.items():
    measured = (rows[:, 1] / rows[:, -1]) ** (2 / (DEEP - 2))
    formula = depth.explosion(*functions[activation])
    spread = f"{measured.min():.3f} to {measured.max():.3f}"
    print(f"  {activation:8} formula {formula:.3f}, measured {measured.mean():.3f} ({spread})")
print(f"  π/(π − 1) = {np.pi / (np.pi - 1):.3f}")
growth = {activation: (rows[:, 1] / rows[:, -1]).mean() for activation, rows in sizes.items()}
print(f"from layer {DEEP} to layer 2 the size grows:", ", ".join(f"{a} {g:.1f} times" for a, g in growth.items()))
figure, (ax,) = plot.panels(1, size=(7, 4), note=f"before training, {len(SEEDS)} seeds, {found.source}")
runs = {a: (np.arange(2, DEEP + 1), rows[:, 1:] / rows[:, -1:]) for a, rows in sizes.items()}
title = f"With BN and ReLU, layer 2 gets {growth['ReLU']:.0f} times the gradient of layer {DEEP}"
plot.lines(ax, runs, title, "layer", f"gradient of the sums, against layer {DEEP}", log="y")
recall("gradient_30_layers_down", f"{growth['ReLU']:.0f} times as large, with ReLU")

# %% [markdown]
# It is (d). The lines are nearly straight, so the gradient grows by about the same factor in each layer. On average it
# is within 3 % of the formula, although the $\hat x$ of real images are not independent. The scale of the weights
# cancels: on the way back the weights multiply the gradient by it, and BN divides by it. What is left is
#
# $$\frac{E[f'(\hat x)^2]}{\mathrm{Var}[f(\hat x)]},$$
#
# which for ReLU is $\frac{1/2}{1/2 - 1/(2\pi)} = \frac{\pi}{\pi - 1}$ (Yang et al. 2019). He's weights keep the mean
# *square* of ReLU, ½. BN uses the *variance*, which is smaller, since it also subtracts the mean. For a linear $f$ the
# factor is 1, and one can prove that it is larger for every $f$ that bends (the Poincaré inequality of the normal
# distribution). No gain repairs it.
#
# ## 4. Does it matter for training?
#
# Lesson 11 gives a reason to hope. With a gradient that is far too large, the first step throws the weights of the first
# layers far out, and long weights take small steps. We look at the relative step, η‖∂W‖/‖W‖, in each layer.
#
# **Prediction.** In the first step it is much larger in layer 2 than in layer 30. After 50 steps it is, in layer 2, (a)
# still over 10 times as large; (b) the same within a factor of 10; (c) less than a tenth.

# %%
predict(relative_steps_after_50=...)  # "a", "b" or "c"
LATER = pick(50, 10)


def relative_steps(seed, at, lr=0.3):
    """η‖∂W‖ / ‖W‖ of each hidden layer of a deep stack with BN and ReLU, at two moments of training: (2, layers)."""
    model, rows = depth.stack(DEEP, norm=True, seed=seed), []
    weights = [layer.weight for layer in model if isinstance(layer, nn.Linear)][:-1]

    def look(step):
        if step in at:
            rows.append([lr * np.linalg.norm(w.grad) / np.linalg.norm(w.data) for w in weights])

    train(model, lr, at[1] + 1, seed, look)
    return rows


relative = np.array([relative_steps(seed, (0, LATER)) for seed in SEEDS])

# %%
note = f"{DEEP} layers with BN and ReLU, rate 0.3, {len(SEEDS)} seeds, {found.source}"
figure, (ax,) = plot.panels(1, size=(7, 4), note=note)
curves = {"first step": relative[:, 0], f"step {LATER}": relative[:, 1]}
spans = {name: np.exp(np.log(rows[:, 1] / rows[:, -1]).mean()) for name, rows in curves.items()}
first, later = spans.values()
title = f"In the first step layer 2 moves {first:.0f} times as far as the last"
print(f"first step of layer 2: {relative[:, 0, 1].mean():.1f} times the length of its weights")
runs = {name: (np.arange(2, DEEP + 1), rows[:, 1:]) for name, rows in curves.items()}
plot.lines(ax, runs, title, "layer", "relative step η‖∂W‖/‖W‖", log="y")
recall("relative_steps_after_50", f"{first:.0f} times at first, then {later:.1f} times")

# %% [markdown]
# It is (b). In our run layer 2 began with a relative step 247 times that of layer 30, and in step 50 it was 0.3 times.
# (The seeds differ a lot: see the band.) The explosion has repaired itself, as lesson 11 suggests, but at a price: the
# first step of layer 2 was 7.2 times as long as its weights. That is no step down a slope. It is a new random start,
# drawn by the first batch.
#
# ## 5. Residual networks
#
# A **residual block** adds what it computes to its input: $x + F(x)$ ([`Residual`](../minidl/nn/containers.py)). The
# x in the sum is a shortcut: the gradient passes through it, whatever F does. Our F is a ReLU and a layer with He's
# weights, gain √2. F(x) then has the mean square of x, as x is symmetric about 0. It is also uncorrelated with x: on
# average their product is 0, so variances add. (The weights have mean 0, and so have x and F(x) on average: in this
# section variance and mean square are the same.) With BN, F begins with it: BN, ReLU, weights.
#
# **Prediction.** Twenty such blocks, before training; a variance of 1 enters the first. What is it after the last (1)
# without BN, (2) with BN? (a) 1, (b) about 20, (c) about 400, (d) about a million.
#
# There is a third way, without BN: multiply each branch F by a small number α.
#
# ### Exercise: which α?
#
# A block then computes $x + αF(x)$, where F(x) has the mean square of x. Write a function of the number of blocks and of
# `growth`, the factor by which all blocks together may multiply the variance. It returns α.

# %% tags=["exercise:branch_scale"]
def branch_scale(blocks, growth):
    raise NotImplementedError  # stuck? hint("branch_scale")


# %%
check("branch_scale", branch_scale);

# %%
predict(variance_after_20_blocks=...)  # two letters: ["a", "b"], without BN and with BN
BLOCKS = pick(20, 6)


def variances(seed, **options):
    """Mean square of x after each block, against what enters the first: (blocks,)."""
    model = depth.residual_stack(BLOCKS, width=pick(400, 100), seed=seed, **options)
    h, found = model[0](Tensor(x[:pick(300, 100)])), []
    start = np.square(h.data, dtype=np.float64).mean()
    for block in model[1 : BLOCKS + 1]:
        h = block(h)
        found.append(np.square(h.data, dtype=np.float64).mean())
    return np.array([start, *found]) / (1 if options.get("norm") else start)  # what BN adds is 1, not a multiple


kinds = {"no BN": {}, "BN": {"norm": True}, "no BN, α for a growth of 2": {"scale": depth.branch_scale(BLOCKS, 2)}}
measured = {name: [variances(seed, **kind) for seed in SEEDS] for name, kind in kinds.items()}

# %%
figure, (left, right) = plot.panels(2, size=(5.2, 4), note=f"before training, {len(SEEDS)} seeds, {found.source}")
at = np.arange(BLOCKS + 1)
runs = {name: (at, rows) for name, rows in measured.items()}
factor = np.exp(np.log([row[-1] for row in measured["no BN"]]).mean() / BLOCKS)
plot.lines(left, runs, f"Without a norm or α each block multiplies by {factor:.2f}", "blocks", "variance", log="y")
steps = np.mean([np.diff(row) for row in measured["BN"]], 0)
bn = {"BN": (at, measured["BN"])}
plot.lines(right, bn, f"With BN each block adds {steps.mean():.2f}", "blocks", "variance", inks=[1])
ends = {name: np.mean([row[-1] for row in rows]) for name, rows in measured.items()}
print("after all blocks:", "; ".join(f"{name}: {end:,.4g}" for name, end in ends.items()))
recall("variance_after_20_blocks", f"{ends['no BN']:,.2g} without BN, {ends['BN']:.2g} with BN")

# %% [markdown]
# Without BN the branch has the variance of x, so each block doubles it: $2^{20}$ is a million. With BN the branch has the
# variance 1 whatever x is, so each block adds 1. After $l$ blocks the newest branch is only one part in $l + 1$ of what
# it is added to: BN makes deep blocks nearly the identity (De and Smith 2020). A small α does so, too.
#
# ## 6. Who trains at which depth?
#
# **Prediction.** Five networks at 4, 16 and 40 layers or blocks: a ReLU stack with BN; a stack without (gain √2);
# residual blocks without BN; with BN; and with α. Which of the five read more than half of the digits at 40?

# %%
predict(trained_at_40=...)  # a list of names, such as ["stack, BN"]
PLACES, RATES = pick((4, 16, 40), (4, 12)), (0.02, 0.2)
NETWORKS = {
    "stack": lambda n, seed: depth.stack(n, 1.41, seed=seed),
    "stack, BN": lambda n, seed: depth.stack(n, 1.41, norm=True, seed=seed),
    "blocks": lambda n, seed: depth.residual_stack(n, seed=seed),
    "blocks, BN": lambda n, seed: depth.residual_stack(n, norm=True, seed=seed),
    "blocks, α": lambda n, seed: depth.residual_stack(n, scale=depth.branch_scale(n, 2), seed=seed),
}
reads = {
    name: np.array([[max(train(make(n, seed), lr, seed=seed) for lr in RATES) for n in PLACES] for seed in SEEDS])
    for name, make in NETWORKS.items()
}

# %%
note = f"{STEPS} steps, best of {len(RATES)} rates, {len(SEEDS)} seeds, {found.source}"
figure, (ax,) = plot.panels(1, size=(7.4, 4.2), note=note)
for name, values in reads.items():
    cells = zip(PLACES, values.T, strict=True)
    print(f"{name:12}", "; ".join(f"{n}: {v.mean():.0f} % ({v.min():.0f} to {v.max():.0f})" for n, v in cells))
trained = [name for name, values in reads.items() if values[:, -1].min() > 50]
names = " and ".join(f"“{name}”" for name in trained) or "none"
title = f"At {PLACES[-1]}, all seeds read half of the digits only with {names}"
runs = {name: (PLACES, values) for name, values in reads.items()}
plot.lines(ax, runs, title, "layers or blocks", "held-out accuracy (%)", log="x")
ax.set_ylim(0, 100)
recall("trained_at_40", ", ".join(trained) or "none")

# %% [markdown]
# In our run, at 40: the blocks with BN read 88 %, those with α 89 %. A stack with BN read 23 %, one without 21 %, and
# blocks without BN 10 %. So BN alone does not carry a ReLU stack to 40 layers, in 150 steps and at our two rates. The
# shortcut alone does not either, with a variance that doubles in each block. Together they do. And the shortcut with
# one well-chosen number does as well at 40, without any BN. What BN does for the *start* of a residual network is to
# keep its branches small.
#
# Note also what BN alone cannot do. At 16 layers it lifts the stack from 62 to 81 %, but blocks with BN read 92 %.
#
# ## What we did not show
#
# - That the growing gradient is *why* the deep stack with BN fails. It fits, and so would other reasons, such as images
#   that come to look alike. A test would change the gradient's growth and nothing else.
# - Long training, more rates, wider layers. With a smaller rate and more steps some failing networks may learn, the
#   blocks without BN among them. And the better of two rates was taken on the images that we report, which flatters
#   each a little.
# - Seeds in the map: each cell is one run, so a few points between two cells mean nothing.
# - Convolutions, and what BN does for residual networks after the start, where it also adds noise
#   ([13](13_regulariser.ipynb)) and permits larger rates ([11](11_learning_rate.ipynb)).
#
# ## In short
#
# - A ReLU layer multiplies the size of a signal by $g/\sqrt 2$. A deep ReLU stack without BN trains only near
#   $g = \sqrt 2$.
# - With BN any gain trains, to moderate depth. But BN makes the gradient's mean square grow by $E[f'^2]/\mathrm{Var}[f]$
#   in each layer, which is π/(π − 1) for ReLU.
# - Residual blocks double the variance without BN, and add 1 to it with BN. A branch scaled by α is enough, too.
#
# **Confusions settled.** "BN solves vanishing and exploding gradients": it fixes the signal, and sets off an explosion
# of the gradient. "A network with BN needs He's weights": it does not, as their scale cancels. "Deep residual networks
# need BN": from our start they need small branches.
#
# Solutions: [solutions/12_depth.py](solutions/12_depth.py). Next: BN also adds noise, and is said to make dropout
# unnecessary. [13](13_regulariser.ipynb)
