# %% [markdown]
# # Solutions of lesson 05

# %% tags=["exercise:stand_out"]
def largest(m):
    # the others at -a / (m - 1) each: a² + (m - 1)·(a / (m - 1))² = a²·m / (m - 1), and it is at most m
    return (m - 1) ** 0.5


# %% tags=["exercise:undo"]
def identity(x, eps):
    return (x.var(0) + eps) ** 0.5, x.mean(0)


# %% tags=["exercise:bn_forward"]
def forward(x, gamma, beta, eps):
    distance = x - x.mean(0)
    var = (distance * distance).mean(0)
    y = gamma * distance / (var + eps) ** 0.5 + beta
    return y.astype(x.dtype)
