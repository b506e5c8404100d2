# %% [markdown]
# # 14 Ensembles: do errors decorrelate?
#
# The paper's best result is not from one network, but from six: their class probabilities are averaged (§4.2.3). Here you
# build such an average, and find out what makes it work: members that are wrong about *different* images. Then you put
# the price beside the gain. Six networks cost six times as much as one. What else could that have bought?
#
# **Time**: about 75 minutes with the exercises; the cells run in about 90 s on two cores.
#
# **You need** [08](08_inference.ipynb) (statistics for evaluation), [11](11_learning_rate.ipynb) (choosing rates on
# held-out images) and [13](13_regulariser.ipynb) (few training images). Words are in the
# [glossary](README.md#glossary).

# %%
from math import comb

import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, ensembles, hint, ledger, pick, predict, recall
from minidl.lab.models import initialise, paper_mlp
from minidl.lab.paper.ensemble import together
from minidl.lab.study.statistics import paired, t_interval
from minidl.train import predict_logits, update_bn

(images, labels), (test_images, test_labels) = found = digits()
x, x_test = ((i.reshape(-1, 784) > 127).astype(np.float32) for i in (images, test_images))
HELD, FEW, MEMBERS = len(x) // 12, pick(2000, 1000), pick(6, 3)
SEEDS, STEPS, RATES = range(pick(5, 2)), pick(400, 20), pick((0.1, 0.3, 1.0, 3.0), (0.3,))
print(f"{found.source}: {FEW:,} training images for each ensemble, {HELD:,} held out, {len(x_test):,} for the results")

# %% [markdown]
# ## 1. The average
#
# An **ensemble** is several networks that answer together; each is a **member**. The paper's answer is the arithmetic
# mean of the members' probabilities. Its own numbers on ImageNet: one network was wrong in 5.82 % of the cases, six
# together in 4.9 % (five guesses allowed for each image, and 144 cut-outs of each).
#
# ### Exercise: the averager
#
# `logits` is an array (members, images, classes). Return the ensemble's probabilities, (images, classes). Logits may be
# large. Only NumPy is needed.


# %% tags=["exercise:averager"]
def averager(logits):
    raise NotImplementedError  # stuck? hint("averager")


# %%
check("averager", averager);

# %% [markdown]
# Two other ways come to mind: average the *logits* and take one softmax; or let each member *vote* for its class. We
# compare all three when there are members.
#
# ## 2. Five ensembles with BN, five without
#
# A member is a network of three hidden layers of 100 units with ReLU, He's weights, trained on 2,000 images. Members of
# one ensemble see the same images. They differ in their initial weights and in the order of the batches, by their seeds.
# Each of the five ensembles has 2,000 images of its own. So the five are independent, but for the test images, which
# they share. The rate is the best of four for a single network, on held-out images.
#
# The paper has no plain ensemble, without BN. Here it is the second **arm**.
#
# **Prediction.** (1) How many points of accuracy do six networks with BN gain over one? (2) Which arm gains more?

# %%
predict(ensemble_gain=..., who_gains_more=...)  # a number; "BN", "plain" or "no clear difference"


def own(seed, few=FEW):
    """The images that an ensemble trains with, and their labels; with 2,000, no two seeds share one."""
    first = HELD + FEW * seed
    return x[first : first + few], labels[first : first + few]


def logits_of(norm, lr, seed, member=0, steps=STEPS, width=100, few=FEW):
    """Train one network with plain SGD; its logits for the held-out images and for the test images."""
    generator, (inputs, answers) = np.random.default_rng([seed, member]), own(seed, few)
    model = paper_mlp(norm, sizes=(784, width, width, width, 10), generator=generator, activation=nn.ReLU)
    initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))
    optimizer = optim.SGD(model.parameters(), lr)
    with np.errstate(all="ignore"):  # a rate that is too large overflows
        for _ in range(steps):
            chosen = generator.permutation(few)[:60]
            optimizer.zero_grad()
            F.cross_entropy(model(Tensor(inputs[chosen])), answers[chosen]).backward()
            optimizer.step()
        if norm == "batch":
            update_bn([inputs], model)
        return predict_logits(model, x[:HELD]), predict_logits(model, x_test)


# %%
def percent(logits, answers):
    return 100 * (logits.argmax(-1) == answers).mean(-1)


def best_rate(norm, **setting):
    """The rate with the best held-out accuracy, for a network on images that no ensemble uses."""
    accuracy = [percent(logits_of(norm, lr, len(SEEDS), **setting)[0], labels[:HELD]) for lr in RATES]
    line = ", ".join(f"{lr:g}: {a:.2f} %" for lr, a in zip(RATES, accuracy, strict=True))
    print(f"{norm:5} {setting or ''} held-out accuracy at rate {line}")
    return RATES[int(np.argmax(accuracy))]


rates = {norm: best_rate(norm) for norm in ("none", "batch")}
held, test = {}, {}  # arm → logits (ensembles, members, images, classes)
for norm, lr in rates.items():
    pairs = [[logits_of(norm, lr, seed, member) for member in range(MEMBERS)] for seed in SEEDS]
    held[norm], test[norm] = (np.array([[p[i] for p in row] for row in pairs]) for i in (0, 1))

# %% [markdown]
# [`together`](../minidl/lab/paper/ensemble.py) measures an ensemble: the accuracy of $k$ members, averaged over all
# choices of $k$ out of six; and the **disagreement**, the share of images to which two members give different classes.

# %%
results = {norm: [together(F.softmax(Tensor(z)).data, test_labels) for z in test[norm]] for norm in rates}
accuracy = {norm: 100 * np.array([one["accuracy"] for one in results[norm]]) for norm in rates}
gains = {norm: a[:, -1] - a[:, 0] for norm, a in accuracy.items()}
for norm, a in accuracy.items():
    disagree = t_interval([100 * one["disagreement"] for one in results[norm]])
    print(f"{norm:6} one {t_interval(a[:, 0]).text(2)} %, all {t_interval(a[:, -1]).text(2)} %, gain "
          f"{t_interval(gains[norm]).text(2, sign=True)} points; two disagree on {disagree.text(2)} %")  # fmt: skip
more = paired(gains["batch"], gains["none"])
print(f"gain with BN − gain without: {more.text(2, sign=True)} points; ± is half the 95 % interval over the ensembles")

# %%
note = f"{FEW:,} images, {STEPS} steps, {len(SEEDS)} ensembles, {found.source}"
figure, (ax,) = plot.panels(1, size=(6.4, 4), note=note)
curves = {name: (np.arange(1, MEMBERS + 1), accuracy[norm]) for name, norm in (("BN", "batch"), ("plain", "none"))}
word = "more" if more.above_zero else "less" if more.below_zero else "neither more nor less, clearly,"
title = f"Members with BN gain {word} than plain ones"
plot.lines(ax, curves, title, "members", "test accuracy (%)")
recall("ensemble_gain", t_interval(gains["batch"]).text(2, sign=True))
recall("who_gains_more", f"with BN {more.text(2, sign=True)} points more than without")

# %% [markdown]
# In our run six networks with BN gained 1.98 ± 0.31 points over one: from 91.22 to 93.20 %. Plain ones gained 1.18 ± 0.45
# points. So averaging works without BN, too. Ensembles with BN alone, as in the paper, cannot show what BN has to do
# with it. Here members with BN gained more, by 0.81 ± 0.45 points. On average they also disagree more often:
# on 7.96 ± 0.65 % of the images against 6.43 ± 1.08 %, but these intervals overlap.
#
# The bands of the figure overlap: they are over the five sets of 2,000 images. Both arms learn from the same sets, so the
# gains are compared set by set.
#
# A sceptic adds: the two arms had rates of their own, 1 and 0.3, and a larger rate may be what drives members apart.
#
# Now the two other ways to average. If classes tie for the most votes, `argmax` takes the lowest.


# %%
def three_ways(z):
    """Accuracies of an ensemble with the logits z (members, images, classes)."""
    votes = np.eye(10)[z.argmax(-1)].mean(0)
    return [percent(mean, test_labels) for mean in (ensembles.average(z), z.mean(0), votes)]


for norm in rates:
    ways = np.array([three_ways(z) for z in test[norm]])
    for name, values in zip(("mean of logits", "votes"), ways[:, 1:].T, strict=True):
        print(f"{norm:5} {name} − mean of probabilities: {paired(values, ways[:, 0]).text(2, sign=True)} points")

# %% [markdown]
# In our run the votes were behind with BN, by 0.22 ± 0.16 points: a vote does not say how sure a member is. The mean of
# the logits was ahead, in both arms, by about 5 images in 10,000. The intervals just leave out 0, and they are over the
# ensembles alone. A difference like that is nothing to build on. So no way is clearly better than the paper's.
#
# ## 3. Do errors decorrelate?
#
# Suppose that members failed independently, as dice fall. Each is wrong on some share $e$ of the images, so all six would
# be wrong together on a share of $e^6$.
#
# **Prediction.** On how many of the 10,000 test images are all six members wrong: none, some 10, some 100, or more?

# %%
predict(all_six_wrong=...)  # a number of images


def counts(one):
    """How many images have 0, 1, … members that are wrong on them: measured, and if errors were independent."""
    wrong = MEMBERS - np.array(list(one["alone"]), int)
    measured, e = np.bincount(wrong, minlength=MEMBERS + 1), wrong.mean() / MEMBERS
    dice = [len(wrong) * comb(MEMBERS, k) * e**k * (1 - e) ** (MEMBERS - k) for k in range(MEMBERS + 1)]
    return measured, dice


tables = {norm: np.array([counts(one) for one in results[norm]]) for norm in rates}
for norm, table in tables.items():
    for name, row in zip(("measured", "if independent"), table.mean(0), strict=True):
        numbers = "  ".join(f"{n:,.0f}" if n > 5 else f"{n:.3f}" for n in row)
        print(f"{norm:5} {name:14} images with 0, 1, … members wrong: {numbers}")

# %%
figure, (ax,) = plot.panels(1, size=(6.4, 4), note=f"with BN, {note}")
lines = {name: (np.arange(MEMBERS + 1), tables["batch"][:, i]) for i, name in enumerate(("measured", "if independent"))}
everyone = tables["batch"][:, 0, -1]
title = f"All members are wrong together on {everyone.mean():,.0f} images"
plot.lines(ax, lines, title, "members that are wrong", "test images", log="y")
recall("all_six_wrong", t_interval(everyone).text(0))

# %% [markdown]
# In our run all six members with BN were wrong together on 304 images. If they were independent, it would be 0.005. So
# errors are far from independent, and averaging cannot repair what all members get wrong. With plain members it was 442
# images. (We made no interval for that difference.)
#
# Why are errors alike? The seeds *are* independent. So for one image the members are independent draws, but the odds
# differ from image to image: most images are easy for every member, and some are hard for all. What members share (the
# training images, the kind of network) decides which. An ensemble gains on the images in between.
#
# ## 4. What averaging is sure to gain
#
# For accuracy there is no guarantee: members that are weak, but wrong in the same place, can outvote good ones. For the
# **squared error** there is one. For one image it is $\sum_c (p_c - t_c)^2$ over the classes, where $t$
# is 1 for the right class and 0 for the others. Take the squared error of each member, and their average. Subtract the
# squared error of the averaged probabilities. The difference is the **ambiguity**. It is never below 0, and the labels do
# not matter for it.
#
# ### Exercise: the ambiguity
#
# `p` holds probabilities (members, images, classes). Return by how much the squared error of the mean is smaller than
# the members' average, as a mean over the images. No labels.


# %% tags=["exercise:ambiguity"]
def ambiguity(p):
    raise NotImplementedError  # stuck? hint("ambiguity")


# %%
check("ambiguity", ambiguity);

# %%
p = F.softmax(Tensor(test["batch"][0])).data.astype(np.float64)
gain = ensembles.squared_error(p, test_labels) - ensembles.squared_error(p.mean(0), test_labels)
shuffled = np.random.default_rng(14).permutation(test_labels)
again = ensembles.squared_error(p, shuffled) - ensembles.squared_error(p.mean(0), shuffled)
print(f"gain in squared error {gain:.6f}; with shuffled labels {again:.6f}; ambiguity {ensembles.ambiguity(p):.6f}")

# %% [markdown]
# How many members are worth it? Think of members that are drawn from one large pool. Then the members' own squared error
# is the same on average, however many there are, and only the gain depends on their number.
#
# **Prediction.** What share of the gain of infinitely many do six have?

# %%
predict(share_of_six=...)  # in percent

# %% [markdown]
# ### Exercise: the gain of more members
#
# Two members from that pool gain `pair` over one, in squared error. How much do `k` members gain, on average? (The
# variance of a mean of $k$ independent draws is that of one draw, divided by $k$: [08](08_inference.ipynb).)


# %% tags=["exercise:expected_gain"]
def expected_gain(pair, k):
    raise NotImplementedError  # stuck? hint("expected_gain")


# %%
check("expected_gain", expected_gain);

# %%
sizes, errors, forecasts = np.arange(1, MEMBERS + 1), [], []
for z in test["batch"]:
    p = F.softmax(Tensor(z)).data.astype(np.float64)
    rings = [[np.roll(p, -i, 0)[:k].mean(0) for i in sizes] for k in sizes]  # k neighbours in a ring, from each member on
    nested = [np.mean([ensembles.squared_error(mean, test_labels) for mean in ring]) for ring in rings]
    pair = ensembles.ambiguity(p[:2])  # the first two alone, and no label
    errors.append(nested)
    forecasts.append([ensembles.expected_gain(pair, k) for k in sizes])
errors, forecasts = np.array(errors), np.array(forecasts)
saved = errors[:, :1] - errors
off = 100 * (forecasts[:, -1] / saved[:, -1] - 1)
print("squared error of 1, 2, … members:", " ".join(f"{e:.4f}" for e in errors.mean(0)))
print(f"gain of {MEMBERS}, forecast from two: off by", ", ".join(f"{o:+.1f} %" for o in off).replace("-", "−"))

# %%
figure, (ax,) = plot.panels(1, size=(6.4, 4), note=f"with BN, {note}")
lines = {"measured": (sizes, saved), "forecast from two members": (sizes, forecasts)}
title = f"Two members forecast what all gain, to within {np.abs(off).max():.0f} %"
plot.lines(ax, lines, title, "members", "gain in squared error on test images")
recall("share_of_six", f"{100 * (1 - 1 / MEMBERS):.0f} %, by the formula")

# %% [markdown]
# In our run the forecast from two members was off by 9 % of the gain, at worst, and it needs no labels. So you can train
# two, let them answer images that nobody has labelled, and estimate what six would bring in squared error. Two have half of
# what infinitely many gain, six have five sixths: 83 %.
#
# ## 5. The honest baseline
#
# “Six are better than one” compares a cost of six with a cost of one. With the same training cost you can also have:
#
# - **the best of six** on the held-out images (nobody who has six would settle for an average one),
# - **one network trained six times as long**,
# - **one network with six times as many weights**: hidden layers of 382 units instead of 100.
#
# The last two get a rate of their own, chosen as before. All with BN.
#
# **Prediction.** Which of the three comes closest to the ensemble, and does it reach it?

# %%
predict(best_baseline=...)  # "best of six", "longer" or "larger"
correct = {}  # name → (ensembles, images): 1 where an image is read correctly
answers = test["batch"].argmax(-1) == test_labels
correct["mean of the members"] = answers.mean(1)
chosen = percent(held["batch"], labels[:HELD]).argmax(1)
correct["best of six"] = answers[np.arange(len(SEEDS)), chosen].astype(float)
for name, setting in (("longer", {"steps": 6 * STEPS}), ("larger", {"width": pick(382, 60)})):
    rates[name] = best_rate("batch", **setting)
    singles = np.array([logits_of("batch", rates[name], seed, **setting)[1] for seed in SEEDS])
    correct[name] = (singles.argmax(-1) == test_labels).astype(float)
correct["ensemble"] = np.array([[int(digit) for digit in one["together"]] for one in results["batch"]], float)

# %% [markdown]
# The five ensembles are tested on the same 10,000 images. An interval over the ensembles says what another five would
# give *on these images*. Other images would move all five together. So we draw images, too, with replacement, which is
# called a **bootstrap**, and add the two variances.


# %%
def half_widths(table):
    """Of the mean of a table (ensembles, images): half the 95 % interval over ensembles, over images, and over both."""
    generator, n = np.random.default_rng(14), table.shape[1]
    drawn = [table.mean(0)[generator.integers(0, n, n)].mean() for _ in range(2000)]
    ours, images = t_interval(table.mean(1)).half, 1.96 * np.std(drawn)
    return ours, images, np.hypot(ours, images)


for name, table in correct.items():
    print(f"{name:20} test {100 * table.mean():.2f} % ± {100 * half_widths(table)[2]:.2f}")
ahead = {name: 100 * (correct["ensemble"] - table) for name, table in correct.items() if name != "ensemble"}
for name, table in ahead.items():
    e, i, both = half_widths(table)
    print(f"ensemble − {name:20} {table.mean():+.2f} points; ± {e:.2f} ensembles, ± {i:.2f} images, ± {both:.2f} both")

# %%
figure, (ax,) = plot.panels(1, size=(7, 3), note=f"with BN, {note}")
beaten = [name for name, table in ahead.items() if table.mean() > half_widths(table)[2]]
title = f"The ensemble is clearly ahead of {'all' if len(beaten) == len(ahead) else ', '.join(beaten) or 'none'}"
rows = {f"ensemble − {name}": table.mean(1) for name, table in ahead.items()}
plot.intervals(ax, rows, title, "difference in test accuracy (points)", zero=True)
closest = min(list(ahead)[1:], key=lambda name: ahead[name].mean())
recall("best_baseline", f"{closest}; ensemble − {closest} {ahead[closest].mean():+.2f} points")

# %% [markdown]
# In our run the ensemble was ahead of all it was compared with. Against one network of the usual training (the mean of
# the members) it gained 1.98 points. Against one that was trained six times as long it gained 1.38 ± 0.92; against the
# larger one, 1.67 ± 0.89; against the best of its own members, 1.43 ± 0.26. So on average a part of the gain is what the
# cost would have bought in any case. How large a part, or whether any at all, five ensembles cannot tell: ± 0.92 is
# wide. Most of that is luck with training images and seeds; the test images alone make ± 0.19.
#
# When the networks are *used*, their costs differ: for each answer the larger one costs about as much as the ensemble,
# and the longer one a sixth of that.
#
# ## 6. Where more is left to learn
#
# 400 steps with 60 images each are 12 passes over 2,000 images. Further passes over so few images teach little. Now the
# training set has 20,000 images, and 400 steps are about one pass. Six members of 400 steps, or one network of 2,400?
# The rates stay as they were. (The five training sets overlap now.)
#
# **Prediction.** Which of the two is ahead?

# %%
predict(with_more_images=...)  # "ensemble" or "longer"
MANY = pick(20_000, 2000)
six, one, longer = [], [], []
for seed in SEEDS:
    z = np.array([logits_of("batch", rates["batch"], seed, member, few=MANY)[1] for member in range(MEMBERS)])
    six.append(ensembles.average(z).argmax(-1) == test_labels)
    one.append((z.argmax(-1) == test_labels).mean(0))
    longer.append(logits_of("batch", rates["longer"], seed, steps=6 * STEPS, few=MANY)[1].argmax(-1) == test_labels)
six, one, longer = (np.array(table, float) for table in (six, one, longer))

# %%
for name, table in (("one", one), ("ensemble", six), ("longer", longer)):
    print(f"{MANY:,} images: {name:8} test {100 * table.mean():.2f} % ± {100 * half_widths(table)[2]:.2f}")
duels = {
    f"{FEW:,} images: ensemble − one": ahead["mean of the members"],
    f"{FEW:,} images: ensemble − longer": ahead["longer"],
    f"{MANY:,} images: ensemble − one": 100 * (six - one),
    f"{MANY:,} images: ensemble − longer": 100 * (six - longer),
}
for name, table in duels.items():
    e, i, both = half_widths(table)
    print(f"{name:34} {table.mean():+.2f} points; ± {e:.2f} ensembles, ± {i:.2f} images, ± {both:.2f} both")
lead, both = duels[name].mean(), half_widths(duels[name])[2]
winner = "no clear winner" if abs(lead) < both else "the ensemble is ahead" if lead > 0 else "the longer network is ahead"

# %%
figure, (ax,) = plot.panels(1, size=(7, 2.8), note=f"with BN, {len(SEEDS)} ensembles, {found.source}")
rows = {name: table.mean(1) for name, table in duels.items()}
title = f"At the same training cost with {MANY:,} images: {winner}"
plot.intervals(ax, rows, title, "difference in test accuracy (points)", zero=True)
recall("with_more_images", winner)

# %% [markdown]
# In our run the ensemble had 96.46 % and the longer training 96.38 %: a lead of +0.08 ± 0.27 points, so neither was
# clearly ahead. Yet the gain over *one* network of 400 steps is as large as before, 2.05 points. So “six against one”
# cannot tell the two cases apart. With 2,000 images, more passes teach little, and averaging helps. With 20,000, more
# steps help as much as averaging. Then the single network is the better bargain: it answers at a sixth of the cost.
#
# A sceptic adds: no rate was chosen anew for 20,000 images. And since the training sets overlap, the interval over the
# five is too narrow, as it is over shared test images.
#
# ## 7. The ledger, read critically
#
# The ledger's claim `ensemble` has five ensembles of six with BN, and five without: the paper's sigmoid network, all of
# MNIST, 10,000 steps, each arm at a rate tuned for one network. For each test image the ledger keeps how many members
# were right, and whether the ensemble was. So we can ask it what we asked our own runs.

# %%
claim, facts, result = ledger("ensemble")
print(f"{claim.verdict(result).word}: {claim.verdict(result).number}\n({facts['data']}, {facts['seeds']} ensembles)")
entries = {arm: [run.record for run in result.where(arm=arm, stage="final").runs] for arm in ("with BN", "without BN")}


def right(arm, entry):
    """A table (ensembles, images) of an entry of the records, which has a digit for each image."""
    return np.array([[int(digit) for digit in record[entry]] for record in entries[arm]], float)


six = {arm: 100 * right(arm, "together") for arm in entries}
one = {arm: 100 * right(arm, "alone") / 6 for arm in entries}  # the share of members that are right
tables = {f"{arm}: six − one": six[arm] - one[arm] for arm in entries}
tables |= {f"{name}: with BN − without": of["with BN"] - of["without BN"] for name, of in (("six", six), ("one", one))}
for name, table in tables.items():
    e, i, both = half_widths(table)
    print(f"{name:24} {table.mean():+.2f} points; ± {e:.2f} ensembles, ± {i:.2f} images, ± {both:.2f} both")
curve = 100 * np.array([record["accuracy"] for record in entries["with BN"]])
best = 100 * np.array([max(record["test"]) for record in entries["with BN"]])
share = (curve[:, 1] - curve[:, 0]).mean() / (curve[:, -1] - curve[:, 0]).mean()
print(f"six with BN − the best member *on the test images*: {paired(curve[:, -1], best).text(2, sign=True)} points")
print(f"two members have {100 * share:.0f} % of the gain of six; in squared error it would be {100 * 3 / 5:.0f} %")

# %% [markdown]
# Over ensembles alone the gain with BN has an interval of ± 0.05. With images drawn, too, it is ± 0.10. So the first one is
# too narrow, and the gain of 0.78 points is still far from 0. The five ensembles also share their 55,000 training images,
# which no interval here counts.
#
# Without BN the gain is 1.01 ± 0.18. That does not speak against BN: one network without it is 0.37 points behind one with
# it, and has more to gain. Six with BN against six without: +0.13 ± 0.14, so neither is clearly ahead. The sentence “an
# ensemble of batch-normalised networks is better than one” is true, and it is true without “batch-normalised”, too.
#
# Even the member that is best *on the test images*, which nobody could have chosen, is 0.60 ± 0.16 points behind. One thing
# the entry cannot say: whether the gain is worth its cost. It has no network that was trained six times as long, and
# section 6 shows that this may be what decides.
#
# ## What we did not show
#
# - That BN makes ensembles better. Our two arms differ in their rates, too, and a gain depends on how good one member is.
# - Members that differ in more than the seed. The paper's differed in initial weights, dropout and kind of BN.
# - A rate chosen *for* the ensemble. Members were tuned to be good alone.
# - Baselines tuned further: other shapes of six times the weights, longer training with a falling rate or dropout.
# - Other data: photographs, or the paper's ImageNet.
#
# ## In short
#
# - An ensemble is the mean of the members' probabilities. In squared error it is never worse than its members on average,
#   and the gain, the ambiguity, needs no labels.
# - Two members have half of what infinitely many would gain, six have five sixths.
# - Errors of members are far from independent, since images that are hard for one are hard for all.
# - The honest question is not “six against one?” but “what else does the cost of six buy?” The answer depended on how many
#   images there are to learn from.
#
# **Confusions settled.** "Six networks that fail on one image in ten fail together on one in a million": only if images
# were equally hard. "The interval is over five runs": and over one set of test images. "Ensembles need BN": plain ones gain.
#
# Solutions: [solutions/14_ensembles.py](solutions/14_ensembles.py). Next: [15, the clinic](15_clinic.ipynb).
