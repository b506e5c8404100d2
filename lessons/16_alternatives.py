# %% [markdown]
# # 16 Alternatives: what if not the batch?
#
# Batch normalization takes mean and variance over the examples of a batch. That is one choice of several. Here you write
# three norms as one function, find by experiment what each of them cannot see, and train with batches of 60, 8 and 2.
# Every norm has a place where it fails, and what it cannot see tells you where.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 4 minutes on two cores.
#
# **You need** [05](05_algorithm_1.ipynb) (BN's forward), [08](08_inference.ipynb) (statistics for evaluation) and
# [09](09_conv.ipynb) (axes of images). Words are in the [glossary](README.md#glossary).

# %%
import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import alternatives, check, digits, hint, ledger, pick, predict, recall
from minidl.lab.models import initialise, paper_mlp
from minidl.lab.study.statistics import paired, t_interval
from minidl.train import evaluate

(images, labels), (test_images, test_labels) = found = digits()
x, x_test = ((i.reshape(-1, 784) > 127).astype(np.float32) for i in (images, test_images))
HELD = len(x) // 12  # images to choose rates with; the others are for training
print(f"{found.source}: {len(x) - HELD:,} training images, {HELD:,} held out, {len(x_test):,} for the results")

# %% [markdown]
# ## 1. Who shares a mean?
#
# All norms of this lesson do the same to a set of numbers: subtract their mean, divide by the root of their variance plus
# ε. They differ in which numbers form a set. Take a table (N, C), a row for each example and a column for each feature:
#
# | norm | one set is | axes of the mean |
# |---|---|---|
# | **batch norm** (BN) | one feature, of all examples | 0 |
# | **layer norm** (LN) | one example, all features | 1 |
# | **group norm** (GN) | one example, a group of neighbouring features | 2 of (N, groups, C/groups) |
#
# For images (N, H, W, C), BN takes axes 0, 1 and 2, as in [09](09_conv.ipynb). LN takes all of an example here: axes 1,
# 2 and 3. GN takes an example's pixels and a group of neighbouring channels. (Afterwards come γ and β as always. We
# leave them out until section 4.)
#
# ### Exercise: three norms, one function
#
# `normalise` gets a `Tensor` x of any shape, and the axes (a tuple) that share a mean. `three_norms` gets images
# (N, H, W, C), and returns a tuple: BN, LN and GN of them, each in the shape of x. Use `Tensor` operations:
# `mean(axes, keepdims=True)`, `reshape(2, 3, …)`, `-`, `*`, `/`, `** 0.5`. Then you need no backward: autograd has it.
# The check tests the gradient, too.


# %% tags=["exercise:three_norms"]
def normalise(x, axes, eps):
    raise NotImplementedError  # stuck? hint("three_norms")


def three_norms(x, groups, eps):
    raise NotImplementedError


# %%
check("three_norms", normalise, three_norms);

# %% [markdown]
# **Whitening** is the fourth. BN gives each feature variance 1, but features may still vary together. After whitening no
# two do: it multiplies the centred table by the inverse root of the **covariance**, the table of how every two
# features vary together. The paper begins with it (§2) and turns away.
#
# All four are one function. Arrange the numbers as (sets, members, $k$): a member of a set (not of an ensemble, here) is
# a row of $k$ numbers. Then take from each set its mean, and multiply by the inverse root of its $k \times k$ covariance.
# With $k = 1$ that root is $1/\sqrt{\sigma^2 + \varepsilon}$, as in `normalise`.

# %%
WIDTH, GROUPS = 64, 8
sums = x[HELD : HELD + 500] @ np.random.default_rng(16).normal(0, 0.1, (784, WIDTH)).astype(np.float32)
arranged = {
    "BN": sums.T[:, :, None],  # a set is a feature, and its members are the examples
    "LN": sums[:, :, None],
    "GN": sums.reshape(-1, WIDTH // GROUPS)[:, :, None],
    "whitening": sums[None],  # one set; a member is an example with all its features
}


def inverse_root(sets, eps=1e-5):
    """Each set less its mean, times the inverse root of its covariance; (sets, members, k)."""
    centred = sets - sets.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(centred.swapaxes(1, 2) @ centred / sets.shape[1] + eps * np.eye(sets.shape[2]))
    return centred @ (vectors / np.sqrt(values)[:, None]) @ vectors.swapaxes(1, 2)


library = {
    "BN": F.batch_norm(Tensor(sums), None, None, training=True).data,
    "LN": nn.LayerNorm(WIDTH)(Tensor(sums)).data,
    "GN": F.group_norm(Tensor(sums), GROUPS).data,
    "whitening": F.zca_whiten(Tensor(sums)).data,
}
for name, sets in arranged.items():
    ours = inverse_root(sets)
    ours = ours[..., 0].T if name == "BN" else ours.reshape(sums.shape)
    far = np.abs(ours - library["BN"]).max()
    print(f"{name:9} {sets.shape!s:14} off the library's by {np.abs(ours - library[name]).max():.6f}, off BN by {far:.2f}")

# %% [markdown]
# So LN is BN of the turned (transposed) table, and BN is whitening of one feature at a time. The four differ only in how
# the numbers are arranged.
#
# ## 2. What a norm cannot see
#
# A hidden layer computes sums $Wu$ of its inputs $u$, without bias, and then a norm. We change weights or inputs, and
# check whether the outputs of the *first example* change. If they do not, the norm is **invariant** to the change:
# nothing behind it can tell the difference.
#
# **Prediction.** (1) The weights of one unit, one column of W, become three times as large. For which of BN, LN, GN and
# whitening does nothing change? (2) One example becomes three times as large: the same question.

# %%
predict(one_unit_times_three=...)  # a list of "BN", "LN", "GN", "whitening"
predict(one_example_times_three=...)  # the same

# %% [markdown]
# ### Exercise: the experiment
#
# `norm` is a function of arrays, (N, C) → (N, C). `change` takes (x, w) and returns a changed pair, as new arrays.
# Return True if norm(x @ w) of the first example, row 0, stays as it was, and False if not. Rounding and ε change the
# last digits, and outputs are about 1 in size: call it unchanged if nothing moves by more than 0.001.


# %% tags=["exercise:unchanged"]
def unchanged(norm, change, x, w):
    raise NotImplementedError  # stuck? hint("unchanged")


# %%
check("unchanged", unchanged);

# %%
norms = {
    "no norm": lambda s: s,
    "BN": lambda s: F.batch_norm(Tensor(s), None, None, training=True).data,
    "LN": lambda s: F.group_norm(Tensor(s), 1).data,  # one group of all features
    "GN": lambda s: F.group_norm(Tensor(s), GROUPS).data,
    "whitening": lambda s: F.zca_whiten(Tensor(s)).data,
}
generator = np.random.default_rng(16)
inputs, weights = generator.normal(1, 1, (400, 100)), generator.normal(0, 1, (100, WIDTH))
moved = {
    change: {norm: alternatives.changed_by(f, how, inputs, weights) for norm, f in norms.items()}
    for change, how in alternatives.CHANGES.items()
}
blind = {change: [norm for norm, size in row.items() if size < 1e-3] for change, row in moved.items()}
for change, names in blind.items():
    print(f"{change:46} leaves unchanged: {', '.join(names) or 'nothing'}")
recall("one_unit_times_three", ", ".join(blind["one unit's weights × 3"]))
recall("one_example_times_three", ", ".join(blind["one example × 3"]))

# %%
figure, (ax,) = plot.panels(1, size=(8.2, 4.2), note="400 random examples, 100 inputs, 64 units; GN in 8 groups")
rows = list(moved)[::-1]
sizes = np.array([list(moved[change].values()) for change in rows])
title = "BN misses what all examples share, LN and GN what all units share"
plot.cells(ax, sizes, rows, list(norms), title, "", "", limits=(0, 1), form="{:.2f}")
ax.set_xlabel("how far outputs move, relative to the largest (0.00: the norm cannot see the change)");

# %% [markdown]
# Each number is the largest change in the first example's outputs, divided by the largest output before the change. It
# can be above 1. Read it by columns. BN and whitening do not see what is the *same for all examples*: a vector added to
# every input. They do see other examples. LN and GN do not see what is the *same for all units*: a vector added to
# every unit's weights, and the size of one example. They do not see other examples at all. (Nor does “no norm”: there
# each row of the table is computed on its own.)
#
# Whitening has a surprise: one unit's weights × 3 is visible, if only by 0.02. Whitening makes the covariance 1, and
# there are many ways to do that, each a rotation of the others. Which one comes out depends on the scales. LN and GN see
# the larger unit because it changes the mean and variance of its whole set. So of these norms only BN has the scale
# invariance of [11](11_learning_rate.ipynb) for each unit. GN has it for each of its groups (the first 8 units are
# one), and LN only for the whole matrix.
#
# ### Where invariance ends: ε
#
# All this holds while the variance is much larger than ε. What if all weights become small?

# %%
for a in (1e-1, 1e-2, 1e-3, 1e-4):

    def shrink(x, w, a=a):
        return x, a * w

    layer, batch = (alternatives.changed_by(norms[norm], shrink, inputs, weights) for norm in ("LN", "BN"))
    print(f"all weights × {a:g}: outputs move by {layer:.4f} (LN), {batch:.4f} (BN)")

# %% [markdown]
# With weights a ten-thousandth as large, the outputs lose more than half of their size: under the root, ε is now larger
# than the variance.
#
# ## 3. Whitening a small batch
#
# BN needs at least two examples. Whitening needs more examples than features. What does it do with fewer? A hint: between
# $m$ examples there are only $m - 1$ directions, and in each of them it makes the variance 1.
#
# **Prediction.** A batch of 8 digits, 64 sums each, is whitened. Two of them are 1s that look alike. After
# whitening, are they (a) closer together than others; (b) as far apart as any two; (c) farther apart?

# %%
predict(two_ones_after_whitening=...)  # "a", "b" or "c"

# %% [markdown]
# ### Exercise: how far apart?
#
# A batch of $m$ examples is whitened, and $m$ is smaller than the number of features. Return the distance between two of
# them: it depends on $m$ alone (ε = 0, the covariance divides by $m$).


# %% tags=["exercise:whitened_distance"]
def whitened_distance(m):
    raise NotImplementedError  # stuck? hint("whitened_distance")


# %%
check("whitened_distance", whitened_distance);

# %%
def distances(rows):
    return np.sqrt(np.square(rows[:, None] - rows[None]).sum(-1))


candidates = np.flatnonzero(labels == 1)[:200]
ones = candidates[np.argsort(distances(x[candidates])[0])[:2]]  # the first one, and the one most like it
others = [np.flatnonzero(labels == digit)[0] for digit in (0, 2, 3, 4, 5, 7)]
eight = x[[*ones, *others]] @ np.random.default_rng(16).normal(0, 0.1, (784, WIDTH)).astype(np.float32)
apart = {"sums": distances(eight), "whitened": distances(norms["whitening"](eight))}
off = ~np.eye(8, dtype=bool)
for name, matrix in apart.items():
    print(f"{name:9} the two 1s: {matrix[0, 1]:.2f}, all pairs: {matrix[off].min():.2f} to {matrix[off].max():.2f}")
recall("two_ones_after_whitening", f"b: {apart['whitened'][0, 1]:.2f}, as all others")

# %%
rank = "the" if apart["sums"][0, 1] == apart["sums"][off].min() else "not the"
note = f"the digits 1, 1, 0, 2, 3, 4, 5, 7; 64 sums each, {found.source}"
figure, (left, right) = plot.panels(2, size=(4.8, 4.2), note=note)
title = f"Before: the 1s, images 1 and 2, are {rank} nearest pair"
plot.heat_map(left, apart["sums"], title, "image", "image", bar=False)
plot.heat_map(right, apart["whitened"], "Whitened: any two are equally far apart", "image", "image", bar=False);

# %% [markdown]
# (b): all are √(2m) apart, whatever they were. The variance is 1 in every direction between the examples, so no pair is
# special. Whitening of a small batch forgets who resembles whom. BN with $m = 2$ is the same in miniature: each feature
# becomes 1 for one example and −1 for the other, and only the sign is left.
#
# ## 4. Batches of 60, of 8, of 2
#
# Now we train: two hidden layers of 64 units with ReLU, He's weights, and a norm with γ and β before each ReLU. GN has
# 8 groups. For evaluation BN and whitening get the statistics of 2,000 training images; LN and GN need none.
#
# Each arm (each setting that we compare) gets the best of seven learning rates at each $m$, by its accuracy on the
# held-out images, over two seeds of its own. The results are from the test set and other seeds. The numbers of steps
# differ between the batch sizes, so compare within one size.
#
# **Prediction.** Which of the five has the best accuracy at $m = 2$, and which the worst: no norm, BN, LN, GN, whitening?

# %%
predict(best_at_two=..., worst_at_two=...)  # "no norm", "BN", "LN", "GN" or "whitening"
STEPS = {2: pick(600, 20), 8: pick(400, 20), 60: pick(300, 20)}
SEEDS, CHOOSERS, RATES = range(pick(4, 2)), (1000, 1001), pick((0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0), (0.1,))
LAYERS = {
    "no norm": "none",
    "BN": nn.BatchNorm,
    "LN": nn.LayerNorm,
    "GN": lambda features: nn.GroupNorm(GROUPS, features),
    "whitening": alternatives.Whitening,
}


def network(norm, seed, outputs=10):
    """Two hidden layers of 64 units; equal seeds have equal weights."""
    generator = np.random.default_rng(seed)
    model = paper_mlp(LAYERS[norm], sizes=(784, WIDTH, WIDTH, outputs), generator=generator, activation=nn.ReLU)
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


# %%
def train(model, m, lr, steps, seed, rows=x, answers=labels):
    """Plain SGD on batches of m images, without those held out."""
    generator, optimizer = np.random.default_rng([seed, 1]), optim.SGD(model.parameters(), lr)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            chosen = generator.integers(HELD, len(rows), m)
            optimizer.zero_grad()
            F.cross_entropy(model(Tensor(rows[chosen])), answers[chosen]).backward()
            optimizer.step()
        return settle(model, rows)


def settle(model, rows):
    """Give BN and whitening the statistics of 2,000 training images, for evaluation."""
    for layer in model.modules():
        if hasattr(layer, "momentum"):
            layer.momentum = 1.0
    model(Tensor(rows[HELD : HELD + 2000]))
    return model


# %%
def accuracy(model, rows, answers):
    with np.errstate(all="ignore"):
        return 100 * evaluate(model, rows, answers).accuracy


def tuned(run, held, test):
    """The best rate by accuracy on the images `held` (two seeds); a network for each seed; their accuracies on `test`."""
    rates = {lr: sum(accuracy(run(lr, seed), *held) for seed in CHOOSERS) for lr in RATES}
    best = max(rates, key=rates.get)
    models = [run(best, seed) for seed in SEEDS]
    return best, models, np.array([accuracy(model, *test) for model in models])


# %%
held, test = (x[:HELD], labels[:HELD]), (x_test, test_labels)
results, models = {}, {}
for m, steps in STEPS.items():
    for norm in LAYERS:

        def run(lr, seed, norm=norm, m=m, steps=steps):
            return train(network(norm, seed), m, lr, steps, seed)

        best, models[norm, m], results[norm, m] = tuned(run, held, test)
        more = "" if norm == "no norm" else paired(results[norm, m], results["no norm", m]).text(1, sign=True)
        print(f"m = {m:2}, {norm:10} rate {best:<5g} test {t_interval(results[norm, m]).text(1):>12} %  {more:>14}")
print("last column: test accuracy less that of “no norm”; ± is the half-width of the 95 % interval over seeds")

# %%
means = {m: {norm: results[norm, m].mean() for norm in LAYERS} for m in STEPS}
last = {m: min(row, key=row.get) for m, row in means.items()}
figure, (ax,) = plot.panels(1, size=(7.4, 4.2), note=f"{len(SEEDS)} seeds, a rate for each arm and m, {found.source}")
curves = {norm: (list(STEPS), np.transpose([results[norm, m] for m in STEPS])) for norm in LAYERS}
title = f"At batches of 2, {last[2]} comes last"
plot.lines(ax, curves, title, "m, images in a batch", "test accuracy (%)", log="x")
recall("best_at_two", max(means[2], key=means[2].get))
recall("worst_at_two", last[2])

# %% [markdown]
# In our run BN was last at $m = 2$: it read 39.4 %, which is 38.6 ± 12.2 points less than the network without a norm.
# Whitening lost 21.8 ± 8.0 points there. LN and GN made no clear difference, at 2 as at 8. At 60 BN was ahead of no
# norm, by 1.6 ± 1.1 points; GN was behind it, by 1.2 ± 1.1, and LN made no clear difference. Whitening was behind at
# every size. Note that 60 is still less than the 64 features: in training, all its examples were equally far apart, as
# in section 3. More examples than features were not tried.
#
# A sceptic adds: with so few steps the intervals at 2 and 8 are wide, and LN and GN are compared with *no norm* and not
# with each other. What is clear: at 2 BN is far behind networks that saw the same images.
#
# ### Is it the training, or the evaluation?
#
# In training with $m = 2$ BN saw signs only, and in evaluation it sees numbers. So let the same networks read test
# images in training mode: in batches of $m$, each with its own statistics.

# %%
SOME = 960  # test images, which 2, 8 and 60 divide


def in_batches(model, m):
    """Percent right on test images in batches of m, by the statistics of each batch."""
    model.train()
    with np.errstate(all="ignore"):
        logits = [model(Tensor(x_test[i : i + m])).data for i in range(0, SOME, m)]
    return 100 * (np.concatenate(logits).argmax(1) == test_labels[:SOME]).mean()


for norm in ("BN", "whitening"):
    for m in STEPS:
        whole = np.array([accuracy(model, x_test[:SOME], test_labels[:SOME]) for model in models[norm, m]])
        own = np.array([in_batches(model, m) for model in models[norm, m]])
        told = [t_interval(whole).text(1), t_interval(own).text(1), paired(whole, own).text(1, sign=True)]
        print("m = {:2}, {:10} population {:>12} %   own batch {:>12} %   difference {:>13}".format(m, norm, *told))

# %% [markdown]
# In our run the statistics of the population did not spoil BN at $m = 2$: with those of its own pairs it read 25.7 %,
# and with those of the population 36.9 % (of these 960 images). So it is not the evaluation that fails. Training fails,
# or a pair of images tells too little; this does not tell the two apart. (For whitening at 8 it was the other way
# round: its own batches were better by 5.0 ± 3.0 points.)
#
# ## 5. Where layer norm fails
#
# LN and GN do not depend on the batch, so why not always use them? Section 2 says where to look: they cannot see how
# large an example is. So we ask just that. Each image is shown bold (ink is 1) or faint (ink is ½), at random, and the
# network says which. The networks are the same, but have two outputs; batches are of 60, and each arm has its own rate.
# The test has each image twice, once bold and once faint, so guessing gives 50 %.
#
# One arm has a bias *before* LN, in the sums ([`Shift`](../minidl/lab/after/_deep_sigmoids.py)).
#
# **Prediction.** Which networks will guess?

# %%
predict(cannot_tell_faint_from_bold=...)  # a list of "no norm", "BN", "LN", "GN", "whitening", "LN with bias"
LAYERS["LN with bias"] = lambda features: nn.Sequential(alternatives.Shift(features), nn.LayerNorm(features))
contrast = np.random.default_rng(16).choice(np.array([0.5, 1.0], np.float32), len(x))
shown, bold = x * contrast[:, None], (contrast == 1).astype(np.int64)
both = np.concatenate([x_test, x_test / 2]), np.repeat([1, 0], len(x_test))

# %%
seen = {}
for norm in LAYERS:

    def run(lr, seed, norm=norm):
        return train(network(norm, seed, 2), 60, lr, pick(200, 20), seed, shown, bold)

    best, _, seen[norm] = tuned(run, (shown[:HELD], bold[:HELD]), both)
    print(f"{norm:13} rate {best:<5g} test {t_interval(seen[norm]).text(2):>13} %")
guess = [norm for norm, values in seen.items() if values.max() < 51]
recall("cannot_tell_faint_from_bold", ", ".join(guess) or "none of them")
figure, (ax,) = plot.panels(1, size=(7.4, 3.2), note=f"m = 60, {len(SEEDS)} seeds, {found.source}")
title = f"Faint or bold? {' and '.join(guess) or 'No network'} can only guess"
plot.intervals(ax, seen, title, "test accuracy (%); guessing gives 50");

# %% [markdown]
# In our run LN and GN guessed: each had 50.00 % on average. This is no failure of training. Bold and faint have the same
# outputs, but for ε, so no weights behind the norm could tell them apart. BN read 99.04 %.
#
# With a bias before LN the sums are $Wu + b$, and a faint image has a smaller share of $Wu$ in them. Then LN can see
# it: 79.28 %, though the seeds differ a lot (± 17.17 points). Before BN a bias is redundant, before LN it is not.
# Whitening had 81.41 %.
#
# ## 6. What whitening costs
#
# The ledger's claim `whitening` measures what the paper says against it: its time, and what happens when the batch is no
# larger than the number of features.

# %%
claim, facts, result = ledger("whitening")
print(f"{claim.verdict(result).word}: {claim.verdict(result).number}\n({facts['seeds']} seeds)")

# %% [markdown]
# ## How to choose
#
# | you have | then |
# |---|---|
# | batches of some dozens, and evaluation data like the training data | BN |
# | batches of a few, or examples that must not influence each other | LN or GN |
# | a label that depends on the size of an example | not LN or GN alone: give them a bias before, or the size as an input |
# | more examples than features, and time | whitening is possible |
#
# ## What we did not show
#
# - Convolutions. There one example has many pixels, so BN's sets are larger at $m = 2$, and GN has sets that make sense.
# - Equal numbers of images: at $m = 2$ the networks have seen fewer than at 60. Compare within one $m$.
# - That each rate is the best one: seven rates, tried with two seeds. In section 5 whitening chose the largest.
# - Whitening at its best. In groups of features, or with a larger ε, it asks for fewer examples.
# - Long sequences of words, where LN is the standard, and changes of the data between training and evaluation.
#
# ## In short
#
# - A norm is defined by which numbers share a mean and a variance. One function of the axes makes BN, LN and GN.
# - BN cannot see what all examples have in common, LN and GN cannot see what all units of an example have in common.
#   What a norm cannot see, the network behind it cannot use.
# - BN needs examples, and whitening needs more of them than features. With fewer, all examples end equally far apart.
#
# **Confusions settled.** "LN is BN, only safer": it is blind to other things. "A bias before a norm is redundant": before
# BN, not before LN. "Whitening is a better BN": not for small batches, and it is not invariant to one unit's scale.
#
# Solutions: [solutions/16_alternatives.py](solutions/16_alternatives.py). Next: [17, fast kernels](17_kernels.ipynb).
