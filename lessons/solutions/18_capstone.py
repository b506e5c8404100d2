# %% [markdown]
# # Solutions of lesson 18

# %% [markdown]
# ## `decide`
#
# First the interval: the mean of the differences, and Student's t times its standard error on both sides. Then four cases.
# Only the ends count, and only against the two marks, −margin and margin. What none of the first three questions answers
# with yes is open, also an interval that lies above 0 and has the margin inside: it may matter, or not.


# %% tags=["exercise:decide"]
from minidl.lab.study.statistics import t_interval


def decide(differences, margin):
    _, low, high = t_interval(differences)
    if low > margin:
        return "larger"
    if high < -margin:
        return "smaller"
    if -margin <= low and high <= margin:
        return "about equal"
    return "open"


# %% [markdown]
# ## `referee`
#
# 1: the larger batch chose rate 3, the largest on offer. 2: all is in order; that nothing came out, and that the prediction
# failed, is a result. 3: seed 2 was registered, and is missing in both arms. 4: the interval goes from −0.38 to 0.45, beyond
# the margin, so it is open, not equal. 5: "about equal" was registered; "smaller" was put there later. 6: the interval
# contains 0. 7: six rates for the arm with dropout, three for the other.

# %% tags=["exercise:referee"]
verdicts = {1: "edge", 2: "nothing", 3: "seeds", 4: "rule", 5: "changed", 6: "zero", 7: "grids"}

# %% [markdown]
# ## `registration`
#
# The question: BN before the activation, as in the paper, or after it? A small network on drawn digits keeps the runs short.
# Both arms get the same initial weights and the same batches for a seed. They differ in the order of two layers, and in
# nothing else. Rates are chosen by digits that are in neither training nor test.

# %% tags=["exercise:registration"]
import numpy as np

from minidl import Tensor, data, nn, optim
from minidl import functional as F
from minidl.train import evaluate, update_bn

mine = {
    "question": "Does a network with BN after the sigmoid read more drawn digits than with BN before it?",
    "arms": {"after": {"place": "after"}, "before": {"place": "before"}},
    "difference": ("after", "before"),
    "measure": "test",
    "tuned_by": "held",
    "rates": {"after": (0.1, 0.4, 1.6), "before": (0.1, 0.4, 1.6)},
    "tuning_seeds": (1000, 1001),
    "seeds": range(5),
    "margin": 1.0,
    "prediction": "open",
}
(drawn, answers), (drawn_test, answers_test) = data.strokes(2400, 600)
rows, rows_test = ((i.reshape(-1, 784) > 127).astype(np.float32) for i in (drawn, drawn_test))


def run_mine(config):
    generator, batches = np.random.default_rng(config["seed"]), np.random.default_rng([config["seed"], 1])
    pair = [nn.BatchNorm(32), nn.Sigmoid()] if config["place"] == "before" else [nn.Sigmoid(), nn.BatchNorm(32)]
    model = nn.Sequential(nn.Linear(784, 32, generator=generator), *pair, nn.Linear(32, 10, generator=generator))
    optimizer = optim.SGD(model.parameters(), config["lr"])
    for _ in range(60):
        chosen = batches.integers(400, len(rows), 60)
        optimizer.zero_grad()
        F.cross_entropy(model(Tensor(rows[chosen])), answers[chosen]).backward()
        optimizer.step()
    update_bn([rows[400:]], model)
    held, test = evaluate(model, rows[:400], answers[:400]), evaluate(model, rows_test, answers_test)
    return {"held": 100 * held.accuracy, "test": 100 * test.accuracy}


# %% [markdown]
# ## `report`
#
# A study that runs in no time at all, so that this cell needs no other: is the mean of five dice with a bonus
# larger? It goes the same way. The registration is frozen, `conduct` makes the runs, and each entry of the report is
# read from them. For your own study leave out the first part, and write your own names.

# %% tags=["exercise:report"]
import numpy as np

from minidl.lab.course import capstone


def throw(config):
    dice = np.random.default_rng(config["seed"]).integers(1, 7, 100)
    return {"held": -abs(config["lr"] - 2.0), "test": dice.mean() + config["bonus"]}


mine = {
    "question": "Is the mean of a hundred dice larger with a bonus of a half?",
    "arms": {"bonus": {"bonus": 0.5}, "plain": {"bonus": 0.0}},
    "difference": ("bonus", "plain"),
    "measure": "test",
    "tuned_by": "held",
    "rates": {"bonus": (1.0, 2.0, 3.0), "plain": (1.0, 2.0, 3.0)},
    "tuning_seeds": (1000,),
    "seeds": range(5),
    "margin": 0.1,
    "prediction": "larger",
}
my_study = capstone.conduct("dice", throw, mine)
my_report = {
    "seeds": 5,
    "rates": {arm: my_study.rate(arm) for arm in mine["arms"]},
    "difference": my_study.interval().mean,
    "half_width": my_study.interval().half,
    "verdict": my_study.word(),
    "prediction": mine["prediction"],
    "came_true": my_study.word() == mine["prediction"],
    "not_shown": ["Dice that are not fair, and a bonus that depends on the throw."],
}
