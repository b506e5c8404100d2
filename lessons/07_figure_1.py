# %% [markdown]
# # 07 Figure 1: does the paper replicate?
#
# Ten years later, on your machine, in about a minute: the experiment that introduced batch normalization. You run it,
# draw its three panels and the fourth that is missing, and then ask what a sceptic would ask: compared with what? At
# the end you can replicate a paper, name what it leaves out, and recognise a result that could not have come out
# differently.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 70 s on two cores.
#
# **You need**: [02](02_layers.ipynb) (training a network), [03](03_signal.ipynb) (sigmoids and initial weights) and
# [05](05_algorithm_1.ipynb) (what batch norm, BN, computes: γ, β, x̂).

# %% [markdown]
# ## 1. What the paper says, and what it does not
#
# Section 4.1 of the paper: images of digits as 0 or 1 (28 × 28 pixels), three hidden layers of 100 sigmoid units, ten
# classes, batches of 60, 50,000 training steps, initial weights small and random, normally distributed. The network
# is trained once with BN before each sigmoid, and once without. Figure 1 shows
#
# - (a) the test accuracy of both networks over training: the one with BN is faster and ends higher;
# - (b), (c) the input of one "typical" sigmoid of the last hidden layer: the 15th, 50th and 85th **percentile** over
#   training. The 15th percentile is the number below which 15 % of the values lie; so 70 % lie between the outer two,
#   and the 50th is the median. Without BN (b) this band wanders, with BN (c) it is calm, "which aids the training".
#
# What the paper does **not** give for this figure: the learning rate, how small the initial weights are, the
# optimizer, the accuracy in numbers, which unit is "typical", and how many runs were made. To replicate it you have
# to choose all of these, and each choice can change the answer. So we do it twice: once with one choice, live, and
# then over a grid of choices, with several seeds. (A **seed** fixes the initial weights and the batches; other seeds
# show how much is luck.)
#
# ### Prediction
#
# Put your answers into the next cell, in place of the dots, before you continue:
#
# 1. With plain gradient descent at learning rate 0.1 and weights of standard deviation (std) 0.1: by how many points of
#    test accuracy will BN win after 50,000 steps: about 0.5, 2, 5, or more than 10?
# 2. Suppose each network gets the learning rate that suits *it* best. Will the gap grow, stay, shrink, or turn around?
# 3. Panel (c) is calm. What would have to happen in the network for it *not* to be calm?

# %%
import numpy as np

from minidl import nn
from minidl.lab import plot
from minidl.lab.course import check, digits, explore, hint, ledger, pick, predict, recall
from minidl.lab.paper import fig1, fig1a
from minidl.lab.study.statistics import paired, t_interval

predict(
    points_by_bn_in_figure_1=...,  # 0.5, 2, 5 or 10
    gap_when_both_are_tuned=...,  # "grows", "stays", "shrinks" or "turns around"
    what_could_unsettle_panel_c=...,  # in a few words
)
found = digits()
settings = fig1.Settings(steps=pick(50_000, 1000), lr=0.1, init_std=0.1, batch_size=60, seed=0)
stated = f"{settings.steps:,} steps, lr {settings.lr:g}, std {settings.init_std:g}, seed {settings.seed}"
print(stated)
print(f"{found.source}: {len(found.train.labels):,} training and {len(found.test.labels):,} test images")

# %% [markdown]
# ## 2. The experiment, live
#
# [`Training`](../minidl/lab/paper/fig1.py) holds one network and its data; `do_step` makes one training step
# (zero_grad, forward, backward, step), `measure` records test accuracy and percentiles. Both networks start from the
# same weights and see the same batches in the same order. We measure a hundred times, and also keep γ and β of the
# last BN: we will need them.
#
# Measurements are made in evaluation mode: with BN by the statistics of the **population**, of which each batch is a
# sample. They are computed anew each time from 10,000 training images (Algorithm 2 of the paper, which
# [08](08_inference.ipynb) is about). Percentiles are over 2,000 test images.


# %%
def run(norm):
    """Train one network; returns what was measured, and γ and β of the last batch norm at each measurement."""
    training, scales = fig1.Training(settings, norm, found), []
    last = [m for m in training.model.modules() if isinstance(m, nn.BatchNorm)][-1:]
    while True:
        if training.step % (settings.steps // 100) == 0:
            training.measure()
            scales += [(bn.weight.data.copy(), bn.bias.data.copy()) for bn in last]
        if training.step == settings.steps:
            return training.arm(), np.array(scales)
        training.do_step()


none, _ = run("none")
print(f"without BN: {100 * none.accuracy[-1]:.2f} % of the test images are read right")

# %%
batch, scales = run("batch")
gammas, betas = scales[:, 0], scales[:, 1]  # (101, 100) each
print(f"with BN: {100 * batch.accuracy[-1]:.2f} % of the test images are read right")
gap = f"{100 * (batch.accuracy[-1] - none.accuracy[-1]):+.2f} points"
recall("points_by_bn_in_figure_1", gap)

# %% [markdown]
# ## 3. Figure 1, with the panel that the paper leaves out
#
# Panel (d) is ours: the distribution that comes in *before* the normalisation, in the network with BN. That is what
# the layers below really produce. Which unit to show? A figure of one unit out of 100 invites choosing a pretty one,
# so the rule is fixed beforehand. Add up all movements of a unit's median, up and down, in the network without BN;
# that is the length of its path. We show the middle one of the 100, neither the calmest nor the wildest
# ([`typical_unit`](../minidl/lab/paper/fig1.py)).
#
# How restless is a band? The titles give one answer, its **range**: the highest value of the median minus its lowest,
# in units of the band's mean width. (Section 9 has another one.)

# %%
unit = fig1.typical_unit(none)


def panel(arm, before):
    record = {"steps": arm.steps, "accuracy": arm.accuracy, "final_accuracy": arm.accuracy[-1], "unit": unit}
    record |= {"steps_to_95": arm.steps_to(0.95), "input_percentiles": arm.inputs[:, unit]}
    return record | ({"before_percentiles": arm.before[:, unit]} if before else {})


arms = {"none": panel(none, False), "batch": panel(batch, True)}
figure = plot.figure1(arms, settings=vars(settings), source=found.source)

# %% [markdown]
# In our run (MNIST, all 50,000 steps) the paper's figure came out the same in kind. With BN the network read 95 % of
# the test digits after 7,000 steps, without after 12,000. At the end it was 97.4 % against 96.9 %: **half a point**,
# which decides prediction 1. And (c) is calmer than (b): the median's range is 0.1 widths of its band, against 0.5.
#
# But look at (d). The input that the layers below produce has a range of 0.7 band widths, *more* than without BN. By this
# measure, and for this unit, BN did not calm the layers below. It hides from the sigmoid what they do. One unit of one
# run is an anecdote, though.
#
# ## 4. Exercise: the percentile recorder
#
# How does one get such bands? The test images pass through the network in batches, the last one perhaps smaller, and a
# hook keeps the activations of each batch. Write `recorder(batches)`: `batches` is a list of arrays (mᵢ, units),
# examples by units, of different mᵢ; return an array (units, 3) with the 15th, 50th and 85th percentile of each unit
# over *all* examples, as `np.percentile` computes them. `np.concatenate` helps.


# %% tags=["exercise:recorder"]
def recorder(batches):
    raise NotImplementedError  # stuck? hint("recorder")


# %%
check("recorder", recorder);

# %% [markdown]
# The library's version is [`unit_percentiles`](../minidl/probe.py).
#
# ## 5. All hundred units
#
# Here are all 100 units of the last hidden layer, each in a small cell of its own: the band is the 15th to the 85th
# percentile, the dark line the median. The cells are ordered by the length of the median's path without BN, so the
# same place is the same unit in all three. Left and middle share one scale; the right one has its own (it says so
# below).

# %%
order = np.argsort(np.abs(np.diff(none.inputs[:, :, 1], axis=0)).sum(0))
shared = (min(none.inputs.min(), batch.inputs.min()), max(none.inputs.max(), batch.inputs.max()))
figure, (left, middle, right) = plot.panels(3, size=(4.4, 4.7), note=f"{stated}, {found.source}")
plot.unit_bands(none.steps, none.inputs, left, name="(b) Without BN", ink=1, order=order, limits=shared)
plot.unit_bands(batch.steps, batch.inputs, middle, name="(c) With BN", order=order, limits=shared)
_ = plot.unit_bands(batch.steps, batch.before, right, name="(d) With BN, before", ink=2, order=order)


# %% tags=["widget"]
def one_unit(number):
    axes, drawn = plot.panels(3, size=(4.4, 2.8))[1], {"b": none.inputs, "c": batch.inputs, "d": batch.before}
    for ax, (letter, values) in zip(axes, drawn.items(), strict=True):
        plot.percentile_bands(none.steps, values[:, number], ax, name=f"({letter}) unit {number}", key=False)


explore(one_unit, number=(0, 99))

# %% [markdown]
# So unit 28, which the first figure shows, was no exception: the titles count all units, and again (d) has the widest
# range and (c) the narrowest. What does change in (c) is the width: the bands fan out.
#
# ## 6. Could panel (c) have come out otherwise?
#
# Before you believe a figure, ask what it would have looked like if the claim were false. After the normalisation x̂
# has mean 0 and variance 1, for *any* input (nearly so in evaluation mode). The sigmoid gets y = γx̂ + β. If x̂ is
# close to normally distributed (the test will show), 15 % of it lies below −1.04 and 15 % above +1.04. (For the
# normal distribution the 85th percentile is 1.04 standard deviations above the mean.) Then two trained numbers of that
# unit, γ and β, predict the band of panel (c), without a look at any image.
#
# **Exercise.** Write `bands(gamma, beta)`: arrays (units,) in; out an array (units, 3) with the 15th, 50th and 85th
# percentile of y = γx̂ + β for normally distributed x̂. Mind that γ may be negative, and that percentiles never
# decrease from one column to the next.


# %% tags=["exercise:bands"]
def bands(gamma, beta):
    raise NotImplementedError  # stuck? hint("bands")


# %%
check("bands", bands);

# %% [markdown]
# Now the test. On the left: what was measured in the network for the typical unit (band), and what γ and β predict
# (dashed lines). On the right: the three percentiles of all units at the end of training, measured against predicted;
# if the prediction were perfect, every dot would lie on the line.

# %% tags=["hide-input"]
foretold = betas[:, :, None] + 1.04 * np.abs(gammas)[:, :, None] * np.array([-1, 0, 1])  # (101, 100, 3)
width = (batch.inputs[:, :, 2] - batch.inputs[:, :, 0])[:, :, None]
miss = np.abs(foretold - batch.inputs) / width

half, worst = np.median(miss[-1]), miss[-1].max()
print(f"at the end: half of all percentiles are within {half:.2f} band widths, all within {worst:.2f}")
sizes = np.abs(gammas)
print(f"|γ| goes from {sizes[0].mean():.1f} to between {sizes[-1].min():.1f} and {sizes[-1].max():.1f}")

names = ("15th percentile", "median", "85th percentile")
dots = {name: (foretold[-1, :, k], batch.inputs[-1, :, k]) for k, name in enumerate(names)}
figure, (left, right) = plot.panels(2, size=(6, 4.2), note=f"{stated}, {found.source}")
name, measured = f"input of sigmoid, unit {unit}", batch.inputs[:, unit]
plot.percentile_bands(batch.steps, measured, left, name=name, foretold=foretold[:, unit])
title = f"At the end half of all dots are within {half:.2f} band widths of the line"
plot.dots(right, dots, title, "foretold from γ and β", "measured on test images", diagonal=True)
close = f"γ and β alone foretell half of all percentiles to {half:.2f} band widths"
recall("what_could_unsettle_panel_c", f"a move of γ or β, or another shape of x̂; {close}")

# %% [markdown]
# Two numbers for each unit predict the panel. They even predict the fanning out: |γ| grows. What γ and β cannot
# predict is the *shape*: where x̂ is skewed, the median is not its mean. (Unit 28 is: its median lies below β nearly
# all the time.)
#
# That answers prediction 3. For (c) to be restless, γ and β themselves would have to move a lot (they are trained
# with small steps like all parameters), or the shape of x̂ would have to change. The behaviour of the layers below
# hardly matters. A figure that could hardly have come out differently illustrates what the method *is*; it is weak
# evidence for what the method *does*. The panel that could have gone either way is (d), and the paper does not have
# it.
#
# ## 7. The grid: compared with what?
#
# One run with one learning rate and one initial scale is one point. So the same two networks were trained over a grid
# of learning rates and initial scales, with several seeds each. That takes much longer than a lesson. It was done
# once, by `python -m minidl reproduce --claim fig1a`, and kept in the **ledger**, the folder
# [results](../results/README.md). The ledger has an entry for each claim of the paper, with a rule for its verdict;
# its page says which rules were changed after a result had been seen.
#
# (For the grid, 5,000 training images were held out for choosing settings, so its runs differ a little from ours.)
#
# Every cell of the grid was run with two seeds. A dot is one of them: the accuracy with BN minus the accuracy without
# BN, from the same initial weights and the same batches (the comparison is **paired**). Two dots for a cell are few, so
# look at all dots together.

# %%
claim, facts, result = ledger("fig1a")
print(f"{facts['data']}; {facts['seeds']} seeds; {result.settings('steps')[0]:,} steps; made on {facts['date']}")
stds, rates = sorted(result.settings("init_std", stage="tune")), sorted(result.settings("lr", stage="tune"))
norms = {"with BN": "batch", "without BN": "none"}
seed = result.settings("seed", stage="tune")[:2]


def tried(entry, norm, std, lr):
    """One number for each of the seeds that every cell has."""
    return np.array([result.values(entry, stage="tune", norm=norm, init_std=std, lr=lr, seed=s)[0] for s in seed])


def cost(norm, std, lr):
    """Steps to 95 %; a run that never gets there counts as if it did at the end."""
    return np.nan_to_num(tried("steps_to", norm, std, lr), nan=result.settings("steps")[0])


# %%
gain, faster = {}, {}  # label → (rates, an array of seeds by rates)
for std in stds:
    points = [100 * (tried("test", "batch", std, lr) - tried("test", "none", std, lr)) for lr in rates]
    gain[f"std {std:g}"] = rates, np.transpose(points)
    doublings = [np.log2(cost("none", std, lr) / cost("batch", std, lr)) for lr in rates]
    faster[f"std {std:g}"] = rates, np.transpose(doublings)
points, doublings = (np.ravel([values for _, values in rows.values()]) for rows in (gain, faster))
low, edge = min(-0.5, points.min()), 1.15 * np.sort(points)[-5]  # runs that failed would squeeze all others
print(
    f"to 95 %: BN is faster in {np.sum(doublings > 0)} of {doublings.size} pairs, slower in {np.sum(doublings < 0)}, "
    "equally fast in the others"
)

figure, (left, right) = plot.panels(2, size=(5.8, 4), note=f"{facts['data']}; batches of 60, {len(seed)} seeds a cell")
title = f"BN ends higher in {np.sum(points > 0)} of {points.size} pairs"
plot.dots(left, gain, title, "learning rate", "points by BN", log="x", zero=True, limits=(low, edge))
title = f"BN is faster in {np.sum(doublings > 0)} of {doublings.size} pairs"
_ = plot.dots(right, faster, title, "learning rate", "speed to 95 %: doublings (1: twice as fast)", log="x", zero=True)

# %% [markdown]
# In nearly all pairs the network with BN ends higher. But *how much* higher depends on two numbers that the paper
# does not state. With the larger initial weights it is little more than a point at most. With the small ones it is
# more, and the gap is huge where the network without BN stays at chance (the dots beyond the edge). Speed is similar:
# many times as fast in some cells (a lower limit, where the one without BN never got to 95 %), no faster in others. By
# choosing a cell you can have a large effect, or a small one.
#
# ## 8. Exercise: the tuned baseline
#
# The fair question is: how good is each network at *its own* best setting? To answer it we have to choose a setting
# without peeking. Write `tune(validation, test)`: both are arrays (settings, seeds) of accuracies, on validation
# images (5,000 training images that were kept out of training) and on test images. Choose one setting for all seeds,
# by the mean validation accuracy, and return its test accuracies, an array (seeds,).


# %% tags=["exercise:tune"]
def tune(validation, test):
    raise NotImplementedError  # stuck? hint("tune")


# %%
check("tune", tune);

# %%
cells = [(std, lr) for std in stds for lr in rates]
best, curves, ends, fastest = fig1a.chosen(result), {}, {}, {}  # chosen by other seeds than those of these results
for name, norm in norms.items():
    std, lr = (best[name].settings(setting)[0] for setting in ("init_std", "lr"))
    reached = np.nan_to_num(best[name].values("steps_to"), nan=result.settings("steps")[0])
    ends[name], fastest[name] = reached.mean(), min(cost(norm, *cell).mean() for cell in cells)
    accuracy = t_interval(best[name].values("test")).text(2, 100)
    label = f"{name}, std {std:g}, lr {lr:g}"
    print(f"{label}: tuned, ends at {accuracy} %; at 95 % after {ends[name]:,.0f} steps")
    std, lr = min(cells, key=lambda cell: cost(norm, *cell).mean())
    print(f"{name}, std {std:g}, lr {lr:g}: fastest to 95 %, after {fastest[name]:,.0f} steps\n")
    curves[label] = best[name].values("steps")[0], 100 * best[name].values("curve")
difference = paired(best["with BN"].values("test"), best["without BN"].values("test")).text(2, 100, sign=True)

# %%
figure, (ax,) = plot.panels(1, size=(7.5, 3.8), note=f"{facts['data']}; batches of 60, {facts['seeds']} seeds")
title = f"Each at its tuned setting: {difference} points for BN at the end"
plot.lines(ax, curves, title, "training step", "test accuracy (%)")
ax.set_ylim(93, 98)
verdict = claim.verdict(result)
print(f"The ledger's verdict on “faster, and more accurate”, by its rule: {verdict.word}.")
print("  " + verdict.number.replace("; ", "\n  "))
near = min(rates, key=lambda lr: abs(np.log(lr / 0.1)))  # of the rates in the grid, to that of panel (a)
choices = {f"at std 0.1, lr {near:g}": {name: cost(norm, 0.1, near).mean() for name, norm in norms.items()},
           "each at its tuned setting": ends, "each where it is fastest": fastest}  # fmt: skip
for where, steps in choices.items():
    recall("speedup", f"{steps['without BN'] / steps['with BN']:.1f} times as many steps without BN, {where}")
recall("gap_when_both_are_tuned", f"{difference} points, and {gap} at lr {settings.lr:g}, std {settings.init_std:g}")

# %%
for std in stds:
    for name, norm in norms.items():
        row = "".join(f"{lr:>8g}: {100 * tried('test', norm, std, lr).mean():.1f} %" for lr in rates)
        print(f"std {std:<5g} {name:<11} test accuracy, mean of {len(seed)} seeds, at rate {row}")

# %% [markdown]
# The paper's figure hides a surprise. With each network at its own best setting the gap is about half a point: small,
# although these seeds can tell it from zero. (The verdict's second line has the range over settings that tuning cannot
# tell from the best. And the tuned settings need not have the largest numbers of the last table: validation images
# chose them, and the table is of other seeds.) On this small network **a tuned baseline nearly catches BN**. That
# answers prediction 2: compared with section 2, which had the larger initial weights, the gap stays. Compared with the
# cells of the small ones it shrinks.
#
# And speed, your prediction `speedup` of lesson 00? That depends on what you tune *for*. The setting where a network
# ends best need not be the one where it is fastest to 95 %. Compare the two near panel (a)'s setting, or each at its
# tuned setting, or each where it is fastest. That gives three answers to "how many times faster is BN?", and they need
# not even agree on which of the two is faster. Such a number means little without its setting.
#
# So what does BN bring here? **Indifference**, above all to the initial scale: compare the rows of the last table.
# With BN the two scales give the same accuracy, within half a point. Without it the small one costs one or two points,
# or the network does not train at all. You need not find the good corner. That is worth a lot, but it is not
# what panel (a) seems to say. (And it holds inside this grid: the ledger's study `lr` goes to smaller and larger
# rates, where BN fails as well.)
#
# ## 9. Panels (b), (c) and (d) with seeds
#
# A last look at stability, with another measure of a unit's median:
#
# | measure | what it tells | where |
# |---|---|---|
# | length of the path | all its movements, up and down, added | it chose the unit in section 3, and the order in 5 |
# | range | its highest value minus its lowest, in band widths | sections 3 and 5 |
# | **drift** | its movement from one measurement to the next, in widths of its 15–85 % band | here |
#
# Measurements are 500 steps apart. Drift is averaged over all 100 units and over training, for several seeds and two
# learning rates, from `python -m minidl reproduce --claim fig1bc`.

# %%
claim, facts, result = ledger("fig1bc")
places = {"without BN (b)": ("none", "inputs"), "with BN, after (c)": ("batch", "inputs"),
          "with BN, before (d)": ("batch", "before")}  # fmt: skip
rates = result.settings("lr")
drifts, times, widest = {}, {}, 0
for lr in rates:
    drifts[lr] = {place: result.values(entry, norm=norm, lr=lr).mean(1) for place, (norm, entry) in places.items()}
    none_, after, before = (values.mean() for values in drifts[lr].values())
    times[lr], widest = after / none_, max(widest, *(values.max() for values in drifts[lr].values()))
    print(f"lr {lr:g}: (c) drifts {times[lr]:.2f} times as much as (b), (d) {before / none_:.2f} times")

figure, axes = plot.panels(len(rates), size=(5.6, 2.6), note=f"{facts['data']}; std 0.1, {facts['seeds']} seeds")
for ax, lr in zip(axes, rates, strict=True):
    title = f"lr {lr:g}: (c) drifts {times[lr]:.2f} times as much as (b)"
    plot.intervals(ax, drifts[lr], title, "band widths between measurements", limits=(0, 1.1 * widest))
verdict = claim.verdict(result)
print(f"The ledger's verdict by its rule: {verdict.word}.")
print("  " + verdict.because.replace(". ", ".\n  ").replace("; ", ";\n    "))

# %% [markdown]
# The input of the sigmoid, (c), is calmer with BN at both rates. But (d) is not restless by this measure: before
# normalising, the network with BN drifts less than the one without at the small learning rate, and about as much at the
# large one.
#
# That lead comes from the start. Of all drift without BN, 29 % (at rate 2, 43 %) happens in the first of a hundred
# intervals. Leave that one out, and at rate 0.1 the lead is +0.0058 ± 0.0048, hardly more than its uncertainty. At
# rate 2 the sign turns: before normalising, the network *with* BN drifts more, by 0.0086 ± 0.0039. The difference is
# even larger late in the training at rate 2, where the network without BN has almost come to rest: it drifts by 0.0017,
# the one with BN by 0.0178.
#
# In section 5 the medians of (d) had a *wider* range than those of (b). Both are true: over the whole training they
# cover more ground, but from one measurement to the next they move in smaller steps. "Stable" has more than one
# meaning, and here they point in different directions. In any paper, as here, ask for the formula. (For panel (c)
# range and drift agree, as they must: γ and β fix it.)
#
# ## What we did not show
#
# - That a calm input "aids the training", as the paper says of this figure. It shows two things side by side, speed
#   and calm; whether one causes the other is a separate claim, and [10](10_shift.ipynb) tests it.
# - Anything about deep or convolutional networks. Three hidden layers are few. The paper's large effects (its Figures 2
#   and 3) are on networks that are harder to train without BN than this one.
# - Other optimizers and schedules. Momentum, **weight decay** (which pulls weights towards 0 at each step) or a falling
#   learning rate may change the order.
# - What the authors ran. They give no learning rate; ours are guesses, spread over a grid.
#
# ## Summary
#
# - The figure replicates in kind: faster, higher, calmer. The size of the gap is set by choices that the paper does
#   not state. What BN brings here is that the network is indifferent to them, within the grid.
# - Panel (c) is nearly true by construction: γ and β fix the bands. Panel (d) could have gone either way, and it did:
#   at learning rate 0.1 its medians cover more ground than without BN, although from one measurement to the next they
#   move less, mostly at the start. At 2 they move more, once the start is over.
# - A comparison is only as good as its baseline: tune both **arms** (the settings compared), choose on validation
#   images, show seeds.
#
# **Confusions settled**: "calm after BN" is not a finding about training; the best run is not the best setting; and a
# gap at one learning rate is not a gap.
#
# Solutions: [solutions/07_figure_1.py](solutions/07_figure_1.py). Next: [08](08_inference.ipynb), on why BN needs two
# modes.
