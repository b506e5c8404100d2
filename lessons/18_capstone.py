# %% [markdown]
# # 18 Capstone: can I run a study?
#
# You have watched many studies in this course. Now you run one: a question of your own, answered so that a stranger can
# believe the answer. Whatever you could later decide in your own favour is decided first, and frozen. Then come the runs,
# and a report that a checker compares with what you promised. A worked example comes first, with a question that no other
# lesson has answered.
#
# **Time**: about 90 minutes with the exercises; the cells run in about 1 minute on two cores.
#
# **You need** [10](10_shift.ipynb) (intervals over seeds) and [11](11_learning_rate.ipynb) (choosing rates on held-out
# images). Words are in the [glossary](README.md#glossary).

# %%
import numpy as np

from minidl import Tensor, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import capstone, check, digits, hint, ledger, pick, predict, predictions, progress, recall
from minidl.lab.models import paper_mlp
from minidl.lab.study.claim import Result
from minidl.train import evaluate, update_bn

(images, labels), (test_images, test_labels) = found = digits()
x, x_test = ((i.reshape(-1, 784) > 127).astype(np.float32) for i in (images, test_images))
HELD = len(x) // 12  # images to choose rates with; the others are for training
print(f"{found.source}: {len(x) - HELD:,} training images, {HELD:,} held out, {len(x_test):,} for the results")

# %% [markdown]
# ## 1. A study of nothing
#
# Suppose two **arms** (the settings that you compare) are in truth equally good. You run both with three seeds, take the
# differences, and look at their 95 % interval. It contains 0, so you add a seed, and look again. You stop as soon as the
# interval leaves 0, or at 20 seeds.
#
# **Prediction.** In how many of 100 such studies do you find a difference, though there is none? (With a single look it is
# 5, by the meaning of 95 %.)

# %%
from scipy.stats import t as student

predict(found_by_peeking=...)  # of 100
STUDIES, MOST = pick(10_000, 500), 20
counts = np.arange(3, MOST + 1)


def leaves_zero(differences):
    """Whether the 95 % interval leaves 0 after 3, 4, … of the differences: (studies, seeds) → (studies, looks)."""
    n = np.arange(1, differences.shape[-1] + 1)
    mean = differences.cumsum(-1) / n
    var = (np.square(differences).cumsum(-1) - n * mean**2)[..., 2:] / (n[2:] - 1)
    return np.abs(mean[..., 2:]) > student.ppf(0.975, n[2:] - 1) * np.sqrt(var / n[2:])


def percent_found(found):
    return 100 * found.mean(0)


nothing = np.random.default_rng(18).standard_normal((5, STUDIES, MOST))  # five measures, all of nothing
once = leaves_zero(nothing[0])
ways = {
    "one look, at that number of seeds": percent_found(once),
    "a look after each seed": percent_found(np.logical_or.accumulate(once, axis=1)),
    "one look, at the best of five measures": percent_found(leaves_zero(nothing).any(0)),
}
for name, share in ways.items():
    print(f"{name:40} at 5 seeds: {share[2]:.1f} %, at 20 seeds: {share[-1]:.1f} %")
recall("found_by_peeking", f"{ways['a look after each seed'][-1]:.0f}")

# %%
figure, (ax,) = plot.panels(1, size=(7, 3.8), note=f"{STUDIES:,} simulated studies in which there is nothing to find")
curves = {name: (counts, share) for name, share in ways.items()}
title = f"With a look after each seed, {ways['a look after each seed'][-1]:.0f} % of studies of nothing find something"
plot.lines(ax, curves, title, "seeds", "studies that find a difference (%)")
ax.set_ylim(0, 32);

# %% [markdown]
# In our run a look after each seed, up to 20, found something in 24 % of the studies, and the best of five measures in
# 23 %. Nobody has cheated. Each look was a fair test, but there were many, and only the lucky one was told.
#
# There are more choices of this kind. Which rate does the baseline get? Which seed was "broken"? How large must a difference
# be to matter? Each can be answered in favour of what one hopes for, in good faith. The remedy is old: **pre-register**,
# that is, write the answers down before the results are there.
#
# ## 2. A rule with four words
#
# The last of those questions is easily skipped. With many seeds an interval leaves 0 for a difference that nobody would
# care about. And with few seeds it contains 0, whatever is true, which is then read as "no difference". So name a
# **margin**: the smallest difference that would matter to you. Then the rule is:
#
# | word | the 95 % interval of the differences |
# |---|---|
# | larger | lies above the margin |
# | smaller | lies below −margin |
# | about equal | lies between −margin and margin, edges included |
# | open | anything else: these seeds cannot tell |
#
# ### Exercise: decide
#
# `differences` is an array with one number for each seed, of two seeds or more. `margin` is 0 or positive. Return one
# of the four words. (`t_interval` of `minidl.lab.study.statistics` gives mean, low and high; or compute them
# yourself.)


# %% tags=["exercise:decide"]
def decide(differences, margin):
    raise NotImplementedError  # stuck? hint("decide")


# %%
check("decide", decide);

# %%
few, many = (np.random.default_rng(1).normal(0.05, 0.3, n) for n in (5, 500))
cases = {"few": few, "many": many, "larger": many + 0.45, "smaller": many - 0.45}
for name, differences in cases.items():
    words = [f"{capstone.decide(differences, margin)!r} at margin {margin:g}" for margin in (0.0, 0.2)]
    print(f"{name:8} {len(differences):3} seeds, mean {differences.mean():+.2f}: {'; '.join(words)}".replace("-", "−"))

# %% [markdown]
# The first two are draws from the same distribution, with a mean of 0.05. Five draws leave it open. Five hundred show that
# the mean is above 0, which is true. With a margin they say what one wants to know: it is too small to matter.
#
# ## 3. The worked example: is γ needed?
#
# After normalising, BN multiplies each feature by γ and adds β, and both are trained. The paper says why (§3): normalising
# the inputs of a sigmoid would keep it where it is nearly a straight line. γ and β let the network leave that region. It is
# a reason, not a measurement. The ledger's claim [bias](../results/README.md#bias-reproduced) measures what β is worth.
# Nothing in this course has measured what γ is worth.
#
# So the question is: does a network with BN read more digits if γ is trained than if it stays 1? β is trained in both.
#
# A **registration** has ten entries. Before you read on, decide what *you* predict: larger, smaller, about equal or
# open, for γ trained minus γ = 1, with a margin of 0.2 points.

# %%
predict(trained_gamma=...)  # "larger", "smaller", "about equal" or "open"
STEPS = pick(1000, 20)
arms = {"γ trained": {"gamma": True}, "γ = 1": {"gamma": False}}
registered = {
    "question": "Does a sigmoid network with BN read more digits if γ is trained than if it stays 1?",
    "arms": arms,
    "difference": ("γ trained", "γ = 1"),  # the first minus the second
    "measure": "test",
    "tuned_by": "held",
    "rates": dict.fromkeys(arms, (0.125, 0.5, 2.0, 8.0)),
    "tuning_seeds": (1000, 1001),
    "seeds": range(pick(8, 5)),
    "margin": 0.2,  # points of accuracy: 20 of the 10,000 test images
    "prediction": "larger",  # for the paper's reason
}


# %%
def percent(model, rows, answers):
    return 100 * evaluate(model, rows, answers).accuracy


def run(config):
    """Train the paper's network; percent right of the held-out images and of the test images."""
    seed = config["seed"]
    batches = np.random.default_rng([seed, 1])
    model = paper_mlp(lambda n: nn.BatchNorm(n, weight=config["gamma"]), generator=np.random.default_rng(seed))
    optimizer = optim.SGD(model.parameters(), config["lr"])
    with np.errstate(all="ignore"):  # a network that diverges guesses, and counts as that
        for _ in range(STEPS):
            chosen = batches.integers(HELD, len(x), 60)
            optimizer.zero_grad()
            F.cross_entropy(model(Tensor(x[chosen])), labels[chosen]).backward()
            optimizer.step()
        update_bn([x[HELD : HELD + 5000]], model)
        return {"held": percent(model, x[:HELD], labels[:HELD]), "test": percent(model, x_test, test_labels)}


# %% [markdown]
# Both arms have the same weights and see the same batches for a seed, so that the differences are paired. Both may choose
# from the same rates, by images that are in neither training nor test, with seeds that are not in the results.
#
# [`freeze`](../minidl/lab/course/capstone/_registration.py) checks the registration and keeps it in `registrations.json`
# beside the notebooks: with the time, and a **digest**, sixteen characters that change with every detail of it, and
# of the code of `run`. Until something has run you may freeze it again. After that it stays.

# %%
now = capstone.freeze("gamma", registered, run)
print(f"frozen at {now.at}: registration, code ({now.code}) and time have the digest {now.digest}")

# %% [markdown]
# ## 4. The runs
#
# [`conduct`](../minidl/lab/course/capstone/_study.py) makes them, with the code that made the ledger. All rates with
# the tuning seeds come first. If the best rate of an arm is at an edge of those it tried, a rate beyond may be better. So
# the arm gets one more there, and again, three at most. Then its best rate runs with the seeds of the results. (One arm
# may end with more rates than the other. The rule is the same for both, so this is no fault.)

# %%
study = capstone.conduct("gamma", run, quiet=True)
for arm in arms:
    tried = ", ".join(f"{lr:g}: {value:.2f} %" for lr, value in study.rates(arm).items())
    print(f"{arm:9} held-out accuracy at rate {tried}; chosen {study.rate(arm):g}")
    print(f"{'':9} test accuracy of the seeds: {', '.join(f'{value:.2f}' for value in study.values(arm))}")
interval = study.interval()
ends = f"{interval.low:+.2f} to {interval.high:+.2f}".replace("-", "−")
print(f"γ trained − γ = 1: {interval.text(2, sign=True)} points ({ends}): {study.word()}")
recall("trained_gamma", f"{study.word()}, {interval.text(2, sign=True)} points")

# %%
note = f"three layers of 100 sigmoids, {STEPS:,} steps of batches of 60, {found.source}"
figure, (left, right) = plot.panels(2, size=(4.7, 3.6), note=note)
curves = {arm: (list(study.rates(arm)), [100 - value for value in study.rates(arm).values()]) for arm in arms}
inside = all(study.at_edge(arm) == "" for arm in arms)
title = f"The best rate of each arm lies {'inside' if inside else 'at the edge of'} its grid"
plot.lines(left, curves, title, "learning rate", "held-out error (%)", log="xy")
title = f"γ trained − γ = 1: {study.word()}, by the rule"
plot.intervals(right, {"γ trained − γ = 1": study.differences()}, title, "points; grey: the margin", zero=True)
right.axvspan(-registered["margin"], registered["margin"], color="0.9", zorder=0)
right.margins(y=0.6);

# %% [markdown]
# In our run the network with a trained γ read more digits, by 1.04 ± 0.68 points. The whole interval, from 0.36 to 1.71,
# lies above the margin. So the word is *larger*, and the prediction came true. Both arms did best at rate 8, the largest
# of those registered. So each got one more, 32, at which both did far worse.
#
# A sceptic adds: rates that are four times apart are a coarse grid. The differences of the seeds range widely, and one of
# the eight is below 0. And 1,000 steps are few. γ may make the network better, or only faster. A second study could tell:
# the same, with ten times the steps.
#
# ## 5. The report
#
# A report has eight entries. It says what was promised, what came out, whether the prediction came true, and what was not
# shown. The last is not modesty. It tells the next reader which question is still free.

# %%
report = {
    "seeds": len(study.seeds("γ = 1")),
    "rates": {arm: study.rate(arm) for arm in arms},
    "difference": round(interval.mean, 2),
    "half_width": round(interval.half, 3),
    "verdict": study.word(),
    "prediction": registered["prediction"],
    "came_true": registered["prediction"] == study.word(),
    "not_shown": [
        "Longer training: γ may make the network better, or only faster.",
        "Other activations: the paper's reason is about sigmoids, and so is this study.",
        "What β is worth, which is trained in both arms.",
    ],
}
capstone.show(study, report)
for fault in capstone.audit(study, report, registered):
    print(f"{fault.kind}: {fault.sentence}")
print(f"{len(capstone.audit(study, report, registered))} faults")

# %% [markdown]
# [`audit`](../minidl/lab/course/capstone/_report.py) compares the report with the registration as it was frozen and with the
# records. Is it worth anything? A check is worth what it rejects, so let us spoil this report in every way that we can
# think of.

# %%
other = {"larger": "smaller"}.get(study.word(), "larger")
without_last = study._replace(result=Result(study.result.runs[:-1]))
edited = study._replace(frozen=study.frozen._replace(registration=study.frozen.registration | {"margin": 0.01}))
spoiled = {
    "another verdict": (study, report | {"verdict": other}, registered),
    "a larger difference": (study, report | {"difference": report["difference"] + 1}, registered),
    "a smaller interval": (study, report | {"half_width": report["half_width"] / 2}, registered),
    "more seeds than there are": (study, report | {"seeds": 30}, registered),
    "a run left out": (without_last, report, registered),
    "a better prediction": (study, report | {"prediction": other}, registered | {"prediction": other}),
    "another margin": (study, report, registered | {"margin": 0.01}),
    "the file edited": (edited, report, registered),
    "nothing was not shown": (study, report | {"not_shown": []}, registered),
}
for name, submission in spoiled.items():
    faults = capstone.audit(*submission)
    print(f"{name}: {faults[0].sentence if faults else 'NOT NOTICED'}\n")
try:
    capstone.freeze("gamma", registered | {"margin": 0.01}, run)
except ValueError as error:
    print(f"freezing it again: {error}")

# %% [markdown]
# What no checker can see: runs that you made elsewhere first, and an edited file whose digest you have forged, too. A
# registration binds only those who wish to be bound. It protects you from yourself.
#
# ### Exercise: be the referee
#
# Here are seven submissions. All their numbers are made up. Six have one fault each, and one has none. Which is which?
# “registered” is what was frozen; “now” is what the author hands in, where it differs. “records” shows every rate that
# was tried. Fill in a dict, `verdicts = {1: "…", 2: "…", …}`, with these words:

# %%
for kind, meaning in capstone.KINDS.items():
    print(f"{kind:8} {meaning}")
for number, submission in capstone.submissions().items():
    print(f"\n---- submission {number} ----")
    capstone.show(*submission)

# %% tags=["exercise:referee"]
# stuck? hint("referee")
verdicts = ...

# %%
check("referee", verdicts);

# %% [markdown]
# ## 6. A question of your own
#
# Choose one that you want answered, and that a study of a few minutes can answer. Some that no lesson answers:
#
# - Should BN come before the activation, as in the paper, or after it?
# - Is BN in the first layer alone as good as BN in all? Or in the last hidden layer alone?
# - BN that only subtracts the mean, or only divides by σ: which of the two does the work?
# - Does a large ε, say 0.1, do any harm?
# - γ that starts at 0.1 in place of 1, or β at another place: does the start matter?
# - With BN, is tanh better than the sigmoid, or ReLU better than both?
#
# ### Exercise: register it
#
# Write the dict `mine` with ten entries, as above. It needs two arms, three rates or more (as many for each arm), five
# seeds or more, and other seeds for tuning. Also write a function `run_mine(config)`. `config` is a dict with the
# settings of one arm, and with `"lr"` and `"seed"`. The function makes one run, and returns a dict with two numbers,
# under the names that you gave as `measure` and `tuned_by`. Try it first, on one short run: a pilot may tell you how
# long a run takes, and whether it works. (An arm takes (rates + 3) · tuning seeds + seeds runs at most.) Then the
# registration is frozen.

# %% tags=["exercise:registration"]
# stuck? hint("registration")
mine = ...


def run_mine(config):
    raise NotImplementedError


# %%
if check("registration", mine, run_mine) == "pass":
    print("frozen at", capstone.freeze("mine", mine, run_mine).at)

# %% [markdown]
# ### Exercise: run it, and report
#
# `my_study = capstone.conduct("mine", run_mine)` makes the runs, and keeps them in the folder `studies`: if you
# interrupt it, it goes on where it stopped. Then write the report as a dict with eight entries, as above. Its numbers may
# be rounded, by a tenth of the half-width at most. The checker does not ask whether your prediction came true. It asks
# whether you did what you promised, and told what came out.

# %% tags=["exercise:report"]
# stuck? hint("report")
my_study = ...
my_report = ...

# %%
check("report", my_study, mine, my_report);

# %% [markdown]
# If something was wrong with the *registration* (a rate at the edge, too few seeds), then register the better study under
# another name, and mention both. That is no defeat. Hiding the first one would be.
#
# ## 7. Back to the first lesson
#
# In [lesson 00](00_start.ipynb) you made four predictions, before anything had run. Two of them were about its own runs, and
# two about the paper. Here is what the ledger says of the latter two. `progress()` then lists your exercises, and how all
# your predictions stand.

# %%
for question, name in (("speedup", "fig1a"), ("shift", "ics")):
    claim, facts, result = ledger(name)
    verdict = claim.verdict(result)
    recall(question, f"{verdict.word} ({facts['seeds']} seeds): {verdict.number}\n")

# %%
print(f"{len(predictions())} predictions are kept")
progress()

# %% [markdown]
# Go through your list, and count. How many came true? Were those that failed too kind to batch norm, or too unkind? If
# all came true, our questions were too easy.
#
# ## What we did not show
#
# - That a registration makes a study *good*. It makes it honest. A dull question stays dull, and a bad measure stays bad.
# - Many questions at once. Of twenty registered studies of nothing, one finds something on average: say how many there
#   were.
# - How to choose the number of seeds. A pilot gives the spread of the differences. From it you can work out how many
#   seeds make the interval as narrow as the margin.
# - Studies that explore. Looking around without a hypothesis is how one finds questions; it is not how one answers them.
# - γ in general. The worked example is one small network of sigmoids on digits.
#
# ## In short
#
# - Decide before the result is there: arms, seeds, how rates are chosen, the measure, the margin, the rule, the prediction.
# - Tune the baseline as well as your own idea: as many rates, as many seeds, no best rate at an edge.
# - An interval that contains 0 is no finding, and it is no proof of equality either. A margin tells the two apart.
# - Report what was promised and what came out, and say what was not shown.
#
# **Confusions settled.** "It was significant, so it is true": ask how often somebody looked. "No difference was
# found, so there is none": ask how wide the interval is. "My prediction failed, so the study failed": a study fails if
# nobody can tell what came out.
#
# Solutions: [solutions/18_capstone.py](solutions/18_capstone.py). Next: a question that nobody has answered, or
# [the list of lessons](README.md), to look something up. [The claims](../results/README.md) say which questions the paper
# left us.
