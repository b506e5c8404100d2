# %% [markdown]
# # 05 Algorithm 1: what does batch normalization compute?
#
# Four lines of arithmetic, so short that you think you understand them after one reading. They hide three surprises.
# No number can stand out from its batch by more than a fixed amount. The same picture gets a different answer in a
# different batch. And a textbook formula for the variance can turn features into `nan`. After this lesson you can
# write the transform, do it without losing digits, and say what each of its parameters is for.
#
# **Time**: about 60 minutes with the exercises; the cells run in about 10 s on two cores.
#
# **You need** lessons [00](00_start.ipynb) to [02](02_layers.ipynb) (a batch, a layer, a training step). Why all this
# happens inside the network, and in every step, is the subject of [04](04_wrong_ways.ipynb).

# %%
import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, explore, hint, pick, predict, recall, show

(images, labels), _ = found = digits()
images = images.reshape(-1, 784).astype(np.float32) / 255
print(f"{len(images):,} digits ({found.source})")

# %% [markdown]
# ## Four lines
#
# A network is trained on a few examples at a time, its **batch** $B$; $m$ is how many. A layer computes several
# numbers from each example, its **features**. So a batch is a table with a row for each example and a column for each
# feature. Batch normalization (BN) comes between a layer's sums and its activation. It treats each column on its own,
# so we need to look at only one: $m$ numbers $x_1, …, x_m$.
#
# Algorithm 1 of the paper:
#
# $$\mu_B = \frac1m \sum_i x_i \qquad \sigma_B^2 = \frac1m \sum_i (x_i - \mu_B)^2 \qquad
# \hat x_i = \frac{x_i - \mu_B}{\sqrt{\sigma_B^2 + \varepsilon}} \qquad y_i = \gamma\,\hat x_i + \beta$$
#
# In words: the batch's mean; its **variance** (the mean square of the distances from the mean); each number's
# distance from the mean, in units of the typical distance; and a new scale γ and a new position β, which are learned
# like weights, one pair for each feature. ε is a small constant (here $10^{-5}$) that keeps us from dividing by 0
# when all $x_i$ are equal.
#
# By hand, for $m = 5$, with γ = 3 and β = 1:
#
# | | $x_1$ | $x_2$ | $x_3$ | $x_4$ | $x_5$ | |
# |---|---|---|---|---|---|---|
# | $x$ | 4 | 6 | 7 | 8 | 10 | $\mu_B = 35/5 = 7$ |
# | $x - \mu_B$ | −3 | −1 | 0 | 1 | 3 | $\sigma_B^2 = (9+1+0+1+9)/5 = 4$ |
# | $\hat x$ | −1.5 | −0.5 | 0 | 0.5 | 1.5 | each divided by $\sqrt 4 = 2$ |
# | $y$ | −3.5 | −0.5 | 1 | 2.5 | 5.5 | times 3, plus 1 |
#
# In the picture of a whole batch, on the left, a column is framed: those numbers share a mean and a variance. (On the
# right, for comparison, **layer normalization**, which lesson 16 is about: it frames a row, one example by itself.)

# %%
batch = np.column_stack([[4, 6, 7, 8, 10], [1, 0, 2, 5, 2], [-3, 4, 0, -1, 5]])
figure, (left, right) = plot.panels(2, size=(3.6, 3.2))
plot.batch_table(left, batch, "Batch norm: one feature, all examples", column=0)
plot.batch_table(right, batch, "Layer norm: one example, all features", row=1);

# %% [markdown]
# The library's [`batch_norm`](../minidl/ops/norm.py) takes the table (here with one column) and, in this order, a mean
# and a variance kept from training (here there are none: `None` twice), γ and β.

# %%
x = np.array([4.0, 6.0, 7.0, 8.0, 10.0])[:, None]  # 5 examples, 1 feature
gamma, beta = Tensor(np.array([3.0])), Tensor(np.array([1.0]))
print(F.batch_norm(Tensor(x), None, None, gamma, beta, training=True, eps=0).data.ravel())

# %% [markdown]
# ## Move one example, and watch its batch-mates
#
# Now $x_5$ moves, and the four others stay: 4, 6, 7, 8.
#
# **Prediction.** (1) $x_5$ goes from 10 to a million. Then $\hat x_5$ becomes about (a) a million; (b) half a
# million; (c) 100; (d) 2. (2) Meanwhile $\hat x_1, …, \hat x_4$, whose $x$ did not change, (a) stay; (b) all move
# down by the same amount; (c) move together until they are equal. Put your letters into the next cell.

# %%
predict(x_hat_of_an_example_moved_to_a_million=...)  # "a", "b", "c" or "d"
predict(x_hat_of_the_mates_of_a_million=...)  # "a", "b" or "c"

# %%
def x_hat(table):
    """Lines 1 to 3 of Algorithm 1, for each column."""
    return F.batch_norm(Tensor(table), None, None, training=True).data


places = np.linspace(-25, 39, 641)
table = np.vstack([np.full((4, 641), [[4.0], [6], [7], [8]]), places])  # a column is a batch: x5 at one of the places
training = x_hat(table)
for far in (10.0, 100.0, 10_000.0, 1_000_000.0):
    hats = np.round(x_hat(np.array([[4, 6, 7, 8, far]]).T).ravel(), 4)
    print(f"x5 = {far:>11,.0f}:  x̂ =", hats)
recall("x_hat_of_an_example_moved_to_a_million", f"{hats[4]:.2f}")
recall("x_hat_of_the_mates_of_a_million", f"from {hats[:4].min():.2f} to {hats[:4].max():.2f}")

# %% [markdown]
# It is (d) for $\hat x_5$, and (c) for the others. The moved example drags the mean along with it, and the variance
# too: it stretches the very ruler that measures it. For comparison, **evaluation**: when a trained network is used,
# mean and variance are constants (lesson 08 asks which), here those of the original batch, 7 and 4.

# %%
constants = np.full(places.size, 7.0), np.full(places.size, 4.0)  # mean, variance
evaluation = F.batch_norm(Tensor(table), *constants, training=False).data


def coupling(ax, hats, what):
    """x̂ of all examples against the place of the last one."""
    for i, row in enumerate(hats[:-1]):
        dashes = ("-", "--", "-.", ":")[i]
        ax.plot(places, row, dashes, color=plot.INKS[0], linewidth=1.6, label=f"x = {table[i, 0]:.0f}")
    ax.plot(places, hats[-1], color=plot.INKS[1], linewidth=3, label="the one that moves")
    ax.set_ylim(-2.6, 2.6)
    moved = np.ptp(hats[:-1], axis=1).max()
    mates = f"its mates move by up to {moved:.1f}" if moved else "its mates stay"
    plot.label(ax, f"{what}: {mates}", "x of the example that moves", "x̂")


figure, (left, right) = plot.panels(2, size=(4.6, 3.6))
coupling(left, training, "Training")
coupling(right, evaluation, "Evaluation")
right.legend(fontsize=8, frameon=False, loc="upper left");

# %% [markdown]
# Left: in a batch every $\hat x_i$ depends on every $x_j$. Right (the orange line leaves the picture): with
# constants, each example is on its own.
#
# Move one yourself: [drag one example of a batch of eight](../docs/live/drag.html). Pull the orange dot to the right
# edge. Its $\hat x$ never passes 2.65, and the seven others crowd together. Then choose *constants*, and pull again: only
# this one moves, as far as you like. (The bars beside it are gradients, which do not stay with one example either; they
# are the subject of lesson 06.)

# %%
show("drag")

# %% [markdown]
# In a running notebook the next cell has sliders for the size of the batch, the place of the example, γ and β.

# %% tags=["widget"]
def draw(others=4, place=10.0, gamma=1.0, beta=0.0):
    """A batch before (below) and after (above); lines join what belongs together."""
    batch = np.append(np.linspace(4, 8, others), place)
    after = gamma * x_hat(batch[:, None]).ravel() + beta
    plot.joined({"x": batch, "y": after}, f"The largest y is {after.max():.2f}", "value")


explore(draw, others=(1, 20), place=(-40.0, 40.0), gamma=(0.0, 3.0), beta=(-3.0, 3.0))

# %% [markdown]
# ### Exercise: how far can one stand out?
#
# With $m = 5$ it stops at 2. Where does it stop for any $m$ (with ε = 0)? You need only two facts: the $\hat x_i$
# have mean 0, and their squares have mean 1. Say the one is at $a$. The others sum to $-a$, and for a given sum their
# squares are least when all are equal. Write `largest(m)`, which returns the largest possible $a$.

# %% tags=["exercise:stand_out"]
def largest(m):
    raise NotImplementedError  # stuck? hint("stand_out")

# %%
check("stand_out", largest);

# %% [markdown]
# ## The same picture in different batches
#
# In a network nobody moves an example by hand. But a picture lands in a different batch each time. We take one unit (a
# random weight vector $w$) and look at the $\hat x$ of one digit in 3,000 random batches: once for a digit whose number
# is one standard deviation above the mean of all digits, and once for one that is 2.5 above it.
#
# **Prediction.** The spread of such 3,000 numbers, when the batch is 16 times as large (15 → 240), becomes (a) the same;
# (b) half; (c) a quarter; (d) a sixteenth. And is it the same for both digits?

# %%
predict(spread_of_x_hat_in_batches_16_times_as_large=...)  # "a", "b", "c" or "d"
predict(spread_falls_alike_for_both_digits=...)  # "yes" or "no"

# %%
generator = np.random.default_rng(5)
unit = images @ generator.normal(0, 0.1, 784).astype(np.float32)  # this unit's number for every digit
standing = (unit - unit.mean()) / unit.std()
sizes = [2, 5, 15, 60, 240]
seen = {}
for place in (1.0, 2.5):
    digit = unit[np.abs(standing - place).argmin()]
    mates = [generator.integers(0, len(unit), (m - 1, 3000)) for m in sizes]
    seen[place] = [x_hat(np.vstack([np.full(3000, digit), unit[others]]))[0] for others in mates]  # a column is a batch
    print(f"a digit at {place:g}:")
    for m, values in zip(sizes, seen[place], strict=True):
        print(f"  m = {m:3}: x̂ from {values.min():5.2f} to {values.max():5.2f}, standard deviation {values.std():.3f}")

# %%
figure, (left, right) = plot.panels(2, size=(4.8, 3.8))
for i, values in enumerate(seen[1.0]):
    left.plot(i + generator.uniform(-0.3, 0.3, 300), values[:300], ".", color=plot.INKS[0], markersize=3, alpha=0.6)
left.axhline(1, color=plot.INKS[1], linewidth=1.5)
left.set_xticks(range(len(sizes)), sizes)
at_60 = seen[1.0][3][:300]
title = f"The same digit at m = 60: x̂ up to {at_60.max():.1f}"
plot.label(left, title, "m, examples in the batch (300 batches of each size)", "x̂ of the digit at 1 (line: among all)")
spread = {place: np.array([values.std() for values in rows]) for place, rows in seen.items()}
runs = {f"the digit at {place:g}": (sizes, values) for place, values in spread.items()}
runs["1/√m"] = sizes, spread[1.0][-1] * np.sqrt(sizes[-1] / np.array(sizes))
falls = {place: values[2] / values[4] for place, values in spread.items()}
print("from m = 15 to 240 it falls to", " and ".join(f"1/{fall:.1f} (the digit at {at:g})" for at, fall in falls.items()))
title = f"From m = 15 on the spread falls, {'slower' if falls[2.5] < falls[1.0] else 'as fast'} for the digit further out"
plot.lines(right, runs, title, "m, examples in the batch", "standard deviation of x̂", log="xy", inks=[0, 2, 1])
right.set_yticks([0.1, 0.2, 0.5, 1], ["0.1", "0.2", "0.5", "1"])
right.minorticks_off()
recall("spread_of_x_hat_in_batches_16_times_as_large", f"1/{falls[1.0]:.1f}, for the digit at 1")
recall("spread_falls_alike_for_both_digits", f"1/{falls[1.0]:.1f} and 1/{falls[2.5]:.1f}")

# %% [markdown]
# It is (c) for the first digit: the spread falls as $1/\sqrt m$, as that of a mean of $m$ random numbers does. In our
# run it went from 0.33 at $m = 15$ to 0.08 at $m = 240$. Not so for the digit that stands out: in a small batch it
# cannot. The bound of the exercise, $\sqrt{m-1}$, holds it down (2 for $m = 5$), and what cannot move does not
# spread. In large batches it spreads *more* than the first digit: an error in σ changes every $\hat x$ by the same
# share, so the largest ones move furthest.
#
# At $m = 2$ nothing is left of the number itself: $\hat x$ is $+1$ for the larger one and $-1$ for the other. (The few
# dots in between are pairs that agree so closely that ε counts.) Lesson 06 shows what that does to learning, and
# lesson 08 what to do about it when the network is used.
#
# So BN adds noise to training: the network hardly ever sees a picture twice in quite the same way.
#
# ## γ and β: can the layer undo itself?
#
# The paper wants the transform to be able to "represent the identity": if normalising is bad, γ and β can learn to
# undo it.
#
# ### Exercise: the identity
#
# Write a function that takes a batch `x`, a table (m, C), and ε, and returns γ and β, both of shape (C,), with which BN
# gives this batch back unchanged: $y = x$. Mind the ε.

# %% tags=["exercise:undo"]
def identity(x, eps):
    raise NotImplementedError  # stuck? hint("undo")

# %%
check("undo", identity);

# %% [markdown]
# So it can, for *this* batch.
#
# **Prediction.** With γ and β from one batch of 60, look at the *next* batch of 60 digits, and in it at the number that
# changes most. In most batches it (a) does not change either; (b) is off by less than a standard deviation; (c) is off
# by more.

# %%
predict(next_batch_with_gamma_and_beta_of_another=...)  # "a", "b" or "c"

# %%
def off(batch, own):
    """How far BN with γ and β from `own` moves a batch: y, and the largest distance in standard deviations (ε is 0)."""
    y = F.batch_norm(Tensor(batch), None, None, Tensor(own.std(0)), Tensor(own.mean(0)), training=True, eps=0).data
    return y, np.abs(y - batch).max() / batch.std()


pairs = unit[generator.integers(0, len(unit), (300, 2, 60, 1))].astype(np.float64)
distances = [off(second, first)[1] for first, second in pairs]
low, middle, high = np.percentile(distances, [5, 50, 95])
print(f"the worst of the 60, in 300 pairs of batches: half are below {middle:.2f}, nine tenths from {low:.2f} to {high:.2f}")
first, second = pairs[np.argsort(distances)[150]]  # the one in the middle
figure, axes = plot.panels(2, size=(4.4, 3.8))
names = "The batch that γ and β are from", "The next batch, in the median pair"
for ax, name, batch in zip(axes, names, (first, second), strict=True):
    y, distance = off(batch, first)
    ax.plot(batch, batch, color="0.6", linewidth=1, label="y = x")
    ax.plot(batch, y, "o", color=plot.INKS[0], markersize=4, alpha=0.6, label="y after BN")
    ax.legend(frameon=False, fontsize=8.5)
    plot.label(ax, f"{name}:\noff by at most {distance:.2f} standard deviations", "x", "y")
recall("next_batch_with_gamma_and_beta_of_another", f"off by {middle:.2f} standard deviations, in the median pair")

# %% [markdown]
# It is (b). In half of our pairs of batches the worst number was off by less than half a standard deviation; in one
# pair of twenty it was off by 0.9 or more. In training BN cannot be the identity for every batch, because it subtracts
# a different number each time. In evaluation, where mean and variance are constants, it can be the identity for all
# inputs at once. The paper's formula is for that case: it has the mean and the variance over the whole training set.
#
# What γ and β are for is simpler than the word identity: **after BN a feature has mean β and standard deviation |γ|**
# in each batch (but for ε), for any input. Two numbers that depended on all the layers below, in a complicated way,
# are now two parameters that a training step can set directly.
#
# [γ, β and ε over a histogram](../docs/live/sliders.html): move the mean and the spread of x, and y stays where it is.
# Then move β and γ: y moves and widens, but never changes its shape. Last, make the spread of x as small as it gets.
# Now ε is no longer small beside σ², and y loses most of its width.

# %%
show("sliders")

# %% [markdown]
# ## Which variance?
#
# Statistics books divide by $m - 1$, not $m$, when they estimate a variance from $m$ samples. BN's forward divides by $m$.
# A mistake?
#
# **Prediction.** We take the variance of many batches of $m = 2$ by each formula. On average, the one with $1/m$ is
# (a) the variance of all digits; (b) half of it; (c) twice as large.

# %%
predict(mean_variance_of_batches_of_2_by_1_over_m=...)  # "a", "b" or "c"

# %%
print("      mean of x̂², if the sum of      variance of a batch, as a share of")
print("      squares is divided by          that of all digits, if divided by")
print("  m        m       m − 1                  m       m − 1")
shares = {}
for m in (2, 4, 8, 60):
    shuffled = [generator.permutation(len(unit)).reshape(-1, m) for _ in range(10)]  # no digit twice in a batch
    batches = unit[np.vstack(shuffled).T].astype(np.float64)
    centred = batches - batches.mean(0)
    biased, unbiased = batches.var(0), batches.var(0, ddof=1)
    squares = [(centred**2 / v).mean() for v in (biased, unbiased)]
    relative = [v.mean() / unit.var() for v in (biased, unbiased)]
    shares[m] = relative[0]
    print(f"{m:3}    {squares[0]:6.3f}      {squares[1]:6.3f}             {relative[0]:6.3f}      {relative[1]:6.3f}")
recall("mean_variance_of_batches_of_2_by_1_over_m", f"{shares[2]:.3f} of that of all digits")

# %% [markdown]
# (b), and it is no mistake: these are two questions. "What must I divide by, so that *this batch* has mean square 1?"
# needs $m$: on the left of the table, the first column is 1 for every $m$. "What is the variance of *all* data?" needs
# $m - 1$: on the right, the last column is 1 within the noise. Divided by $m$ instead, next to it, the variance comes
# out $(m-1)/m$ times as large, half at $m = 2$. BN normalises with the first (**biased**), and keeps the second
# (**unbiased**) for evaluation, which needs the answer to the second question: Algorithm 2, lesson 08.
#
# ## A large mean in float32
#
# float32 keeps about 7 decimal digits. There is a well-known formula that needs one pass over the data instead of
# two: $\sigma^2 = \overline{x^2} - \overline x^{\,2}$ (the mean of the squares minus the square of the mean). On
# paper it is the same.
#
# **Prediction.** 256 numbers with variance 1 and mean 10,000, in float32. The one-pass formula gives (a) 1.00; (b) 1 to
# within 10 %; (c) 0; (d) something else.

# %%
predict(one_pass_variance_at_a_mean_of_10_000=...)  # "a", "b", "c" or "d"

# %%
def one_pass(x):
    return (x * x).mean(0) - x.mean(0) ** 2


def library(x):
    """The variance that batch_norm finds, which it stores (times m/(m − 1)) in the array that it is given."""
    mean, var = np.zeros(x.shape[1]), np.ones(x.shape[1])
    F.batch_norm(Tensor(x), mean, var, training=True, momentum=1.0)
    return var * (len(x) - 1) / len(x)


means = 10.0 ** np.arange(0, 7)
ways = {"one pass": one_pass, "two passes (NumPy's var)": lambda x: x.var(0), "minidl": library}
errors = {name: [] for name in ways}
for mean in means:
    x = (mean + generator.standard_normal((256, 20))).astype(np.float32)  # 20 features
    truth = x.astype(np.float64).var(0)
    for name, way in ways.items():
        errors[name].append(np.abs(way(x) / truth - 1).max())
    if mean == 10_000:
        print("one pass at mean 10,000, eight features:", one_pass(x)[:8])
        with np.errstate(invalid="ignore"):
            print("their roots, by which BN divides:       ", np.sqrt(one_pass(x)[:8] + 1e-5).round(1))
        recall("one_pass_variance_at_a_mean_of_10_000", f"{one_pass(x).min():.0f} to {one_pass(x).max():.0f}, by feature")

# %%
for name, error in errors.items():
    print(f"{name}: at mean 10,000 off by up to {error[4]:.1g} variances")
runs = {name: (means, np.maximum(error, 1e-8)) for name, error in errors.items()}
title, xlabel = "One pass loses all digits, and two passes do not", "mean of x (its standard deviation is 1)"
plot.lines(None, runs, title, xlabel, "largest relative error of the variance", log="xy");

# %% [markdown]
# It is (d): values far from 1, some *negative*. (In the figure, an error of 0 is drawn at $10^{-8}$.) $\overline{x^2}$
# is about $10^8$; there float32's numbers are 8 apart, and the difference of two such numbers cannot show a 1. The root
# of a negative variance is `nan`, and one `nan` in one feature spoils the loss. The error grows with the square of the
# mean. Two passes, first the mean and then the distances from it, were still right to four digits at a mean of 10,000
# in our run; at a million the mean itself is rounded. (minidl takes one pass, with $x - x_1$ in the formula instead of
# $x$. Subtracting the batch's first row $x_1$ does not change the variance, and brings the mean close enough to 0;
# [`_batch_statistics`](../minidl/ops/norm.py) says why. Unlike the mean, $x_1$ is not rounded.)
#
# ### Exercise: write it
#
# The forward of BN. `x` is (m, C), float32 or float64; `gamma` and `beta` are (C,), of x's type; `eps` is a Python
# float. Return y: (m, C), of the same type as x. Use NumPy alone; its `mean` and `var` are fine. The check draws random
# shapes, both types, and features with mean 1,000.

# %% tags=["exercise:bn_forward"]
def forward(x, gamma, beta, eps):
    raise NotImplementedError  # stuck? hint("bn_forward")

# %%
check("bn_forward", forward);

# %% [markdown]
# ## The bias before it does nothing
#
# A linear layer computes $Wu + b$. If BN comes next, the paper says (§3.2), leave $b$ out.
#
# **Prediction.** (1) We add 1,000 to every $b$ of a layer before BN. Its output (a) changes by about 1,000; (b) changes
# by $1000\,\gamma$; (c) stays. (2) When we train, the gradient of $b$ is (a) as large as that of β; (b) smaller; (c) 0.

# %%
predict(output_of_bn_with_1_000_added_to_the_bias=..., gradient_of_a_bias_before_bn=...)  # "a", "b" or "c"

# %%
u, w, b = generator.standard_normal((60, 30)), generator.standard_normal((30, 20)), generator.standard_normal(20)
for kind in (np.float64, np.float32):
    before, after = (x_hat((u @ w + b + shift).astype(kind)) for shift in (0, 1000))
    print(f"{np.dtype(kind)}: b + 1,000 changes x̂ by up to {np.abs(after - before).max():.0e}")

model = nn.Sequential(
    nn.Linear(784, 100, generator=generator), nn.BatchNorm(100), nn.Sigmoid(), nn.Linear(100, 10, generator=generator)
)
watched = {"weights W": model[0].weight, "β of the BN": model[1].bias, "bias b before the BN": model[0].bias}
sizes = {name: [] for name in watched}
optimizer = optim.SGD(model.parameters(), lr=0.5)
for _ in range(pick(300, 60)):
    rows = generator.integers(0, len(images), 60)
    optimizer.zero_grad()
    F.cross_entropy(model(Tensor(images[rows])), labels[rows]).backward()
    for name, parameter in watched.items():
        sizes[name].append(np.linalg.norm(parameter.grad))
    optimizer.step()
for name, values in sizes.items():
    print(f"gradient of the {name + ',':22}mean size in {len(values)} steps: {np.mean(values):.0e}")
recall("output_of_bn_with_1_000_added_to_the_bias", f"moves by {np.abs(after - before).max():.0e}, in float32")
of_b, of_beta = (np.mean(sizes[name]) for name in ("bias b before the BN", "β of the BN"))
recall("gradient_of_a_bias_before_bn", f"{of_b:.0e}, that of β {of_beta:.0e}")

# %% [markdown]
# It is (c) both times. The constant is subtracted with the mean, so the loss does not depend on $b$, and $b$ has no
# gradient; what you see is rounding. (In [04](04_wrong_ways.ipynb) $b$ ran away where the gradient ignored the mean.)
# β takes its place: it is added after the subtraction. So the layers before BN in minidl's networks are made with
# `bias=False` ([`paper_mlp`](../minidl/lab/models.py)). And note the float32 line: a large constant is not *quite*
# harmless in numbers with 7 digits.
#
# ## A batch of one
#
# **Prediction.** $m = 1$. What does Algorithm 1 return?

# %%
predict(algorithm_1_for_a_batch_of_one=...)  # in a few words

# %%
for m in (3, 2, 1):
    batch = np.array([[4.0], [6.0], [10.0]])[:m]
    by_the_formula = (batch - batch.mean(0)) / np.sqrt(batch.var(0) + 1e-5)
    print(f"m = {m}: x̂ = {np.round(by_the_formula.ravel(), 3)}")
try:
    x_hat(np.array([[4.0]]))
except ValueError as error:
    print("\nminidl refuses:", error)
image = x_hat(generator.standard_normal((1, 28, 28, 1)))
print(f"\none image of 28 × 28 is fine: 784 values for its one feature, mean {image.mean():.1g}, std {image.std():.3f}")
recall("algorithm_1_for_a_batch_of_one", f"x̂ = {by_the_formula.item():g}, so y = β for any x")

# %% [markdown]
# A number that is its own mean is at distance 0 from it: $\hat x = 0$, and $y = \beta$ **for any $x$**. Nothing is
# left of the input, yet the formula raises no error, so minidl does. It happens by accident: 60,001 examples
# in batches of 60 leave a last batch of one. The cure: `DataLoader(…, drop_last=True)`. An image counts once for
# every position, so one image is enough (lesson 09).
#
# ## What we did not show
#
# - That any of this helps training: lessons [00](00_start.ipynb), [07](07_figure_1.ipynb) and [10](10_shift.ipynb) ask.
# - What evaluation should use for mean and variance, and how it is kept: lesson [08](08_inference.ipynb).
# - Whether the noise from batch-mates is good or bad: we measured its size, for one unit and two digits, before any
#   training. (The study `regularise` of `minidl reproduce` tests it.)
# - That such large means occur: that of 10,000 was ours.
#
# ## In short
#
# - BN measures each number by its batch: $\hat x$ has mean 0 and mean square 1 (but for ε), $|\hat x|$ never exceeds
#   $\sqrt{m-1}$, and every output depends on every input of its feature in the batch.
# - |γ| and β then *are* the feature's standard deviation and mean.
#
# **Confusions settled.** The forward's variance divides by $m$, so that the batch comes out at 1; $m - 1$ is for the stored
# one. A bias before BN does nothing, and its gradient is 0. A batch of one gives β for every input. BN can be the identity
# for one batch, or in evaluation, not for all batches in training.
#
# `python -m minidl reproduce --claim alg1 bias` tests these identities as claims of the paper, with bounds.
#
# Next: every output depends on every input of its column, so each gradient runs through the whole batch. Where does it go?
# [06](06_backward.ipynb)
