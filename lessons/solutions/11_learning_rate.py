# %% [markdown]
# # Solutions of lesson 11

# %% tags=["exercise:matching_rate"]
def matching_rate(lr, a):
    # the step lr·g must become a·lr·g, and the gradient is g/a: lr' · g/a = a·lr·g
    return lr * a**2


# %% tags=["exercise:growth"]
def growth(start, gradients, lr):
    # each step is at right angles to w, so by Pythagoras its square is added to that of w
    squared, norms = start**2, []
    for gradient in gradients:
        squared += (lr * gradient) ** 2
        norms.append(squared**0.5)
    return norms


# %% tags=["exercise:equilibrium"]
def equilibrium(lr, decay, squared):
    # a step adds lr²·squared/‖w‖² to ‖w‖², and decay takes 2·lr·decay·‖w‖²; they are equal at this ‖w‖
    return (lr * squared / (2 * decay)) ** 0.25
