# %% [markdown]
# # Solutions of lesson 13

# %% tags=["exercise:mean_noise"]
def mean_noise(m, n):
    # two different examples have the covariance -σ²/(n - 1), as all n add up to a constant:
    # Var[sum of m] = m·σ² - m(m - 1)·σ²/(n - 1) = m·σ²·(n - m)/(n - 1)
    return ((n - m) / (m * (n - 1))) ** 0.5


# %% tags=["exercise:variance_ratio"]
def variance_ratio(x, w, p):
    # each input's variance grows by p/(1 - p)·E[x²]; the masks are independent, so the covariances stay
    added = p / (1 - p) * (w**2 * (x**2).mean(0)).sum()
    return 1 + added / (x @ w).var()
