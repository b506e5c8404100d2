"""What learners get wrong in lesson 13."""


def only_p(x, w, p):
    return 1 + p * (w * w * (x * x).mean(0)).sum() / (x @ w).var()


def of_the_variance(x, w, p):
    return 1 + p / (1 - p) * (w * w * x.var(0)).sum() / (x @ w).var()


def one_mask(x, w, p):
    return 1 + p / (1 - p) * ((x @ w) ** 2).mean() / (x @ w).var()


def kept_for_dropped(x, w, p):
    return 1 + (1 - p) / p * (w * w * (x * x).mean(0)).sum() / (x @ w).var()


def weights_not_squared(x, w, p):
    return 1 + p / (1 - p) * (w * (x * x).mean(0)).sum() / (x @ w).var()


def square_of_the_mean(x, w, p):
    return 1 + p / (1 - p) * (w * w * x.mean(0) ** 2).sum() / (x @ w).var()


def by_the_deviation(x, w, p):
    return 1 + p / (1 - p) * (w * w * (x * x).mean(0)).sum() / (x @ w).std()


def for_each_input(x, w, p):
    return 1 + p / (1 - p) * w * w * (x * x).mean(0) / (x @ w).var()


def centred_in_place(x, w, p):
    x -= x.mean(0)
    return 1 + p / (1 - p) * (w * w * (x * x).mean(0)).sum() / (x @ w).var()


WRONG = {
    "mean_noise": [
        ((lambda m, n: m**-0.5,), "*with* replacement"),
        ((lambda m, n: 1 / m,), "falls as 1/m"),
        ((lambda m, n: (n - m) / (m * (n - 1)),), "this is the variance"),
        ((lambda m, n: ((1 - m / n) / m) ** 0.5,), "n − m goes over n − 1"),
        ((lambda m, n: ((n - m) / (n * (m - 1))) ** 0.5,), "have changed places"),
        ((lambda m, n: ((n - m) / ((m - 1) * (n - 1))) ** 0.5,), "not by m − 1"),
        ((lambda m, n: n**-0.5,), "on n alone"),
    ],
    "variance_ratio": [
        ((lambda x, w, p: 1 / (1 - p),), "do not vary together"),
        ((lambda x, w, p: 1.0,), "not its variance"),
        ((of_the_variance,), "switched off and on, too"),
        ((only_p,), "not p"),
        ((one_mask,), "each has its own"),
        ((kept_for_dropped,), "not (1 − p)/p"),
        ((weights_not_squared,), "the weights are not squared"),
        ((square_of_the_mean,), "the mean of its square"),
        ((by_the_deviation,), "divides by the standard deviation"),
        ((for_each_input,), "add up what they add"),
        ((centred_in_place,), "in place"),
    ],
}
