# %% [markdown]
# # Solutions of lesson 11

# %% [markdown]
# ## `matching_rate`
#
# The step must turn both weights by the same angle, so in the second network it has to be $a$ times as long as in
# the first: $a \cdot \eta\|g\|$. But its gradient is $a$ times *shorter*, $g/a$. From $\eta' g/a = a\,\eta g$ comes
# $\eta' = a^2 \eta$: one $a$ for the longer weights, and one for the smaller gradient.

# %% tags=["exercise:matching_rate"]
def matching_rate(lr, a):
    # the step lr·g must become a·lr·g, and the gradient is g/a: lr' · g/a = a·lr·g
    return lr * a**2


# %% [markdown]
# ## `growth`
#
# The gradient of a scale-invariant loss is at right angles to $w$, so old weights, step and new weights are a triangle
# with a right angle, and Pythagoras gives $\|w - \eta g\|^2 = \|w\|^2 + \eta^2\|g\|^2$. The next step begins there. So
# the squares add up; the root is taken for each step, at the end.

# %% tags=["exercise:growth"]
def growth(start, gradients, lr):
    # each step is at right angles to w, so by Pythagoras its square is added to that of w
    squared, norms = start**2, []
    for gradient in gradients:
        squared += (lr * gradient) ** 2
        norms.append(squared**0.5)
    return norms


# %% [markdown]
# ## `equilibrium`
#
# What decay takes from $\|w\|^2$ in a step is about $2\eta\lambda\|w\|^2$. What the gradient adds is
# $\eta^2\|\partial w\|^2 = \eta^2\|\tilde g\|^2/\|w\|^2$, as in `growth`. Set them equal, and multiply by $\|w\|^2$:
# $2\eta\lambda\|w\|^4 = \eta^2\|\tilde g\|^2$. Hence the fourth root.

# %% tags=["exercise:equilibrium"]
def equilibrium(lr, decay, squared):
    # a step adds lr²·squared/‖w‖² to ‖w‖², and decay takes 2·lr·decay·‖w‖²; they are equal at this ‖w‖
    return (lr * squared / (2 * decay)) ** 0.25
