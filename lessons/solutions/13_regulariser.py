# %% [markdown]
# # Solutions of lesson 13

# %% [markdown]
# ## `mean_noise`
#
# Draws without putting back are not independent. The sum of *all* n numbers never varies, so any two of them have the
# covariance $-\sigma^2/(n-1)$. For the sum of m: $m\sigma^2 - m(m-1)\sigma^2/(n-1) = m\sigma^2\,(n-m)/(n-1)$. Divide by
# $m^2$ for the mean, and take the root. With m = n it is 0, as it must be.

# %% tags=["exercise:mean_noise"]
def mean_noise(m, n):
    # two different examples have the covariance -σ²/(n - 1), as all n add up to a constant:
    # Var[sum of m] = m·σ² - m(m - 1)·σ²/(n - 1) = m·σ²·(n - m)/(n - 1)
    return ((n - m) / (m * (n - 1))) ** 0.5


# %% [markdown]
# ## `variance_ratio`
#
# A mask with the mean 1 and the variance $p/(1-p)$ multiplies each input. That adds $p/(1-p)\,E[x^2]$ to the input's
# variance: with the mean *square*, since an input that never varies gets noise, too. The masks are independent, so
# covariances stay, and the unit's sum gains $\sum w^2$ times what each input gained. Then divide by its variance without
# masks.

# %% tags=["exercise:variance_ratio"]
def variance_ratio(x, w, p):
    # each input's variance grows by p/(1 - p)·E[x²]; the masks are independent, so the covariances stay
    added = p / (1 - p) * (w**2 * (x**2).mean(0)).sum()
    return 1 + added / (x @ w).var()
