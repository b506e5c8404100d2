# %% [markdown]
# # 00 Start: what will batch normalization buy me?
#
# A network with eight hidden layers refuses to learn anything at all. One more operation between its layers, and it
# reads nine digits out of ten within seconds. You watch that happen here, and then you see what the same network does
# when it gets no such operation but a better start. Afterwards you can run everything in this course, and you have
# written down four predictions that its lessons will put to the test.
#
# **Time**: about 90 s on two cores (the first run compiles kernels, which takes some seconds more).
#
# **You need**: Python, arrays, the chain rule. Nothing about neural networks: this lesson shows, the next ones
# explain. Words are in the [glossary](README.md#glossary), symbols in the [notation](README.md#notation).

# %%
import math

import numpy as np

from minidl import Tensor, nn, optim, plot
from minidl import functional as F
from minidl.course import check, digits, pick, predict, recall
from minidl.models import paper_mlp
from minidl.train import evaluate

# %% [markdown]
# ## The task
#
# Each example is a picture of a handwritten digit, 28 × 28 pixels, and its **label**, the digit that was meant. The
# **training set** is what a network learns from; the **test set** is never shown to it while it learns, and tells how
# it does on what it has not seen. **Accuracy** is the share of digits it reads right: someone who guesses blindly
# among ten gets about 10 %. (Without a network connection minidl draws digits of its own; everything here works with
# those, too.)

# %%
(train_images, train_labels), (test_images, test_labels) = found = digits()
print(f"{found.source}: {len(train_labels):,} training and {len(test_labels):,} test images, {train_images.shape[1:]}")
plot.images(train_images[:16], train_labels[:16], "Sixteen training images, and their labels", columns=8);

# %% [markdown]
# ## The network
#
# As the paper does, we make the pixels black or white: 784 numbers, each 0 or 1. A **layer** turns a row of numbers
# $u$ into another one: it takes weighted sums of them, $x = Wu + b$, and bends each sum by the **sigmoid**
# $g(x) = 1 / (1 + e^{-x})$, which squeezes any number between 0 and 1. The numbers in $W$ and $b$ are the
# **parameters**: they start at random, and training changes them in small **steps**. Each step looks at a **batch**
# of 60 images, computes how wrong the network is on them (a number called the **loss**), and moves every parameter a
# little in the direction that makes the loss smaller. How far it moves is the **learning rate**.
#
# Our network has eight such layers of 100 numbers each, then a last one with ten numbers, one for each digit: the
# largest is its answer. **Batch normalization** (BN) is one extra operation before each sigmoid. For each of the 100
# sums it takes the mean and the variance over the 60 images of the batch, and shifts and scales the sum so that its
# mean is 0 and its variance 1; two more parameters per sum, γ and β, let training choose another scale and another
# mean:
#
# $$\hat{x} = \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \epsilon}}, \qquad y = \gamma\,\hat{x} + \beta$$
#
# That is the whole idea of the paper that this course is about: Ioffe and Szegedy, *Batch Normalization: Accelerating
# Deep Network Training by Reducing Internal Covariate Shift* (2015).

# %%
DEPTH, BATCH = 8, 60
STEPS = pick(2000, 300)
binary = [(images.reshape(-1, 784) > 127).astype(np.float32) for images in (train_images, test_images)]


def network(norm, seed=0):
    """Eight hidden layers of 100 sigmoids; norm is "batch" or "none". The same seed gives the same first weights."""
    return paper_mlp(norm, init_std=0.1, sizes=(784, *[100] * DEPTH, 10), generator=np.random.default_rng(seed))


print(repr(network("batch")).splitlines()[0])
print("its first layer:", *list(network("batch"))[:3], sep="\n  ")

# %% [markdown]
# ## Your predictions, before anything runs
#
# Write four predictions into the cell below; change the dots, nothing else. There are no wrong ones: a prediction is
# worth something because a result can disagree with it. They are kept in the file `predictions.json` beside this
# notebook, and the first answer stays: what is changed after the result is no prediction. Later lessons come back to
# them.
#
# - `plain`: the test accuracy, in percent, of our eight layers **without** BN after 2,000 steps. (10 is guessing.)
# - `batch`: the same **with** BN.
# - `speedup`: in the paper's own, smaller experiment (three hidden layers), how many times fewer steps does the
#   network with BN need to reach 95 %? 1 means no difference. [Lesson 07](07_figure_1.ipynb) counts.
# - `shift`: the title says that BN works by *reducing internal covariate shift*: while the early layers learn, the
#   numbers that reach the later layers keep changing, and BN is said to keep them steadier. If one measures that,
#   does BN reduce it? `"yes"`, `"no"`, or `"depends"` (on how it is measured). [Lesson 10](10_shift.ipynb) measures.

# %% tags=["exercise:predictions"]
plain = ...  # percent
batch = ...  # percent
speedup = ...  # times fewer steps
shift = ...  # "yes", "no" or "depends"

# %%
check("predictions", plain, batch, speedup, shift)
predict(plain=plain, batch=batch, speedup=speedup, shift=shift);

# %% [markdown]
# ## The experiment
#
# Both networks start from the same random weights, see the same images in the same order, and take steps with the
# same learning rate. The function below is the whole of training; [lesson 02](02_layers.ipynb) explains each of its
# lines, and [01](01_autograd.ipynb) the one that looks like magic, `loss.backward()`.


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
runs = {"without BN": ([], []), "with BN": ([], [])}
show = plot.live(lambda: plot.accuracy_curves({name: run for name, run in runs.items() if run[0]}))
train_and_watch(network("none"), runs["without BN"], lr=0.5, steps=STEPS, show=show)
train_and_watch(network("batch"), runs["with BN"], lr=0.5, steps=STEPS, show=show);

# %%
for name, question in (("without BN", "plain"), ("with BN", "batch")):
    recall(question, f"{100 * runs[name][1][-1]:.1f} % {name}, after {runs[name][0][-1]:,} steps")

# %% [markdown]
# In our run on MNIST the network without BN ended at 11.35 % and had never been above 12 %. It has not learned
# slowly: it has not begun. 1,135 of the 10,000 test images are ones, so 11.35 % is what a network gets that answers
# "1" to everything. With BN it was past 80 % after the first hundred steps and ended near 94 %.
#
# What keeps the plain network from starting is the subject of [lesson 03](03_saturation.ipynb).

# %% [markdown]
# ## Exercise: when does a curve reach its target?
#
# "How many times faster" compares the steps at which two curves first reach the same accuracy. Write the function
# that finds this step. `steps` and `accuracies` are arrays of equal length, the steps increase, the accuracies may go
# up and down. Return the first step at which the accuracy is **at least** `target`, and `None` if there is none. (Two
# or three lines; `np.flatnonzero` or a loop. Mind the curve that never gets there: the plain network has one.)
#
# A check follows each exercise. It prints *pass*, *fail* with what is likely behind it, or *not attempted*. One
# solution is in [solutions/00_start.py](solutions/00_start.py).


# %% tags=["exercise:reach"]
def reach(steps, accuracies, target):
    raise NotImplementedError


# %%
check("reach", reach);

# %% [markdown]
# ## Was that fair?
#
# A sceptic objects: *you chose the start.* The first weights were drawn with standard deviation 0.1, and the plain
# network may simply have been unlucky to get such small ones. So give it a start made for sigmoids. A known recipe
# (Glorot and Bengio, 2010) chooses the spread of the weights so that signals keep their size from layer to layer; the
# slope of a sigmoid is at most 1/4, so we take four times that.
#
# **Prediction**: the plain network with this careful start, and no BN, after 2,000 steps: (a) still guesses; (b)
# learns, but ends far below BN; (c) ends within two points of BN. Write down which, and why.


# %%
def careful(model):
    """Give each layer weights of the spread that suits sigmoids: four times Glorot's."""
    for layer in model:
        if isinstance(layer, nn.Linear):
            fan_in, fan_out = layer.weight.shape
            layer.weight.data *= np.float32(4 * math.sqrt(2 / (fan_in + fan_out)) / 0.1)
    return model


runs["without BN, careful start"] = train_and_watch(careful(network("none")), ([], []), lr=0.5, steps=STEPS)
plot.accuracy_curves(runs);

# %% [markdown]
# In our run the careful start brought the plain network to within a point of BN: 93.2 % against 93.8 %. So the
# network *could* learn all along; it stood still for lack of a start. BN got going from a start that was no good, and
# sooner.
#
# One run is one run, and 0.5 is one learning rate. The next cell trains each of the three with three learning rates
# and three seeds (a **seed** fixes all random draws: the first weights and the order of the images), 27 short runs.
#
# **Prediction**: which of the three will mind the learning rate least?

# %%
RATES, SEEDS, SHORT = (0.1, 0.5, 2.0), pick((0, 1, 2), (0,)), pick(1000, 100)
starts = {
    "with BN": lambda seed: network("batch", seed),
    "without BN, careful start": lambda seed: careful(network("none", seed)),
    "without BN": lambda seed: network("none", seed),
}
ends = {
    name: [[train_and_watch(start(seed), ([], []), lr, SHORT, seed, looks=1)[1][-1] for lr in RATES] for seed in SEEDS]
    for name, start in starts.items()
}

# %%
worst = {name: 100 * np.mean(rows, axis=0).min() for name, rows in ends.items()}
for name, rows in ends.items():
    cells = ", ".join(
        f"{100 * mean:.1f} ± {100 * spread:.1f} % at {lr}"
        for lr, mean, spread in zip(RATES, np.mean(rows, 0), np.std(rows, 0), strict=True)
    )
    print(f"{name + ':':27}{cells}")
_, (ax,) = plot.panels(1, size=(7, 4.2))
percent = {name: (RATES, 100 * np.array(rows)) for name, rows in ends.items()}
title = "At its worst learning rate: " + ", ".join(f"{worst[name]:.0f} % {name}" for name in ends)
plot.lines(
    ax, percent, title, "learning rate", f"test accuracy after {SHORT:,} steps (%)", log="x", inks=(1, 2, 0)
).set_ylim(0, 101);

# %% [markdown]
# (After ±: the standard deviation over the seeds; the bands in the figure are 95 % intervals of the mean.)
#
# In our run BN ended between 90.5 and 91.6 % at all three learning rates, which are twenty times apart. The careful
# start came within three points of it at 0.5, was eight points behind at 0.1 (it starts later, and 1,000 steps are
# not many), and at 2.0 the seeds did not agree with each other: 24.2 ± 20.5 %. Without either, nothing moved at any
# learning rate.
#
# ## What we did not show
#
# - Why the plain network does not start ([03](03_saturation.ipynb)), and why normalising helps it.
# - What BN does from other starts: here it had only one.
# - That BN is needed. Here a better start did most of its work. On the paper's smaller network a well-tuned plain
#   network nearly catches up, too, as [07](07_figure_1.ipynb) shows.
# - That BN helps *because* it reduces internal covariate shift. Nothing here measures that; [10](10_shift.ipynb)
#   does.
# - Anything but sigmoids, SGD, and digits.
#
# ## Summary
#
# - BN normalises each layer's sums over the batch, then lets training choose scale γ and mean β.
# - An eight-layer sigmoid network that did not train at all from our first weights trained at once with it.
# - With weights made for sigmoids it trained without BN, too, at a fitting learning rate. What BN bought here was a
#   start that needed no care, a faster one, and indifference to the learning rate.
#
# **Confusion settled**: "a deep sigmoid network cannot be trained without BN". It can, if one starts it well.
#
# Next: [01 How does `backward()` work?](01_autograd.ipynb)
