# %% [markdown]
# # 11 Learning rate: why can the steps be bigger?
#
# The paper raises the learning rate 5 times, then 30 times, and says that batch normalization permits it. Here you
# find out which part of the network permits it, and which part does not. One fact explains most of what you will
# see: before BN, the length of the weights does not matter. So it decides how large a step really is. Afterwards you
# can predict how BN, the learning rate and weight decay act together.
#
# **Time**: about 75 minutes with the exercises; the cells run in about 90 s on two cores.
#
# **You need** [05](05_algorithm_1.ipynb) (what BN computes) and [07](07_figure_1.ipynb) (seeds, and choosing a learning
# rate on held-out images). Words are in the [glossary](README.md#glossary).

# %%
import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, hint, invariance, ledger, pick, predict, recall
from minidl.lab.models import initialise, paper_mlp
from minidl.train import evaluate

(images, labels), _ = found = digits()
x = (images.reshape(-1, 784) > 127).astype(np.float32)
HELD = len(x) // 12  # images to compare settings with; the others are for training
print(f"{found.source}: {len(x) - HELD:,} images for training, {HELD:,} held out")

# %% [markdown]
# ## 1. Ten times the weights
#
# Our network has three hidden layers of 100 units with ReLU, max(0, x), and ten outputs. With BN, each hidden layer
# computes BN(Wu): weighted sums, then BN over the batch. Its weights start with the standard deviation √(2/inputs), which
# suits ReLU (He et al. 2015; we call them He's weights). We multiply the matrix W of the second hidden layer by a
# number $a$, and look at the loss of one batch and at its gradient for that matrix, written ∂W.
#
# **Prediction.** For $a = 10$: (a) the loss changes, and ∂W with it; (b) the loss stays, and ∂W is 10 times as large;
# (c) the loss stays, and ∂W stays; (d) the loss stays, and ∂W is a tenth. Put your letter in place of the dots.

# %%
predict(ten_times_the_weights=...)  # "a", "b", "c" or "d"


def network(norm, seed=0):
    """Three hidden layers with ReLU, "batch" or "none" before each; equal seeds have equal weights."""
    generator = np.random.default_rng(seed)
    model = paper_mlp(norm, activation=nn.ReLU, generator=generator)
    return initialise(model, lambda weight: nn.init.kaiming_normal_(weight, generator))


def hidden(model):
    return [layer.weight for layer in model if isinstance(layer, nn.Linear)][:-1]


def loss_and_gradient(model, which, rows=slice(0, 300)):
    """The loss of 300 images in training mode, and its gradient for one of the hidden layers' weights."""
    model.zero_grad()
    loss = F.cross_entropy(model(Tensor(x[rows])), labels[rows])
    loss.backward()
    return loss.item(), hidden(model)[which].grad.astype(np.float64)


# %%
print("            a      loss   length of ∂W   largest |⟨w, ∂w⟩| / (‖w‖·‖∂w‖) of a unit")
for norm in ("batch", "none"):
    for a in (0.1, 1, 10):
        model = network(norm)
        w = hidden(model)[1].data
        w *= np.float32(a)
        loss, g = loss_and_gradient(model, 1)
        cosine = np.abs((w * g).sum(0)) / (np.linalg.norm(w, axis=0) * np.linalg.norm(g, axis=0) + 1e-12)
        name = "with BN" if norm == "batch" else "without"
        print(f"{name:8}{a:5g} {loss:9.4f} {np.linalg.norm(g):14.5f} {cosine.max():20.6f}")
    if norm == "batch":
        recall("ten_times_the_weights", "d, but for BN's ε")

# %% [markdown]
# With BN it is (d). The loss stays. Ten times the weights have a tenth of the gradient, and a tenth of the weights have
# ten times the gradient. (Nearly: BN adds ε to the variance, which counts when the weights are small.) The last column
# takes each unit's weight vector $w$, a column of W, and its gradient ∂w. It is the cosine of the angle between them:
# 0 is a right angle. Without BN none of this holds.
#
# ## 2. Two facts, one cause
#
# BN subtracts the mean and divides by the standard deviation. If $w$ becomes $aw$, with $a > 0$, both the sums and
# their standard deviation are multiplied by $a$, and it cancels. So the loss, as a function of one unit's $w$, has
#
# $$L(a\,w) = L(w) \quad\text{for every } a > 0.$$
#
# This is called **scale invariance**. Differentiate both sides:
#
# - by $a$, at $a = 1$: $\;\langle w, \partial w\rangle = 0$. (By the chain rule; $\langle u, v\rangle$ is the sum of the
#   products $u_i v_i$.) The gradient is at right angles to the weights: along $w$ the loss is level.
# - by $w$: $\;a\,\nabla L(aw) = \nabla L(w)$. The gradient at $aw$ is $1/a$ of the gradient at $w$.
#
# To see it, we go through the plane that is spanned by W of the first hidden layer and its gradient, and compute the
# loss at each place. W itself is the dot at (1, 0), the dot at (0, 0) is W = 0, and the arrow points down the gradient.
# (The vertical axis is stretched.)


# %%
def plane(norm, along, across):
    """The loss where the first layer's weights are s·W − t·∂W, with ∂W made as long as W."""
    model = network(norm)
    _, g = loss_and_gradient(model, 0)
    w = hidden(model)[0].data
    start, down = w.copy(), -g * np.linalg.norm(w) / np.linalg.norm(g)
    losses = np.empty((len(across), len(along)))
    for i, t in enumerate(across):
        for j, s in enumerate(along):
            w[...] = s * start + t * down
            losses[i, j] = F.cross_entropy(model(Tensor(x[:300])), labels[:300]).item()
    return losses


along, across = np.linspace(-0.5, 2, pick(41, 7)), np.linspace(-0.15, 0.15, pick(41, 7))
planes = {"With BN the loss is the same along each ray from 0": "batch", "Without BN it is not": "none"}
figure, axes = plot.panels(2, size=(5.2, 4.2))
for ax, (title, norm) in zip(axes, planes.items(), strict=True):
    names = "along W (in lengths of W)", "down ∂W (in lengths of W)"
    plot.contours(ax, along, across, plane(norm, along, across), title, *names, bar="loss")
    ax.annotate("", (1, 0.06), (1, 0), arrowprops={"arrowstyle": "->", "color": plot.INKS[1], "linewidth": 2})
    ax.plot([0, 1], [0, 0], "o", color=plot.INKS[1])

# %% [markdown]
# Left: the lines of equal loss are rays. Only the direction of W matters. (Very near 0 they are not: there ε counts.)
# The arrow leaves W at a right angle, so its end is *farther* from 0 than its start. And the same arrow, put twice as
# far out, would turn W only half as much.
#
# ### Exercise: the matching rate
#
# Take two copies of a network with BN (ignore ε). In the second, the matrix of one hidden layer is multiplied by
# $a > 0$. The first copy is trained with the learning rate `lr`. Which rate must that layer of the second have, so that
# both copies compute the same outputs after every step?

# %% tags=["exercise:matching_rate"]
def matching_rate(lr, a):
    raise NotImplementedError  # stuck? hint("matching_rate")


# %%
check("matching_rate", matching_rate);

# %% [markdown]
# ## 3. Where do the steps lead?
#
# **Prediction.** We train with plain SGD, and raise the rate of the hidden weights, and only theirs, 1, 5 and 30
# times. What does the length of their weights do: (a) it hardly changes; (b) it shrinks; (c) it grows, in proportion
# to the rate; (d) it grows, and less than in proportion?

# %%
predict(length_of_weights=...)  # "a", "b", "c" or "d"

# %% [markdown]
# ### Exercise: how long do they get?
#
# `start` is ‖w‖ before the first step. `gradients` is an array with ‖∂w‖ of each step, `lr` the learning rate η. Each
# gradient is at right angles to the $w$ of its step. Return ‖w‖ after each step, as many numbers as there are gradients.
# The check makes a real descent and compares.

# %% tags=["exercise:growth"]
def growth(start, gradients, lr):
    raise NotImplementedError  # stuck? hint("growth")


# %%
check("growth", growth);

# %% [markdown]
# Now the experiment. `look` is called before each step; `decay` is for later.

# %%
RATE, SEEDS = 0.3, range(pick(3, 2))  # section 4 says why this rate


def train(model, lr, steps, seed=0, times=1.0, decay=0.0, look=None):
    """Plain SGD; the hidden weights have `times` the rate. Returns whether the loss stayed finite."""
    generator, weights = np.random.default_rng([seed, 1]), hidden(model)
    rest = [p for p in model.parameters() if not any(p is w for w in weights)]
    groups = [{"params": weights, "lr": times * lr, "weight_decay": decay}, {"params": rest}]
    optimizer = optim.SGD(groups, lr)
    with np.errstate(all="ignore"):
        for _ in range(steps):
            chosen = generator.integers(HELD, len(x), 60)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(x[chosen])), labels[chosen])
            if not np.isfinite(loss.item()):
                return False
            loss.backward()
            if look:
                look(weights)
            optimizer.step()
    return True


# %%
class Lengths:
    """‖w‖ and ‖∂w‖ of every unit of one hidden layer in every step: arrays (steps, units)."""

    def __init__(self, layer):
        self.layer, self.w, self.g = layer, [], []

    def __call__(self, weights):
        weight = weights[self.layer]
        self.w.append(np.sqrt(np.square(weight.data, dtype=np.float64).sum(0)))
        self.g.append(np.sqrt(np.square(weight.grad, dtype=np.float64).sum(0)))


# %%
steps, factors = pick(800, 60), (1, 5, 30)
grown = {}
for times in factors:
    for seed in SEEDS:
        seen = grown[times, seed] = Lengths(1)
        train(network("batch", seed), RATE, steps, seed, times, look=seen)
        seen.w, seen.g = np.array(seen.w), np.array(seen.g)

rows = {times: [np.sqrt((grown[times, seed].w ** 2).mean(1)) for seed in SEEDS] for times in factors}  # root mean square
worst = 0.0
for (times, _), seen in grown.items():
    ahead = invariance.norms_ahead(seen.w[0], seen.g[:-1], times * RATE)
    worst = max(worst, np.abs(ahead / seen.w[1:] - 1).max())
print(f"lengths computed from the start and the gradients alone are off by at most {100 * worst:.2f} %")
ends = {times: np.mean([row[-1] for row in rows[times]]) for times in factors}
print("at the end:", ", ".join(f"{times} times the rate: ‖w‖ = {end:.2f}" for times, end in ends.items()))
recall("length_of_weights", f"30 times the rate, {ends[30] / ends[1]:.1f} times the length")

# %% [markdown]
# It is (d). The lengths follow from Pythagoras alone: ‖w‖² grows by η²‖∂w‖² in each step. Growth slows itself down,
# because a longer $w$ has a shorter gradient.
#
# A short step of length η‖∂w‖ turns a vector of length ‖w‖ by about the angle η‖∂w‖/‖w‖. Since ∂w is itself $1/\|w\|$ of the
# gradient $\tilde g$ at length 1, the angle is $\frac{\eta}{\|w\|^2}\|\tilde g\|$. So the learning rate of the
# *direction* is $\eta/\|w\|^2$, called the **effective learning rate**.

# %%
figure, (left, right) = plot.panels(2, size=(5.2, 3.9), note=f"second hidden layer, {len(SEEDS)} seeds, {found.source}")
at = np.arange(steps)
runs = {f"rate × {times}": (at, rows[times]) for times in factors}
title = "The larger the rate, the longer the weights"
plot.lines(left, runs, title, "training step", "‖w‖ (root mean square of units)", log="y")
effective = {times: [times * RATE / np.square(row) for row in rows[times]] for times in factors}
runs = {f"rate × {times}": (at, effective[times]) for times in factors}
first, last = (np.mean(effective[30], 0)[i] / np.mean(effective[1], 0)[i] for i in (0, -1))
title = f"Effective rates end {last:.1f} times apart"
plot.lines(right, runs, title, "training step", "effective rate η/‖w‖²", log="y", key=False)
print(f"effective rates, × 30 against × 1: {first:.0f} times at first, {last:.1f} times at the end")

# %% [markdown]
# In our run rates that were 30 times apart ended with effective rates 4.6 times apart. A first step that is too large
# throws the weights far out, and there the same rate is a small one. This is a brake that no one had to tune. (If
# $\|\tilde g\|$ were the same at every rate, weights at a large rate would soon forget their start: ‖w‖² would grow in
# proportion to η, and η/‖w‖² would not depend on η. In 800 steps it still does.)
#
# ## 4. Who may take bigger steps?
#
# Not everything in our network is scale-invariant: γ, β and the whole output layer are not. So we sweep over the
# learning rate with three arms: without BN; with BN; and with BN, but the larger rate for the hidden weights alone.
#
# RATE × 1 is to be the best of these rates for the network *without* BN. The paper's 5 and 30, too, are multiples of
# the rate of its network without BN. All numbers are accuracies on **held-out images**: they choose settings, and
# nothing is trained on them.
#
# **Prediction.** Which arms still learn at 5, at 30, at 300 times that rate?

# %%
predict(thirty_times_the_rate=...)  # a list of "without BN", "with BN", "BN, only hidden weights"
STEPS, FACTORS = pick(500, 60), (0.1, 0.33, 1, 5, 30, 300)
ARMS = {"without BN": "none", "with BN": "batch", "BN, only hidden weights": "batch"}


def accuracy(arm, factor, seed):
    """Percent of the held-out images that are read correctly after training; a network that overflowed guesses."""
    model = network(ARMS[arm], seed)
    rate, times = (RATE, factor) if "only" in arm else (RATE * factor, 1)
    if not train(model, rate, STEPS, seed, times):
        return 10.0
    with np.errstate(all="ignore"):
        return 100 * evaluate(model, x[:HELD], labels[:HELD]).accuracy


swept = {arm: np.array([[accuracy(arm, f, seed) for f in FACTORS] for seed in SEEDS]) for arm in ARMS}

# %%
print(f"accuracy in % after {STEPS} steps: mean of {len(SEEDS)} seeds (lowest to highest)")
print(f"{'rate ×':26}", "".join(f"{factor:>20}" for factor in FACTORS))
for arm, values in swept.items():
    cells = (f"{v.mean():.1f} ({v.min():.1f} to {v.max():.1f})" for v in values.T)
    print(f"{arm:26}", "".join(f"{cell:>20}" for cell in cells))
at_30 = [arm for arm, values in swept.items() if values[:, FACTORS.index(30)].min() > 80]
recall("thirty_times_the_rate", " and ".join(at_30) or "none")
figure, (ax,) = plot.panels(1, size=(7.4, 4.2), note=f"{STEPS} steps, {len(SEEDS)} seeds, {found.source}")
runs = {arm: (FACTORS, values) for arm, values in swept.items()}
title = f"At 30 times the rate all seeds learn in: {' and '.join(at_30) or 'no arm'}"
plot.lines(ax, runs, title, f"learning rate, in multiples of {RATE}", "held-out accuracy (%)", log="x")
ax.set_ylim(0, 102);

# %% [markdown]
# In our run the network without BN read 94.3 % at its best of these rates, and guessed at 5 times that rate. With BN it
# read 95.2 % at 5 times, and guessed at 30 times. So the paper's 5 times work here, and its 30 do not. The third line
# is the finding: with the large rate for the hidden weights alone, the network read 95.5 % at 30 times and 95.0 % at
# 300 times. There the brake works. What breaks at 30 times is something that BN does not make scale-invariant: γ, β or
# the output layer. (We did not test which.)
#
# Note what the bigger steps did *not* do. With BN, 5 times the rate was no better than the rate itself, 95.2
# against 95.6 %. Bigger steps are permitted; they are not needed.
#
# ## 5. Weight decay: a thermostat
#
# **Weight decay** pulls weights towards 0: each step also subtracts ηλw, so that ‖w‖ loses the share ηλ of itself. The
# usual reason is that small weights keep the network's function simple. Before BN they cannot: there the length of the
# weights does not change what the network computes. But it does change the effective rate. Gradient steps make $w$
# longer, a long one less than a short one. Decay makes it shorter, a long one more. Somewhere they balance.
#
# **Prediction.** We start the same network three times: with its weights as they are, divided by 3, and times 3.
# After 1,500 steps with weight decay the lengths are (a) still nine times apart; (b) about three times; (c) equal.

# %%
predict(starts_nine_times_apart=...)  # "a", "b" or "c"

# %% [markdown]
# ### Exercise: where do they balance?
#
# In one step decay multiplies ‖w‖² by $(1 - ηλ)^2$, which is nearly $1 - 2ηλ$ (use this). The step along the gradient,
# at right angles, adds its own square. Let `squared` be the mean of $\|\tilde g\|^2$, the squared gradient at length 1,
# so that $\|\partial w\|^2 = \|\tilde g\|^2/\|w\|^2$. At which ‖w‖ is as much added as taken away?

# %% tags=["exercise:equilibrium"]
def equilibrium(lr, decay, squared):
    raise NotImplementedError  # stuck? hint("equilibrium")


# %%
check("equilibrium", equilibrium);

# %%
LONG, DECAY = pick(1500, 80), 3e-3


def with_decay(rate, decay, scale=1.0, seed=0):
    """Train with weight decay on the hidden weights alone; what the second layer's lengths do, and the accuracy."""
    model, seen = network("batch", seed), Lengths(1)
    for weight in hidden(model):
        weight.data *= np.float32(scale)
    train(model, RATE, LONG, seed, rate / RATE, decay, seen)
    seen.w, seen.g = np.array(seen.w), np.array(seen.g)
    return seen, 100 * evaluate(model, x[:HELD], labels[:HELD]).accuracy


def measured_and_predicted(seen, rate, decay):
    """Of each unit, over the second half of training: ‖w‖ (its fourth powers' mean), and what balance would make it."""
    w, g = seen.w[LONG // 2 :], seen.g[LONG // 2 :]
    squared = np.square(w * g).mean(0)
    alive = squared > 1e-6
    return (w[:, alive] ** 4).mean(0) ** 0.25, invariance.equilibrium(rate, decay, squared[alive])


scales = {scale: with_decay(1.0, DECAY, scale)[0] for scale in (1 / 3, 1, 3)}
settings = [(rate, product / rate) for product in (1e-3, 3e-3, 1e-2) for rate in (0.3, 3.0)]
rested = {setting: [with_decay(*setting, seed=seed) for seed in SEEDS[:2]] for setting in settings}

# %%
figure, (left, right) = plot.panels(2, size=(5.2, 4.1), note=f"second hidden layer, {found.source}")
curves = {f"start × {scale:.2g}": (np.arange(LONG), np.sqrt((s.w**2).mean(1))) for scale, s in scales.items()}
ends = [curve[-1] for _, curve in curves.values()]
title = f"From starts nine times apart to lengths within {100 * (max(ends) / min(ends) - 1):.0f} %"
plot.lines(left, curves, title, "training step", "‖w‖ (root mean square of units)", log="y")
ratios = []
for i, (rate, decay) in enumerate(settings):
    pairs = [measured_and_predicted(seen, rate, decay) for seen, _ in rested[rate, decay]]
    measured, predicted = np.concatenate(pairs, axis=1)
    ratios.append(measured / predicted)
    right.loglog(predicted, measured, ".", color=plot.INKS[i], alpha=0.5, label=f"η = {rate:g}, λ = {decay:.2g}")
span = right.get_xlim()
right.plot(span, span, color="0.5", linewidth=1)
right.legend(frameon=False, fontsize=8)
off = np.concatenate(ratios)
right.set_xticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
right.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
right.minorticks_off()
plot.label(right, f"Half of the units are within {100 * np.median(np.abs(off - 1)):.0f} % of the formula",
           "‖w‖ where the formula puts it", "‖w‖ measured")  # fmt: skip
recall("starts_nine_times_apart", f"{max(ends) / min(ends):.2f} times apart")

# %%
print("   η       λ       η·λ    ‖w‖ measured / formula   effective rate   held-out accuracy")
for (rate, decay), ratio in zip(settings, ratios, strict=True):
    effective = np.mean([rate / np.square(seen.w[LONG // 2 :]).mean() for seen, _ in rested[rate, decay]])
    accuracies = [value for _, value in rested[rate, decay]]
    print(f"{rate:5g} {decay:9.2g} {rate * decay:7.3f} {np.median(ratio):15.2f} {effective:22.2f}"
          f"{np.mean(accuracies):18.1f} ± {np.ptp(accuracies) / 2:.1f}")  # fmt: skip

# %% [markdown]
# (c): lengths that began nine times apart ended within 3 %. The network has forgotten how long its weights were. For
# half of the units, the length where it settles is within 1 % of the formula. (This checks the balance, but does not
# foretell the length: the formula takes the gradients of this same run.) The cloud beside the line, 1.17 in the first
# row, has not settled yet: with a small η·λ it takes longer than our 1,500 steps to shrink. (The second row has the
# same η·λ, but began near its place.)
#
# Compare the rows with the same η·λ (± is half the range of two seeds). The rates are ten times apart. In the first
# pair, of which one has not settled, the effective rates are 0.72 and 1.28. Then they are 2.33 and 2.50, and 5.45 and
# 5.47. The accuracies agree within a few tenths in each pair. At rest
# $\eta/\|w\|^2 = \sqrt{2\eta\lambda/\|\tilde g\|^2}$: η and λ are one knob (van Laarhoven 2017). So in a network with
# BN, weight decay is a learning-rate setting: without it the effective rate goes on falling, with it the rate settles.
# More of it was not better here. The largest η·λ, with the largest steps, had the lowest accuracy, about 90 %.
#
# ## 6. The paper's table, read critically
#
# In §4.2.2 the paper trains Inception, a deep convolutional network, on a million photographs (ImageNet). The numbers are
# the paper's, the quotients are ours.

# %%
table = {  # arm → (millions of steps to 72.2 % validation accuracy, highest accuracy in %, initial learning rate)
    "Inception": (31.0, 72.2, 0.0015),
    "BN-Baseline": (13.3, 72.7, 0.0015),
    "BN-x5": (2.1, 73.0, 0.0075),
    "BN-x30": (2.7, 74.8, 0.045),
}
for arm, (millions, best, rate) in table.items():
    fewer = f"{31.0 / millions:4.1f} times fewer"
    print(f"{arm:12} rate × {rate / 0.0015:<3.0f} {millions:5.1f} million steps, {fewer}; best {best} %")
print(f"from BN-Baseline to BN-x5: {13.3 / 2.1:.1f} times fewer")

# %% [markdown]
# **Prediction.** BN-Baseline adds BN to Inception. For some of the others the paper also removed dropout and local
# response normalisation (an older method), weakened weight decay, let the rate fall faster, shuffled examples better,
# and distorted photographs less. Which two neighbours in this table, do you think, differ in the learning rate alone?

# %%
predict(rows_that_differ_in_rate_alone=...)  # two of "Inception", "BN-Baseline", "BN-x5", "BN-x30"

# %% [markdown]
# Only BN-x5 and BN-x30 do. BN-Baseline adds BN and nothing else, and takes 2.3 times fewer steps. From there to BN-x5,
# §4.2.1 changes seven things at once: the rate is 5 times as large, dropout is gone, weight decay is a fifth, the rate
# falls 6 times as fast, local response normalisation is gone, examples are shuffled more thoroughly,
# and photographs are distorted less. The factor of 6.3 between them belongs to all seven together. The one comparison
# of rates says that ×30 is *slower* to 72.2 % than ×5, and ends higher.
#
# Two more questions to ask of such a table. Was the baseline tuned as well? ("Inception" has one rate.) And how many
# seeds? One, as far as the paper says. And one arm is missing: all the other changes, without BN. The ledger, our
# record of the paper's claims ([07](07_figure_1.ipynb)), has a study with that arm, `steps`, on a smaller network and
# CIFAR-10. It took more than seven hours of one core; a cell below prints what came out, or how to make it.
#
# **Prediction.** On that network, too, BN alone and BN-x5 need fewer steps than the plain network. Now give the plain
# network the other six changes and a rate of its own. What is left of the lead of BN-x5: (a) most of it; (b) about
# half, in logarithms (half of 9 times is 3 times); (c) nothing?

# %%
recall("rows_that_differ_in_rate_alone", "BN-x5 and BN-x30")
predict(lead_of_bn_x5_over_tuned_plain=...)  # "a", "b" or "c"

# %%
try:
    claim, facts, result = ledger("steps")
    verdict = claim.verdict(result)
    print(f"made by: minidl reproduce --claim steps --out results\n{facts['data']}, {facts['seeds']} seeds\n")
    print("how many times faster than the plain network each reaches that network's best, at least:")
    for arm in ("BN", "BN, own rate", "BN-x5", "BN-x30", "tuned plain", "plain, retuned", "BN, retuned"):
        mean, low, _ = verdict.numbers[f"speed of {arm}"]
        print(f"{arm:15} {mean:.2f} (from {low:.2f})" if low else f"{arm:15} never there")
    print("\nBN-x5 against a plain network with the other six changes, tuned:")
    remains = next(number for words, (_, number) in verdict.numbers["sentences"].items() if words.startswith("(ours)"))
    print(remains.replace("; ", "\n").replace(". ", ".\n"))
    recall("lead_of_bn_x5_over_tuned_plain", remains.partition(",")[0])
except FileNotFoundError as missing:
    print(missing)

# %% [markdown]
# The answer is (b), on this network. BN-x5 is at least 5.22 times as fast as the plain network, and 2.06 times as fast
# as “tuned plain”, which has the other six changes and a rate of its own. The rest was won by those six, or lost by the
# baseline. Nor is that the end of tuning. With a decay of its own, too (“plain, retuned”), the plain network
# becomes 4.69 points better at its best, but takes longer to reach the first one's level. BN-x5 is 2.89 times as fast
# as that one, and BN with the same recipe (“BN, retuned”) 2.50 times. So how much BN wins depends on which plain
# network you ask.
#
# Look also at what the larger rates did. ×30 never arrived, in any of its three seeds. And where one change is made at
# a time ([the tables](../results/README.md#steps-partly)), five times the rate *slows down* the network with BN. With
# all the other changes BN-x5 is the fastest of all. But no arm has these changes at the old rate, so we do not know
# whether the rate pays even there. On the claim's other network, a plain stack of convolutions, BN-x5 is not clearly
# faster than the plain network (the same page has its interval, which includes 1).
#
# (The ledger's claim `lr` has a longer sweep, with sigmoids too: see [the claims](../results/README.md).)
#
# ## What we did not show
#
# - The paper's own table. Ours is of a small network on small photographs, which it sees not quite twice; the paper's
#   saw a million of them for many more steps.
# - Convolutions, momentum, Adam. Momentum makes steps that are no longer at right angles to $w$, and Adam divides by
#   the gradient's size, so both change the balance.
# - That a bounded effective rate is *why* BN trains faster. It explains why a large rate does no harm to the hidden
#   weights; lesson [10](10_shift.ipynb) tests another mechanism.
# - Long training. At most 1,500 steps here, with a constant rate. When the rate falls on the way, the lengths need
#   many steps to follow.
# - Accuracy at its best: settings were compared on the held-out images that we report, which flatters each arm a little.
# - Weight decay on γ, β and the output layer. They got none; there it acts as the textbook says.
#
# ## In short
#
# - Before BN only the direction of a weight vector counts: $\langle w, \partial w\rangle = 0$, and ∂w shrinks as 1/‖w‖.
# - So weights grow in every step, and the effective rate η/‖w‖² falls: large rates slow themselves down.
# - Weight decay stops the growth at ‖w‖⁴ = η‖g̃‖²/2λ. It sets the size of the steps, not the size of the function.
#
# **Confusions settled.** "BN makes any learning rate safe": it makes it safe for the weights before BN only. "Weight
# decay keeps weights before BN small, and so the network simple": it keeps steps large. "×30 was faster than ×5": it
# was not.
#
# Solutions: [solutions/11_learning_rate.py](solutions/11_learning_rate.py). Next: what trains only with BN, and what does
# not train even then? [12](12_depth.ipynb)
