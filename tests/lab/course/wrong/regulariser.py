"""What learners get wrong in lesson 13."""


def only_p(x, w, p):
    return 1 + p * (w * w * (x * x).mean(0)).sum() / (x @ w).var()


def of_the_variance(x, w, p):
    return 1 + p / (1 - p) * (w * w * x.var(0)).sum() / (x @ w).var()


def one_mask(x, w, p):
    return 1 + p / (1 - p) * ((x @ w) ** 2).mean() / (x @ w).var()


WRONG = {
    "mean_noise": [
        ((lambda m, n: m**-0.5,), "*with* replacement"),
        ((lambda m, n: 1 / m,), "falls as 1/m"),
        ((lambda m, n: (n - m) / (m * (n - 1)),), "this is the variance"),
        ((lambda m, n: ((1 - m / n) / m) ** 0.5,), "n − m goes over n − 1"),
    ],
    "variance_ratio": [
        ((lambda x, w, p: 1 / (1 - p),), "do not vary together"),
        ((lambda x, w, p: 1.0,), "not its variance"),
        ((of_the_variance,), "switched off and on, too"),
        ((only_p,), "not p"),
        ((one_mask,), "each has its own"),
    ],
}
