# %% [markdown]
# # 09 Convolutions: over which axes?
#
# A batch of images has four axes, and batch normalization (BN) must average over some of them. The paper decides this
# in one paragraph. The other choice trains nearly as well on MNIST, and then fails in a way that no test on MNIST
# shows. After this lesson you can say which axes, and why; use BN in a convolutional network; and fold it into the
# convolution, or say why that is not possible.
#
# **Time**: about 60 minutes with the exercises; the cells run in about 40 s on two cores.
#
# **You need** [05](05_algorithm_1.ipynb) (BN's forward pass) and [08](08_inference.ipynb) (evaluation mode, folding).

# %%
import copy
import itertools

import numpy as np

from minidl import Tensor, data, nn, optim, train
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, hint, pick, predict, recall

all_digits = digits()
(x, y), (x_test, y_test) = ((part.images[..., None].astype(np.float32) / 255, part.labels) for part in all_digits)
x_test, y_test = x_test[:2000], y_test[:2000]
print(f"{all_digits.source}: {len(x):,} digits to train on, {len(x_test):,} to test on; shape {x.shape}")

# %% [markdown]
# ## Four axes
#
# A **convolution** slides a small **filter**, here 3 × 3 numbers for each input channel, over the image, and writes
# down at each position how well it fits. One filter gives one **channel** of the output, also called a **feature map**:
# the same question, asked at every position. The result is an array (N, H, W, C): the examples, the height, the width,
# the channels. One number of it is an **activation**, the paper's word. (Elsewhere in this course that is a function
# such as ReLU, or what it returns.)
#
# Over which axes should BN take a mean? There are two candidates, for a batch of $m$ images and feature maps of
# $p × q$ positions:
#
# | | mean over | numbers in each mean | pairs of γ and β |
# |---|---|---|---|
# | per activation: each position of each channel is a feature of its own | N | $m$ | $p·q·C$ |
# | per channel (the paper, §3.2): each channel is a feature | N, H, W | $m' = m·p·q$ | $C$ |
#
# The paper's reason: a convolution treats all positions of an image alike, so the normalisation should, too.
#
# minidl keeps features on the last axis, so that BN of (N, H, W, C) is BN of the tall matrix (N·H·W, C): every position
# of every image is an example. [`BatchNorm`](../minidl/nn/norm.py) does this for 2 axes and for 4. Per activation is BN
# of the wide matrix (N, H·W·C). We build it on top, and put it into a small network. There `padding=1` keeps the maps
# as large as they were. Pooling, `MaxPool2d(2)`, keeps the largest of each 2 × 2 numbers: half the height and width.


# %%
class PerActivation(nn.Module):
    """Batch norm with a mean and a variance for each position of each channel."""

    def __init__(self, size, channels):
        self.maps, self.norm = (size, size, channels), nn.BatchNorm(size * size * channels)

    def forward(self, x):
        return self.norm(x.reshape(x.shape[0], -1)).reshape(*x.shape)


def network(norm, seed):
    """Three convolutions with 8, 16 and 32 channels; of each of the last 32 maps, the largest number goes on."""
    generator, layers, size, channels = np.random.default_rng(seed), [], 28, 1
    for out in (8, 16, 32):
        layers.append(nn.Conv2d(channels, out, 3, padding=1, generator=generator))
        nn.init.kaiming_normal_(layers[-1].weight, generator)
        layers += [norm(size, out)] if norm else []
        layers += [nn.ReLU(), nn.MaxPool2d(2 if out < 32 else 7)]
        size, channels = size // 2, out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 10, generator=generator))


ARMS = {"none": None, "per channel": lambda size, c: nn.BatchNorm(c), "per activation": PerActivation}
for name, norm in ARMS.items():
    model = network(norm, 0)
    print(f"{name:15}{sum(p.data.size for p in model.parameters()):8,} parameters", end=", ")
    print(f"{sum(b.size for b in model.buffers() if b.ndim):8,} running means and variances")

# %% [markdown]
# The end of this network asks only whether a feature is *somewhere* in the image, not where. All three have the same
# initial weights for the same seed, and see the same batches. (The bias of a convolution before BN is redundant; it
# is kept so that all arms draw the same random numbers.) The optimizer's `momentum` keeps 0.9 of the last step's
# direction and adds the new gradient. It has nothing to do with the momentum of BN's running statistics.
#
# **Prediction 1.** All arms take 600 steps with batches of 60, at the same learning rate. Which reads the test digits
# best: none, per channel, or per activation?
#
# **Prediction 2.** Then we move the *test* digits to the right by 0 to 6 pixels. The networks have never seen that.
# What will the accuracy of each arm be at 4 pixels: about the same, some points lower, or down to less than half?

# %%
predict(best_norm_after_convolutions=...)  # "none", "per channel" or "per activation"
predict(accuracy_of_digits_moved_by_4=...)  # for each of the three, in a list: "same", "lower" or "less than half"


# %%
def draws(m, seed):
    """Batches of m training digits without end."""
    return data.draws(x, y, batch_size=m, generator=np.random.default_rng(seed))


def moved(images, by):
    """Moved to the right; what leaves on the right comes in on the left."""
    return np.roll(images, by, axis=2)


steps, seeds, shifts = pick(600, 100), range(pick(3, 1)), range(7)
models, accuracies = {}, {name: [] for name in ARMS}
for (name, norm), seed in itertools.product(ARMS.items(), seeds):
    model = network(norm, seed)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    train.train_one_epoch(model, itertools.islice(draws(60, seed), steps), optimizer, quiet=True)
    accuracies[name].append([100 * train.evaluate(model, moved(x_test, by), y_test).accuracy for by in shifts])
    models[name, seed] = model

for name, values in accuracies.items():
    low, high = np.min(values, 0), np.max(values, 0)
    text = [f"moved by {by}: {low[by]:.1f} to {high[by]:.1f} %" for by in (0, 2, 4)]
    print(f"{name:15}", ", ".join(text), f"({len(values)} seeds)")
lost = x_test[:, :, -4:].sum() / x_test.sum()
print(f"moving by 4 takes {100 * lost:.2f} % of the ink round the edge")
for question, by in (("best_norm_after_convolutions", 0), ("accuracy_of_digits_moved_by_4", 4)):
    reads = {name: np.array(values)[:, by] for name, values in accuracies.items()}
    recall(question, ", ".join(f"{name} {seen.min():.1f} to {seen.max():.1f} %" for name, seen in reads.items()))

# %%
at_4 = {name: np.mean(values, 0)[4] for name, values in accuracies.items()}
print("% at 4 pixels: " + ", ".join(f"{name} {value:.0f}" for name, value in at_4.items()))

curves = {name: (shifts, values) for name, values in accuracies.items()}
title = f"Moved digits: {min(at_4, key=at_4.get)} loses most"
plot.lines(None, curves, title, "pixels to the right", "test accuracy (%)")
pair = np.stack([moved(x_test[:1], by)[0, ..., 0] for by in (0, 4)])
_ = plot.images(pair, ["as it is", "moved by 4"], "A test digit, and the same moved by 4 pixels")

# %% [markdown]
# On digits in their usual place, all nine networks lie within about five points in our run. The three with per-channel
# BN are at the upper end, but three seeds are too few to call that a difference. The axes might seem a matter of taste.
# With the digits moved by four pixels, which a human reader hardly notices, the networks with BN per activation lose
# about half of their accuracy, and the others about a point. No accuracy on MNIST's own test digits would have shown
# that. (The learning rate, 0.05, was not tuned for each arm. What counts here is how each arm *changes* with the shift,
# not which one is best on MNIST.)
#
# ## Why: a convolution moves along with its input
#
# Move the image, and the output of a convolution moves by the same amount: it asks the same question everywhere. This
# is called **shift equivariance**. Per-channel BN keeps it, since it does the same to every position. Per-activation
# BN in evaluation mode scales each position by its own $1/\sqrt{\sigma^2+\varepsilon}$. **Prediction**: at which
# positions of a 28 × 28 map is this factor largest, and how large can it get with $\varepsilon = 10^{-5}$?

# %%
predict(where_1_over_sigma_is_largest=..., largest_1_over_sigma=...)  # in a few words; a number

# %%
channel_net, activation_net = models["per channel", 0], models["per activation", 0]
norm = activation_net[1].norm
gains = 1 / np.sqrt(norm.running_var + norm.eps).reshape(28, 28, 8)
common = 1 / np.sqrt(channel_net[1].running_var + channel_net[1].eps)
channel = int(np.median(gains, (0, 1)).argmin())

ink = x[:2000].mean((0, 1, 3))
reach = int(np.flatnonzero(ink > 0.01).max())  # the last column with more than a trace of ink
most = gains[14, reach + 1 : reach + 5, channel].max()
least, largest = gains[..., channel].min(), gains[..., channel].max()
print(f"per activation: {least:.1f} to {largest:.0f}; per channel: {common[channel]:.1f}")
corner, middle = gains[0, 0, channel], gains[14, 14, channel]
recall("where_1_over_sigma_is_largest", f"{corner:.0f} in a corner, {middle:.1f} in the middle")
recall("largest_1_over_sigma", f"{largest:.0f}")

factor, columns = "1/√(σ² + ε)", range(28)
rows = {"per activation, row 14": (columns, gains[14, :, channel]), "per channel": (columns, [common[channel]] * 28)}
figure, (left, right) = plot.panels(2, size=(5.4, 3.9))
title = f"Per activation: up to {largest:.0f}"
plot.log_map(left, gains[..., channel], title, "column", "row", bar=factor)
title = f"Where only moved digits have ink: up to {most:.0f}"
plot.lines(right, rows, title, "column (grey: only moved digits have ink)", factor, log="y", inks=[1, 0])
_ = right.axvspan(reach + 0.5, min(reach + 4, 27) + 0.5, color="0.85", zorder=0)

# %% [markdown]
# (The channel shown is the one with the smallest median factor.) MNIST's digits are in the middle of the image. Near
# the edge nothing ever happens, the variance there is 0, and the factor is $1/\sqrt{10^{-5}} = 316$. In training this
# is harmless: 316 times nothing is nothing. A digit that reaches into the grey columns of the figure is multiplied by
# anything from a few to more than a hundred.
#
# A good story; but is it *the* cause? In addition to its variance, each position has its own mean, its own γ and its
# own β. We can test all four without training: move them along with the digit, by 4 pixels too. (By 2 after the first
# pooling, which halves all distances, and by 1 after the second: 4 can be halved twice.) If the only fault is that
# everything stays in its old place, the accuracy must come back.
#
# **Prediction**: which of these have to move along: (a) the variances; (b) the means; (c) γ and β; (d) all four?

# %%
predict(what_must_move_with_the_digits=...)  # "a", "b", "c" or "d"


# %%
def moved_along(net, by, names):
    """A copy in which some of what each position has of its own has moved `by` pixels to the right."""
    other = copy.deepcopy(net)
    layers = [layer for layer in other.modules() if isinstance(layer, PerActivation)]
    for layer, pixels in zip(layers, (by, by // 2, by // 4), strict=True):
        norm = layer.norm
        own = {"μ": norm.running_mean, "σ²": norm.running_var, "γ": norm.weight.data, "β": norm.bias.data}
        for name in names:
            maps = own[name].reshape(layer.maps)  # a view: what is written into it is kept
            maps[:] = np.roll(maps, pixels, axis=1)
    return other


rows = {}
for names in ((), ("σ²",), ("μ",), ("μ", "σ²"), ("γ", "β"), ("μ", "σ²", "γ", "β")):
    nets = [moved_along(models["per activation", seed], 4, names) for seed in seeds]
    rows[", ".join(names) or "nothing"] = [100 * train.evaluate(n, moved(x_test, 4), y_test).accuracy for n in nets]
rows["(digits not moved)"] = [values[0] for values in accuracies["per activation"]]
for name, values in rows.items():
    print(f"{name:20}", ", ".join(f"{value:.1f} %" for value in values))
means = {name: np.mean(values) for name, values in rows.items() if name != "(digits not moved)"}
best = max(means, key=means.get)
recall("what_must_move_with_the_digits", f"{best}: {means[best]:.0f} % instead of {means['nothing']:.0f} %")

# %%
figure, (ax,) = plot.panels(1, size=(8, 3.6))
title = f"Only with all four moved along most comes back: {np.mean(rows['μ, σ², γ, β']):.0f} %"
_ = plot.intervals(ax, rows, title, "test accuracy (%), digits moved by 4; per activation, and moved along: …")

# %% [markdown]
# (d). In our run, with all four moved along, the three networks read some 90 % of the moved digits, nearly as many as
# of those that were not moved. That had to happen: apart from these four, only the image's edge tells the network
# about positions. So it has not learned what a digit looks like, but what a digit looks like *there*.
#
# The rest could have come out differently. Moving the variances alone, with the spectacular factors at the edge, is
# worse than moving nothing, and so is moving the means alone. Both together bring back about a third to a half of what
# was lost, γ and β alone about a quarter at most. There is no single culprit: the mean, variance, γ and β of a
# position belong together.
#
# **Exercise.** Measure it. `layer` is a function: it takes images, an array (N, H, W, C), and returns images of the
# same height and width. Compare `layer(moved x)` with `moved layer(x)`, where "moved" is `np.roll(…, by, axis=2)`, to
# the right. Return the largest absolute difference. Leave out `edge` ≥ 1 columns on each side, where images wrap
# around.


# %% tags=["exercise:shift"]
def shift_gap(layer, x, by, edge):
    """The largest difference between layer(moved x) and moved layer(x), without `edge` columns on either side."""
    raise NotImplementedError  # stuck? hint("shift")


# %%
check("shift", shift_gap);

# %% [markdown]
# The solutions are in [solutions/09_conv.py](solutions/09_conv.py). The same comparison as a picture, for the first
# convolution and its BN of both networks, in evaluation mode:

# %%
pictures, by = x_test[:1], 4
figure, axes = plot.panels(3, 2, size=(3.6, 2.6))
for row, (name, model) in enumerate((("Per channel", channel_net), ("Per activation", activation_net))):
    first, second = (train.predict_logits(model[:2], p) for p in (moved(pictures, by), pictures))
    parts = [part[0, ..., channel] for part in (first, moved(second, by), first - moved(second, by))]
    titles = (f"{name}: of the moved", "moved afterwards", f"difference: up to {np.abs(parts[2]).max():.2g}")
    for ax, part, title in zip(axes[3 * row : 3 * row + 3], parts, titles, strict=True):
        plot.heat_map(ax, part, title, "", "", limit=max(np.abs(part).max() for part in parts), frame=False)

# %% [markdown]
# Now write the right one yourself.
#
# **Exercise.** BN for images in training mode: `x` is (N, H, W, C), γ and β are (C,). Return $y$, of the shape of
# `x`. The paper's variance divides by $m' = m·p·q$. With `reshape` it is the function for matrices that you wrote in
# lesson 05; copy that into the cell. NumPy only.


# %% tags=["exercise:images"]
def batch_norm_images(x, gamma, beta, eps):
    """Batch norm of images x (N, H, W, C) in training mode, with γ and β (C,)."""
    raise NotImplementedError  # stuck? hint("images")


# %%
check("images", batch_norm_images);

# %% tags=["hide-input"]
maps = np.random.default_rng(0).standard_normal((60, 14, 14, 16)).astype(np.float32)
tall = maps.reshape(-1, 16)
as_maps, as_matrix = (F.batch_norm(Tensor(a), None, None, training=True).data for a in (maps, tall))
print(
    f"maps {maps.shape} and matrix {tall.shape}: {np.count_nonzero(as_maps.ravel() != as_matrix.ravel())} numbers differ"
)
one = F.batch_norm(Tensor(maps[:1]), None, None, training=True).data
print(
    f"a batch of one image is legal, too: mean {abs(one.mean((0, 1, 2))).max():.0e}, std {one.std((0, 1, 2)).mean():.3f}"
)

# %% [markdown]
# ## How large is the batch really?
#
# The paper calls $m' = m·p·q$ the "effective" size of the batch. For 60 images and 28 × 28 positions that is 47,040,
# so the mean of a channel should be known to $\sigma/\sqrt{47{,}040}$, half a percent of $\sigma$. But neighbouring
# positions of an image are alike. If the images are independent, the variance of a batch mean is that of the *image
# means* divided by $m$, so one image is worth
#
# $$ \frac{\text{variance of all activations of the channel}}{\text{variance of the mean over one image}} $$
#
# independent numbers. **Prediction**: how many are the 784 positions of an MNIST digit worth at the first BN? (a)
# nearly 784; (b) about 100; (c) about 10; (d) less than 784 in some channels, more in others.

# %%
predict(worth_of_784_positions=...)  # "a", "b", "c" or "d"

# %%
worth = {}
for name, index in (("pixels", 0), ("BN 1", 1), ("BN 2", 5), ("BN 3", 9)):
    arriving = train.predict_logits(channel_net[:index], x_test)  # what this BN receives, in evaluation mode
    positions = arriving.shape[1] * arriving.shape[2]
    worth[name] = positions, arriving.var((0, 1, 2)) / arriving.mean((1, 2)).var(0)
    low, middle, high = np.percentile(worth[name][1], (0, 50, 100))
    print(f"{name}: {positions} positions are worth {middle:.0f} numbers (median), {low:.0f} to {high:.0f}, by channel")
recall("worth_of_784_positions", f"{worth['BN 1'][1].min():.0f} to {worth['BN 1'][1].max():.0f}, by channel")

places, each = list(worth), list(worth.values())
dots = {
    "a channel": (np.concatenate([v for _, v in each]), np.repeat(range(4), [len(v) for _, v in each])),
    "positions, p·q": ([positions for positions, _ in each], range(4)),
}
above = np.sum(worth["BN 1"][1] > worth["BN 1"][0])
title = f"{above} of the {len(worth['BN 1'][1])} channels at BN 1 are worth more numbers than they have positions"
figure, (ax,) = plot.panels(1, size=(7, 3.4))
_ = plot.dots(ax, dots, title, "numbers for each image", "", log="x", marks="|o", rows=places)

# %% [markdown]
# (d): it depends on the channel. So $m' = m·p·q$ is what BN divides by, not how much is known.
# In our run 784 pixels are worth 55 numbers, and a channel's 784 positions anything from a few dozen to thousands.
# How can they be worth *more* than their number? They can if they do not repeat each other, but cancel. Summed over
# the image, a filter gives (sum of its nine weights) × (sum of the ink), so a filter whose weights sum to almost
# nothing, one that looks for edges, has nearly the same mean on every image. If that is the whole explanation, the
# worth of a channel of BN 1 can be computed from its nine weights:

# %%
sums = channel_net[0].weight.data.sum((0, 1, 2))
arriving = train.predict_logits(channel_net[:1], x_test)
formula = arriving.var((0, 1, 2)) / (sums**2 * x_test.mean((1, 2, 3)).var())
for name, values in (("sum of the filter", sums), ("worth, by formula", formula), ("worth, measured", worth["BN 1"][1])):
    print(f"{name:18}", "".join(f"{value:9.2f}" for value in values))

# %% [markdown]
# (The formula still takes the numerator, the variance of all activations, from a measurement.) How well a channel's
# mean is known depends on the channel. So does the right correction in place of $m'/(m'-1)$; but with hundreds of
# numbers or more, any such factor is nearly 1.
#
# ## Folding into a convolution
#
# In evaluation mode, conv → BN is one convolution: BN multiplies each output channel by
# $s = \gamma/\sqrt{\text{var}+\varepsilon}$. The weight of a convolution is (kh, kw, C, O): height and width of the
# filter, input channels, output channels. Your function of [lesson 08](08_inference.ipynb) does it without a change,
# because output channels are the last axis here, too; in the library both share [`_fold_into`](../minidl/nn/fold.py).
# (Per-activation BN cannot be folded: its factor differs from position to position, and a filter does not.)
#
# The other order, BN → conv, looks as easy: BN is a factor and a shift for each *input* channel.
#
# **Exercise.** `weight` is (kh, kw, C, O) and `bias` (O,), of the convolution; `gamma`, `beta`, `mean` and `var` are
# (C,), of the BN *before* it. Return the weight and the bias of the one convolution that does both, wherever the filter
# lies wholly inside the image. (Write the output as a sum over the filter's positions and the input channels, put
# $y = s·x + (\beta - \text{mean}·s)$ in, and sort: what multiplies $x$, and what does not?)


# %% tags=["exercise:fold-conv"]
def fold_conv(weight, bias, gamma, beta, mean, var, eps):
    """Weight (kh, kw, C, O) and bias (O,) of the convolution that does what batch norm and then this one do."""
    raise NotImplementedError  # stuck? hint("fold-conv")


# %%
check("fold-conv", fold_conv);

# %% [markdown]
# **Prediction**: is this exact for a 3 × 3 convolution with **zero padding**, too? (That is `padding=1`: a frame of
# zeros makes the output as large as the image, and filters at the edge look into the frame.)

# %%
predict(bn_folds_into_padded_conv_behind_it=...)  # "yes" or "no"

# %% tags=["hide-input"]
rng = np.random.default_rng(0)
norm, conv = nn.BatchNorm(8), nn.Conv2d(8, 8, 3, padding=1, generator=rng)
for array in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
    array[:] = rng.uniform(0.5, 2, 8)
after, before = nn.Sequential(conv, norm).eval(), nn.Sequential(norm, conv).eval()

s = norm.weight.data / np.sqrt(norm.running_var + norm.eps)
folded = nn.Conv2d(8, 8, 3, padding=1)
folded.weight.data[:] = conv.weight.data * s[:, None]
folded.bias.data[:] = conv.bias.data + np.einsum("ijco,c->o", conv.weight.data, norm.bias.data - norm.running_mean * s)

maps = Tensor(rng.standard_normal((20, 14, 14, 8)).astype(np.float32))
pairs = {"conv → BN": (after, nn.fold_batch_norm(after)), "BN → conv": (before, folded)}
figure, axes = plot.panels(2, size=(5.2, 3.9))
for ax, (name, (two, single)) in zip(axes, pairs.items(), strict=True):
    apart = np.abs(two(maps).data - single(maps).data).max((0, 3))
    print(f"{name}: off by {apart[1:-1, 1:-1].max():.0e} inside, {apart.max():.0e} at the edge")
    title = f"{name}: off by {apart.max():.0e} at most"
    plot.log_map(ax, apart + 1e-9, title, "column", "row", limits=(1e-8, 10), bar="largest difference")
off = f"off by {apart[1:-1, 1:-1].max():.0e} inside, by {apart.max():.0e} at the edge"
recall("bn_folds_into_padded_conv_behind_it", off)

# %% [markdown]
# No: it is wrong in a frame, one pixel wide. The padding is zeros *after* BN; folded, the same zeros are *before* it,
# and a zero before BN is $\beta - \text{mean}·s$ after it. Inside, no filter touches the padding, and the fold is exact
# up to rounding. [`fold_batch_norm`](../minidl/nn/fold.py) folds conv → BN only, and refuses the other order.
#
# The whole network, folded:

# %%
train.update_bn(data.DataLoader(x[:5000], batch_size=1000), channel_net)
shipped = nn.fold_batch_norm(channel_net)
logits, folded = (train.predict_logits(net, x_test) for net in (channel_net, shipped))
print(f"largest difference, in units of the largest output: {np.abs(logits - folded).max() / np.abs(logits).max():.1e}")
print(f"digits whose class differs: {np.count_nonzero(logits.argmax(-1) != folded.argmax(-1))} of {len(y_test):,}")
trained = sum(p.data.size for p in channel_net.parameters()) + sum(b.size for b in channel_net.buffers() if b.ndim)
print(f"numbers to ship: {sum(p.data.size for p in shipped.parameters()):,} instead of {trained:,}")

# %% [markdown]
# ## What we did not show
#
# - That per-channel BN reads MNIST better than none: one learning rate, 600 steps and three seeds are no contest. At
#   another learning rate the order of those two may be reversed.
# - Pictures in which position does carry meaning (a photograph's sky is above). There, too, per-activation BN is
#   rare, but our experiment says nothing about them.
# - Other choices of axes: the mean over one image's positions, or over groups of channels.
#
# ## In short
#
# - BN of (N, H, W, C) is BN of (N·H·W, C): one mean, one variance, one γ and one β for each channel.
# - This keeps what a convolution has: it moves along with its input. Statistics, γ and β for each position break that;
#   move them along, and most of what was lost comes back.
# - $m·p·q$ numbers go into each mean; what they are worth depends on the channel.
#
# **Confusions settled.** *Which axes?* All but the channels. *Does a batch of one image work?* In a convolution yes,
# $m' = p·q$; in a linear layer no. *Can I always fold BN away?* Only into what comes before it.
#
# Next: [10](10_shift.ipynb): does BN do what its title says, reduce internal covariate shift?
