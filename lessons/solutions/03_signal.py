# %% [markdown]
# # Solutions of lesson 03

# %% [markdown]
# ## `gain`
#
# A unit adds up $n$ products $w_i f(x_i)$, and their variance over the images is $n s^2\,\mathrm{Var}[f(x)]$. It
# should equal $\mathrm{Var}[x]$. Solved for $s$: $\sqrt{\mathrm{Var}[x] / (n\,\mathrm{Var}[f(x)])}$. Variances, so
# the mean is taken off; $n$ inside the root, as variances add up.


# %% tags=["exercise:gain"]
import numpy as np


def weight_std(f, x, n):
    """n·s²·Var f(x) = Var x, solved for s."""
    return np.sqrt(x.var() / (n * f(x).var()))


# %% [markdown]
# ## `diagnosis`
#
# The flat share alone cannot tell, since a sleeping layer has none, and the signal alone cannot either, since it is
# gone in two of the four. First: is the middle of the units further from 0 than the images are from each other? Then
# the mean is what moved them: off centre. If not, the signal decides: far below 1 it has died out near 0 (asleep),
# and far above 1, with most outputs saturated, the layer is flat. What is left is well.


# %% tags=["exercise:diagnosis"]
def diagnose(signal, off_centre, flat):
    if off_centre > 1 and off_centre > signal:
        return "off centre"
    if signal < 0.2:
        return "asleep"
    return "flat" if flat > 0.5 else "well"
