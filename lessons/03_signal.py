# %% [markdown]
# # 03 Signal: why do sigmoid stacks stall?
#
# A network of sigmoids cannot overflow: for any input, a number between 0 and 1 comes out. And yet the deeper such a
# network is, the longer it does nothing at all. This lesson finds out what is lost on the way, and derives what the
# weights would have to be. Afterwards you can look at a network that has not been trained, measure three numbers in a
# layer (its signal, its centre, how much of it is flat), and say what is wrong with it.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 30 s on two cores.
#
# **You need** [01](01_autograd.ipynb) (the gradient flows backward through the graph) and [02](02_layers.ipynb)
# (layers, cross-entropy). Terms are explained in the [glossary](README.md#glossary).

# %%
from itertools import pairwise

import numpy as np

from minidl import Tensor
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, explore, hint, pick, predict, recall

(images, labels), _ = digits()
pixels = images.reshape(len(images), -1).astype(np.float32) / 255
x = (pixels - pixels.mean(0)) / np.sqrt(pixels.var(0).mean())  # minus the mean image, then scaled
print(f"{len(x):,} training images, as rows of {x.shape[1]} numbers: their mean is {abs(x.mean()):.2f},")
print(f"and a pixel's variance from image to image is {x.var(0).mean():.2f} on average")

# %% [markdown]
# ## 1. Fifty products in a row
#
# Without its sigmoids a network is a row of matrix products. Take a vector of 100 numbers of about size 1, and multiply
# it fifty times by a matrix (100, 100) of random normal numbers with mean 0 and standard deviation $s$; a new matrix
# each time. All in float32, the type in which networks compute.
#
# **Prediction.** For each of $s = 1$, $s = 0.01$ and $s = 0.1$, which of these comes out: (a) numbers of about size
# 1; (b) huge, but finite numbers; (c) exactly 0; (d) not numbers at all (`nan`)? Put three letters into the next cell.

# %%
predict(vector_after_fifty_random_products=...)  # three letters: ["a", "b", "c"], for s = 1, 0.01 and 0.1

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
ends = (f"size {sizes[name][-1]:.1g} for {name}" for name in ("s = 1", "s = 0.01", "s = 0.1"))
recall("vector_after_fifty_random_products", ", ".join(ends))

# %%
runs = {name: (range(1, 51), row) for name, row in sizes.items()}
lost = [name for name, row in sizes.items() if not 0 < row[-1] < np.inf]
title = f"After 50 products nothing is left for {' and '.join(lost)}"
plot.lines(None, runs, title, "products", "size of the vector", log="y", yticks=10.0 ** np.arange(-40, 41, 20));

# %% [markdown]
# Each new number is a sum of $n = 100$ products $w_i x_i$. The weights are independent with mean 0, so variances add
# up: over draws of the weights, the variance of the sum is $n s^2$ times the mean of $x_i^2$. A product multiplies the
# *size* by $g = s\sqrt{n}$, which we call the **gain**, and fifty products multiply it by $g^{50}$. That is $10^{50}$
# for $s = 1$, and float32 ends at $3\cdot 10^{38}$: the numbers become infinite, the next product subtracts infinities,
# and the result is `nan`. For $s = 0.01$, $g^{50}$ is $10^{-50}$, below the smallest number of float32,
# $1.4\cdot 10^{-45}$: the numbers become exactly 0. Only $g = 1$, that is $s = 1/\sqrt{n}$, keeps the size. There is
# little margin: $0.8^{50}$ is about a hundred-thousandth, and $1.2^{50}$ about nine thousand.
#
# ## 2. Now with sigmoids
#
# A **sigmoid** squeezes any number into (0, 1): $\sigma(x) = 1/(1 + e^{-x})$. So neither accident above can happen. (In
# lesson 00 the sigmoid was $g$; here it is $\sigma$, and $g$ is the gain.) Take 20 layers, each a product with weights
# of gain 1 (biases 0) and then a sigmoid; a last product makes ten logits. Each of the 100 numbers of a layer, with the
# weights that make it, is a **unit**. Feed the network 500 digits, and look at two things in each layer: the **size**
# of the sigmoids' outputs, their root mean square; and the **signal**, how much the input of a sigmoid differs *from
# image to image* (its standard deviation over the images, averaged over the units as a root mean square). Only the
# signal can tell a 3 from an 8.
#
# Here are the network and the measurement. (Everything in float64, unless we say otherwise. `measure` finds three more
# numbers, which come later: the gradient below, off centre and flat in part 4.)

# %%
def stack(depth, gain, centred=False, seed=0):
    """Pairs W, b of `depth` hidden layers of 100 sigmoids and a last one of ten; the first and the last have gain 1."""
    rng, sizes, layers = np.random.default_rng(seed), [784, *[100] * depth, 10], []
    for k, (n, units) in enumerate(pairwise(sizes)):
        hidden = 0 < k < depth
        W = rng.normal(0, (gain if hidden else 1) / np.sqrt(n), (n, units))
        layers.append((W, -W.sum(0) / 2 if centred and hidden else np.zeros(units)))  # what `centred` is for: part 3
    return layers


def forward(layers, batch, dtype=np.float64):
    """What goes into the sigmoid of each layer (the last entry: the logits), and what comes out of it."""
    h, inputs, outputs = Tensor(batch.astype(dtype), requires_grad=True), [], []
    for W, b in layers:
        inputs.append(h @ Tensor(W.astype(dtype)) + Tensor(b.astype(dtype)))
        inputs[-1].retain_grad()  # keep the gradient that arrives here
        h = F.sigmoid(inputs[-1])
        outputs.append(h.data)
    return inputs, outputs[:-1]

# %%
batch, batch_labels = x[: pick(500, 200)], labels[: pick(500, 200)]
depth = pick(20, 8)
layers = np.arange(1, depth + 1)


def rms(array):
    return np.sqrt(np.square(array).mean())


def measure(network):
    """Numbers for each layer, of a network as it is."""
    (*inputs, logits), outputs = forward(network, batch)
    (F.cross_entropy(logits, batch_labels) * float(len(batch))).backward()  # the sum over the images, not the mean
    return {
        "size": [rms(y) for y in outputs],
        "signal": [rms(z.data - z.data.mean(0)) for z in inputs],
        "off centre": [rms(z.data.mean(0)) for z in inputs],
        "flat": [(y * (1 - y) < 0.025).mean() for y in outputs],  # where the slope is below a tenth of its steepest
        "gradient": [rms(z.grad) for z in inputs],
    }

# %% [markdown]
# **Prediction.** At layer 20: (a) the outputs have kept their size, and the signal too; (b) the outputs have become
# tiny; (c) the outputs have kept their size, and the signal is gone.

# %%
predict(outputs_and_signal_of_20_sigmoid_layers=...)  # "a", "b" or "c"

# %%
found = measure(stack(depth, gain=1))
figure, (left, right) = plot.panels(2, size=(5.2, 3.9))
runs = {"size of the outputs": (layers, found["size"]), "signal": (layers, found["signal"])}
title = f"The signal shrinks to {found['signal'][-1]:.0e} at layer {depth}"
plot.lines(left, runs, title, "layer", "root mean square", log="y")
runs, title = {"gradient": (layers, found["gradient"])}, f"The gradient shrinks to {found['gradient'][0]:.0e} at layer 1"
plot.lines(right, runs, title, "layer", "∂loss/∂(input of the sigmoid)", log="y", inks=[2])
shares = np.array(found["signal"][1:]) / found["signal"][:-1]
print(f"from one layer to the next, the signal is divided by {1 / shares.max():.2f} to {1 / shares.min():.2f}")
last = f"outputs of size {found['size'][-1]:.2f}, signal {found['signal'][-1]:.0e}"
recall("outputs_and_signal_of_20_sigmoid_layers", last)

# %% [markdown]
# (c). The size stays near ½, and each layer divides the signal by about four.
#
# Four is no accident. Here is the sigmoid, and below it its **slope**, $\sigma'(x) = \sigma(x)(1 - \sigma(x))$: at most
# $\tfrac14$, in the **steep** middle, and next to nothing in the two **flat** zones, where we say that it is
# **saturated**. Below that are three distributions of what may go into it: narrow, wide, and off centre.

# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


draws = np.random.default_rng(1).standard_normal(20_000)
inputs = {"narrow": 0.25 * draws, "wide": 2.5 * draws, "off centre": 0.8 * draws + 4}
plot.slope_zones(sigmoid, inputs, name="σ")
for name, values in inputs.items():
    print(f"{name + ':':12} spread {values.std():.2f} before the sigmoid, {sigmoid(values).std():.2f} after it")

# %% [markdown]
# A small difference $\delta$ between two images leaves a sigmoid as $\sigma'(x)\,\delta$, and the product
# with weights of gain $g$ makes about $g\,\sigma'(x)\,\delta$ of it: a factor of at most $g/4$. The gradient
# comes back by the chain rule through the same weights and the same slopes, so it shrinks by the same factor on the
# way to the *first* layers (the right figure, read from right to left). The first layer has hardly anything to learn
# from, and what it learns hardly arrives.
#
# How bad is so small a signal on numbers of size ½? In float32, numbers have about 7 digits. We send the same images
# through the same network in float32 and in float64, and ask how well the differences between images agree (their
# correlation: 1 if they are the same, 0 if they have nothing in common).

# %%
def differences(dtype):
    """The outputs of each sigmoid, less their mean over the images."""
    outputs = forward(stack(depth, gain=1), batch, dtype)[1]
    return [y - y.mean(0) for y in (y.astype(np.float64) for y in outputs)]


pairs = zip(differences(np.float32), differences(np.float64), strict=True)
agreement = [(a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()) for a, b in pairs]
gone = [k for k, value in enumerate(agreement, 1) if value < 0.5]
title = f"From layer {gone[0]} on, most of what float32 hands on is rounding" if gone else "float32 still agrees at the end"
plot.lines(None, {"correlation": (layers, agreement)}, title, "layer", "correlation of float32 with float64", key=False);

# %% [markdown]
# What such a layer hands on is mostly rounding, not digits, and the layers above it have nothing else to learn from.
#
# ## 3. Which weights would keep the signal?
#
# Let $x$ be what goes into the sigmoids of a layer, and $f$ any function in place of the sigmoid. A unit of the next
# layer receives $\sum_i w_i f(x_i)$, with $n$ weights of mean 0 and standard deviation $s$. In part 1 the variance was
# over draws of the weights. Here the weights are fixed and it is over the images, since the signal is what differs
# from image to image. Treating the $x_i$ as independent, variances add up:
#
# $$\mathrm{Var}\Big[\sum_i w_i f(x_i)\Big] = \sum_i w_i^2\,\mathrm{Var}[f(x_i)] \approx n\,s^2\,\mathrm{Var}[f(x)]$$
#
# **Exercise `gain`.** Which $s$ gives the next layer the variance that this one had? Write `weight_std(f, x, n)`: `f`
# is a function of arrays, `x` an array of samples of what goes into it (of any mean and any variance), `n` the number
# of inputs; return $s$.

# %% tags=["exercise:gain"]
def weight_std(f, x, n):
    """The standard deviation of n weights that give Σ wᵢ f(xᵢ) the variance of x."""
    raise NotImplementedError  # stuck? hint("gain")


# %%
check("gain", weight_std);

# %% [markdown]
# The same as a gain, $g = s\sqrt{n}$, for an $x$ that is normal with mean 0. (**tanh** is another activation, the
# sigmoid stretched to −1 … 1.)

# %% tags=["hide-input"]
def keeping_gain(f, variance=1.0):
    """The gain that keeps the variance of f's input, from a million draws."""
    draws = np.sqrt(variance) * np.random.default_rng(2).standard_normal(1_000_000)
    return draws.std() / f(draws).std()

# %%
g = keeping_gain(sigmoid)
print(f"sigmoid: gain {g:.2f} keeps a variance of 1; {keeping_gain(sigmoid, 0.01):.2f} keeps one of 0.01, all steep")
print(f"tanh: {keeping_gain(np.tanh):.2f}")

# %% [markdown]
# **Prediction.** We build 20 layers with gain 1, with gain 4 (a slope of ¼ suggests it), and with the derived gain of
# 4.8. In which does the signal at layer 20 have at least half of its size at layer 1: (a) 4 and 4.8; (b) only 4.8;
# (c) in none of them?

# %%
predict(gains_that_keep_half_of_the_signal=...)  # "a", "b" or "c"

# %%
seeds = range(pick(5, 2))


def over_seeds(gain, **options):
    """What `measure` finds, a row for each seed."""
    rows = [measure(stack(depth, gain, seed=seed, **options)) for seed in seeds]
    return {what: np.array([row[what] for row in rows]) for what in rows[0]}


stacks = {f"gain {gain:.2g}": over_seeds(gain) for gain in (1, 4, g)}
runs = {name: (layers, rows["signal"]) for name, rows in stacks.items()}
left_over = {name: np.mean(rows["signal"][:, -1] / rows["signal"][:, 0]) for name, rows in stacks.items()}
kept = [name for name, share in left_over.items() if share >= 0.5]
title = f"At layer {depth} half of the signal is left with {' and '.join(kept) if kept else 'none of these gains'}"
plot.lines(None, runs, title, "layer", "signal", log="y")
print(", ".join(f"{name}: {share:.1e} of the signal is left" for name, share in left_over.items()))
recall("gains_that_keep_half_of_the_signal", " and ".join(kept) or "none of them")

# %% [markdown]
# (c), in our run. The algebra is right, and still the signal dies. What did we leave out? We computed the gain for an
# $x$ with mean 0. Look at one unit. Its input is $\sum_i w_i\,\sigma(x_i)$, and the outputs $\sigma(x_i)$ have the
# mean ½. So in addition to the signal it receives $\tfrac12\sum_i w_i$, which is the same for all images, different
# for each unit, and of size $g/2 = 2.4$. That is no signal, but it moves the unit away from 0, to where the sigmoid
# is flat: the third distribution of the drawing above. With the right scale it is the *mean* that kills the signal.
#
# If that is so, we can remove it: give each unit the bias $b_j = -\tfrac12\sum_i w_{ij}$, so that an output of ½
# contributes nothing. We call this network **centred**. This test can fail: if the signal still dies, the explanation
# is wrong.

# %%
stacks[f"gain {g:.2g}, centred"] = centred = over_seeds(g, centred=True)
figure, (left, right) = plot.panels(2, size=(5.4, 4))
runs = {name: (layers, rows["signal"]) for name, rows in stacks.items()}
title = f"Centred, the signal is {centred['signal'][:, -1].mean():.2f} at layer {depth}"
plot.lines(left, runs, title, "layer", "signal", log="y")
runs = {name: (layers, rows["gradient"]) for name, rows in stacks.items()}
ratio = np.mean(centred["gradient"][:, 0] / centred["gradient"][:, -1])
title = f"Centred, layer 1 gets {ratio:.1f} times the last one's gradient"
plot.lines(right, runs, title, "layer", "∂loss/∂(input of the sigmoid)", log="y", key=False);

# %% [markdown]
# After twenty layers the signal has kept its size, as a mean over five seeds. So a layer needs two things: the right
# **scale** and the right **centre**. (For ReLU, $\max(x, 0)$, you may know a gain of $\sqrt{2}$, from He et al. (2015).
# Their variance is over draws of the weights, as in part 1, so what all images have in common counts, too.)
#
# In a running notebook the next cell has sliders; here it shows four gains.

# %% tags=["widget"]
def draw(gain=4.8, depth=20, centred=False):
    """Signal, centre and gradient in each layer of a stack before training."""
    found, layers = measure(stack(depth, gain, centred=centred)), np.arange(1, depth + 1)
    runs = {what: (layers, found[what]) for what in ("signal", "off centre", "gradient")}
    title = f"{100 * found['flat'][-1]:.0f} % of the last layer's outputs are flat"
    plot.lines(None, runs, title, "layer", "root mean square", log="y")


explore(draw, gain=(0.5, 16.0), depth=(2, 30), centred=False)

# %% [markdown]
# ## 4. Three numbers
#
# Three numbers say what is wrong with a layer:
#
# - **signal**, as above: how much the input of a unit differs from image to image;
# - **off centre**: how far a unit's mean input, over the images, is from 0 (a root mean square over the units);
# - **flat**: the share of outputs at which the slope of the sigmoid is below a tenth of its steepest.
#
# Here they are for four networks, in their last hidden layer:

# %%
for name, network in {
    "gain 1": stack(depth, 1),
    f"gain {g:.2g}": stack(depth, g),
    f"gain {g:.2g}, centred": stack(depth, g, centred=True),
    "gain 40, centred": stack(depth, 40, centred=True),
}.items():
    last = {what: values[-1] for what, values in measure(network).items()}
    print("{:18} signal {signal:8.2g}   off centre {off centre:5.2f}   flat {flat:4.0%}".format(name, **last))

# %% [markdown]
# **Exercise `diagnosis`.** Write `diagnose(signal, off_centre, flat)`, for one layer; `flat` is a fraction from 0 to 1.
# Return one of four words:
#
# - `"asleep"`: the differences have died out near 0, where the sigmoid is steep. Larger weights would help.
# - `"off centre"`: the units were moved so far off the middle that the slope is much less steep there, and they were
#   moved by more than the images differ. Biases would help.
# - `"flat"`: the differences themselves are so large that most outputs are saturated. Smaller weights would help.
# - `"well"`: a signal of about 1, near the middle.
#
# You choose the limits; the cases of the check lie well away from any sensible ones. (The sigmoid's slope is 0.25 in
# the middle, 0.20 at 1 and 0.10 at 2.) Two signs can occur together. Which of the three numbers do you compare with a
# limit, and which with each other?

# %% tags=["exercise:diagnosis"]
def diagnose(signal, off_centre, flat):
    raise NotImplementedError  # stuck? hint("diagnosis")


# %%
check("diagnosis", diagnose);

# %% [markdown]
# ## What we did not show
#
# - That a lost signal keeps a network from *learning*. We have not trained anything here; [03b](03b_saturation.ipynb)
#   does.
# - That units are independent, which the derivation took for granted. It predicted the gain well, in layers of 100.
# - Other activations than the sigmoid, and layers of other widths.
#
# ## In short
#
# - Through a layer, differences between images are multiplied by about gain × slope, and so is the gradient on its way
#   back. A factor of ½ leaves a millionth after 20 layers.
# - Size is not signal. Outputs of size ½ that are the same for all images carry no information.
# - Two things should be right before a sigmoid: the scale *and* the centre. The mean of ½ of the sigmoids' outputs is
#   what kills a stack whose scale is right.
#
# **Confusions settled.** "Sigmoids cannot explode or vanish": their outputs cannot, their differences can. "No unit is
# saturated, so all is well": the network with gain 1 has none, and no signal.
#
# Next: we computed scale and centre from the initial weights, and after the first training step the weights are
# different. [03b](03b_saturation.ipynb) trains.
