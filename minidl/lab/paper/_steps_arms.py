"""The arms of the claim `steps`: what the plain network is, what is changed in it, one thing at a time or many."""

from itertools import accumulate

__all__ = [
    "ARMS",
    "BASE",
    "BUNDLE",
    "CHANGES",
    "DECIDING",
    "OTHERS",
    "RETUNED",
    "STACK",
    "WATERFALLS",
    "changed",
    "stacked",
]

# Inception as the paper has it (§4.2), scaled down. `factor` is of the plain network's best rate, `l2` of 5e-4, `hurry` of
# the exponent of the decay.
BASE = {
    "norm": "none", "activation": "ReLU", "factor": 1, "dropout": True, "l2": 1.0, "hurry": 1, "response": True,
    "reshuffled": False, "distortion": "strong", "warmup": 0.0,
}  # fmt: skip
# From it to BN-x5, in the order of §4.2.1
CHANGES = {
    "batch norm": {"norm": "batch"},
    "5 times the rate": {"factor": 5},
    "no dropout": {"dropout": False},
    "a fifth of L2": {"l2": 0.2},
    "decay 6 times as fast": {"hurry": 6},
    "no response normalisation": {"response": False},
    "batches reshuffled": {"reshuffled": True},
    "weaker distortions": {"distortion": "weak"},
}


def changed(*names, **more):
    """Return the settings of the plain network with these changes."""
    settings = dict(BASE)
    for name in names:
        settings |= CHANGES[name]
    return settings | more


BUNDLE = tuple(CHANGES)[2:]  # the six changes that BN-x5 and BN-x30 bundle with the rate
BN = "batch norm"
ARMS = {
    "plain": changed(),
    "plain × 5": changed(factor=5),
    "plain × 30": changed(factor=30),
    "BN": changed(BN),
    "BN × 5": changed(BN, factor=5),
    "BN × 30": changed(BN, factor=30),
    "BN, own rate": changed(BN, own=True),
    "bundle without BN": changed(*BUNDLE),
    "bundle without BN × 5": changed(*BUNDLE, factor=5),
    "BN-x5": changed(BN, *BUNDLE, factor=5),
    "BN-x30": changed(BN, *BUNDLE, factor=30),
    "BN-x5-Sigmoid": changed(BN, *BUNDLE, factor=5, activation="sigmoid"),
    "sigmoid": changed(activation="sigmoid", own=True),
    "sigmoid, standardised": changed(activation="sigmoid", own=True),
    "tuned plain": changed(*BUNDLE, warmup=0.05, own=True),
}
# All changes but the rate and the decay, which are each arm's own: the two differ in batch norm alone
RETUNED = {
    "plain, retuned": changed(*BUNDLE, hurry=1, warmup=0.05, own=True),
    "BN, retuned": changed(BN, *BUNDLE, hurry=1, warmup=0.05, own=True),
}
DECIDING = ("plain", "BN", "BN, own rate", "BN-x5", "tuned plain")  # these have more seeds than others
STACK = DECIDING  # with the plain stack of convolutions


def stacked(arm):
    """Name the arm with the other network."""
    return f"stack: {arm}"


def _waterfall(order):
    """Return change → arm, where all changes up to this one are made: a known arm, or a new one that is named after them."""
    found = {}
    for names in accumulate(order, lambda before, name: (*before, name), initial=()):
        settings = changed(*names)
        known = [arm for arm, other in ARMS.items() if other == settings]
        found[names[-1] if names else "plain"] = known[0] if known else "plain + " + " + ".join(names)
    return found


# In the order of the paper, and reversed
WATERFALLS = (_waterfall(tuple(CHANGES)), _waterfall(tuple(CHANGES)[::-1]))
OTHERS = {
    arm: changed(*tuple(fall)[1 : place + 1])
    for fall in WATERFALLS
    for place, arm in enumerate(fall.values())
    if arm not in ARMS
}
