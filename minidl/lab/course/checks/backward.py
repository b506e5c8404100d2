"""Checks of lesson 06 (backward): BN's gradient in stages, in one line, as a projection; what a projection is; the rank."""

import numpy as np

from minidl.lab.course._check import Wrong, array, ask, compare, exercise, parts

__all__ = ["closed", "freedom", "is_projection", "projector", "staged"]


class _Batch:
    """Random x, γ, ∂L/∂y and what follows from them; float64, m ≥ 6."""

    def __init__(self):
        generator = np.random.default_rng()
        self.m, features = int(generator.integers(6, 12)), int(generator.integers(2, 5))
        self.x = generator.uniform(0.5, 2, features) * generator.standard_normal((self.m, features)) + 1
        self.gamma = generator.uniform(0.5, 2, features) * np.where(np.arange(features) % 2, 1, -1)
        self.grad_y = generator.standard_normal((self.m, features)) + 0.5
        self.eps = float(generator.uniform(0.1, 0.5))
        self.mean, self.inv_std = self.x.mean(0), 1 / np.sqrt(self.x.var(0) + self.eps)
        self.x_hat = (self.x - self.x.mean(0)) * self.inv_std

    def grad_x(self, mean=1.0, stretch=1.0, gamma=None, inv_std=None, one_for_mean=False):
        """The closed form, with its parts taken more or less often; or with g/m where the mean of g should be."""
        x_hat = self.x_hat if inv_std is None else (self.x - self.x.mean(0)) * inv_std
        inv_std = self.inv_std if inv_std is None else inv_std
        gamma = self.gamma if gamma is None else gamma
        g = self.grad_y
        mean_of_g = g / self.m if one_for_mean else g.mean(0)
        return gamma * inv_std * (g - mean * mean_of_g - stretch * x_hat * (g * x_hat).mean(0))

    def _own_part_only(self):
        own = self.gamma * self.inv_std * self.x_hat * self.grad_y * self.x_hat / self.m
        return self.grad_x(stretch=0) - own

    def _mean_takes_variance(self):
        return self.grad_x() + (self.grad_y * self.gamma * self.x_hat).sum(0) * -0.5 * self.inv_std**2 / self.m

    def _unbiased(self):
        inv_std = 1 / np.sqrt(self.x.var(0, ddof=1) + self.eps)
        return self.grad_x(inv_std=inv_std)

    def wrong(self):
        """Misconception → ∂L/∂x."""
        return {
            "this matches stop-gradient BN: the paths through the mean and the variance are missing": self.grad_x(0, 0),
            "the path through the mean is missing": self.grad_x(mean=0),
            "the path through the variance is missing": self.grad_x(stretch=0),
            "γ is missing: ∂L/∂x̂ is ∂L/∂y · γ": self.grad_x(gamma=1.0),
            "ε is missing next to the variance": self.grad_x(inv_std=1 / self.x.std(0)),
            "the sums over the batch lack their 1/m: take means": self.grad_x(self.m, self.m),
            "the path through the mean lacks its 1/m": self.grad_x(mean=self.m),
            "the path through the variance lacks its 1/m": self.grad_x(stretch=self.m),
            "∂L/∂μ lacks the sum over the batch: an arrow leads from μ to every example": self.grad_x(
                one_for_mean=True
            ),
            "the slope of (σ² + ε)^(−1/2) has the exponent −3/2": self.grad_x(stretch=self.inv_std**-2),
            "σ²'s slope toward xᵢ is 2(xᵢ − μ)/m: this has xᵢ itself": self.grad_x(
                stretch=self.x / (self.x - self.mean)
            ),
            "∂L/∂μ is a sum, not a mean over the batch; its 1/m is the slope of μ toward xᵢ": self.grad_x(
                mean=1 / self.m
            ),
            "the path through the variance is twice too strong: a root's slope has a ½": self.grad_x(stretch=2),
            "∂L/∂σ² lacks the sum over the batch: an arrow leads from σ² to every example": self._own_part_only(),
            "what comes to μ through σ² is 0: it has the sum of all xᵢ − μ, not ∂L/∂σ² itself": self._mean_takes_variance(),
            "the variance is divided by m, as in the forward, not by m − 1": self._unbiased(),
            "∂L/∂y is not in it: each slope is multiplied by the gradient that waits at the end of its arrow": self.gamma
            * self.inv_std
            * np.ones(self.grad_y.shape),
            "both paths through the statistics have the wrong sign": self.grad_x(-1, -1),
            "the sign of all of it is turned": -self.grad_x(),
            "the path through the mean has the wrong sign": self.grad_x(mean=-1),
            "the path through the variance has the wrong sign": self.grad_x(stretch=-1),
            "the path through the variance is half as strong as it should be: the square's slope has a 2": self.grad_x(
                stretch=0.5
            ),
        }


@exercise(
    "staged",
    hints=(
        "Which arrows leave x̂, σ², μ and x, in this order? For each node add up, over its arrows, what "
        "waits at the end of the arrow times the slope of the arrow.",
        "From x̂ᵢ one arrow, to yᵢ (slope γ). From σ² one to every x̂ᵢ. From μ one to every x̂ᵢ (and one to"
        " σ², which carries 0). From xᵢ three: to x̂ᵢ, to σ², to μ. What is the slope of each?",
        "The slopes: x̂ᵢ toward σ²: −½(xᵢ − μ)(σ² + ε)^(−3/2);  x̂ᵢ toward μ, and toward xᵢ: ∓1/√(σ² + ε);"
        "  σ² toward xᵢ: 2(xᵢ − μ)/m;  μ toward xᵢ: 1/m.",
    ),
)
def staged(answer):
    """The chain rule in stages: you have followed all paths from x to the loss."""
    batch = _Batch()
    result = ask(answer, batch.grad_y, batch.x, batch.gamma, batch.eps)
    grad_x, grad_gamma, grad_beta = parts(result, ("∂L/∂x", "∂L/∂γ", "∂L/∂β"))
    g, x_hat = batch.grad_y, batch.x_hat
    if array("∂L/∂x", grad_x).shape == batch.gamma.shape and array("the last", grad_beta).shape == g.shape:
        raise Wrong("The gradients have changed places: return ∂L/∂x, ∂L/∂γ, ∂L/∂β, in this order.")
    compare("∂L/∂x", grad_x, batch.grad_x(), instead=batch.wrong(), hint="Compare your stages with the six equations.")
    compare(
        "∂L/∂γ",
        grad_gamma,
        (g * x_hat).sum(0),
        instead={
            "this is a mean over the batch; every example adds its part": (g * x_hat).mean(0),
            "γ multiplies x̂, not x": (g * batch.x).sum(0),
            "γ multiplies x̂, and the distance from the mean is not yet divided": (g * (batch.x - batch.x.mean(0))).sum(
                0
            ),
            "γ is in it, but y = γx̂ + β has the slope x̂ toward γ": (g * batch.gamma * x_hat).sum(0),
            "the sum over the batch is missing": g * x_hat,
            "this is ∂L/∂β; return ∂L/∂γ before it": g.sum(0),
        },
    )
    compare(
        "∂L/∂β",
        grad_beta,
        g.sum(0),
        instead={
            "this is a mean over the batch; every example adds its part": g.mean(0),
            "the sum over the batch is missing": g,
            "γ is in it, but y = γx̂ + β has the slope 1 toward β": (g * batch.gamma).sum(0),
            "this is one number; each feature has its own β": g.sum(),
        },
    )


@exercise(
    "closed",
    hints=(
        "Put the two sums into the equation of ∂L/∂xᵢ. What do all three terms share?",
        "Write (xᵢ − μ) as s x̂ᵢ, and take γ/s out. What is left of Σ gⱼ together with the 1/m?",
        "(1/m) Σ gⱼ is the mean of g. And (1/m) Σ gⱼ x̂ⱼ is a mean, too: of the products. Both are taken "
        "from gᵢ; the second has a factor in front that differs from example to example.",
    ),
)
def closed(answer):
    """The whole gradient in one line: what arrives, less its mean, less its part along x̂."""
    batch = _Batch()
    got = array("∂L/∂x", ask(answer, batch.grad_y, batch.x_hat, batch.inv_std, batch.gamma))
    g, scale = batch.grad_y, batch.gamma * batch.inv_std
    if got.shape == g.shape and np.allclose(got, batch.grad_x(stretch=0)):
        moved = batch.x_hat + 1  # no batch's x̂, as its mean is 1: it tells apart what is 0 from what is not there
        again = array("∂L/∂x", ask(answer, g, moved, batch.inv_std, batch.gamma))
        if np.allclose(again, scale * (g - g.mean(0) - moved * g.mean(0) * moved.mean(0))):
            raise Wrong(
                "∂L/∂x: this has the product of two means, of g and of x̂, and that of x̂ is 0. It takes the mean of the "
                "product: multiply g and x̂ first."
            )
    wrong = batch.wrong() | {
        "the factor 1/s before the bracket is missing": batch.grad_x() / batch.inv_std,
        "the mean of g·x̂ must be multiplied by x̂ again: each example gets its own part": scale
        * (g - g.mean(0) - (g * batch.x_hat).mean(0)),
        "these are means over the whole table; each feature has its own (axis 0)": scale
        * (g - g.mean() - batch.x_hat * (g * batch.x_hat).mean()),
        "inv_std is 1/s already: multiply by it": batch.grad_x() / batch.inv_std**2,
        "all three terms share γ/s; here the last does not have it": scale * (g - g.mean(0))
        - batch.x_hat * (g * batch.x_hat).mean(0),
        "there is one 1/m too few: with sums in the bracket, m·g − Σg − …, the factor before it is γ/(s m)": batch.m
        * batch.grad_x(),
        "there is one 1/m too many; the means have theirs already": batch.grad_x() / batch.m,
        "γ is in it twice": batch.grad_x() * batch.gamma,
        "the last term has one 1/s too many: x̂ is divided by s already": batch.grad_x(stretch=batch.inv_std),
        "the last term has x̂ᵢ times its own gᵢx̂ᵢ; it takes the mean of g·x̂ over the batch": scale
        * (g - g.mean(0) - batch.x_hat**2 * g),
        "the means go over the batch (axis 0), each feature alone": scale
        * (g - g.mean(1, keepdims=True) - batch.x_hat * (g * batch.x_hat).mean(1, keepdims=True)),
    }
    compare("∂L/∂x", got, batch.grad_x(), instead=wrong, hint="Put ∂L/∂σ² and ∂L/∂μ into the equation, term by term.")


@exercise(
    "projector",
    hints=(
        "What does P do to g? It takes away two things; write each of them as a matrix times g.",
        "The mean of g, for every example, is a matrix of equal entries times g. The other is x̂ᵢ times (a "
        "row times g).",
        "P = I − A − B, with (A g)ᵢ = (1/m) Σⱼ gⱼ and (B g)ᵢ = x̂ᵢ (1/m) Σⱼ x̂ⱼ gⱼ: read off the entries Aᵢⱼ and Bᵢⱼ.",
    ),
)
def projector(answer):
    """Your matrix is the projection: it removes 1 and x̂, and keeps all that is at right angles to both."""
    generator = np.random.default_rng()
    m = int(generator.integers(6, 12))
    x = generator.standard_normal(m)
    x_hat = (x - x.mean()) / x.std()
    eye, one, stretch = np.eye(m), np.ones((m, m)), np.outer(x_hat, x_hat)
    compare(
        "P",
        ask(answer, x_hat),
        eye - one / m - stretch / m,
        instead={
            "the two parts lack their 1/m (1 and x̂ have the squared length m): PP is not P": eye - one - stretch,
            "this keeps the part along x̂": eye - one / m,
            "this keeps the part along 1, the mean": eye - stretch / m,
            "this keeps what should go, and removes the rest": one / m + stretch / m,
            "x̂ acts as an outer product, x̂ᵢ·x̂ⱼ: this multiplies each example with itself only": eye
            - one / m
            - np.diag(x_hat**2) / m,
            "the parts are added; they must be taken away": eye + one / m + stretch / m,
            "x̂'s part lacks its 1/m: x̂ has the squared length m": eye - one / m - stretch,
            "the mean's part lacks its 1/m": eye - one - stretch / m,
            "the mean's part is divided by m twice: each of its entries is 1/m": eye - one / m**2 - stretch / m,
            "they are divided by m − 1; 1 and x̂ have the squared length m": eye - one / (m - 1) - stretch / (m - 1),
            "x̂ acts as an outer product, x̂ᵢ·x̂ⱼ: x̂ * x̂ is a row of squares, the same for every example": eye
            - one / m
            - (x_hat * x_hat) / m,
            "x̂ acts as an outer product, x̂ᵢ·x̂ⱼ: its product with itself by @ is one number, m": eye - one / m - 1.0,
            "x̂ must come in twice: the mean of g·x̂ goes back along x̂": eye - one / m - np.outer(np.ones(m), x_hat) / m,
            "the identity lets all of g through": eye,
            "this takes the mean and the stretch out of x̂; P is a matrix, for any g": x_hat,
        },
        hint="Apply your P to g: it should give g − mean(g) − x̂·mean(g·x̂).",
    )


@exercise(
    "is_projection",
    hints=(
        "Which two equations must hold, and how large may a difference be that is only rounding?",
        "PP is the matrix product, `@`. A difference may be below 0 as well as above it, and may be in any entry.",
        "max |PP − P| and max |Pᵀ − P| are both below something like 10⁻⁹.",
    ),
)
def is_projection(answer):
    """Your test of projections says yes and no where it should."""
    generator = np.random.default_rng()
    m, rank = 8, int(generator.integers(2, 7))
    basis = np.linalg.qr(generator.standard_normal((m, m)))[0]
    true = basis[:, :rank] @ basis[:, :rank].T
    column, row = generator.standard_normal((2, m))
    centred = column - column.mean()
    noise = np.triu(generator.standard_normal((m, m)), 1)
    cases = [
        (
            np.eye(m) / 2,
            False,
            "half the identity: no entry of PP − P is above 0 there, but some are below: take sizes",
        ),
        (
            2 * np.eye(m),
            False,
            "twice the identity: no entry of P − PP is above 0 there, but some are below: take sizes",
        ),
        (0.5 * true, False, "half a projection, a symmetric matrix with PP ≠ P"),
        (
            basis @ np.diag([0.5, 1.5, 1, 1, 0, 0, 0, 0]) @ basis.T,
            False,
            "a symmetric matrix with PP ≠ P, that stretches one direction by 1.5 and another by 0.5",
        ),
        (true + 0.1 * np.diag(row), False, "a symmetric matrix with PP ≠ P"),
        (np.ones((m, m)), False, "a matrix of ones: its entries equal their squares, but PP means the matrix product"),
        (true, True, "an orthogonal projection; rounding makes PP differ from P by 1e-16, so compare with a tolerance"),
        (np.zeros((m, m)), True, "the zero matrix, which projects everything to 0"),
        (np.outer(column, row) / (column @ row), False, "a slanted projection: PP = P, but it is not symmetric"),
        (2 * true, False, "twice a projection"),
        (
            true + noise,
            False,
            "a matrix of which only the lower triangle is a projection's; look at the upper one, too",
        ),
        (
            true + noise.T,
            False,
            "a matrix of which only the upper triangle is a projection's; look at the lower one, too",
        ),
        (
            np.outer(centred, centred),
            False,
            "a symmetric matrix with PP ≠ P, of which the entries of PP − P add up to 0: look at each",
        ),
        (true + 1e-4 * np.eye(m), False, "a projection plus 1/10,000 of the identity: your tolerance is too wide"),
    ]
    for matrix, right, what in cases:
        got = ask(answer, matrix)
        if not isinstance(got, bool | np.bool_):
            raise Wrong(f"Return True or False; this is a {type(got).__name__}.")
        if bool(got) != right:
            raise Wrong(f"It says {bool(got)} to {what}.")


@exercise(
    "freedom",
    hints=(
        "How many directions has one feature of m numbers, and which of them does the forward undo?",
        "Two for each feature: 1 and x̂. Features do not mix. What happens to the formula at m = 1?",
        "One feature: m − 2, which at m = 1 would be −1. How few directions can there be? Then count all features.",
    ),
)
def freedom(answer):
    """Two directions of each feature are lost, and no more; a batch of one or two lets nothing pass."""
    generator = np.random.default_rng()
    for m in (*generator.integers(25, 100, 3), 2, 1):
        m, features = int(m), int(generator.integers(3, 20))
        below_three = {
            "a number of directions is not negative": features * (m - 2),
            "this is one feature; each has its own statistics": m - 2,
        }
        compare(
            f"for m = {m} and {features} features, the number of directions",
            ask(answer, m, features),
            features * max(m - 2, 0),
            instead=below_three
            if m < 3
            else {
                "all directions pass here, but shift and stretch are removed": m * features,
                "only one direction of each feature is removed here; there are 1 and x̂": features * (m - 1),
                "two directions are removed from each feature, not from the layer": m * features - 2,
                "this is one feature; each has its own statistics": m - 2,
                "each feature has m − 2, so multiply": m - 2 + features,
                "m and features have changed places": m * (features - 2),
            },
            hint="Count for one feature, then for all."
            if m > 2
            else "Nothing passes: x̂ is ±1, or 0, wherever x moves.",
        )
