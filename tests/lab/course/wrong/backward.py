"""What learners get wrong in lesson 06."""

import numpy as np


def in_stages(through_mean=1.0, through_var=1.0, gamma_matters=True, eps_matters=True):
    """The six equations, with a mistake."""

    def answer(grad_y, x, gamma, eps):
        m, mean, var = len(x), x.mean(0), x.var(0) + eps * eps_matters
        grad_x_hat = grad_y * (gamma if gamma_matters else 1)
        grad_var = (grad_x_hat * (x - mean)).sum(0) * -0.5 * var**-1.5 * through_var
        grad_mean = -(grad_x_hat / np.sqrt(var)).sum(0) * through_mean
        grad_x = grad_x_hat / np.sqrt(var) + grad_var * 2 * (x - mean) / m + grad_mean / m
        return grad_x, (grad_y * (x - mean) / np.sqrt(var)).sum(0), grad_y.sum(0)

    return answer


def one_mean_each(grad_y, x, gamma, eps):
    """∂L/∂μ without its sum over the batch."""
    grad_x, *rest = in_stages(through_mean=0)(grad_y, x, gamma, eps)
    return grad_x - grad_y * gamma / np.sqrt(x.var(0) + eps) / len(x), *rest


def by_steps(slope=-0.5, square=2.0, sum_var=True, mean_of_means=False, fourth=0.0, ddof=0):
    """The six equations again, with other mistakes."""

    def answer(grad_y, x, gamma, eps):
        m, distance, var = len(x), x - x.mean(0), x.var(0, ddof=ddof) + eps
        parts = grad_y * gamma * distance * slope * var**-1.5
        grad_var = parts.sum(0) if sum_var else parts
        each = -grad_y * gamma / np.sqrt(var)
        grad_mean = (each.mean(0) if mean_of_means else each.sum(0)) + fourth * parts.sum(0)
        grad_x = grad_y * gamma / np.sqrt(var) + grad_var * square * distance / m + grad_mean / m
        return grad_x, (grad_y * distance / np.sqrt(var)).sum(0), grad_y.sum(0)

    return answer


def slopes_alone(grad_y, x, gamma, eps):
    inv_std = 1 / np.sqrt(x.var(0) + eps)
    return gamma * inv_std * np.ones(x.shape), (grad_y * (x - x.mean(0)) * inv_std).sum(0), grad_y.sum(0)


def gamma_in_beta(grad_y, x, gamma, eps):
    *first, _ = in_stages()(grad_y, x, gamma, eps)
    return *first, (grad_y * gamma).sum(0)


def outside(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0)) - x_hat * (grad_y * x_hat).mean(0)


def no_one_over_m(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (len(x_hat) * grad_y - grad_y.sum(0) - x_hat * (grad_y * x_hat).sum(0))


def once_more_inv_std(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - inv_std * x_hat * (grad_y * x_hat).mean(0))


def both_added(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y + grad_y.mean(0) + x_hat * (grad_y * x_hat).mean(0))


def each_its_own(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - x_hat * grad_y * x_hat)


def sums(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.sum(0) - x_hat * (grad_y * x_hat).sum(0))


def no_x_hat(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - (grad_y * x_hat).mean(0))


def over_features(grad_y, x_hat, inv_std, gamma):
    along = (grad_y * x_hat).mean(1, keepdims=True)
    return gamma * inv_std * (grad_y - grad_y.mean(1, keepdims=True) - x_hat * along)


def over_the_table(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean() - x_hat * (grad_y * x_hat).mean())


def constants(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * grad_y


def product_of_means(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - x_hat * grad_y.mean(0) * x_hat.mean(0))


def no_variance(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0))


def half(grad_y, x_hat, inv_std, gamma):
    return gamma * inv_std * (grad_y - grad_y.mean(0) - 0.5 * x_hat * (grad_y * x_hat).mean(0))


def by_eigenvalues(matrix):
    """`eigvalsh` takes the matrix to be symmetric, and reads its lower triangle only."""
    values = np.linalg.eigvalsh(matrix)
    return np.allclose(np.minimum(abs(values), abs(values - 1)), 0)


def without_stretch(x_hat):
    return np.eye(len(x_hat)) - 1 / len(x_hat)


def without_share(x_hat):
    return np.eye(len(x_hat)) - 1 - np.outer(x_hat, x_hat)


def dot_for_outer(x_hat):
    return np.eye(len(x_hat)) - 1 / len(x_hat) - np.diag(x_hat**2) / len(x_hat)


def what_goes(x_hat):
    return 1 / len(x_hat) + np.outer(x_hat, x_hat) / len(x_hat)


WRONG = {
    "staged": [
        ((in_stages(0, 0),), "stop-gradient BN"),
        ((in_stages(through_mean=0),), "path through the mean is missing"),
        ((in_stages(through_var=0),), "path through the variance is missing"),
        ((in_stages(gamma_matters=False),), "γ is missing"),
        ((in_stages(eps_matters=False),), "ε is missing"),
        ((one_mean_each,), "lacks the sum over the batch"),
        ((by_steps(slope=-1),), "twice too strong"),
        ((by_steps(sum_var=False),), "∂L/∂σ² lacks the sum over the batch"),
        ((by_steps(mean_of_means=True),), "a sum, not a mean"),
        ((by_steps(fourth=1.0),), "what comes to μ through σ² is 0"),
        ((by_steps(ddof=1),), "not by m − 1"),
        ((slopes_alone,), "∂L/∂y is not in it"),
        ((gamma_in_beta,), "the slope 1 toward β"),
        ((lambda *a: in_stages()(*a)[::-1],), "changed places"),
    ],
    "closed": [
        ((constants,), "stop-gradient BN"),
        ((sums,), "lack their 1/m"),
        ((no_x_hat,), "multiplied by x̂ again"),
        ((over_features,), "over the batch (axis 0)"),
        ((over_the_table,), "over the whole table"),
        ((half,), "half as strong"),
        ((product_of_means,), "product of two means"),
        ((no_variance,), "path through the variance is missing"),
        ((outside,), "here the last does not have it"),
        ((no_one_over_m,), "one 1/m too few"),
        ((once_more_inv_std,), "one 1/s too many"),
        ((both_added,), "both paths through the statistics have the wrong sign"),
        ((each_its_own,), "its own gᵢx̂ᵢ"),
    ],
    "projector": [
        ((without_stretch,), "keeps the part along x̂"),
        ((without_share,), "lack their 1/m"),
        ((dot_for_outer,), "outer product"),
        ((what_goes,), "removes the rest"),
        ((lambda h: np.eye(len(h)) - 1 / len(h) - np.outer(h, h),), "x̂'s part lacks its 1/m"),
        ((lambda h: np.eye(len(h)) - 1 - np.outer(h, h) / len(h),), "the mean's part lacks its 1/m"),
        ((lambda h: np.eye(len(h)) - 1 / len(h) - h * h / len(h),), "a row of squares"),
        ((lambda h: np.eye(len(h)) - 1 / len(h) - h @ h / len(h),), "is one number, m"),
        ((lambda h: np.eye(len(h)) - 1 / len(h) - h / len(h),), "x̂ must come in twice"),
        ((lambda h: h - h.mean(),), "P is a matrix"),
    ],
    "is_projection": [
        ((lambda p: np.allclose(p * p, p) and np.allclose(p.T, p),), "the matrix product"),
        ((lambda p: np.allclose(p @ p, p),), "not symmetric"),
        ((lambda p: bool((p @ p == p).all() and (p == p.T).all()),), "compare with a tolerance"),
        ((lambda p: np.allclose(p.T, p),), "half the identity"),
        (
            (lambda p: np.allclose(p.T, p) and np.isclose(p.trace(), np.linalg.matrix_rank(p)),),
            "stretches one direction",
        ),
        ((lambda p: (p @ p - p).max() < 1e-9 and np.allclose(p.T, p),), "half the identity"),
        ((lambda p: (p - p @ p).max() < 1e-9 and np.allclose(p.T, p),), "twice the identity"),
        ((by_eigenvalues,), "only the lower triangle"),
        ((lambda p: abs((p @ p - p).sum()) < 1e-9 and np.allclose(p.T, p),), "add up to 0: look at each"),
        ((lambda p: np.allclose(p @ p, p, atol=0.01) and np.allclose(p.T, p),), "tolerance is too wide"),
    ],
    "freedom": [
        ((lambda m, features: m * features,), "all directions pass"),
        ((lambda m, features: (m - 1) * features,), "only one direction"),
        ((lambda m, features: m * features - 2,), "not from the layer"),
        ((lambda m, features: (m - 2) * features,), "not negative"),
        ((lambda m, features: m - 2,), "this is one feature"),
        ((lambda m, features: max(m - 2, 0) + features,), "so multiply"),
        ((lambda m, features: m * (features - 2),), "have changed places"),
        ((lambda m, features: abs(m - 2) * features,), "Nothing passes"),
    ],
}
