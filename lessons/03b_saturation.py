# %% [markdown]
# # 03b Saturation: which sigmoid stacks can be trained?
#
# [Lesson 03](03_signal.ipynb) found two things that a sigmoid needs before training: the right scale and the right
# centre. But after the first step the weights are different. Here we train networks, and watch how three of them start
# to learn. Afterwards you can tell a network that is flat from one that is asleep. Two records of a run are enough:
# histograms of what each layer puts out, and how far each step moves its weights.
#
# **Time**: about 60 minutes with the exercises; the cells run in about 2 minutes on two cores.
#
# **You need** [02](02_layers.ipynb) (the training loop) and [03](03_signal.ipynb) (gain, signal, centred, flat).

# %%
import numpy as np

from minidl import Tensor, data, nn, optim, train
from minidl import functional as F
from minidl.lab import models, plot
from minidl.lab.course import check, digits, hint, pick, predict, recall
from minidl.lab.course.saturation import EDGES, prepare, sigmoid_stack, signals
from minidl.probe import Probe

(images, labels), (test_images, test_labels) = digits()
x, x_test = prepare(images, images), prepare(test_images, images)  # as in lesson 03
batch, batch_labels = x[: pick(500, 200)], labels[: pick(500, 200)]
seeds = range(pick(5, 2))

# %% [markdown]
# ([`sigmoid_stack`](../minidl/lab/course/saturation.py) and [`signals`](../minidl/lab/course/saturation.py) are
# lesson 03's `stack` and `measure` for networks that can be trained.)
#
# ## 1. Depth × scale: what can be trained?
#
# If a lost signal is what stops learning, we can say beforehand which networks will learn. We train networks of 1 to
# 16 hidden layers of 100 sigmoids, with gains from ½ to 16, for 400 steps (batches of 60, learning rate 0.3, no
# tuning), three times: plain, centred, and with batch normalization, which you will take apart in the next lessons.
# All that matters here is what it does: before each sigmoid it subtracts the mean of the batch and divides by its
# standard deviation, anew in every step.
#
# **Prediction.** Guessing gives 10 %. (1) At 16 layers, with which gains will the plain network learn? (2) And the
# centred one? (3) Will batch normalization be best everywhere in the table?

# %%
predict(plain_gains_that_train_16_layers=..., centred_gains_that_train_16_layers=...)  # lists of 0.5, 1, 2, 4, 4.8, 8, 16
predict(batch_norm_is_best_at_every_depth_and_gain=...)  # "yes" or "no"

# %%
depths, gains = pick((1, 2, 4, 8, 16), (1, 4)), pick((0.5, 1, 2, 4, 4.8, 8, 16), (1, 2, 4))
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
figure, axes = plot.panels(3, size=(4.1, 3.6), note="% of the test digits read: light 10 (guessing), dark 100")
for ax, (name, table) in zip(axes, tables.items(), strict=True):
    title = f"{name}: {(np.array(table) > 50).sum()} of {np.size(table)} read more than half of the digits"
    plot.cells(ax, table, depths, gains, title, "gain of the weights", "hidden layers", limits=(10, 100))
for kind, gain in (("Plain", gains[-2]), ("Centred", gains[-3])):
    for lr in (0.3, 0.1):
        again = [f"{accuracy(depths[-1], gain, lr, seed=seed, **kinds[kind]):.0f} %" for seed in pick((0, 1, 2), (0,))]
        print(f"{kind}, {depths[-1]} layers, gain {gain}, learning rate {lr}, three seeds:", ", ".join(again))
for kind, question in (("Plain", "plain_gains_that_train_16_layers"), ("Centred", "centred_gains_that_train_16_layers")):
    recall(question, [gain for gain, read in zip(gains, tables[kind][-1], strict=True) if read > 50])
ahead = np.array(tables["Batch norm"]) > np.maximum(tables["Plain"], tables["Centred"])
recall("batch_norm_is_best_at_every_depth_and_gain", f"in {ahead.sum()} of {ahead.size} cells")

# %% [markdown]
# One run for each cell, so a difference of a point or two between two cells means nothing, and a cell at the edge of
# what learns may move by several. In our run:
#
# - Plain: the deeper the network, the narrower the range of gains. At 16 layers only gain 8 reads most digits, 86 % (87
#   and 81 with two other seeds; with a third of the learning rate 90, 78 and 74). With gain 4 it
#   stays at 10 %, and with the derived 4.8 it is hardly above that.
# - Centred: at 16 layers the network reads 85 % with gain 4, and 91 % with the derived 4.8. The plain network with the
#   same weights does not learn. Gains of 2 and less still lose the signal.
# - Batch normalization has a table without gaps: something is learned at every scale and every depth (74 % in the
#   worst cell). At 16 layers it is also the most accurate, by a point or two. Up to eight layers it is not ahead.
#   What it brings everywhere is less dependence on the scale: at 16 layers it reads 74 to 93 %, and the plain network
#   10 to 86.
#
# The network that would not start in [lesson 00](00_start.ipynb) is much like one in the first table: 8 layers, hidden
# weights of standard deviation 0.1, which is gain 1. (Its first layer had gain 2.8, its pixels were black or white, and
# its learning rate was 0.5.) Its careful start was centred, with a hidden gain of 4.
#
# ## 2. Why 8, and not 4?
#
# The plain network of 16 layers trained best with a gain of 8, far above the derived 4.8, at which its signal dies.
# So we return to untrained networks, and try more gains.
#
# **Prediction.** Without centring, the signal at layer 16 (a) dies at every gain, as larger weights push the units
# further away from 0; (b) is kept at some larger gain. And what happens in the centred network above 4.8?

# %%
predict(uncentred_signal_at_layer_16=...)  # "a" or "b"
predict(centred_network_above_gain_4_8=...)  # in a few words

# %%
deep, wide = depths[-1], (1, 2, 4, 4.8, 6, 8, 10, 12, 16)
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
kept = {kind: wide[np.abs(np.log(rows).mean(0)).argmin()] for kind, rows in found["signal"].items()}  # nearest to 1
titles = [f"The signal is kept near gain {kept['plain']:g}", "Above it the gradient grows", "A centred layer is less flat"]
for ax, title, (what, name) in zip(axes, titles, names.items(), strict=True):
    runs = {kind: (wide, rows) for kind, rows in found[what].items()}
    plot.lines(ax, runs, title, "gain", name, log="x" if what == "saturated" else "xy", xticks=[1, 2, 4, 6, 10, 16])

# %%
for kind in ("plain", "centred"):
    for gain in (4.8, 8, 10, 16):
        signal, gradient, flat = (np.mean(rows[kind], axis=0)[wide.index(gain)] for rows in found.values())
        print(f"{kind:8} gain {gain:<4} signal {signal:6.2g}   gradient × {gradient:<7,.2g} saturated {flat:3.0f} %")
most = np.mean(found["signal"]["plain"], axis=0)[wide.index(kept["plain"])]
recall("uncentred_signal_at_layer_16", f"{'b' if most > 0.5 else 'a'}: {most:.2f} at gain {kept['plain']:g}")
recall("centred_network_above_gain_4_8", f"at gain {gain} a signal of {signal:.0f}, and the gradient × {gradient:,.0f}")

# %% [markdown]
# (b). Larger weights do two things. They push more units off the steep part, and they enlarge the differences in the
# units that are still there. Near gain 10, in our run, the two cancel: the signal comes through 16 layers, and so
# does the gradient, although more than half of the outputs are saturated. At 8 about a quarter of the signal is left,
# which was enough to train from. So a larger scale can make up for a wrong centre; the price is that about half of the
# outputs are flat. In the centred network, at 4.8, hardly any are.
#
# And above these gains? There the gradient *grows* on its way back. At gain 16 it is about eighty times as large at
# layer 1 as at layer 16 (plain), or thousands of times (centred). So where a network of gain 16 does not learn, it is
# not for lack of a signal.

# %% [markdown]
# ## 3. Saturation, over time
#
# A sigmoid is **saturated** where it is flat: here, where its slope is below a tenth of its steepest slope. A unit is
# **stuck** if it is saturated for every image of a batch: then hardly any gradient passes through it. It does not
# matter at which end: for some of the images its output may be near 0, and for the others near 1.
#
# **Exercise `saturation`.** Write `saturation(y)` for the outputs `y` of a layer of sigmoids, an array (images,
# units). Return two numbers: the fraction of all outputs that are saturated, and the fraction of units that are
# stuck. (Express the slope in terms of the output.)

# %% tags=["exercise:saturation"]
def saturation(y):
    """(fraction of saturated outputs, fraction of stuck units)"""
    raise NotImplementedError  # stuck? hint("saturation")


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
predict(weight_std_that_learns_slowest=...)  # 0.01, 0.1 or 1

# %%
binary = (images.reshape(-1, 784) > 127).astype(np.float32)
steps, every = pick(4000, 200), pick(100, 20)
watched = {"layer 1": 0, "layer 2": 2, "layer 3": 4, "output layer": 6, "σ 1": 1, "σ 2": 3, "σ 3": 5}  # places


def watch(init_std, seed=0):
    """Train the paper's network; returns the probe, and the losses of all steps."""
    model = models.paper_mlp("none", init_std, generator=np.random.default_rng(seed))
    optimizer, rng, losses = optim.SGD(model.parameters(), lr=0.5), np.random.default_rng([seed, 1]), []
    with Probe(model, {name: model[place] for name, place in watched.items()}, every=every, edges=EDGES) as probe:
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
middles = np.arange(0, steps, every) + every / 2
means = {std: [np.reshape(row, (-1, every)).mean(1) for _, row in runs[std]] for std in starts}
early = {std: np.mean([row[middles <= 1000].mean() for row in means[std]]) for std in starts}
print("mean loss of the first 1,000 steps:", ", ".join(f"{loss:.2f} (std {std:g})" for std, loss in early.items()))
curves = {f"weights of std {std:g}": (middles, means[std]) for std in starts}
curves |= {"guessing: log 10": (middles, np.full(len(middles), np.log(10)))}
title = f"Slowest in the first 1,000 steps: weights of std {max(early, key=early.get):g}"
plot.lines(None, curves, title, "training step", f"loss, means of {every} steps", key="below")
recall("weight_std_that_learns_slowest", max(early, key=early.get))

# %%
grid = {}
for std in starts:
    for k in (1, 2, 3):
        at, counts = runs[std][0][0].series(f"σ {k}", "output", "counts")
        share = 100 * runs[std][0][0].series(f"σ {k}", "output", "saturated")[1]
        grid[f"std {std:g}, layer {k}: {share[-1]:.0f} % flat at the end"] = counts
plot.histogram_grid(at, grid, EDGES, columns=3, name="output of the sigmoids");

# %% [markdown]
# Each column of a picture is a histogram of one layer's outputs at one step; dark is where many are. (One seed; the
# curves above are from three.)
#
# Did you say std 1? Most of its outputs are saturated from the start (the dark lines at 0 and 1), they remain so, and
# it learns at once. The network that stalls starts without a single saturated output. For most of its first 1,000
# steps, in our run, its second and third layers are thin lines: all images give nearly the same outputs. The lines
# slide, the third layer's to below 0.1, all units together, but they stay thin. Then the outputs spread, the first
# layer's first, and only then does the loss leave that of guessing, $\log 10 = 2.30$. So "sigmoids saturate" is not the
# reason here: the weights are too small to make up for the slope, and the signal is lost as in [03](03_signal.ipynb).
# The network is **asleep**, not **flat**.
#
# A flat start is not a good choice either: std 1 starts fastest, and is overtaken by std 0.1, in our run after some 500
# steps. We did not test whether its flatness is the reason. And a share of flat outputs alone tells little: at the end
# the first layer of the best network had more of them than the first layer of the slowest.
#
# ## 4. How far does a step move the weights?
#
# One number for each layer shows sleep from the first step on, and flatness soon after: the size of a step's update
# against the size of the weights, $\operatorname{std}(\Delta W)/\operatorname{std}(W)$. A common rule of thumb says
# that one in 1,000 is right. You will see how far to trust it.
#
# **Exercise `update ratio`.** Write `update_ratios(before, after)`: two lists of arrays, the weights of each layer
# before and after one step. Return a list with one number for each layer,
# $\log_{10}\big(\operatorname{std}(\Delta W)/\operatorname{std}(W)\big)$, where $W$ are the weights before the step. A
# layer that did not move gets $-\infty$, which is what NumPy makes of the logarithm of 0 (with a warning).

# %% tags=["exercise:update ratio"]
def update_ratios(before, after):
    raise NotImplementedError  # stuck? hint("update ratio")


# %%
check("update ratio", update_ratios);

# %% [markdown]
# **Prediction.** In the sleeping network (std 0.01), which layer takes the largest first step relative to its size,
# and by how many powers of ten does the first layer lag behind it?

# %%
predict(largest_first_step_in_the_sleeping_network=...)  # "layer 1", "layer 2", "layer 3" or "output layer"
predict(powers_of_ten_that_sleeping_layer_1_lags=...)  # a number

# %%
figure, axes = plot.panels(3, size=(4.4, 3.9))
for ax, std in zip(axes, starts, strict=True):
    series = {name: runs[std][0][0].series(name, "update", "log10_ratio") for name in watched if "layer" in name}
    at, output = series["output layer"]
    behind = output - series["layer 1"][1]
    print(f"std {std:g}: layer 1 is {behind[0]:.1f} powers of ten behind at first, {behind[-10:].mean():.1f} at the end")
    plot.update_ratios(at, {name: row for name, (_, row) in series.items()}, ax)
    ax.set_ylim(-6, 0.5)  # one scale, so that the panels can be compared
    title = f"std {std:g}: layer 1 lags {behind[0]:.1f} powers of ten"
    plot.label(ax, title, "training step", "log10(update std / weight std)")
asleep = {name: runs[0.01][0][0].series(name, "update", "log10_ratio")[1][0] for name in watched if "layer" in name}
most = max(asleep, key=asleep.get)
recall("largest_first_step_in_the_sleeping_network", most)
recall("powers_of_ten_that_sleeping_layer_1_lags", f"{asleep[most] - asleep['layer 1']:.1f}")

# %% [markdown]
# In the sleeping network the output layer jumps by about half of its own size in one step, while the first layer
# moves by a few millionths of its own: five powers of ten between two layers of one network. No single learning rate
# suits both at that moment. When the network wakes up, the lines come together. In the one that learns best (std 0.1)
# they are together after about 500 steps. In the flat one (std 1) they stay apart: the first layer, which the
# gradient reaches through three layers of mostly flat units, moves about ten times less than the output layer to the
# end.
#
# So look at the distance between the lines before you look at their height. The lines of our best run end near
# $10^{-2}$, not $10^{-3}$: with plain SGD and batches of 60 that was no sign of trouble.
#
# ## What we did not show
#
# - That a lost signal *causes* every stall in part 1. Restoring the centre cures the stalled cells at gains 4 and 4.8,
#   which is evidence; the signal was measured in the deepest row only, and with gain 16 it is not what is missing. And
#   400 steps are few: the sleeping network of part 3 needed 1,000.
# - Other learning rates: the tables have one, and one seed in each cell. A fair comparison tries several for each
#   network (as [07](07_figure_1.ipynb) does), and chooses on images that are not the test set.
# - Why batch normalization helps. We saw that it makes the start harmless, not that this is its whole effect.
#
# ## In short
#
# - The deeper a plain stack, the fewer scales train it. Centring helps at gains near the derived one; a larger scale
#   makes up for a wrong centre, at the price of saturation.
# - The networks that stalled, as far as we explained it, were off centre or asleep (weights too small). The flat one
#   did not stall: it started fastest, and was overtaken. Histograms tell which is which.
# - Look at how far the layers' updates are apart before you look at how large they are.
#
# **Confusions settled.** "No unit is saturated, so all is well": the sleeping network has none. "Good initial weights
# make batch normalization unnecessary": up to 8 layers they did, in these 400 steps and at this learning rate; at 16
# they nearly did: centred, with the derived gain, 91 % against 93.
#
# Next: both, scale and centre, could be set once, before training. They could also be set in every step, from the
# batch at hand. The obvious way of doing that goes wrong in an instructive manner: [04](04_wrong_ways.ipynb).
