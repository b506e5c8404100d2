# %% [markdown]
# # Solutions of lesson 12

# %% tags=["exercise:deepest"]
def deepest(gain, ratio):
    import math

    # L layers change the size by (gain/√2)^L; its logarithm may be as large as log(ratio), up or down
    return math.floor(math.log(ratio) / abs(math.log(gain / math.sqrt(2))))


# %% tags=["exercise:branch_scale"]
def branch_scale(blocks, growth):
    # each block multiplies the variance by 1 + α², so (1 + α²)^blocks = growth
    return (growth ** (1 / blocks) - 1) ** 0.5


# %% tags=["exercise:explosion"]
def explosion(f, slope, z):
    # back through BN: divided by n·s²·Var[f]; through the weights: times n·s²; through the activation: times E[f′²]
    return (slope(z) ** 2).mean() / f(z).var()
