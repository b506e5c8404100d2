# %% [markdown]
# # 10 Shift: does batch normalization reduce internal covariate shift?
#
# The title of the paper gives a *reason* why batch normalization works. A reason can be wrong although the method
# works. In this lesson you test the reason: you measure it by two definitions, you make it worse on purpose, and you
# see which of the paper's three steps survives. At the end you can test a mechanism, not only a result.
#
# **Time**: about 70 s on two cores.
#
# **You need**: [05](05_algorithm_1.ipynb) (what batch norm computes) and [07](07_figure_1.ipynb) (percentile bands,
# paired seeds). The experiments here are ours, after Santurkar, Tsipras, Ilyas and Madry, *How Does Batch Normalization
# Help Optimization?* (2018), on the small network of the paper's Figure 1.

# %% [markdown]
# ## 1. One sentence, three claims
#
# A classifier suffers from **covariate shift** when its inputs are distributed otherwise than they were when it
# learned. In a deep network each layer's inputs are made by the layers before it, and those change with every training
# step. So each layer keeps having to adapt. The paper calls this **internal covariate shift**, and its argument has
# three parts:
#
# 1. batch norm makes the shift smaller;
# 2. a smaller shift makes training faster;
# 3. so it is *because of this* that batch norm makes training faster.
#
# That a network trains faster with batch norm shows none of the three. We need a number for "shift", and the literature
# has two.
#
# | | first definition (2015) | second definition (2018) |
# |---|---|---|
# | what moves | the distribution of a layer's **inputs** | the **gradient** of a layer's weights |
# | why it moves | the weights before it are trained | the layers before it take their step |
# | our measure | **drift**, in band widths | **gradient change**, ‖G − G′‖ / ‖G‖ |
#
# **Drift** is how far a unit's median moves from one look to the next, in widths of the band between its own 15th and
# 85th percentile, averaged over all hidden units; the "input" is what reaches the sigmoid. For the second definition, G
# is the gradient of one layer's weights at this step. All layers *before* it take their step; then the gradient of that
# same layer is computed again, on the same batch: G′. If G′ is nearly G, it did no harm that all layers learn at the
# same time. If ‖G − G′‖ is as large as ‖G‖, the layer makes a step that was right for a network that is gone.

# %%
import numpy as np

from minidl import plot
from minidl.course import check, digits, explore, ledger, pick, recall, shift
from minidl.paper import ics
from minidl.study.statistics import paired, t_interval

found = digits()
print(found.source)

# %% [markdown]
# ## 2. An intervention: put the shift back
#
# To separate claim 2 from claim 1 we need a network that has batch norm's arithmetic *and* much shift. So after each
# batch norm we add noise: in each training step every unit gets a fresh random factor from 0.5 to 2 and a fresh random
# shift from −1 to 1, the same for all examples of the batch. No layer can foresee them. The inputs of the next layer
# then jump about in every single step, more than any training would make them. Here it is:
# [`NoisyNorm`](../minidl/paper/_networks.py).
#
# ### Prediction
#
# Three networks with the same initial weights and the same batches: **without BN**, **with BN**, **noise after BN**.
# Write down, before you go on:
#
# - the order of the three in drift (smallest first), and the order in test accuracy;
# - will the *gradient change* be smaller with BN than without: always, sometimes, never?
# - two learning rates, 0.1 and 2: will the answers be the same for both?

# %% [markdown]
# ## 3. Exercise: the probe for the second definition
#
# Write `gradient_change(gradients, weights, lr)`.
#
# - `weights` is a list of arrays, one for each layer, the first layer first; `gradients(weights)` returns the list of
#   the loss's gradients at these weights (same shapes).
# - For each layer i but the first: let the layers *before* it take one step of gradient descent, w − lr·g, with the
#   gradients at the original weights; the layer itself and those after it stay where they are. Compute the gradients
#   again; of these, layer i's is G′.
# - Return ‖G − G′‖ / ‖G‖ for each layer but the first, in order (`np.linalg.norm` of the whole array). Leave `weights`
#   and the arrays in it as they are.


# %% tags=["exercise:gradient change"]
def gradient_change(gradients, weights, lr):
    raise NotImplementedError


# %%
check("gradient change", gradient_change)

# %% [markdown]
# The library's own version for real networks is [`gradient_change`](../minidl/paper/_landscape.py); it also puts
# everything back as it was, batch norm's running statistics included. One more measure comes along: **drift before**,
# the drift of what the *linear* layers hand on, which without batch norm is the input of the sigmoid, and with it is
# what comes in before the normalisation.
#
# ## 4. The experiment
#
# All three networks, several seeds, two learning rates. Fifteen times during training they are looked at with all
# instruments: [`watch`](../minidl/course/shift.py). The first rate is small for this network, the second is the one at
# which the network *without* batch norm does best.

# %%
RATES, SEEDS, STEPS = (0.1, 2.0), range(pick(5, 2)), pick(1500, 150)


def train(lr):
    return {
        (lr, arm): [shift.watch(norm, lr, seed, found, STEPS, looks=pick(15, 5)) for seed in SEEDS]
        for arm, norm in shift.ARMS.items()
    }


runs = train(RATES[0])

# %%
runs |= train(RATES[1])


def over_training(measure, arm, lr):
    """One number for each seed: the mean of a measure over training, or the accuracy at the end."""
    return np.array([np.nanmean(run[measure]) for run in runs[lr, arm]])


print(f"{STEPS:,} steps, {len(SEEDS)} seeds; mean over training ± half-width of the 95 % interval over seeds")
for lr in RATES:
    print(f"\nlearning rate {lr:<6g}{'drift':>17}{'drift before':>17}{'gradient change':>17}{'test accuracy, %':>18}")
    for arm in shift.ARMS:
        cells = [t_interval(over_training(m, arm, lr)).text(3) for m in ("drift", "drift before", "gradient change")]
        accuracy = t_interval(over_training("test", arm, lr)).text(2, 100)
        print(f"  {arm:<18}{cells[0]:>17}{cells[1]:>17}{cells[2]:>17}{accuracy:>18}")

# %% [markdown]
# ## 5. The two definitions, side by side
#
# Upper row: drift. Lower row: gradient change. Left: the small learning rate. Right: the large one. The titles compare
# BN with none, by the mean over training, and call a difference one only if the paired 95 % interval over the seeds
# excludes zero.


# %%
def compared(measure, lr, arm="with BN", other="without BN"):
    interval = paired(over_training(measure, arm, lr), over_training(measure, other, lr))
    word = "more" if interval.above_zero else "less" if interval.below_zero else "no clear difference in"
    return f"{word} {measure} {arm} than {other}" if word in ("more", "less") else f"{word} {measure}, {arm} or {other}"


def compared_accuracy(lr, arm="noise after BN", other="with BN"):
    return f"{paired(over_training('test', arm, lr), over_training('test', other, lr)).text(2, 100, sign=True)} points"


def draw(axes, measures):
    for row, measure in enumerate(measures):
        for column, lr in enumerate(RATES):
            ax, steps = axes[row * len(RATES) + column], runs[lr, "with BN"][0]["steps"]
            lines = {arm: (steps, [run[measure] for run in runs[lr, arm]]) for arm in shift.ARMS}
            title = f"Learning rate {lr:g}: {compared(measure, lr)}"
            plot.lines(
                ax,
                lines,
                title,
                "training step",
                shift.MEASURES[measure],
                log="y",
                inks=[1, 0, 2],
                key=not ax.get_subplotspec().colspan.start,
            )


figure, axes = plot.panels(2, 2, size=(6, 3.9), note=f"{len(SEEDS)} seeds, batches of 60, {found.source}")
draw(axes, ("drift", "gradient change"))

# %% [markdown]
# In our run (MNIST, 1,500 steps, five seeds) the two definitions disagree.
#
# **Drift** fell with BN at both rates. At learning rate 0.1 from 0.096 to 0.007 band widths, at 2 from 0.40 to 0.028:
# fourteen times less. And the noise did what it is for: 36 times the drift of BN at rate 0.1, and 9 times at rate 2.
# Before the normalisation, too, BN moved less than none, at rate 0.1 0.028 against 0.096.
#
# **Gradient change** depends on the learning rate. At 2 it was less with BN (0.584 against 0.697). But at 0.1 it was
# **more**, 0.084 against 0.032, and the interval leaves no doubt: 2.6 times as much internal covariate shift by the
# second definition, in the network that reads 91.3 % of the digits, where the one "without shift" reads 70.8 %. A
# network that hardly learns hardly changes.
#
# ## 6. Does more shift cost accuracy?
#
# Claim 2 says that training suffers from shift. So put every trained network into one picture: across, how much shift
# it suffered (mean over training); up, how well it does at the end. If the claim were true, the dots would fall from
# left to right.


# %%
def ratio(measure, lr):
    noisy, batch = (over_training(measure, arm, lr).mean() for arm in ("noise after BN", "with BN"))
    return noisy / batch


figure, axes = plot.panels(
    4, size=(3.9, 3.7), note=f"one dot a network: {len(SEEDS)} seeds, {STEPS:,} steps, {found.source}"
)
for ax, (lr, measure) in zip(axes, [(lr, m) for lr in RATES for m in ("drift", "gradient change")], strict=True):
    for arm, ink, mark in zip(shift.ARMS, (1, 0, 2), "s^o", strict=True):
        accuracy = 100 * over_training("test", arm, lr)
        ax.plot(over_training(measure, arm, lr), accuracy, mark, color=plot.INKS[ink], label=arm, alpha=0.8)
    ax.set_xlim(0, 1.1 * max(over_training(measure, arm, lr).max() for arm in shift.ARMS))
    title = f"lr {lr:g}: noise has {ratio(measure, lr):.1f} times the {measure} of BN, {compared_accuracy(lr)}"
    plot.label(ax, title, f"{measure}: {shift.MEASURES[measure]}", "test accuracy (%)")
_ = axes[0].legend(frameon=False, fontsize=8.5)

# %% [markdown]
# Here is the answer to claim 2, on this network. At learning rate 0.1 the network with noise suffers 36 times the drift
# of BN, and 2.7 times that of the plain network. It reads 91.23 ± 0.26 % of the digits; BN 91.32 ± 0.13 %; the plain
# network 70.75 ± 3.41 %. Paired, the noise costs 0.09 ± 0.16 points against BN: no difference that counts. At learning
# rate 2 the noise makes nine times the drift of BN, and no two of the three accuracies differ by more than the seeds
# explain.
#
# The dots do not fall from left to right: the green ones lie far to the right and as high as the blue ones. Whatever
# makes BN's training fast is still there when the drift is put back. So drift, by the first definition, is not what
# holds the plain network back, and claim 3 falls with claim 2.
#
# ## 7. Exercise: a rule for verdicts
#
# Is a difference real, or the luck of five seeds? Write `verdict(a, b)`: two arrays of 5 numbers, where a[i] and b[i]
# come from the same seed. Take the differences d = a − b; their mean has a standard error of s/√5, where s is the
# standard deviation of d as a sample (dividing by n − 1). Return `"larger"` if the mean of d is more than 2.78 standard
# errors above 0, `"smaller"` if it is as far below, else `"no difference"`. (2.78 and not 1.96, because with five
# values s itself is uncertain; that makes it a 95 % interval by Student's t.)


# %% tags=["exercise:verdict"]
def verdict(a, b):
    raise NotImplementedError


# %%
check("verdict", verdict)

# %% [markdown]
# ## 8. The ledger: longer, and tuned
#
# The same three networks for 5,000 steps and five seeds, all at the learning rate that suits the one *without* BN best;
# made by `minidl reproduce --claim ics`, with the rule for its verdict written beforehand. Each dot is one seed, each
# bar the 95 % interval; one that does not touch 0 is a difference by the rule above.

# %%
claim, facts, result = ledger("ics")
rate = result.settings("lr", arm="without BN", **ics.FINAL)[0]


def recorded(measure, arm):
    values = result.values(measure, arm=arm, lr=rate, **ics.FINAL)
    return values if values.ndim == 1 else np.nanmean(values, axis=1)


pairs = (("with BN", "without BN"), ("noise after BN", "without BN"), ("with BN", "noise after BN"))
names = ("BN − none", "noise − none", "BN − noise")
figure, axes = plot.panels(3, size=(4.6, 2.5), note=f"{facts['data']}; learning rate {rate:g}, {facts['seeds']} seeds")
for ax, measure, unit in zip(
    axes, ("drift", "gradient change", "test"), ("band widths", "‖G − G′‖/‖G‖", "points"), strict=True
):
    factor = 100 if measure == "test" else 1
    rows = {n: factor * (recorded(measure, a) - recorded(measure, b)) for n, (a, b) in zip(names, pairs, strict=True)}
    signs = ["+" if i.above_zero else "−" if i.below_zero else "0" for i in map(t_interval, rows.values())]
    title = {"test": "test accuracy"}.get(measure, measure)
    plot.intervals(ax, rows, f"{title[0].upper()}{title[1:]} ({', '.join(signs)})", f"difference in {unit}", zero=True)
print(f"The ledger's verdict: {claim.verdict(result).word}. {claim.verdict(result).number}")

# %%
for measure in ("drift", "gradient change"):
    ratio = recorded(measure, "with BN").mean() / recorded(measure, "without BN").mean()
    recall("shift", f"{ratio:.2f} times the {measure} with BN, at learning rate {rate:g}")

# %% [markdown]
# ## 9. Exercise: the verdict table
#
# Fill in a word for each row, from the figure above or with your `verdict` and `recorded`: `"smaller"`, `"larger"` or
# `"no difference"`, for the first arm compared with the second, at this learning rate. The check compares with the
# ledger's numbers:
#
# ```python
# table = {
#     "drift, BN against none": …,
#     "gradient change, BN against none": …,
#     "drift, noise against none": …,
#     "accuracy, noise against none": …,
#     "accuracy, BN against noise": …,
# }
# ```

# %% tags=["exercise:table"]
table = ...

# %%
check("table", table)

# %% [markdown]
# ## 10. If not less shift, what then? Three measures of the landscape
#
# Santurkar and others look elsewhere: at the **loss landscape**, the loss as a function of the parameters θ. Gradient
# descent trusts that the slope g at θ still holds a step further. So go along −g by ½, 1, 2 and 4 times the learning
# rate, on one batch, and measure ([`along_gradient`](../minidl/paper/_landscape.py)):
#
# - **loss range**: largest less smallest loss on the way. Small: no bad surprises.
# - **gradient range**: the largest change ‖∇L(θ − s·g) − g‖ on the way. Small: the gradient foretells well.
# - **curvature**: the largest change of the gradient for each unit of distance walked (the smallest β for which this
#   stretch is "β-smooth"). Small: a gentle curve.
#
# **Prediction.** Will all three be smaller with BN than without, at both learning rates?

# %%
LANDSCAPE = ("loss range", "gradient range", "curvature")
figure, axes = plot.panels(2, 3, size=(6, 3.3), note=f"{len(SEEDS)} seeds, batches of 60, {found.source}")
draw(axes, LANDSCAPE)

# %%
print("BN against none, of the logarithms, paired over the seeds:")
for lr in RATES:
    for measure in ("drift", "gradient change", *LANDSCAPE):
        logs = [np.log(over_training(measure, arm, lr)) for arm in ("with BN", "without BN")]
        factor, low, high = np.exp(paired(*logs))
        print(f"  learning rate {lr:<4g} {measure:<16} {factor:5.2f} times ({low:.2f} to {high:.2f})")

# %% [markdown]
# In our run, of the three measures at the small rate two were in favour of BN (gradient range 0.7 times, curvature 0.6
# times that of the plain network) and one was against it: the loss range was *larger*, 2.4 times. A likely reason: the
# plain network sits where a step changes little; a large range can be a surprise, or progress. At rate 2, with a plain
# network that learns as well as BN, all three were smaller with BN.
#
# The second definition of shift behaves like the loss range: more at rate 0.1, less at rate 2. A likely reading is that
# both follow how fast a network learns, more than they cause it; this run cannot decide that. What holds at *both*
# rates here: with BN a gradient can be trusted further per step walked. Gradient range and curvature were smaller with
# BN at both, as the 2018 study says of its networks.
#
# The same as a picture: the loss along the gradient, at three moments of training, as the mean over the seeds. The step
# that training takes is at 1.


# %%
def profile(ax, step, lr):
    """The loss of a batch along its gradient, at the look nearest to a training step."""
    at = int(np.abs(runs[lr, "with BN"][0]["steps"] - step).argmin())
    places = [0, 0.5, 1, 2, 4]
    lines = {arm: (places, [run["losses"][at] for run in runs[lr, arm]]) for arm in shift.ARMS}
    lowest = {arm: places[np.mean(losses, 0).argmin()] for arm, (_, losses) in lines.items()}
    title = f"After {runs[lr, 'with BN'][0]['steps'][at]:,} steps: lowest at " + ", ".join(
        f"{place:g} {arm}" for arm, place in lowest.items()
    )
    plot.lines(ax, lines, title, "way along the gradient (learning rates)", "loss of the batch", inks=[1, 0, 2])


figure, axes = plot.panels(3, size=(4.6, 3.8), note=f"learning rate {RATES[-1]:g}, {len(SEEDS)} seeds, {found.source}")
for ax, step in zip(axes, (0, STEPS // 5, STEPS), strict=True):
    profile(ax, step, RATES[-1])


# %% tags=["widget"]
def move(step, lr):
    profile(plot.panels(1, size=(6, 4))[1][0], step, lr)


explore(move, step=(0, STEPS), lr=list(RATES))

# %% [markdown]
# What to look for: does the loss still fall at 1, where training steps to, and how soon does it rise beyond? In our
# run, at learning rate 2 after 300 steps, the plain network's loss was lowest at ½, so that its steps went too far;
# with BN, with and without noise, it was lowest at 1, and at 4 still below 1, where the plain network's was at 7.
#
# ## What we did not show
#
# - Deep networks. Here three hidden layers; the 2018 study uses VGG networks and deep linear ones, where it finds *no*
#   decrease of the gradient change by BN at all. That it falls here at one rate says nothing about those.
# - That the landscape is the cause. Loss range and curvature are correlates too, just as drift is; and the weights
#   before a BN can be scaled without any effect, so lengths in parameter space do not mean the same in all three
#   networks.
# - Other noise. Ours is the same for all examples of a batch; whether more of it would hurt is not tested.
# - Other learning rates. Two rates gave two answers; a third may give another.
#
# ## Summary
#
# | claim, on this network | drift (2015) | gradient change (2018) |
# |---|---|---|
# | 1. BN makes the shift smaller | yes, at both rates | at rate 2 yes; at rate 0.1 it makes it larger |
# | 2. smaller shift, faster training | no: noise drifts most, and learns as fast | no: at 0.1 it is the other way round |
# | 3. BN works *because of* 1 | not supported | not supported |
#
# The paper's title names a mechanism. Batch normalization works here; its mechanism is not the one in the title, as far
# as these two measures can tell. The ledger's "reproduced" is about claim 1 alone, at one learning rate.
#
# **Confusions settled**: "BN reduces covariate shift" is three claims, not one; a name in a title is not evidence; and
# a mechanism is tested by an intervention, not by two curves that move together.
#
# Solutions: [solutions/10_shift.py](solutions/10_shift.py).
