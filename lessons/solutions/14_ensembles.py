# %% [markdown]
# # Solutions of lesson 14
#
# ## `averager`
#
# Each member's logits become probabilities on their own: a softmax over the classes, the last axis. Subtracting the
# largest logit changes nothing in the result, and keeps the exponentials at 1 or below. Then the mean over the members.

# %% tags=["exercise:averager"]
import numpy as np


def averager(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).mean(0)


# %% [markdown]
# ## `ambiguity`
#
# For one image and class, with the truth $t$: the mean of $(p_k - t)^2$ is $(\bar p - t)^2$ plus the variance of the
# $p_k$. That holds for each $t$, so the gain is this variance (over all members, with $1/K$), added up over the classes
# and averaged over the images.

# %% tags=["exercise:ambiguity"]
def ambiguity(p):
    return p.var(0).sum(-1).mean()


# %% [markdown]
# ## `expected_gain`
#
# Members are draws from a pool with variance $v$. One member has $v$ of it in its squared error, a mean of $k$ has
# $v/k$; what both are off *together* stays. So $k$ members gain $v - v/k$. Two gain $v/2$, which makes $v$ twice the
# pair's gain.

# %% tags=["exercise:expected_gain"]
def expected_gain(pair, k):
    v = 2 * pair
    return v - v / k
