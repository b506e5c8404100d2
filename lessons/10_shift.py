# %% [markdown]
# # 10 Shift: does batch normalization reduce internal covariate shift?
#
# The title of the paper gives a *reason* why batch normalization works. A reason can be wrong although the method works.
# In this lesson you test the reason: you measure it by two definitions, you make it worse on purpose, and you see which
# of the paper's three steps survives. At the end you can test a mechanism, not only a result.
#
# **Time**: about 150 s on two cores.
#
# **You need**: [05](05_algorithm_1.ipynb) (what batch norm computes) and [07](07_figure_1.ipynb) (percentile bands,
# paired seeds). The experiments here are ours, after Santurkar, Tsipras, Ilyas and Madry, *How Does Batch Normalization Help
# Optimization?* (2018), on the small network of the paper's Figure 1.

# %% [markdown]
# ## 1. One sentence, three claims
#
# A classifier suffers from **covariate shift** when its inputs are distributed otherwise than they were when it learned. In a
# deep network each layer's inputs are made by the layers before it, and those change with every training step. So each
# layer keeps having to adapt. The paper calls this **internal covariate shift**, and its argument has three parts:
#
# 1. batch norm makes the shift smaller;
# 2. a smaller shift makes training faster;
# 3. so it is *because of this* that batch norm makes training faster.
#
# That a network trains faster with batch norm shows none of the three. We need a number for "shift", and the literature has two.
#
# | | first definition (2015) | second definition (2018) |
# |---|---|---|
# | what moves | the distribution of a layer's **inputs** | the **gradient** of a layer's weights |
# | why it moves | the weights before it are trained | the layers before it take their step |
# | our measure | **drift**: how far a unit's median moves from one look to the next, in widths of its own 15–85 % band, averaged over units | **gradient change**: ‖G − G′‖ / ‖G‖, averaged over layers but the first |
#
# In the second, G is the gradient of one layer's weights at this step. All layers *before* it take their step; then the
# gradient of that same layer is computed again, on the same batch: G′. If G′ is nearly G, it did no harm that all layers
# learn at the same time. If ‖G − G′‖ is as large as ‖G‖, the layer makes a step that was right for a network that is gone.

# %%
import numpy as np

from minidl import plot
from minidl.course import check, digits, explore, ledger, pick, shift
from minidl.paper import ics
from minidl.study.statistics import paired, t_interval

found = digits()
print(found.source)

# %% [markdown]
# ## 2. An intervention: put the shift back
#
# To separate claim 2 from claim 1 we need a network that has batch norm's arithmetic *and* much shift. So after each batch
# norm we add noise: in each training step every unit gets a fresh random factor from 0.5 to 2 and a fresh random shift from
# −1 to 1, the same for all examples of the batch. No layer can foresee them. The inputs of the next layer then jump about in
# every single step, more than any training would make them. Here it is: [`NoisyNorm`](../minidl/paper/_networks.py).
#
# ### Prediction
#
# Three networks with the same initial weights and the same batches: **without BN**, **with BN**, **noise after BN**. Write
# down, before you go on:
#
# - the order of the three in drift (smallest first), and the order in test accuracy;
# - will the *gradient change* be smaller with BN than without: always, sometimes, never?
# - two learning rates, 0.1 and 2: will the answers be the same for both?

# %% [markdown]
# ## 3. Exercise: the probe for the second definition
#
# Write `gradient_change(gradients, weights, lr)`.
#
# - `weights` is a list of arrays, one for each layer, the first layer first; `gradients(weights)` returns the list of the
#   loss's gradients at these weights (same shapes).
# - For each layer i but the first: let the layers *before* it take one step of gradient descent, w − lr·g, with the
#   gradients at the original weights; the layer itself and those after it stay where they are. Compute the gradients again;
#   of these, layer i's is G′.
# - Return ‖G − G′‖ / ‖G‖ for each layer but the first, in order (`np.linalg.norm` of the whole array). Leave `weights` and the
#   arrays in it as they are.

# %% tags=["exercise:gradient change"]
def gradient_change(gradients, weights, lr):
    raise NotImplementedError


# %%
check("gradient change", gradient_change)

# %% [markdown]
# The library's own version for real networks is [`gradient_change`](../minidl/paper/_landscape.py); it also puts everything
# back as it was, batch norm's running statistics included. One more measure comes along: **drift before**, the drift of
# what the *linear* layers hand on, which without batch norm is the input of the sigmoid, and with it is what comes in before
# the normalisation.
#
# ## 4. The experiment
#
# All three networks, several seeds, two learning rates. Twenty times during training they are looked at with all
# instruments: [`watch`](../minidl/course/shift.py). The first rate is small for this network, the second is the one at
# which the network *without* batch norm does best.

# %%
RATES, SEEDS, STEPS = (0.1, 2.0), range(pick(5, 2)), pick(2000, 200)


def train(lr):
    return {
        (lr, arm): [shift.watch(norm, lr, seed, found, STEPS, looks=pick(20, 5)) for seed in SEEDS]
        for arm, norm in shift.ARMS.items()
    }


runs = train(RATES[0])

# %%
runs |= train(RATES[1])


def over_training(measure, arm, lr):
    """One number for each seed: the mean of a measure over training, or the accuracy at the end."""
    return np.array([np.nanmean(run[measure]) for run in runs[lr, arm]])


print(f"{STEPS:,} steps, {len(SEEDS)} seeds; mean over training ± half-width of the 95 % interval over seeds")
for lr in RATES:
    print(f"\nlearning rate {lr:<6g}{'drift':>17}{'drift before':>17}{'gradient change':>17}{'test accuracy, %':>18}")
    for arm in shift.ARMS:
        cells = [t_interval(over_training(m, arm, lr)).text(3) for m in ("drift", "drift before", "gradient change")]
        accuracy = t_interval(over_training("test", arm, lr)).text(2, 100)
        print(f"  {arm:<18}{cells[0]:>17}{cells[1]:>17}{cells[2]:>17}{accuracy:>18}")

# %% [markdown]
# ## 5. The two definitions, side by side
#
# Upper row: drift. Lower row: gradient change. Left: the small learning rate. Right: the large one. The titles compare BN with
# none, by the mean over training, and call a difference one only if the paired 95 % interval over the seeds excludes zero.

# %%
def compared(measure, lr, arm="with BN", other="without BN"):
    interval = paired(over_training(measure, arm, lr), over_training(measure, other, lr))
    word = "more" if interval.above_zero else "less" if interval.below_zero else "no clear difference in"
    return f"{word} {measure} {arm} than {other}" if word in ("more", "less") else f"{word} {measure}, {arm} or {other}"


def draw(axes, measures):
    for row, measure in enumerate(measures):
        for column, lr in enumerate(RATES):
            ax, steps = axes[row * len(RATES) + column], runs[lr, "with BN"][0]["steps"]
            lines = {arm: (steps, [run[measure] for run in runs[lr, arm]]) for arm in shift.ARMS}
            title = f"Learning rate {lr:g}: {compared(measure, lr)}"
            plot.lines(ax, lines, title, "training step", shift.MEASURES[measure], log="y", inks=[1, 0, 2], key=not ax.get_subplotspec().colspan.start)


figure, axes = plot.panels(2, 2, size=(6, 3.9), note=f"{len(SEEDS)} seeds, batches of 60, {found.source}")
draw(axes, ("drift", "gradient change"))
