# %% [markdown]
# # Solutions of lesson 12

# %% [markdown]
# ## `deepest`
#
# $L$ layers multiply the size by $(g/\sqrt2)^L$. It leaves the range when $L \log(g/\sqrt2)$ is beyond $\log r$, up or
# down: that is why the logarithm of the factor is taken without its sign. The largest whole $L$ inside is the quotient
# of the two logarithms, rounded down.

# %% tags=["exercise:deepest"]
def deepest(gain, ratio):
    import math

    # L layers change the size by (gain/√2)^L; its logarithm may be as large as log(ratio), up or down
    return math.floor(math.log(ratio) / abs(math.log(gain / math.sqrt(2))))


# %% [markdown]
# ## `branch_scale`
#
# F(x) has the mean square of x and is uncorrelated with it, so variances add: a block multiplies by $1 + \alpha^2$, and
# all blocks together by $(1 + \alpha^2)^{\text{blocks}}$. Set that equal to `growth` and solve it for α: first the root
# of the number of blocks, then minus 1, then the square root.

# %% tags=["exercise:branch_scale"]
def branch_scale(blocks, growth):
    # each block multiplies the variance by 1 + α², so (1 + α²)^blocks = growth
    return (growth ** (1 / blocks) - 1) ** 0.5


# %% [markdown]
# ## `explosion`
#
# Three factors, from behind. BN divides by σ, so the mean square is divided by σ², the variance of $h$ over the batch:
# with $n$ independent inputs and weights of variance $s^2$ that is $n s^2\,\mathrm{Var}[f]$. The weights sum over as many
# units: times $n s^2$. The activation multiplies by its slope: times $E[f'^2]$. The $n s^2$ cancel, whatever the weights
# are. What remains is not 1, because BN divides by the variance of $f$ and not by its mean square.

# %% tags=["exercise:explosion"]
def explosion(f, slope, z):
    # back through BN: divided by n·s²·Var[f]; through the weights: times n·s²; through the activation: times E[f′²]
    return (slope(z) ** 2).mean() / f(z).var()
