# %% [markdown]
# # 00 Start: what will batch normalization buy me?
#
# Batch normalization is one more operation between the layers of a network. Its inventors promise faster training,
# larger learning rates, and less worry about how the network starts. Here you test that: the same deep network with
# it and without, from a poor start and from a good one. Before anything runs, you write down four predictions, which
# this lesson and later ones test.
#
# **Time**: about 45 minutes with the exercises; the cells run in about 100 s on two cores.
#
# **You need**: Python, arrays, the chain rule. You need to know nothing about neural networks: this lesson shows, the
# next ones explain. Terms are explained in the [glossary](README.md#glossary), symbols in the
# [notation](README.md#notation).

# %%
import math

import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, hint, pick, predict, recall
from minidl.lab.models import paper_mlp
from minidl.train import evaluate, predict_logits

# %% [markdown]
# ## The task
#
# Each example is a picture of a handwritten digit, 28 × 28 pixels, and its **label**, the digit that was meant; they
# come from the well-known collection MNIST. The **training set** is what a network learns from; the **test set** is
# never shown to it while it learns, so it tells how the network does on images that it has not seen. **Accuracy** is
# the share of digits it reads right: someone who guesses blindly among ten gets about 10 %. (Without a network
# connection minidl draws its own digits; everything here works with those, too.)

# %%
(train_images, train_labels), (test_images, test_labels) = found = digits()
print(f"{found.source}: {len(train_labels):,} training and {len(test_labels):,} test images, {train_images.shape[1:]}")
plot.images(train_images[:16], train_labels[:16], "Sixteen training images, and their labels", columns=8);

# %% [markdown]
# ## The network
#
# We make the pixels black or white: 784 numbers, each 0 or 1. A **layer** turns a row of numbers $u$ into another
# one: it takes weighted sums of them, $x = uW + b$, and bends each sum by the **sigmoid** $g(x) = 1 / (1 + e^{-x})$,
# which squeezes any number between 0 and 1. The numbers in $W$ are its **weights**, those in $b$ its **biases**. All
# of them are **parameters**: training changes them in small **steps**. The weights start at random. (A **seed**, a
# number, fixes all random draws, so that a run can be repeated.) Each step looks at a **batch** of 60 images, computes
# how wrong the network is on them (a number called the **loss**), and moves every parameter a little in the direction
# that makes the loss smaller. How far it moves is set by the **learning rate**. All this together is called **SGD**,
# stochastic gradient descent: the slope of the loss is its *gradient*, and the batches are drawn at random.
#
# Our network has eight such layers of 100 numbers each, its **hidden layers**. Then comes a last one with ten
# numbers, one for each digit: the largest is its answer. **Batch normalization** (BN) is one extra operation before
# each sigmoid. For each of the 100 sums it takes the mean $\mu_B$ and the variance $\sigma_B^2$ over the 60 images of
# the batch $B$, and shifts and scales the sum so that its mean is 0 and its variance 1. Two more parameters per sum,
# γ and β, let training choose another scale and another mean:
#
# $$\hat{x} = \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}}, \qquad y = \gamma\,\hat{x} + \beta$$
#
# ($\epsilon$ is a hundred-thousandth, and keeps us from dividing by 0. The layer no longer needs $b$: β does its
# work. When the network is tested, BN takes averages of mean and variance that it kept while training, so that an
# image's answer does not depend on its neighbours; [lesson 08](08_inference.ipynb) is about that.)
#
# This operation is what the course is about. It comes from Ioffe and Szegedy, *Batch Normalization: Accelerating Deep
# Network Training by Reducing Internal Covariate Shift* (2015), here "the paper". A **covariate shift** is a change
# in what arrives at the input; it is *internal* if it happens at a layer inside, because the layers before it learn.

# %%
DEPTH, BATCH = 8, 60
STEPS = pick(2000, 300)
binary = [(images.reshape(-1, 784) > 127).astype(np.float32) for images in (train_images, test_images)]


def network(norm, seed=0):
    """Eight hidden layers of 100 sigmoids; norm is "batch" or "none". The same seed draws the same first weights."""
    return paper_mlp(norm, init_std=0.1, sizes=(784, *[100] * DEPTH, 10), generator=np.random.default_rng(seed))


print(repr(network("batch")).splitlines()[0])
print("its first layer:", *list(network("batch"))[:3], sep="\n  ")
between = DEPTH * ["W u, BN,\nsigmoid"] + ["W u + b"]
plot.network((784, *[100] * DEPTH, 10), "Pixels on the left, ten answers on the right", between=between);

# %% [markdown]
# ## Your predictions, before anything runs
#
# Write four predictions into the cell below; change the dots, nothing else. Any guess will do: a prediction is worth
# something because a result can disagree with it. `predict` keeps them in the file `predictions.json` next to this
# notebook, and `recall` prints them beside the results. The first answer stays: a prediction changed after the result
# is no prediction. Later lessons come back to them.
#
# - `plain`: the test accuracy, in percent, of our eight layers **without** BN after 2,000 steps. (10 is guessing.)
# - `batch`: the same **with** BN.
# - `speedup`: in the paper's own, smaller experiment (three hidden layers), how many times fewer steps does the
#   network with BN need to reach 95 %? 1 means no difference. [Lesson 07](07_figure_1.ipynb) counts.
# - `shift`: the title says that BN works by *reducing internal covariate shift*: while the early layers learn, the
#   numbers that reach the later layers keep changing, and BN is said to keep them steadier. If one measures that,
#   does BN reduce it? `"yes"`, `"no"`, or `"depends"`. [Lesson 10](10_shift.ipynb) measures.

# %% tags=["exercise:predictions"]
# stuck? hint("predictions")
plain = ...  # percent
batch = ...  # percent
speedup = ...  # times fewer steps
shift = ...  # "yes", "no" or "depends"

# %%
if check("predictions", plain, batch, speedup, shift) == "pass":
    predict(plain=plain, batch=batch, speedup=speedup, shift=shift)

# %% [markdown]
# ## The experiment
#
# Both networks start from the same random weights, see the same images in the same order, and take steps with the
# same learning rate. The function below is the whole of training. [Lesson 02](02_layers.ipynb) explains the last four
# lines of its loop, and [01](01_autograd.ipynb) the one that looks like magic, `loss.backward()`. The other lines
# measure the accuracy (`evaluate`) and draw a batch. (`pick(2000, 300)`, above, is 2,000; quick tests of this notebook
# take the 300.)


# %%
def train_and_watch(model, record, lr, steps, seed=0, looks=20, show=None):
    """Train; put (steps, test accuracies) into the two lists of `record`, at the start and `looks` times on the way."""
    optimizer = optim.SGD(model.parameters(), lr)
    generator = np.random.default_rng([seed, 1])
    for step in range(steps + 1):
        if step % (steps // looks) == 0:
            record[0].append(step)
            record[1].append(evaluate(model, binary[1], test_labels).accuracy)
            if show:
                show()
        chosen = generator.integers(0, len(train_labels), BATCH)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(Tensor(binary[0][chosen])), train_labels[chosen])
        loss.backward()
        optimizer.step()
    return record


# %%
def draw(runs, target=None):
    """The curves of all runs that have begun; dots where they first reach the target."""
    runs = {name: run for name, run in runs.items() if run[0]}
    ax = plot.accuracy_curves(runs, target=target)
    best = max(runs, key=lambda name: runs[name][1][-1])
    return plot.label(ax, f"Ahead after {runs['plain'][0][-1]:,} steps: {best}", "training step", "test accuracy (%)")


runs, models = {"plain": ([], []), "BN": ([], [])}, {"plain": network("none"), "BN": network("batch")}
show = plot.live(lambda: draw(runs))
for name, model in models.items():
    train_and_watch(model, runs[name], lr=0.5, steps=STEPS, show=show)

# %%
for name, question in (("plain", "plain"), ("BN", "batch")):
    recall(question, f"{100 * runs[name][1][-1]:.1f} %, after {runs[name][0][-1]:,} steps")
print("of the test images, this many show a  0, 1, … 9:", np.bincount(test_labels, minlength=10))
for name, model in models.items():
    answers = predict_logits(model, binary[1]).argmax(-1)
    print(f"{name + ' answered this many times':37}0, 1, … 9:", np.bincount(answers, minlength=10))

# %% [markdown]
# In our run on MNIST the plain network ended at 11.3 % and had never been above 12 %. It is not a slow learner: after
# 2,000 steps it had not even begun. It gives the same answer to all images, sometimes one digit, sometimes another. At
# the end of its curve the answer was "1": 1,135 of the 10,000 test images are ones. Then the loop takes one more step,
# after which the answer, printed above, was "7". With BN the same network read most digits after the first hundred
# steps, and ended near 94 %.
#
# What keeps the plain network from starting is the subject of [lesson 03](03_signal.ipynb).

# %% [markdown]
# ## Was that fair?
#
# A sceptic objects: *you chose the start.* The initial weights were drawn around 0 with a **standard deviation** (how
# far numbers spread) of 0.1, and the biases $b$ were 0. The plain network may be no worse than BN, only badly
# started. So give it a start made for sigmoids: weights and biases chosen so that the differences between images
# survive to the last layer. (A recipe by Glorot and Bengio, 2010, with two corrections for sigmoids. The first layer
# gets both, too, although the mean of its inputs, the pixels, is not ½. [Lesson 03](03_signal.ipynb) derives the
# biases, and a scale near this one; here we only use them.)
#
# **Prediction**: the plain network with this careful start, and no BN, after 2,000 steps: (a) still guesses; (b)
# learns, but ends far below BN; (c) ends within two points of BN?

# %%
predict(plain_with_careful_start=...)  # "a", "b" or "c"


# %%
def careful(model):
    """Weights of the spread that suits sigmoids, four times Glorot's, and biases that suit inputs whose mean is ½."""
    for layer in model:
        if isinstance(layer, nn.Linear):
            fan_in, fan_out = layer.weight.shape
            layer.weight.data *= np.float32(4 * math.sqrt(2 / (fan_in + fan_out)) / 0.1)
            if layer.bias is not None:  # with BN there is none in the hidden layers
                layer.bias.data[:] = -layer.weight.data.sum(0) / 2
    return model


runs["careful start"] = train_and_watch(careful(network("none")), ([], []), lr=0.5, steps=STEPS)
draw(runs, target=0.9)
first = ", ".join(f"{100 * run[1][1]:.0f} % ({name})" for name, run in runs.items())
print(f"after {runs['BN'][0][1]} steps: {first}")
started, normed = (100 * runs[name][1][-1] for name in ("careful start", "BN"))
recall("plain_with_careful_start", f"{started:.1f} %, and {normed:.1f} % with BN")

# %% [markdown]
# (c): in our run it ended level with BN. So the network *could* learn all along; it only lacked a good start. BN got
# going from a poor one, and was ahead in the first hundred steps: look at the printed line. The dots mark where each
# curve first reaches 90 %.

# %% [markdown]
# What do the layers receive in these three networks? [The living figure](../docs/live/index.html) has recorded longer
# runs of them, with three seeds each, and you can move through every step. This is the last one. Each row is a
# layer, the first at the top, with a histogram of the sums that reach its sigmoids. (Here orange is without BN, blue
# with it, and green from the good start. In the grey zones a sigmoid is flat.)
#
# ![Histograms of what each of eight layers receives after 10,000 steps. Without BN they are narrow, and that of the
# last layer is a single spike where a sigmoid is flat. With BN, and from a good start without it, they are wide in all
# layers. Beside them the test accuracy over training: without BN it stays near 10 %, with BN it rises in the first
# steps, and from a good start some hundred steps later to the same height.](../docs/live/sigmoid.png)
#
# **Signal** is how much those sums differ from image to image; the figure gives it as a share of the first layer's.
# Without BN next to nothing of it reaches the last layer, which then can hardly tell one digit from another.

# %% [markdown]
# ## Exercise: when does a curve reach its target?
#
# "How many times faster" compares the steps at which two curves first reach the same accuracy: the dots. Write the
# function that finds them. `steps` and `accuracies` are arrays of equal length; the steps increase, the accuracies may
# go up and down. Return the first step at which the accuracy is **at least** `target`, and `None` if there is none.
# (Accuracies and target are fractions: 0.9 is 90 %. Two or three lines; `np.flatnonzero` or a loop. Mind curves that
# never get there, such as the plain network's.)
#
# A check follows each exercise. It prints *pass*, *fail* with what is likely behind it, or *not attempted*. If you
# are stuck, run `hint("reach")` in a new cell, and again for the next hint. After `from minidl.lab import course`,
# `course.progress()` shows how far you are. One solution is in [solutions/00_start.py](solutions/00_start.py).


# %% tags=["exercise:reach"]
def reach(steps, accuracies, target):
    raise NotImplementedError  # stuck? hint("reach")


# %%
check("reach", reach);

# %% [markdown]
# Then try it on our own curves, in a new cell: `reach(*np.array(runs["BN"]), 0.9)`. (The array makes the step a float.)
#
# ## Four starts, three learning rates
#
# We have made one run each, at one learning rate, and BN has not been given the careful start. The next cell fills
# the gaps: with BN and without, from both starts, with three learning rates and three seeds (which fix the initial
# weights and the batches), in 36 short runs.
#
# **Prediction**: at the learning rate 2.0, four times the one so far, which of the four still learn? And what does
# the careful start add to BN?

# %%
predict(still_learn_at_rate_2=...)  # a list of "plain", "BN", "careful start", "both"
predict(careful_start_adds_to_bn=...)  # points of test accuracy at rate 2.0
RATES, SEEDS, SHORT = (0.1, 0.5, 2.0), pick((0, 1, 2), (0,)), pick(1000, 100)
starts = {
    "plain": lambda seed: network("none", seed),
    "BN": lambda seed: network("batch", seed),
    "careful start": lambda seed: careful(network("none", seed)),
    "both": lambda seed: careful(network("batch", seed)),
}
ends = {
    name: 100 * np.array(
        [[train_and_watch(start(seed), ([], []), lr, SHORT, seed, looks=1)[1][-1] for lr in RATES] for seed in SEEDS]
    )
    for name, start in starts.items()
}  # fmt: skip

# %%
_, (ax,) = plot.panels(1, size=(7, 4.2))
for i, (name, seeds) in enumerate(ends.items()):
    places = np.array(RATES) * 1.04 ** (i - 1.5)  # side by side, so that no dot hides another
    ax.plot(places, seeds.T, ".", color=plot.INKS[i], markersize=7)
    ax.plot(places, seeds.mean(0), color=plot.INKS[i], linestyle=("-", "--", "-.", ":")[i], label=name)
    each = zip(RATES, seeds.T, strict=True)
    print(f"{name + ':':15}", "; ".join(f"{v.mean():.0f} % ({v.min():.0f} to {v.max():.0f}) at {lr}" for lr, v in each))
worst = [name for name, seeds in ends.items() if seeds.mean(0).min() < 50]
recall("still_learn_at_rate_2", ", ".join(name for name, seeds in ends.items() if seeds.mean(0)[-1] > 50))
added = (ends["both"] - ends["BN"]).mean(0)
gained = (f"{gain:+.1f} points at {lr}" for lr, gain in zip(RATES, added, strict=True))
print("the careful start adds to BN:", ", ".join(gained))
recall("careful_start_adds_to_bn", f"{added[-1]:.1f} points")
title = f"At some learning rate {' and '.join(worst)} did not learn"
plot.label(ax, title, "learning rate", f"test accuracy after {SHORT:,} steps (%)")
ax.set(xscale="log", ylim=(0, 101))
ax.set_xticks(RATES, RATES)
ax.minorticks_off()
ax.legend(title="mean of the seeds (dots)", frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(0, 0.35));

# %% [markdown]
# (Printed: the mean over the seeds, and from the lowest to the highest.) In our run the plain network never moved.
# The careful start reached 90 % at 0.1 and 92 % at 0.5, within two points of BN; at 2.0 all its seeds were
# guessing. With BN every mean was 90 % or more, from either start, over learning rates that are twenty times apart.
# So BN is not the only way to start such a network. It is the one that needs no thought, and the only one of ours that
# tolerated the large learning rate.
#
# And the careful start was not wasted on BN: it gained 2.9 points at 2.0 and 1.3 at 0.5, and lost 1.2 at 0.1. A likely
# reason: BN divides the spread of the sums out again, so both starts look the same to its sigmoids. But a step changes
# larger weights by a smaller share of their size, as if the learning rate were smaller. (Section 3.3 of the paper says
# so. The careful start also changes the last layer, which has no BN.)
#
# ## What we did not show
#
# - Why the plain network does not start ([03](03_signal.ipynb)), and why normalising helps it.
# - That BN is needed. Here, at suitable learning rates, a better start came as far. [07](07_figure_1.ipynb) compares
#   the two on the paper's smaller network, each of them well tuned.
# - Which wins when each is tuned: three learning rates, a fixed number of steps and three seeds say how much one has to
#   tune, not which is best.
# - That BN helps *because* it reduces internal covariate shift. Nothing here measures that; [10](10_shift.ipynb) does.
# - Anything but sigmoids, SGD, and digits.
#
# ## Summary
#
# - BN normalises each layer's sums over the batch, then lets training choose scale γ and mean β.
# - An eight-layer sigmoid network that did not train at all from our initial weights trained at once with it.
# - With weights and biases made for sigmoids it trained as well without BN, at learning rates that are not too large.
#   What BN bought here was a start that needed no thought, quick first steps, and a wider choice of learning rates.
#
# **Confusion settled**: "a deep sigmoid network cannot be trained without BN". It can, if one starts it well.
#
# Next: [01 How does `backward()` work?](01_autograd.ipynb)
