# %% [markdown]
# # 08 Inference: why does batch normalization need two modes?
#
# A network with batch normalization (BN) gives a digit a different answer when the other digits in its batch are
# different. In training that is acceptable. In use it is not: the same picture must get the same answer, on its own
# or in a batch. So such a network has two modes, and most accidents with BN happen between them. After this lesson
# you can keep the statistics that the second mode needs, say how good they are, find out why a network is "worse in
# evaluation", and ship a model that has no batch normalization left.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 30 s on two cores.
#
# **You need** [05](05_algorithm_1.ipynb) (the forward pass of BN: $\mu_B$, $\sigma^2_B$, $\hat x$, γ, β, ε) and
# [06](06_backward.ipynb) (its backward pass).

# %%
import copy
import itertools

import numpy as np

from minidl import Tensor, data, nn, no_grad, optim, train
from minidl import functional as F
from minidl.gradcheck import jacobian
from minidl.lab import models, plot
from minidl.lab.course import check, digits, hint, inference, pick, predict, recall
from minidl.lab.study.statistics import t_interval

all_digits = digits()
(x, y), (x_test, y_test) = (
    ((part.images.reshape(-1, 784) >= 128).astype(np.float32), part.labels) for part in all_digits
)
population = data.DataLoader(x[:10_000], batch_size=min(1000, len(x)))  # for Algorithm 2, below
print(f"{all_digits.source}: {len(x):,} digits to train on, {len(x_test):,} to test on; each pixel is 0 or 1")

# %% [markdown]
# The network is the paper's: 784 pixels, three hidden layers of 100 sigmoid units, ten classes, and a BN before each
# sigmoid. We train it for 2,000 **steps** of gradient descent, each on a **batch** of $m = 60$ digits drawn at random.
# Two thousand steps are few (an **epoch**, one pass over all 60,000 digits, takes 1,000), but enough for this lesson.


# %%
def draws(m, seed):
    """Batches of m training digits without end."""
    return data.draws(x, y, batch_size=m, generator=np.random.default_rng(seed))


model = models.paper_mlp("batch", generator=np.random.default_rng(0))
steps = pick(2000, 300)
train.train_one_epoch(model, itertools.islice(draws(60, 0), steps), optim.SGD(model.parameters(), lr=0.5), quiet=True)
accuracy = train.evaluate(model, x_test, y_test).accuracy
print(f"after {steps:,} steps {100 * accuracy:.2f} % of the test digits are read right (in evaluation mode)")

# %% [markdown]
# ## One digit, in different batches
#
# `model.train()` sets the mode in which each BN uses the mean and the variance of the batch that it is given; this is
# what training does. Let us classify the test digits in this mode, in batches of 60, 30 times, each time in a new
# random order. Nothing is trained: the weights are the same each time, and so is each picture. Only its neighbours
# change.
#
# **Prediction.** Which share of the test digits will change their class at least once in the 30 rounds: (a) none, the
# weights are fixed; (b) about 1 %; (c) about 5 %; (d) more than 10 %? Put your letter in place of the dots.

# %%
predict(digits_that_change_with_their_batch=...)  # "a", "b", "c" or "d"


# %%
def in_training_mode(model, order, m):
    """The probabilities of the ten classes, in training mode, in batches of m neighbours in this order."""
    other = copy.deepcopy(model).train()  # a copy, because this mode changes the model; see below
    probabilities = np.empty((len(order), 10), np.float32)
    with no_grad():
        for at in range(0, len(order), m):
            batch = order[at : at + m]
            probabilities[batch] = F.softmax(other(Tensor(x_test[batch]))).data
    return probabilities


generator = np.random.default_rng(1)
rounds = np.array([in_training_mode(model, generator.permutation(len(y_test)), 60) for _ in range(pick(30, 8))])
classes = rounds.argmax(-1)
flipped = (classes != classes[0]).any(0)
print(f"{100 * flipped.mean():.1f} % of the digits changed their class at least once in {len(rounds)} rounds")
print(f"accuracy of the single rounds: {100 * np.mean(classes == y_test):.2f} % on average")
recall("digits_that_change_with_their_batch", f"{100 * flipped.mean():.1f} %")

# %% [markdown]
# (d). In our run it was more than one digit in eight, although each round by itself had nearly the usual accuracy:
# the accuracy does not show what is wrong with this mode.
#
# That was with mixed batches. A real queue of pictures is often *sorted*: all the sevens of one form, then the next
# form. **Prediction.** The test digits are now sorted by class, so that nearly every batch has digits of one class
# only. The accuracy in training mode will be (a) about the same; (b) some points lower; (c) below 25 %.

# %%
predict(accuracy_when_sorted_by_class=...)  # "a", "b" or "c"

# %%
sorted_order, sizes = np.argsort(y_test, kind="stable"), [2, 5, 10, 60, 200, 1000]
mixed = [in_training_mode(model, generator.permutation(len(y_test)), m) for m in sizes]
in_line = [in_training_mode(model, sorted_order, m) for m in sizes]
mixed, in_line = ([np.mean(p.argmax(-1) == y_test) for p in arm] for arm in (mixed, in_line))

spread = rounds[:, np.arange(len(y_test)), y_test]  # (rounds, digits): the probability of the true class
widest = np.ptp(spread, axis=0).argmax()
low, high, at_60 = spread[:, widest].min(), spread[:, widest].max(), sizes.index(60)
print(f"the same {y_test[widest]} is a {y_test[widest]} with probability {low:.2f} or {high:.2f}")
print(f"at m = 60: mixed {100 * mixed[at_60]:.1f} %, sorted {100 * in_line[at_60]:.1f} %")

figure, (left, right) = plot.panels(2, size=(5.2, 3.8))
left.hist(spread[:, widest], np.linspace(0, 1, 21), color=plot.INKS[0], edgecolor="white")
title = f"The probability of the same digit differs by up to {high - low:.2f}"
plot.label(left, title, "its probability, in varying company (the digit that swings most)", f"rounds, of {len(rounds)}")
runs = {"mixed batches": mixed, "sorted by class": in_line, "evaluation mode": [accuracy] * len(sizes)}
runs = {name: (sizes, 100 * np.array(values)) for name, values in runs.items()}
title = f"Sorted by class, at m = 60: {100 * in_line[at_60]:.1f} %"
plot.lines(right, runs, title, "m, digits in a batch", "accuracy (%)", log="x")
recall("accuracy_when_sorted_by_class", f"{100 * in_line[at_60]:.1f} %, instead of {100 * mixed[at_60]:.1f} %")

# %% [markdown]
# (c): in our run 17 % at $m = 60$. (The right panel shows all of this; where batches are small, mixed ones are no
# good either.) And a batch of *one* has no variance at all: [`batch_norm`](../minidl/ops/norm.py) refuses it in
# training mode.
#
# What is lost in a batch of sevens? **Prediction**: BN subtracts the batch's mean, and divides by the root of its
# variance. Which of the two is to blame for the sorted queue: the mean, the variance, or both?

# %%
predict(to_blame_for_the_sorted_queue=...)  # "mean", "variance" or "both"


# %%
def accuracy_with(order, m, batch_mean, batch_var):
    """Where mean and variance come from: each from the batch, or each the constant that evaluation mode uses."""
    right = 0
    for at in range(0, len(order), m):
        h = Tensor(x_test[order[at : at + m]])
        for layer in model:
            if isinstance(layer, nn.BatchNorm):
                mean = h.data.mean(0) if batch_mean else layer.running_mean
                var = h.data.var(0) if batch_var else layer.running_var
                h = F.batch_norm(h, mean, var, layer.weight, layer.bias, training=False, eps=layer.eps)
            else:
                h = layer(h)
        right += np.count_nonzero(h.data.argmax(-1) == y_test[order[at : at + m]])
    return right / len(order)


read = {}
for batch_mean, batch_var in itertools.product((True, False), repeat=2):
    share = read[batch_mean, batch_var] = 100 * accuracy_with(sorted_order, 60, batch_mean, batch_var)
    what = [("the batch's" if own else "constant") for own in (batch_mean, batch_var)]
    print(f"sorted, m = 60: mean {what[0]:12} variance {what[1]:12} {share:.1f} % right")
either = f"{read[True, False]:.1f} % right with the batch's mean, {read[False, True]:.1f} % with its variance"
recall("to_blame_for_the_sorted_queue", either)

# %% [markdown]
# The mean, and the mean alone: in our run the batch's variance did no harm. The mean of a batch of sevens is what
# sevens have in common. Subtracting it removes what makes them sevens.
#
# ## Algorithm 2: the population
#
# What should replace $\mu_B$ and $\sigma^2_B$ when the network is used? The paper's answer: once the weights are final,
# the mean and the variance of the **population**, that is of all training examples. These are constants, so the answer
# for a picture depends on the picture alone. Using them is **evaluation mode**, which `model.eval()` sets. The paper
# averages over many batches of size $m$:
#
# $$ \mathrm E[x] = \mathrm E_B[\mu_B], \qquad \mathrm{Var}[x] = \frac{m}{m-1}\,\mathrm E_B[\sigma^2_B]. $$
#
# Why $m/(m-1)$? $\sigma^2_B$ measures distances from the *batch's* mean, which is nearer to its own members than the
# population's mean $\mu$ is. For each feature
#
# $$ \frac1m\sum_i (x_i-\mu)^2 = \sigma^2_B + (\mu_B-\mu)^2 . $$
#
# On average the left side is the true $\sigma^2$. The last term is the variance of a mean of $m$ numbers, and if they
# are independent this is $\sigma^2/m$. So $\mathrm E[\sigma^2_B] = \sigma^2 - \sigma^2/m = \frac{m-1}{m}\sigma^2$:
# too small by a quarter at $m = 4$, by 1.7 % at $m = 60$. $\sigma^2_B$ is called the **biased** estimate, and
# $\frac{m}{m-1}\sigma^2_B$, which divides by $m - 1$ instead of $m$, the **unbiased** one. BN normalises with the
# first and stores the second ([05](05_algorithm_1.ipynb)).
#
# The step that needs care is "if they are independent". Our network has three BNs, one after another. We pass 400
# batches of 4 digits through it. At each BN we compare the mean of their variances, $\mathrm E[\sigma^2_B]$, with the
# variance of everything that arrived, $\mathrm E[\sigma^2_B] + \mathrm{Var}[\mu_B]$.
#
# **Prediction** for $m = 4$ at the third BN: the ratio of the first to the second is (a) 0.75, as the formula says; (b)
# smaller; (c) nearly 1.

# %%
predict(variance_ratio_at_third_bn=...)  # "a", "b" or "c"


# %%
def moments(model, m, batches=400, still=()):
    """For each BN, mean and biased variance of many batches: (batches, 2, features). `still`: BNs in evaluation mode."""
    other, found = copy.deepcopy(model).train(), []
    for i, norm in enumerate(module for module in other.modules() if isinstance(module, nn.BatchNorm)):
        norm.training, norm.momentum = i not in still, 1.0  # momentum 1: the statistics of the last batch alone
    with no_grad():
        for inputs, _ in itertools.islice(draws(m, 2), batches):
            other(Tensor(inputs))
            found.append(np.array(inference.statistics(other)))
    found = np.array(found)
    found[:, :, 1] *= (m - 1) / m  # what is stored is unbiased
    return found.swapaxes(0, 1)


sizes = [2, 4, 8, 20, 60]
layers = {m: moments(model, m) for m in sizes}
shares = {m: [np.mean(b[:, 1].mean(0) / (b[:, 1].mean(0) + b[:, 0].var(0))) for b in layers[m]] for m in sizes}
for m in (4, 60):
    print(f"m = {m}: E[σ²_B] / σ² at the three BNs:", np.round(shares[m], 3), f"and (m − 1)/m = {(m - 1) / m:.3f}")
recall("variance_ratio_at_third_bn", f"{shares[4][2]:.3f} at m = 4")

# %%
figure, (left, right) = plot.panels(2, size=(5.2, 3.8))
samples = np.random.default_rng(3).standard_normal((20_000, 60))
for m, ink in ((4, 1), (60, 0)):
    variances = samples[:, :m].var(1)
    name = f"m = {m}: mean {variances.mean():.3f}"
    left.hist(variances, np.linspace(0, 3, 61), color=plot.INKS[ink], alpha=0.7, label=name)
left.axvline(1, color="0.3", linestyle=":", label="true variance, 1")
left.legend(frameon=False, fontsize=9)
title = f"Normal numbers: at m = 4 the mean of σ²_B is {samples[:, :4].var(1).mean():.3f}"
plot.label(left, title, "σ²_B, the biased variance of a batch", "batches, of 20,000")
arrivals = {f"BN {i + 1}": (sizes, [shares[m][i] for m in sizes]) for i in range(3)}
arrivals["(m − 1)/m"] = (sizes, [(m - 1) / m for m in sizes])
title = f"At m = 4: {shares[4][0]:.2f} at BN 1, {'more' if min(shares[4][1:]) > shares[4][0] else 'not more'} at the others"
_ = plot.lines(right, arrivals, title, "m, digits in a batch", "E[σ²_B] / σ²", log="x")

# %% [markdown]
# The answer is (c). The first BN sees independent digits, and the formula holds (its line lies on the dotted one).
# The second and third do not follow it: in our run their ratio is 0.998 even at $m = 4$. The suspect is the BN before
# them: it has set the mean of every feature of this batch to β, so the batch's members are no longer independent, and
# the means after it hardly differ from batch to batch. We can test that: in evaluation mode the first two BNs do the
# same to every digit, whatever its batch. Then the formula should hold at the third.

# %%
free = moments(model, 4, still=(0, 1))[2]
for name, found in (("first two in training mode", layers[4][2]), ("first two in evaluation mode", free)):
    total = found[:, 1].mean(0) + found[:, 0].var(0)
    ratio, scatter = np.mean(found[:, 1].mean(0) / total), np.sqrt(np.mean(found[:, 0].var(0) / total))
    print(f"BN 3, m = 4, {name}: E[σ²_B] / σ² = {ratio:.3f}, batch means scatter by {scatter:.3f} σ")
print(f"independent digits:                              {3 / 4:.3f},                        1/√m = {1 / 2:.3f}")

# %% [markdown]
# So $m/(m-1)$ is right for the first BN, and overcorrects after another BN, if the statistics are taken in batches as
# small as these. Below we measure whether that costs anything.
#
# ## The moving average
#
# A pass over the population after each step would be too slow. To know during training how good the network is, the
# paper proposes what all libraries have done since: each training step mixes the statistics of its batch into a
# **running** mean and variance,
#
# $$ \text{running} \leftarrow (1-\alpha)\cdot\text{running} + \alpha\cdot\text{batch}, $$
#
# and evaluation mode uses these. They are **buffers**: arrays that belong to the model and are saved with it, but
# that no gradient changes. α is called *momentum*. Beware: in PyTorch and in minidl α is the weight of the **new**
# batch, by default 0.1. In some other libraries "momentum 0.9" means $1-\alpha = 0.9$, the same thing by the opposite
# number. Copy that 0.9, and the average is little more than the last batch.
#
# **Exercise.** Write this update: the batch `x` is `(m, C)`, the running mean and variance are `(C,)`; return the new
# mean and the new variance (unbiased!) as new arrays, and leave the given ones as they are. NumPy only.


# %% tags=["exercise:running"]
def update_running(x, running_mean, running_var, momentum):
    """The running statistics after one more batch x (m, C): two new arrays (C,)."""
    raise NotImplementedError  # stuck? hint("running")


# %%
check("running", update_running);

# %% [markdown]
# The solutions are in [solutions/08_inference.py](solutions/08_inference.py); the library does this in
# [`_batch_statistics`](../minidl/ops/norm.py).
#
# What does α do? Unroll the update: the batch from $k$ steps ago has the weight $\alpha(1-\alpha)^k$.
#
# - **Forgetting.** Of the start (mean 0, variance 1) the share $(1-\alpha)^t$ is left after $t$ steps: at α = 0.01
#   that is 37 % after 100 steps. The statistics of earlier weights fade just as slowly.
# - **Noise.** If batches were independent, the average's variance would be
#   $\sum_k \alpha^2(1-\alpha)^{2k} = \alpha/(2-\alpha)$ times that of one batch: as good as the plain mean of
#   $(2-\alpha)/\alpha$ batches. That is 199 for α = 0.01, 19 for 0.1, and 1.2 for 0.9.
#
# The second can be tested with the batch means that we already have, of fixed weights, at the first BN:

# %%
batch_means = layers[60][0][:, 0]  # (batches, units)
center = batch_means.mean(0)
for alpha in (0.1, 0.9):
    average, path = center, []
    for mean in batch_means:
        average = (1 - alpha) * average + alpha * mean
        path.append(average)
    worth = np.mean((batch_means - center) ** 2) / np.mean((path[50:] - center) ** 2)
    print(f"α = {alpha}: as good as {worth:.1f} batches; by the formula {(2 - alpha) / alpha:.1f}")

# %% [markdown]
# For α = 0.1 this is a rough test: 400 batches hold only about twenty independent averages of 19 batches each.
#
# A large α is noisy, a small one lags. **Prediction.** We compare α = 0.01, 0.1, 0.9 with a pass over the population.
# Which is the worst after 50 steps, and which after 2,000? By how many points of accuracy?
#
# The running statistics have no influence on training, so one run can keep all three:
# [`Averages`](../minidl/lab/course/inference.py) does. [`update_bn`](../minidl/optim/averages.py) is the pass over the
# population, here 10,000 training digits in batches of 1,000. In this pass the BNs are in training mode: each
# normalises by the batch that it is given, and averages what it finds.

# %%
# two lists, such as ["pass", 5]: 0.01, 0.1, 0.9 or "pass", and by how many points
predict(worst_statistics_after_50_steps=..., worst_statistics_after_2000_steps=...)
ALPHAS, PASS = (0.01, 0.1, 0.9), "population"


def follow(m, seed, lr, steps, marks):
    """Train; at each mark, test accuracy with each kind of statistics, and the statistics of the last BN."""
    model = models.paper_mlp("batch", generator=np.random.default_rng(seed))
    optimizer, averages = optim.SGD(model.parameters(), lr), inference.Averages(model, ALPHAS)
    accuracies, kept = {way: [] for way in (*ALPHAS, PASS)}, {way: [] for way in (*ALPHAS, PASS)}
    for step, (inputs, labels) in enumerate(itertools.islice(draws(m, seed), steps), 1):
        optimizer.zero_grad()
        model.train()
        F.cross_entropy(model(Tensor(inputs)), labels).backward()
        optimizer.step()
        averages.step()
        if step in marks:
            for way in accuracies:
                train.update_bn(population, model) if way == PASS else averages.use(way)
                accuracies[way].append(train.evaluate(model, x_test, y_test).accuracy)
                kept[way].append(inference.statistics(model)[-1])
    return model, accuracies, {way: np.array(rows) for way, rows in kept.items()}


marks = np.unique(np.append(np.geomspace(1, steps, pick(40, 12)).astype(int), 50))
_, accuracies, kept = follow(60, 0, 0.5, steps, marks)

# %%
unit = np.ptp(kept[PASS][:, 0], axis=0).argmax()
names = {0.01: "α = 0.01", 0.1: "α = 0.1", 0.9: "α = 0.9", PASS: "population pass"}
means = {names[way]: (marks, rows[:, 0, unit]) for way, rows in kept.items()}
at = marks.tolist().index(50)
apart = abs(kept[0.01][at, 0, unit] - kept[PASS][at, 0, unit]) / np.sqrt(kept[PASS][at, 1, unit])
late, right_now = (100 * accuracies[way][at] for way in (0.01, PASS))
print(f"after {marks[at]} steps: {late:.0f} % with α = 0.01, {right_now:.0f} % with the pass")

figure, (left, right) = plot.panels(2, size=(5.6, 4.2))
title = f"At step {marks[at]} α = 0.01 is {apart:.1f} σ from the population"
plot.lines(left, means, title, "training step", f"mean of unit {unit} at the last BN", log="x")
curves = {names[way]: (marks, 100 * np.array(values)) for way, values in accuracies.items()}
title = f"At step {marks[at]}: {late:.0f} % with α = 0.01"
plot.lines(right, curves, title, "training step", "test accuracy (%)", log="x")
for question, place in (("worst_statistics_after_50_steps", at), ("worst_statistics_after_2000_steps", -1)):
    reads = {name: values[place] for name, (_, values) in curves.items()}
    worst = min(reads, key=reads.get)
    recall(question, f"{worst}, {max(reads.values()) - reads[worst]:.1f} points below the best")

# %% [markdown]
# The unit on the left is the one whose population mean moves most. All four curves on the right belong to *the same
# weights* at every step. In our run the network with α = 0.01 read less than 40 % for about its first 100 steps, and
# needed a few hundred to catch up: not because it had learned less, but because its statistics were still those of
# the start. This is one reason why a network may be **"worse in evaluation than in training"**, and the repair needs no
# training. After 2,000 steps all four are within a point. The swapped momentum, α = 0.9, follows the population most
# closely at first, and is the worst at the end, by 0.9 points. So is it nearly harmless? That depends on $m$:
#
# ## Four examples in a batch, or sixty
#
# With batches of $m$, the average is worth about $m(2-\alpha)/\alpha$ examples: for α = 0.9 that is 73 at $m = 60$, but
# 5 at $m = 4$. **Prediction**: at $m = 4$, what will be best and what worst: α = 0.01, 0.1, 0.9, a pass over the
# population in batches of 1,000, or a pass in batches of 4 (where $m/(m-1)$ overcorrects at BN 2 and 3)?
#
# And there is one more difference between the modes. Algorithm 2 makes sure that the mean of the *variance* is right.
# But BN multiplies by $1/\sigma_B$, and the mean of that is not $1/\sigma$: a batch of four that happen to lie close
# together is magnified a lot. For normal numbers, the mean of $\sigma/\sigma_B$ is 1.60 at $m = 4$ and 1.02 at
# $m = 60$ (a cell below estimates both). So the factor by which BN multiplies a difference between two digits is, on
# average over the batches, 1.6 times as large in training as in evaluation. (The outputs as a whole are no larger: in
# each batch their mean square is 1, because digits that lie far apart are shrunk.) If that factor matters, all
# variances times a $c < 1$ should be *better* than the right ones, perhaps near $c = 1/1.6^2 = 0.39$. And at $m = 60$
# this should not happen. **Prediction**: will it?
#
# Five **seeds** (five sets of initial weights and batches) for each $m$; the learning rate is 0.5 at $m = 60$ and 0.1
# at $m = 4$, neither tuned.

# %%
predict(best_statistics_in_batches_of_4=...)  # 0.01, 0.1, 0.9, "pass" or "pass of 4"
predict(worst_statistics_in_batches_of_4=...)  # the same
predict(smaller_variances_help_in_batches_of=...)  # 4, 60, "both" or "neither"

# %%
FACTORS, table, scaled = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3), {4: {}, 60: {}}, {4: [], 60: []}


def with_variances_times(model, factor):
    other = copy.deepcopy(model)
    for module in other.modules():
        if isinstance(module, nn.BatchNorm):
            module.running_var *= factor
    return train.evaluate(other, x_test, y_test).accuracy


for (m, lr), seed in itertools.product(((4, 0.1), (60, 0.5)), range(pick(5, 2))):
    model_m, found, _ = follow(m, seed, lr, steps, [steps])
    row = {names[way]: values[0] for way, values in found.items()}
    train.update_bn(population, model_m)
    scaled[m].append([100 * with_variances_times(model_m, factor) for factor in FACTORS])
    train.update_bn(data.DataLoader(x[:10_000], batch_size=m, drop_last=True), model_m)
    row["pass in batches of m"] = train.evaluate(model_m, x_test, y_test).accuracy
    for way, value in row.items():
        table[m].setdefault(way, []).append(100 * value)

for m, rows in table.items():
    print(f"normal numbers, m = {m}: the mean of σ / σ_B is {np.mean(1 / samples[:, :m].std(1)):.2f}")
    for way, values in rows.items():
        print(f"  m = {m:2}  {way:22}{np.mean(values):6.2f} %, seeds from {min(values):.2f} to {max(values):.2f}")
ranked = [f"{way}, {mean:.2f} %" for mean, way in sorted((np.mean(values), way) for way, values in table[4].items())]
recall("best_statistics_in_batches_of_4", f"{ranked[-1]}; then {ranked[-2]}")
recall("worst_statistics_in_batches_of_4", ranked[0])

# %%
figure, (left, right) = plot.panels(2, size=(5.6, 3.8))
swapped, usual = (np.mean(table[4][names[alpha]]) for alpha in (0.9, 0.1))
title = f"m = 4: α = 0.9 reads {usual - swapped:.1f} points less than α = 0.1"
plot.intervals(left, table[4], title, "test accuracy (%)")
gains = {m: np.array(rows) - np.array(rows)[:, [FACTORS.index(1.0)]] for m, rows in scaled.items()}
at_04 = {m: t_interval(values[:, FACTORS.index(0.4)]) for m, values in gains.items()}
title = f"c = 0.4, m = 4: {at_04[4].text(1, sign=True)} points"
curves = {f"m = {m}": (FACTORS, values) for m, values in gains.items()}
plot.lines(right, curves, title, "factor c on all variances of the pass", "gain over c = 1 (points)", log="x")
for m, values in gains.items():
    each = ", ".join(f"{gain:+.2f}" for gain in values[:, FACTORS.index(0.4)])
    print(f"m = {m}, c = 0.4, gain: {at_04[m].text(1, sign=True)} points; of each seed: {each}")
gained = [f"{at_04[m].text(1, sign=True)} points at m = {m}" for m in at_04]
recall("smaller_variances_help_in_batches_of", f"with c = 0.4: {' and '.join(gained)}")

# %% [markdown]
# In our run, at $m = 60$ all ways are within half a point. At $m = 4$ the swapped momentum costs some seven points. A
# pass in batches of 4 is, on average, more than a point behind one in batches of 1,000: its correction $m/(m-1)$ makes
# the variances of BN 2 and 3 too large, by a third. (In the right panel, a factor of 1.3 costs as much, or more.)
#
# And the right variances were *not* the best: with $c = 0.4$ the networks of $m = 4$ read 1.7 points more (each of the
# five seeds gained, half a point or more), and those of $m = 60$ neither gained nor lost. So the right statistics are
# not always the ones that suit the weights best. The larger factor of small batches predicted this, at $m = 4$ and not
# at $m = 60$. That is in favour of it, but no proof: at $m = 4$ the curve is nearly flat from 0.1 to 0.6, so 0.39 is
# not singled out, and larger outputs may help these networks for another reason.
#
# ## A network that broke while nobody trained it
#
# The three BNs update their running statistics whenever they run in training mode, for *any* purpose. Suppose that
# somebody forgot `model.eval()` in a validation loop. The loop has `no_grad()`, so "nothing can change". The validation
# digits are sorted by class. **Prediction**: what is the accuracy, in the right mode, *after* this loop? (a) unchanged;
# (b) some points lower; (c) the network is useless.

# %%
predict(accuracy_after_forgetting_eval=...)  # "a", "b" or "c"

# %%
broken = copy.deepcopy(model)
before = train.evaluate(broken, x_test, y_test).accuracy
broken.train()  # here eval() was forgotten
with no_grad():
    for at in range(0, len(x_test), 60):
        broken(Tensor(x_test[sorted_order[at : at + 60]]))
after = train.evaluate(broken, x_test, y_test).accuracy
by_digit = [train.evaluate(broken, x_test[y_test == digit], y_test[y_test == digit]).accuracy for digit in range(10)]
weights_moved = max(np.abs(p.data - q.data).max() for p, q in zip(broken.parameters(), model.parameters(), strict=True))
train.update_bn(population, broken)
repaired = train.evaluate(broken, x_test, y_test).accuracy
print(f"before {100 * before:.2f} %, after the loop {100 * after:.2f} %, and no weight moved ({weights_moved})")
print(f"a pass over training digits, without a single gradient, repairs it: {100 * repaired:.2f} %")
print("read right after the loop, of each digit:", ", ".join(f"{d}: {100 * s:.0f} %" for d, s in enumerate(by_digit)))
recall("accuracy_after_forgetting_eval", f"{100 * before:.2f} % before, {100 * after:.2f} % after")

counter = copy.deepcopy(model)[1]  # the first BN counts the batches that it has taken in
print(f"\nbatches counted: {int(counter.num_batches_tracked):,} after {steps:,} steps of training", end="; ")
counter.train()(Tensor(np.random.default_rng(0).standard_normal((60, 100)).astype(np.float32)))
print(f"one forward in training mode later: {int(counter.num_batches_tracked):,}")

# %% [markdown]
# (b): 12 points in our run, although the loop only looked. With α = 0.1 its last batches count most, and those were
# nines, and before them eights: the very digits that are misread now. The running mean has become the mean of nines,
# and subtracting it removes what makes a nine. In another order it would be other digits, and perhaps more or fewer
# points.
#
# `no_grad()` stops gradients; `eval()` stops statistics. They are different things, and evaluation needs the second.
# The counter `num_batches_tracked` shows the mistake: if it is not the number of training steps, something else has run
# the model in training mode. [`evaluate`](../minidl/train.py) sets the mode itself, and then restores the old one.
#
# ## The backward of evaluation mode
#
# You do need gradients in evaluation mode: to ask which pixels matter, or to continue training with frozen
# statistics. The statistics are constants then, so each output depends on its own input alone. **Prediction**: the
# **Jacobian** of BN for one feature and 8 examples is the 8 × 8 table of $\partial y_i/\partial x_j$. Sketch it for
# both modes. How many of its 56 entries off the diagonal are not 0?

# %%
predict(jacobian_of_bn_off_the_diagonal=...)  # two numbers: [8, 8], in training and in evaluation

# %%
values = np.random.default_rng(4).normal(1, 2, (8, 1))
running = np.array([1.3]), np.array([3.0])


def normalise(t, training):
    """BN of one feature; the running statistics are copies, so that training does not change them."""
    return F.batch_norm(t, *(r.copy() for r in running), training=training)


tables = [jacobian(lambda t, m=mode: normalise(t, m), values)[:, 0, :, 0] for mode in (True, False)]
figure, axes = plot.panels(2, size=(4.6, 3.6))
most, nonzero = max(np.abs(j).max() for j in tables), []
for ax, j, mode in zip(axes, tables, ("Training", "Evaluation"), strict=True):
    away = np.count_nonzero(j[~np.eye(8, dtype=bool)])
    nonzero.append(int(away))
    title = f"{mode}: {away} of 56 entries off the diagonal are nonzero"
    plot.heat_map(ax, j, title, "j, example that moves", "i, example that answers", limit=most)
recall("jacobian_of_bn_off_the_diagonal", nonzero)

# %% [markdown]
# In training every output depends on every input ([06](06_backward.ipynb)). In evaluation only the diagonal is left,
# and all its entries are the same: $\gamma/\sqrt{\text{running\_var}+\varepsilon}$.
#
# **Exercise.** Write the backward of evaluation mode. With $s = 1/\sqrt{\text{running\_var}+\varepsilon}$ (in lesson 06
# $s$ was the root, here it is one over the root) and $\hat x = (x-\text{running\_mean})\,s$, the forward is
# $y = \gamma\hat x + \beta$. Given `grad_y` $=\partial L/\partial y$, `(m, C)`, return `grad_x` `(m, C)`, `grad_gamma`
# `(C,)` and `grad_beta` `(C,)`. Only the running statistics are constants: γ and β still learn, from all rows.


# %% tags=["exercise:eval-backward"]
def eval_backward(grad_y, x, gamma, running_mean, running_var, eps):
    """Gradients of batch norm in evaluation mode: grad_x (m, C), grad_gamma (C,), grad_beta (C,)."""
    raise NotImplementedError  # stuck? hint("eval-backward")


# %%
check("eval-backward", eval_backward);

# %% [markdown]
# In the library both modes share one [`batch_norm_backward`](../minidl/ops/norm.py). Its argument `share` multiplies
# the terms that come through mean and variance: it is $1/m$ in training, and 0 in evaluation.
#
# ## Shipping it without batch norm
#
# In evaluation mode BN multiplies each feature by a constant and adds a constant. The linear layer before it can do
# that as well, so the two become one,
#
# $$ \gamma\,\frac{xW + b - \text{mean}}{\sqrt{\text{var}+\varepsilon}} + \beta \;=\; x\,W' + b'. $$
#
# **Exercise.** Find $W'$ and $b'$. `weight` is `(in, out)`, all others but `eps` are `(out,)` (a layer without a bias
# has $b = 0$). Return the new weight and the new bias. Folding must leave the outputs as they are, up to rounding.


# %% tags=["exercise:fold"]
def fold(weight, bias, gamma, beta, mean, var, eps):
    """Weight (in, out) and bias (out,) of the linear layer that does what this one and its batch norm do."""
    raise NotImplementedError  # stuck? hint("fold")


# %%
check("fold", fold);

# %% [markdown]
# [`fold_batch_norm`](../minidl/nn/fold.py) does it for a whole network:

# %%
train.update_bn(population, model)
shipped = nn.fold_batch_norm(model)
logits, folded = (train.predict_logits(net, x_test) for net in (model, shipped))
apart = np.abs(logits - folded).max() / np.abs(logits).max()
print(shipped)
print(f"\nlargest difference of an output, in units of the largest output: {apart:.1e} (float32)")
print(f"test digits whose class differs: {np.count_nonzero(logits.argmax(-1) != folded.argmax(-1))} of {len(y_test):,}")
one_by_one = np.concatenate([train.predict_logits(shipped, x_test[i : i + 1]) for i in range(100)])
print(f"digits alone against digits in company: {np.abs(one_by_one - folded[:100]).max() / np.abs(folded).max():.1e}")

# %% [markdown]
# Each `Identity` has replaced a BN, and does nothing. What you ship is a plain network of four matrices, four biases
# and three sigmoids; BN has helped to find its numbers. It takes one digit or a thousand. And the bias before a BN,
# which is redundant in training, is back: as $b'$.
#
# ## What we did not show
#
# - How much the population pass depends on *its* batches: the pass itself normalises by batches of 1,000, since the
#   second BN's statistics depend on what the first one did. Our 10,000 digits are a sixth of the training set.
# - Long runs. When the learning rate goes to 0 at the end, the weights stop moving, and the moving average becomes as
#   good as its noise allows.
# - Test pictures of another kind than the training pictures. Then the population is the wrong one.
# - That a smaller variance is better in general. We saw it at $m = 4$, on one network, without a tuned learning rate.
#
# ## In short
#
# - Training mode uses the batch's statistics, evaluation mode the population's. In training mode a digit's class
#   depends on the rest of its batch, and digits sorted by class are mostly misread.
# - The moving average forgets the start like $(1-\alpha)^t$, and is worth $(2-\alpha)/\alpha$ batches.
# - With constant statistics BN is $y = ax + b$ for each feature, with constants $a$ and $b$: a diagonal Jacobian, and
#   nothing left after folding.
#
# **Confusions settled.**
#
# - *Eval is worse than train*: too few steps for the running average, or polluted statistics: run `update_bn`, and
#   compare. Or batches so small that the two modes differ for good.
# - *Statistics polluted in evaluation*: `no_grad()` does not protect them, `eval()` does.
# - *Momentum*: here α weighs the new batch. Swapping it costs little at $m = 60$, and much at $m = 4$.
# - *Biased in the forward, unbiased in the buffer*: the first gives $\hat x$ the variance 1 over the batch (but for ε).
#   The second gives it the variance 1 over the population, if examples are independent.
#
# Next: [09](09_conv.ipynb): images have four axes. Over which of them should one average?
