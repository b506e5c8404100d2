# %% [markdown]
# # 03 Saturation: why do sigmoid stacks stall?
#
# A network of sigmoids cannot overflow: for any input, a number between 0 and 1 comes out. And yet the deeper such a
# network is, the longer it does nothing at all. This lesson finds out what is lost on the way, derives what the
# weights would have to be, and watches three networks wake up, or not. Afterwards you can look at a network that does
# not learn, measure three numbers in each layer (its signal, its saturation, the size of its updates), and say what
# is wrong with it.
#
# **Time**: about 1 minute on two cores (the first run ever compiles kernels, some seconds more).
#
# **You need** [01](01_autograd.ipynb) (the gradient flows backward through the graph) and [02](02_layers.ipynb)
# (layers, the training loop, cross-entropy).

# %%
import numpy as np

from minidl import Tensor, data, nn, optim, train
from minidl import functional as F
from minidl.lab import models, plot
from minidl.lab.course import check, digits, explore, pick
from minidl.lab.course.saturation import EDGES, keeping_gain, prepare, sigmoid_stack, signals
from minidl.probe import Probe

(images, labels), (test_images, test_labels) = digits()
x, x_test = prepare(images, images), prepare(test_images, images)
print(f"{len(x):,} training images, as rows of {x.shape[1]} numbers, less the mean image and scaled:")
print(f"their mean is {abs(x.mean()):.2f}, and a pixel's variance from image to image is {x.var(0).mean():.2f} on average")

# %% [markdown]
# ## 1. Fifty products in a row
#
# Without its sigmoids a network is a row of matrix products. Take a vector of 100 numbers of about size 1, and multiply
# it fifty times by a matrix (100, 100) of random normal numbers with mean 0 and standard deviation $s$; a new matrix
# each time. All in float32, the type in which networks compute.
#
# **Prediction.** For each of $s = 1$, $s = 0.01$ and $s = 0.1$, which of these comes out: (a) numbers of about size 1;
# (b) huge, but finite numbers; (c) exactly 0; (d) not numbers at all (`nan`)? Write it down first.

# %%
rng = np.random.default_rng(0)


def fifty_products(s):
    """The root mean square of the vector after each product."""
    vector, sizes = rng.standard_normal(100).astype(np.float32), []
    with np.errstate(all="ignore"):  # that is what we want to see
        for _ in range(50):
            vector = vector @ rng.normal(0, s, (100, 100)).astype(np.float32)
            sizes.append(np.sqrt(np.square(vector.astype(np.float64)).mean()))
    print(f"s = {s:<5} {vector[:3]} …")
    return sizes


sizes = {f"s = {s}": fifty_products(s) for s in (1, 0.12, 0.1, 0.08, 0.01)}

# %%
figure, (ax,) = plot.panels(1, size=(8, 4))
runs = {name: (range(1, 51), row) for name, row in sizes.items()}
lost = [name for name, row in sizes.items() if not 0 < row[-1] < np.inf]
title = f"After 50 products nothing is left for {' and '.join(lost)}"
plot.lines(ax, runs, title, "products", "size of the vector", log="y").set_yticks(10.0 ** np.arange(-40, 41, 20));

# %% [markdown]
# Each new number is a sum of $n = 100$ products $w_i x_i$. The weights are independent with mean 0, so variances add
# up: the variance of the sum is $n s^2$ times the mean of $x_i^2$. A product multiplies the *size* by
# $g = s\sqrt{n}$, which we call the **gain**, and fifty products multiply it by $g^{50}$. That is $10^{50}$ for
# $s = 1$, and float32 ends at $3\cdot 10^{38}$: the numbers become infinite, and as the next product subtracts
# infinities, `nan`. It is $10^{-50}$ for $s = 0.01$, and float32's smallest number is $1.4\cdot 10^{-45}$: exactly 0.
# Only $g = 1$, $s = 1/\sqrt{n}$, passes something through, and there is little margin: with $g = 0.8$ a factor of
# $0.8^{50} = 0.000014$ is left, with $g = 1.2$ it is 9,100 (expected; our one draw gave a few thousand).
#
# ## 2. Now with sigmoids
#
# A **sigmoid** squeezes any number into (0, 1): $\sigma(x) = 1/(1 + e^{-x})$. So neither accident above can happen.
# Take 20 layers, each a product with weights of gain 1 (biases 0) and then a sigmoid; a last product makes ten
# logits. Feed it 500 digits. We look at two things in each layer: the **size** of the sigmoids' outputs, their root
# mean square; and the **signal**, how much the input of a sigmoid differs *from image to image* (its standard
# deviation over the images, averaged over the units as a root mean square). Only the signal can tell a 3 from an 8.
#
# **Prediction.** At layer 20: (a) the outputs have kept their size, and the signal too; (b) the outputs have become
# tiny; (c) the outputs have kept their size, and the signal is gone.

# %%
batch, batch_labels = x[: pick(500, 200)], labels[: pick(500, 200)]
depth = pick(20, 8)
found = signals(sigmoid_stack(depth, gain=1), batch, batch_labels)
layers = np.arange(1, depth + 1)

figure, (left, right) = plot.panels(2, size=(5.2, 3.9))
runs = {"size of the outputs": (layers, found["size"]), "signal": (layers, found["signal"])}
title = f"At layer {depth} the outputs are {found['size'][-1]:.2f} in size,\nand the signal is {found['signal'][-1]:.0e}"
plot.lines(left, runs, title, "layer", "root mean square", log="y")
gradient = found["gradient"]
title = f"The gradient is {gradient[-1]:.2f} at layer {depth},\nand {gradient[0]:.0e} at layer 1"
plot.lines(right, {"gradient": (layers, gradient)}, title, "layer", "∂loss/∂(input of the sigmoid)", log="y", inks=[2]);

# %% [markdown]
# (c). The size stays near ½, and each layer divides the signal by about four.
#
# Four is no accident. The **slope** of the sigmoid is $\sigma'(x) = \sigma(x)(1 - \sigma(x))$, at most $\tfrac14$, at
# $x = 0$. A small difference $\delta$ between two images leaves a sigmoid as $\sigma'(x)\,\delta$, and the product
# with weights of gain $g$ makes $g\,\sigma'(x)\,\delta$ of it: a factor of $g/4$ at most, on average. The gradient
# comes back by the chain rule through the same weights and the same slopes, so it shrinks by the same factor on the
# way to the *first* layers (the right figure, read from right to left). The first layer has hardly anything to learn
# from, and what it learns hardly arrives.
#
# How bad is so small a signal on numbers of size ½? In float32, numbers have about 7 digits. We send the same images
# through the same network in float32 and in float64, and ask how well the differences between images agree (their
# correlation: 1 if they are the same, 0 if they have nothing in common).

# %%
def outputs(dtype):
    """The outputs of each sigmoid, less their mean over the images."""
    h, rows = Tensor(batch.astype(dtype)), []
    for layer in sigmoid_stack(depth, gain=1).to(dtype):
        h = layer(h)
        if isinstance(layer, nn.Sigmoid):
            y = h.data.astype("float64")
            rows.append(y - y.mean(0))
    return rows


pairs = zip(outputs("float32"), outputs("float64"), strict=True)
agreement = [(a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) for a, b in pairs]
gone = [k for k, value in enumerate(agreement, 1) if value < 0.5]
figure, (ax,) = plot.panels(1, size=(7, 3.4))
title = f"From layer {gone[0]} on, most of what float32 hands on is rounding" if gone else "float32 still agrees at the end"
plot.lines(ax, {"correlation": (layers, agreement)}, title, "layer", "correlation of float32 with float64", key=False)
ax.set_ylim(-0.1, 1.05);

# %% [markdown]
# In our run (20 layers, on MNIST) the correlation falls below one half at layer 13, and from layer 15 on nothing of
# the images is left. The output of such a layer is about the computer, not about digits, and the layers above it have
# nothing else to learn from.
#
# ## 3. Which weights would keep the signal?
#
# Let $x$ be what goes into the sigmoids of a layer, and $f$ any function in place of the sigmoid. A unit of the next
# layer receives $\sum_i w_i f(x_i)$, with $n$ fixed weights, drawn with mean 0 and standard deviation $s$. Over the
# images, treating the $x_i$ as independent, variances add up:
#
# $$\mathrm{Var}\Big[\sum_i w_i f(x_i)\Big] = \sum_i w_i^2\,\mathrm{Var}[f(x_i)] \approx n\,s^2\,\mathrm{Var}[f(x)]$$
#
# **Exercise `gain`.** Which $s$ gives the next layer the variance that this one had? Write `weight_std(f, x, n)`: `f`
# is a function of arrays, `x` an array of samples of what goes into it (of any mean and any variance), `n` the number
# of inputs; return $s$.

# %% tags=["exercise:gain"]
def weight_std(f, x, n):
    """The standard deviation of n weights that give Σ wᵢ f(xᵢ) the variance of x."""
    raise NotImplementedError


# %%
check("gain", weight_std);

# %% [markdown]
# [`keeping_gain`](../minidl/lab/course/saturation.py) gives the same as a gain, $g = s\sqrt{n}$, for $x$ that is
# normal with mean zero. (For ReLU you may know $\sqrt{2}$, He et al. 2015: their variance is also over the draw of
# the weights, so the mean of $f(x)$ counts as well. Here only what differs from image to image counts.)

# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


g = keeping_gain(sigmoid)
small = keeping_gain(sigmoid, variance=0.01)
print(f"sigmoid: gain {g:.2f} keeps a variance of 1; {small:.2f} keeps one of 0.01, all in the steepest part")
print(f"tanh: {keeping_gain(np.tanh):.2f}")

# %% [markdown]
# **Prediction.** We build 20 layers with gain 1, with gain 4 (a slope of ¼ suggests it), and with the derived gain of
# 4.80. In which does the signal at layer 20 have at least half of its size at layer 1: (a) 4 and 4.80; (b) only 4.80;
# (c) in none of them?

# %%
seeds = range(pick(5, 2))


def over_seeds(what, gain, **options):
    """A row for each seed: what `signals` measures in each layer."""
    return [signals(sigmoid_stack(depth, gain, seed=seed, **options), batch, batch_labels)[what] for seed in seeds]


runs = {f"gain {gain:.3g}": (layers, over_seeds("signal", gain)) for gain in (1, 4, g)}
left_over = {name: np.mean([row[-1] / row[0] for row in rows]) for name, (_, rows) in runs.items()}
figure, (ax,) = plot.panels(1, size=(8, 4))
kept = [name for name, share in left_over.items() if share >= 0.5]
title = f"At layer {depth} half of the signal is left with {' and '.join(kept) if kept else 'none of these gains'}"
plot.lines(ax, runs, title, "layer", "signal", log="y")
print(", ".join(f"{name}: {share:.1e} of the signal is left" for name, share in left_over.items()))

# %% [markdown]
# (c), in our run. The algebra is right, and still the signal dies. What did we leave out? We computed the gain for an
# $x$ with mean 0. Look at one unit. Its input is $\sum_i w_i\,\sigma(x_i)$, and the outputs $\sigma(x_i)$ have the
# mean ½. So in addition to the signal it receives $\tfrac12\sum_i w_i$, which is the same for all images, different
# for each unit, and of size $g/2 = 2.4$. That is no signal, but it moves the unit away from 0, to where the sigmoid
# is flat. With the right scale it is the *mean* that kills the signal.
#
# If that is so, we can remove it: give each unit the bias $b_j = -\tfrac12\sum_i w_{ij}$, so that an output of ½
# counts as nothing. We call this network **centred**. This test can fail: if the signal still dies, the explanation
# is wrong.

# %%
runs |= {f"gain {g:.3g}, centred": (layers, over_seeds("signal", g, centred=True))}
figure, (left, right) = plot.panels(2, size=(5.4, 4))
centred = np.mean([row[-1] for row in runs[f"gain {g:.3g}, centred"][1]])
title = f"Centred, with gain {g:.3g}: the signal is {centred:.2f} at layer {depth}"
plot.lines(left, runs, title, "layer", "signal", log="y")
runs = {f"gain {gain:.3g}": (layers, over_seeds("gradient", gain)) for gain in (1, 4, g)}
runs |= {f"gain {g:.3g}, centred": (layers, over_seeds("gradient", g, centred=True))}
ratio = np.mean([row[0] / row[-1] for row in runs[f"gain {g:.3g}, centred"][1]])
title = f"Centred: layer 1 gets {ratio:.1f} times layer {depth}'s gradient"
plot.lines(right, runs, title, "layer", "∂loss/∂(input of the sigmoid)", log="y", key=False);

# %% [markdown]
# After twenty layers the signal has kept its size: 1.00 in our run, the mean over five seeds. So a layer needs two
# things: the right **scale** and the right **centre**. We computed both from the initial weights. After the first
# training step the weights are different.
#
# ## 4. Depth × scale: what can be trained?
#
# If a lost signal is what stops learning, we can say beforehand which networks will learn. We train networks of 1 to
# 16 hidden layers of 100 sigmoids, with gains from ½ to 16, for 400 steps (batches of 60, learning rate 0.3, no
# tuning), three times: plain, centred, and with batch normalization, which you will take apart in the next lessons.
# Here all that matters is what it promises: before each sigmoid it subtracts the mean of the batch and divides by its
# standard deviation, anew in every step.
#
# **Prediction.** Guessing gives 10 %. (1) At 16 layers, which gains will train the plain network? (2) Which the centred
# one? (3) Will batch normalization be best everywhere in the table?

# %%
depths, gains = pick((1, 2, 4, 8, 16), (1, 4)), pick((0.5, 1, 2, 4, 8, 16), (1, 4))
n = 60 * pick(400, 40)


def accuracy(depth, gain, lr=0.3, **options):
    """Percent of the test images that a network reads after its steps."""
    model = sigmoid_stack(depth, gain, **options)
    loader = data.DataLoader(x[:n], labels[:n], batch_size=60, shuffle=True, generator=np.random.default_rng(1))
    train.train_one_epoch(model, loader, optim.SGD(model.parameters(), lr), quiet=True)
    return 100 * train.evaluate(model, x_test, test_labels).accuracy


kinds = {"Plain": {}, "Centred": {"centred": True}, "Batch norm": {"norm": "batch"}}
tables = {name: [[accuracy(d, gain, **kind) for gain in gains] for d in depths] for name, kind in kinds.items()}

# %%
figure, axes = plot.panels(3, size=(4.1, 3.6))
for ax, (name, table) in zip(axes, tables.items(), strict=True):
    learned = (np.array(table) > 50).sum()
    title = f"{name}: {learned} of {np.size(table)} read more than half of the digits"
    plot.cells(ax, table, depths, gains, title, "gain of the weights", "hidden layers", limits=(10, 100))
again = [accuracy(depths[-1], gains[-2], seed=seed) for seed in (1, 2)]
print(f"plain, {depths[-1]} layers, gain {gains[-2]}, with two other seeds:", ", ".join(f"{value:.0f} %" for value in again))
print(f"and with a third of the learning rate: {accuracy(depths[-1], gains[-2], lr=0.1):.0f} %")

# %% [markdown]
# One run for each cell, so a difference of a point or two between two cells means nothing, and a cell at the edge of
# what learns may move by several. In our run:
#
# - Plain: the deeper the network, the narrower the range of gains. At 16 layers only gain 8 reads some 85 % (81 to 87
#   with three seeds; 90 with a third of the learning rate). Gain 4, near the derived 4.80, stays at 10.
# - Centred: gain 4 reads more than 80 % at 16 layers, where the plain network with the same weights stays at 10. Gains
#   of 2 and less still lose the signal.
# - Batch normalization makes a table in which little happens: something is learned at every scale and every depth
#   (more than 70 % in the worst cell). At 16 layers it is also the most accurate, by about six points. But up to four
#   layers it is not: at this learning rate the best plain cells are one to three points above it. What it brings
#   everywhere is not accuracy but indifference to the scale.
#
# The network that would not start in [lesson 00](00_start.ipynb) is in the first table, except for its pixels and its
# learning rate: 8 layers, weights of standard deviation 0.1, which is gain 1. Its careful start was gain 4.
#
# ## 5. Why 8, and not 4?
#
# The plain network of 16 layers trained best with a gain of 8, far above the derived 4.80, at which its signal dies.
# So back to networks before training, with more gains.
#
# **Prediction.** Without centring, the signal at layer 16 (a) dies at every gain, as larger weights push the units
# further away from 0; (b) is kept at some larger gain. And what happens in the centred network above 4.80?

# %%
deep, wide = depths[-1], (1, 2, 4, g, 6, 8, 10, 12, 16)
names = {
    "signal": f"signal at layer {deep}",
    "gradient": f"gradient at layer 1 / at layer {deep}",
    "saturated": f"saturated outputs at layer {deep} (%)",
}
found = {what: {"plain": [], "centred": []} for what in names}
for seed in seeds:
    for kind in ("plain", "centred"):
        stacks = [sigmoid_stack(deep, gain, centred=kind == "centred", seed=seed) for gain in wide]
        rows = [signals(stack, batch, batch_labels) for stack in stacks]
        found["signal"][kind].append([row["signal"][-1] for row in rows])
        found["gradient"][kind].append([row["gradient"][0] / row["gradient"][-1] for row in rows])
        found["saturated"][kind].append([100 * row["saturated"][-1] for row in rows])

# %%
figure, axes = plot.panels(3, size=(4.3, 3.8))
kept = {kind: np.abs(np.log(rows).mean(0)).argmin() for kind, rows in found["signal"].items()}  # nearest to 1
for ax, (what, name) in zip(axes, names.items(), strict=True):
    runs = {kind: (wide, rows) for kind, rows in found[what].items()}
    there = {kind: np.mean(rows, axis=0)[kept[kind]] for kind, rows in found[what].items()}
    ends = ", ".join(f"{there[kind]:.2g} at {wide[i]:.3g} ({kind})" for kind, i in kept.items())
    plot.lines(ax, runs, f"{name[0].upper()}{name[1:]}:\n{ends}", "gain", name, log="x" if what == "saturated" else "xy")
    ax.set_xticks(wide, [f"{gain:.2g}" for gain in wide])

# %% [markdown]
# (b). Larger weights do two things. They push more units off the steep part, and they enlarge the differences in the
# units that are still there. Near gain 10, in our run, the two cancel: the signal comes through 16 layers, and so
# does the gradient, although more than half of the outputs are saturated. At 8 about a quarter of the signal is left,
# which was enough to train from. So a larger scale can make up for a wrong centre, at the price of most of the units.
# Centred, at 4.80, hardly any output is flat.
#
# And above these gains? There the gradient *grows* on its way back, at gain 16 to about a hundred times at layer 1
# (plain) and to thousands (centred). The cells of gain 16 do not stall for lack of a signal.
#
# In a running notebook the next cell has sliders: all of it in one picture, the outputs of each layer as a column.

# %% tags=["widget"]
def draw(gain=4.8, depth=20, centred=False):
    """Outputs and signal in each layer of a stack before training."""
    found, layers = signals(sigmoid_stack(depth, gain, centred=centred), batch, batch_labels), np.arange(1, depth + 1)
    _, (left, right) = plot.panels(2, size=(5.2, 3.6))
    plot.histograms_over_time(layers, found["counts"], EDGES, left)
    title = f"{100 * found['saturated'][-1]:.0f} % of the last layer's outputs are saturated"
    plot.label(left, title, "layer", "output of the sigmoids", grid=False)
    runs = {"signal": (layers, found["signal"]), "gradient": (layers, found["gradient"])}
    title = f"The signal goes from {found['signal'][0]:.2g} to {found['signal'][-1]:.2g}"
    plot.lines(right, runs, title, "layer", "root mean square", log="y")


explore(draw, gain=(0.5, 16.0), depth=(2, 30), centred=False)

# %% [markdown]
# ## 6. Saturation, over time
#
# A sigmoid is **saturated** where it is flat: here, where its slope is below a tenth of its steepest slope. A unit is
# **stuck** if it is saturated for every image of a batch, at either end: then hardly any gradient passes through it.
#
# **Exercise `saturation`.** Write `saturation(y)` for the outputs `y` of a layer of sigmoids, an array (images,
# units). Return two numbers: the fraction of all outputs that are saturated, and the fraction of units that are
# stuck. (Express the slope in terms of the output.)

# %% tags=["exercise:saturation"]
def saturation(y):
    """(fraction of saturated outputs, fraction of stuck units)"""
    raise NotImplementedError


# %%
check("saturation", saturation);

# %% [markdown]
# [`Probe`](../minidl/probe.py) measures the first of these in a network that trains, and counts the outputs in bins. We
# take the network of the paper's Figure 1: three hidden layers of 100 sigmoids, on black and white pixels, batches of
# 60; the learning rate, 0.5, is ours. It starts from weights with a standard deviation of 0.01, 0.1 or 1 (gains of 0.1,
# 1 and 10 in the hidden layers).
#
# **Prediction.** At the start, 0 %, 0 % and about 60 to 70 % of the outputs are saturated. Which of the three learns
# slowest in the first 1,000 steps?

# %%
binary = (images.reshape(-1, 784) > 127).astype(np.float32)
steps, every = pick(4000, 200), pick(100, 20)


def watch(init_std, seed=0):
    """Train the paper's network; returns the probe, and the losses of all steps."""
    model = models.paper_mlp("none", init_std, generator=np.random.default_rng(seed))
    optimizer, rng, losses = optim.SGD(model.parameters(), lr=0.5), np.random.default_rng([seed, 1]), []
    parts = {"layer 1": 0, "layer 2": 2, "layer 3": 4, "output layer": 6, "σ 1": 1, "σ 2": 3, "σ 3": 5}
    watched = {name: model[place] for name, place in parts.items()}
    with Probe(model, watched, every=every, edges=EDGES) as probe:
        for _ in range(steps):
            chosen = rng.integers(0, len(binary), 60)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(binary[chosen])), labels[chosen])
            loss.backward()
            optimizer.step()
            probe.step()
            losses.append(loss.item())
    return probe, losses


starts = (0.01, 0.1, 1.0)
runs = {std: [watch(std, seed) for seed in range(pick(3, 1))] for std in starts}

# %%
figure, (ax,) = plot.panels(1, size=(8, 4))
middles = np.arange(0, steps, every) + every / 2
means = {std: [np.reshape(row, (-1, every)).mean(1) for _, row in runs[std]] for std in starts}
first = min(1000, steps)
early = {std: np.mean([row[middles <= first].mean() for row in means[std]]) for std in starts}
slowest = max(early, key=early.get)
curves = {f"weights of std {std:g}": (middles, means[std]) for std in starts}
curves |= {"guessing: log 10": (middles, np.full(len(middles), np.log(10)))}
title = f"Slowest in the first {first:,} steps: std {slowest:g}, mean loss {early[slowest]:.2f}"
plot.lines(ax, curves, title, "training step", f"loss, means of {every} steps")
ax.set_ylim(0, 3.6);  # with room for the names

# %%
figure, axes = plot.panels(3, 3, size=(4.2, 2.6))
for i, std in enumerate(starts):
    probe = runs[std][0][0]
    for k in (1, 2, 3):
        at, counts = probe.series(f"σ {k}", "output", "counts")
        share = 100 * probe.series(f"σ {k}", "output", "saturated")[1]
        ax = plot.histograms_over_time(at, counts, EDGES, axes[3 * i + k - 1], name="output")
        ax.collections[0].set_clim(0.1, 100)  # one scale for all nine
        if k < 3:
            ax.collections[0].colorbar.remove()
        title = f"std {std:g}, layer {k}: {share[0]:.0f} → {share[-1]:.0f} % flat"
        plot.label(ax, title, "training step" if i == 2 else "", "output of the sigmoids", grid=False)

# %% [markdown]
# Each column of a picture is a histogram of one layer's outputs at one step; dark is where many are. (One seed; the
# curves above are from three.)
#
# Did you say std 1? Most of its outputs are saturated from the start (the dark lines at 0 and 1), they remain so, and
# it learns at once. The network that stalls starts without a single saturated output. For most of its first 1,000
# steps, in our run, its second and third layers are thin lines: all images give nearly the same outputs. The lines
# slide, the third layer's to below 0.1, all units together, but they do not open. Then they open, the first layer
# first, and only then does the loss leave that of guessing, $\log 10 = 2.30$. So "sigmoids saturate" is one reason to
# stall, and not the one here: the weights are too small for the slope, and the signal is lost as in part 2. A network
# can stall by being **flat** or by being **asleep**.
#
# Flat is not a good choice either: std 1 starts fastest, and is overtaken by std 0.1, in our run after some 500
# steps. But a share of flat outputs alone tells little: the first layer of the best network ended with more of them
# than that of the slowest.
#
# ## 7. How far does a step move the weights?
#
# One number shows sleep from the first step on, and flatness soon after: the size of a step's update against the size
# of the weights, $\operatorname{std}(\Delta W)/\operatorname{std}(W)$, layer by layer. Rule of thumb: about one in
# 1,000.
#
# **Prediction.** In the sleeping network (std 0.01), which layer takes the largest first step relative to its size,
# and by how many powers of ten does the first layer lag behind it?

# %%
figure, axes = plot.panels(3, size=(4.4, 3.9))
for ax, std in zip(axes, starts, strict=True):
    probe = runs[std][0][0]
    names = ("layer 1", "layer 2", "layer 3", "output layer")
    series = {name: probe.series(name, "update", "log10_ratio") for name in names}
    at = series["layer 1"][0]
    plot.update_ratios(at, {name: row for name, (_, row) in series.items()}, ax)
    gap = series["output layer"][1] - series["layer 1"][1]
    start, end = (round(float(lag), 1) + 0.0 for lag in (gap[0], gap[-10:].mean()))  # + 0.0, as −0.0 reads oddly
    title = f"std {std:g}: layer 1 lags {start:.1f} powers\nof ten at first, {end:.1f} at the end"
    plot.label(ax, title, "training step", "log10(update std / weight std)")
    ax.set_ylim(-6, 0.5)

# %% [markdown]
# In the sleeping network the output layer jumps by about half of its own size in one step, while the first layer
# moves by a few millionths of its own: five powers of ten between two layers of one network. No single learning rate
# suits both at that moment. When the network wakes up, the lines come together. In the one that learns best (std 0.1)
# they are together after about 500 steps. In the flat one (std 1) they stay apart: the first layer, behind three
# layers of mostly flat units, moves about ten times less than the output layer to the end.
#
# So look at the distance between the lines before you look at their height. The lines of our best run end near
# $10^{-2}$, not $10^{-3}$: with plain SGD and batches of 60 that was no sign of trouble.
#
# ## What we did not show
#
# - That a lost signal *causes* every stall in part 4. Restoring the centre cures one column, which is strong
#   evidence; the signal was measured in the deepest row only, and with gain 16 it is not what is missing. And 400
#   steps are few: the sleeping network of part 6 needed 1,000.
# - Other learning rates: the tables have one, and in one cell another did better. A fair comparison tries several for
#   each network (as [07](07_figure_1.ipynb) does), and chooses on images that are not the test set.
# - Why batch normalization helps. We saw that it makes the start harmless, not that this is its whole effect.
# - That units are independent, which the derivation took for granted. It predicted 4.80 well, in layers of 100.
#
# ## In short
#
# - Through a layer, differences between images are multiplied by about gain × slope, and so is the gradient on its way
#   back. A factor of ½ leaves a millionth after 20 layers.
# - Size is not signal. Outputs of size ½ that are the same for all images carry nothing.
# - Two things should be right before a sigmoid: the scale *and* the centre. The mean of ½ of the sigmoids' outputs is
#   what kills a stack whose scale is right; a larger scale makes up for it, at the price of saturation.
# - A network stalls when it is flat (saturated) or when it is asleep (weights too small); histograms tell which.
#
# **Confusions settled.** "No unit is saturated, so all is well": the sleeping network has none. "Sigmoids cannot
# explode or vanish": their outputs cannot, their differences can. "Good initial weights make batch normalization
# unnecessary": up to 8 layers they did, in these 400 steps and at this learning rate; at 16 the best centred network
# read 86 % and the best normalised one 93.
#
# Both, scale and centre, could be set once, before training. They could also be set in every step, from the batch at
# hand. The obvious way of doing that goes wrong in an instructive manner: [04](04_wrong_ways.ipynb).
