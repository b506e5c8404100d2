# %% [markdown]
# # 02 Layers: can I train MNIST?
#
# Two layers and four lines that repeat are enough to read handwritten digits. But a mistake in these lines, or in what
# they are fed, may raise no error, and the network learns something else. So this lesson builds the layers and the
# loop, and then breaks the loop in four ways, to see which mistakes can be noticed, and how. Afterwards you can build a
# training loop, and debug one.
#
# **Time**: about 60 minutes with the exercises; the cells run in about 10 s on two cores.
#
# **You need**: [01](01_autograd.ipynb): gradients, and that they add up where a node is used several times. Terms are
# explained in the [glossary](README.md#glossary).

# %%
import numpy as np

import minidl
from minidl import Tensor, data, nn, optim
from minidl import functional as F
from minidl.lab import plot
from minidl.lab.course import check, digits, hint, pick, predict, recall
from minidl.train import evaluate, predict_logits

found = digits()
(x, y), (x_test, y_test) = [(images.reshape(-1, 784).astype(np.float32) / 255, labels) for images, labels in found]
print(f"{found.source}: x {x.shape} from {x.min():g} to {x.max():g}, y {y.shape}; test {x_test.shape}")

# %% [markdown]
# ## From an image to ten probabilities
#
# An image is a row of 784 numbers from 0 (paper) to 1 (ink). A **linear layer** makes `out` weighted sums of a row's
# `in` numbers: $y = xW + b$, with $W$ of shape (in, out) and $b$ of shape (out,). A batch of $N$ images is a matrix
# (N, in), and the same formula does all of them. Between two linear layers there is an **activation**, a function that
# is not linear; without it the two would amount to one. Here it is **ReLU**, $\max(0, x)$.
#
# The last layer gives ten numbers, the **logits**. **Softmax** turns them into probabilities, positive numbers that
# sum to 1. The loss, **cross-entropy**, is minus the logarithm of the probability that the network gives to the right
# digit, averaged over the batch:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad L = -\frac{1}{N}\sum_i \log p_{i,\,\text{label}_i}$$
#
# A network that is sure and right has a loss of $-\log 1 = 0$; one that is sure and wrong has a very large one.
#
# **Prediction**: what is the loss of a network whose weights are still random and small? (a) 0; (b) about 1; (c)
# about 2.3; (d) about 10.

# %%
predict(loss_of_an_untrained_network=...)  # "a", "b", "c" or "d"


# %%
def network(seed=0):
    generator = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(784, 100, generator=generator), nn.ReLU(), nn.Linear(100, 10, generator=generator))


print(network())
for seed in range(3):
    start = evaluate(network(seed), x_test, y_test)
    print(f"seed {seed}: loss {start.loss:.3f}, accuracy {100 * start.accuracy:.1f} %")
print(f"log 10 = {np.log(10):.3f}")
nearest = "abcd"[np.abs(np.array([0, 1, 2.3, 10]) - start.loss).argmin()]
recall("loss_of_an_untrained_network", f"{nearest}: {start.loss:.3f}")

# %% [markdown]
# (c). `nn.Linear` draws its weights between $-1/\sqrt{n}$ and $1/\sqrt{n}$, for $n$ inputs. That is so small that all
# ten digits get about the same probability, and $-\log \frac{1}{10} = \log 10 \approx 2.303$. This is the first number
# to look at in any training: a loss that starts far above it comes from logits that are too large, or from a mistake.

# %% [markdown]
# ## Exercise: the linear layer
#
# Write both directions, in NumPy. `linear_forward(x, W, b)` returns $y$, of shape (N, out).
# `linear_backward(grad_y, x, W)` gets `grad_y` = $\partial L/\partial y$, (N, out), and returns `grad_x`, `grad_W`,
# `grad_b`, each in the shape of what it belongs to.
#
# Two ways to find them: write $y_{ij} = \sum_k x_{ik} W_{kj} + b_j$ and use the chain rule on one element; or look at
# the shapes: only one product of `grad_y` and $W$ is (N, in). (No 1/N: it is in the loss already.) minidl's own is
# [`linear`](../minidl/ops/linear.py).


# %% tags=["exercise:linear"]
def linear_forward(x, W, b):
    raise NotImplementedError  # stuck? hint("linear")


def linear_backward(grad_y, x, W):
    raise NotImplementedError


# %%
check("linear", linear_forward, linear_backward);

# %% [markdown]
# ## Exercise: softmax with cross-entropy
#
# `loss_forward(logits, labels)` returns the loss, one number; `logits` is (N, C), `labels` N whole numbers below C.
# `loss_backward(logits, labels)` returns $\partial L/\partial z$, (N, C). It turns out to be simple. Derive it,
# starting from $\log p_k = z_k - \log \sum_j e^{z_j}$, and mind that every logit is in the sum, but only one is
# $z_{\text{label}}$.
#
# Both must survive logits of 1,000, whose $e^z$ no computer can hold. Softmax does not change when a constant is
# subtracted from all logits of a row, as numerator and denominator get the same factor: which constant makes the
# largest $e^z$ exactly 1? And take the logarithm on paper, as in $\log p_k$ above: a probability that has been rounded
# to 0 has no logarithm. minidl's own is [`cross_entropy`](../minidl/ops/loss.py).


# %% tags=["exercise:cross-entropy"]
def loss_forward(logits, labels):
    raise NotImplementedError  # stuck? hint("cross-entropy")


def loss_backward(logits, labels):
    raise NotImplementedError


# %%
check("cross-entropy", loss_forward, loss_backward);

# %% [markdown]
# ## The loop, and 32 images
#
# Training repeats four lines: forget the old gradients (`.grad` of a parameter adds up what arrives), compute
# the loss, let `backward()` find the slopes, and move each parameter a little against its slope:
# $W \leftarrow W - \eta\,\partial L/\partial W$, with the **learning rate** $\eta$. This is **gradient descent**;
# SGD, *stochastic* gradient descent, if each step looks at a random batch.
#
# Before training on 60,000 images, train on 32, the same ones at every step. A network with 79,510 parameters must be
# able to learn 32 images by heart (to **overfit** them). If it is not, something is broken.
#
# **Prediction**: (1) After 200 steps, is the loss near 0? (2) The network has seen only 32 digits: what is its
# accuracy on the whole *test* set? (3) Now give the 32 images **random labels**, drawn without looking at them. Will
# the loss still go to 0?

# %%
predict(loss_on_32_digits_goes_to_0=..., loss_on_32_random_labels_goes_to_0=...)  # "yes" or "no"
predict(test_accuracy_after_learning_32_digits=...)  # in percent


# %%
def fit(images, labels, steps=200, lr=0.5, bug=None):
    """Train on the same few images at every step; returns the network and its losses. `bug` is for the next section."""
    model, losses = network(), []
    labels = np.random.default_rng(0).permutation(labels) if bug == "labels shuffled" else labels
    optimizer = optim.SGD(model.parameters(), lr)
    for _ in range(steps):
        if bug != "no zero_grad":
            optimizer.zero_grad()
        logits = model(Tensor(images))
        if bug == "softmax before the loss":
            logits = F.softmax(logits)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


# %%
few, few_labels = x[:32], y[:32]
random_labels = np.random.default_rng(7).integers(0, 10, 32)
steps = np.arange(200)
learned = {name: fit(few, wanted) for name, wanted in (("true labels", few_labels), ("random labels", random_labels))}
ax, right, tested = plot.loss_curves({name: (steps, losses) for name, (_, losses) in learned.items()}), [], []
for (name, (model, losses)), wanted in zip(learned.items(), (few_labels, random_labels), strict=True):
    seen, unseen = (100 * evaluate(model, *known).accuracy for known in ((few, wanted), (x_test, y_test)))
    right.append(seen == 100)
    tested.append(unseen)
    print(f"{name + ':':15}loss {losses[-1]:.4f}; {seen:.0f} % right of the 32, {unseen:.1f} % of the test images")
title = f"After {len(steps)} steps {'all' if all(right) else 'not all'} labels are known by heart"
plot.label(ax, title, "training step", "loss")
recall("loss_on_32_digits_goes_to_0", f"{learned['true labels'][1][-1]:.4f}")
recall("test_accuracy_after_learning_32_digits", f"{tested[0]:.1f} %")
recall("loss_on_32_random_labels_goes_to_0", f"{learned['random labels'][1][-1]:.4f}")

# %% [markdown]
# In our run on MNIST both losses went to nearly 0, and all 32 labels were learned, the random ones too, which took
# longer. On the test images the first network was right on 55 %, after 32 examples, and the second on 8 %, which is
# guessing. So learning by heart does not show that anything else was learned; only images that were not trained on
# can show that. But as a test *of the loop* it is just right: fast, and with a known answer.
#
# ## Exercise: the loop
#
# Write `descend(model, images, labels, steps, lr)`, without an optimizer: `steps` steps of gradient descent, all on
# the same images. It returns the list of the losses, each computed before its step.
# `F.cross_entropy(model(Tensor(images)), labels)` is the loss, and `.item()` turns it into a Python number. For each
# `p` in `model.parameters()`, `p.data` is its array; change it in place. `p.grad` is the slope, or None if there is
# none; set it to None to forget it. (Eight lines; minidl's own are [`SGD`](../minidl/optim/sgd.py) and
# [`train_one_epoch`](../minidl/train.py).)


# %% tags=["exercise:loop"]
def descend(model, images, labels, steps, lr):
    raise NotImplementedError  # stuck? hint("loop")


# %%
check("loop", descend);

# %% [markdown]
# ## Four broken loops
#
# Each of these is a real and common mistake, and none of them stops with an error:
#
# - *bytes*: the pixels were not divided by 255
# - *softmax before the loss*: `cross_entropy` contains the softmax, and the model ends with one, too
# - *labels shuffled*: the labels were put in a new order, and the images were not
# - *no zero_grad*: the gradients of all earlier steps are added to each new one
#
# **Prediction**: at which of the four will the 32 images give the mistake away, and how will its curve look?

# %%
predict(mistakes_that_32_images_show=...)  # a list of "bytes", "softmax before the loss", "labels shuffled", "no zero_grad"
predict(curves_of_mistakes_on_32_images=...)  # in a few words

# %%
broken = {
    "as it should be": learned["true labels"],
    "bytes": fit(few * 255, few_labels, bug="bytes"),
    **{bug: fit(few, few_labels, bug=bug) for bug in ("softmax before the loss", "labels shuffled", "no zero_grad")},
}
_, (ax,) = plot.panels(1, size=(7.5, 4.2))
drawn = {name: (steps, np.clip(losses, 1e-4, None)) for name, (_, losses) in broken.items()}
fine = [name for name, (_, losses) in broken.items() if losses[-1] < 0.01]
title = f"{len(fine)} of {len(broken)} learn by heart: {', '.join(fine)}"
ylabel = "loss (0.0001 if below; bytes leaves at the top)"
plot.lines(ax, drawn, title, "training step", ylabel, log="y").set_ylim(8e-5, 1e3)
for name, (_, losses) in broken.items():
    print(f"{name + ':':25}first loss {losses[0]:6.2f}, highest {max(losses):14,.2f}, last {losses[-1]:8.4f}")
often = np.bincount(few_labels) / len(few_labels)
often = often[often > 0]
print(f"log(1 + 9/e) = {np.log(1 + 9 / np.e):.4f}")
print(f"the loss of a guess that knows only how often each label occurs: {-(often * np.log(often)).sum():.4f}")
shown = [name for name in broken if name not in fine]
recall("mistakes_that_32_images_show", ", ".join(shown) or "none")
curves = {name: broken[name][1] for name in shown}
told = (f"{name} {row[0]:.2f} at first, at most {max(row):.3g}, {row[-1]:.2f} at the end" for name, row in curves.items())
recall("curves_of_mistakes_on_32_images", "; ".join(told))

# %% [markdown]
# In our run two gave themselves away, each in its own manner:
#
# - *bytes* started at 26 instead of near 2.3, and the next steps threw it to many millions. Larger inputs make larger
#   gradients. Afterwards it levelled off at 2.212. That is the printed loss of a guess that knows only how often each
#   digit occurs among the 32: the network no longer looks at the image.
# - *softmax before the loss* started at 2.30 and was still falling slowly at 1.465. It cannot get below 1.461,
#   however long it trains. The best that a softmax of probabilities can do is with a 1 and nine zeros:
#   $-\log \frac{e}{e + 9} = \log(1 + 9/e)$. If the loss of ten classes levels off near this number,
#   look for one softmax too many.
#
# The other two start where they should, and **pass the test**. *labels shuffled* is the random labels again, and
# learns them by heart. *no zero_grad* is even faster than the right loop: it adds up all past gradients, so the
# network moves faster and faster in the direction in which it went before. On 32 images that did no harm: one direction
# is good for all of them, until nothing is left to learn. What about the whole training set?

# %% [markdown]
# ## All of it
#
# One pass over the training set in a new random order is an **epoch**; in batches of 60 it has 1,000 steps. Two epochs,
# first as it should be, then with each of the two mistakes that passed.
#
# **Prediction**: the test accuracy after two epochs: about 80, 90, 95 or 99 %? And with shuffled labels? And without
# `zero_grad`?

# %%
predict(test_accuracy_after_two_epochs=...)  # 80, 90, 95 or 99
predict(test_accuracy_with_shuffled_labels=..., test_accuracy_without_zero_grad=...)  # in percent


# %%
accuracies = []  # the test accuracy after each call of train


def train(model, labels=y, epochs=2, lr=0.1, zero=True):
    """The whole loop: returns the steps and losses."""
    optimizer, losses = optim.SGD(model.parameters(), lr), []
    loader = data.DataLoader(x, labels, batch_size=60, shuffle=True, generator=np.random.default_rng(1))
    for epoch in range(1, epochs + 1):
        for inputs, wanted in loader:
            if zero:
                optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(inputs)), wanted)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        result = evaluate(model, x_test, y_test)
        print(f"epoch {epoch}: test loss {result.loss:.3f}, test accuracy {100 * result.accuracy:.2f} %")
    accuracies.append(100 * result.accuracy)
    return np.arange(len(losses)), losses


# %%
model = network()
first_weights = model[0].weight.data.copy()
runs = {"as it should be": train(model)}
print("labels shuffled:")
runs["labels shuffled"] = train(network(), np.random.default_rng(0).permutation(y))
print("no zero_grad:")
runs["no zero_grad"] = train(network(), zero=False)
recall("test_accuracy_after_two_epochs", f"{accuracies[0]:.1f} %")
recall("test_accuracy_with_shuffled_labels", f"{accuracies[1]:.1f} %")
recall("test_accuracy_without_zero_grad", f"{accuracies[2]:.1f} %")


# %%
def smooth(steps, losses, width):
    """Means of `width` losses each."""
    n = len(losses) // width
    return steps[: n * width : width] + width / 2, np.reshape(losses[: n * width], (n, width)).mean(1)


means = {name: smooth(*run, width=pick(50, 10)) for name, run in runs.items()}
print("loss at the end:", ", ".join(f"{losses[-1]:.2f} {name}" for name, (_, losses) in means.items()))
plot.loss_curves(means).set_ylabel("loss (means)");

# %% [markdown]
# In our run the right loop reached 94.6 % on the test images, and the other two were guessing. With shuffled labels
# the loss stays at 2.30, $\log 10$: with 60,000 images there is too much to learn by heart in two epochs, and nothing
# else to learn. Without `zero_grad` it grew above that: the network still moves in directions that were right for its
# weights long ago. So the test with 32 images finds much, but not everything. The rest shows only on the whole
# training set, and on images that were not trained on.
#
# Which digits does it get wrong? Here are those where it was most certain of a wrong answer: the label → its answer,
# and the probability that it gave.

# %%
probabilities = F.softmax(Tensor(predict_logits(model, x_test))).data
plot.misclassified(x_test.reshape(-1, 28, 28), y_test, probabilities, count=10);

# %% [markdown]
# ## What the weights look like
#
# The first layer makes 100 weighted sums; each of them, with its weights, is a **unit**. A unit has one weight for
# each pixel, so its weights are an image. So are the changes that training made to them.
#
# **Prediction**: some pixels, such as those in the corners, are white in every training image. What happens to the
# weights at those pixels: (a) they go to 0; (b) they change a little, at random; (c) not one bit of them changes?

# %%
predict(weights_at_always_white_pixels=...)  # "a", "b" or "c"

# %%
weights = model[0].weight.data
change = weights - first_weights
most = np.argsort(-np.abs(change).sum(0))[:16]
never = x.max(0) == 0
same = (weights == first_weights).all(1)
title = f"What training changed: nothing at {(same & never).sum()} of {never.sum()} pixels that never have ink"
figure = plot.images(change.T[most].reshape(-1, 28, 28), [f"unit {i}" for i in most], title, signed=True)
figure.axes[-1].set_ylabel("change of a weight")
recall("weights_at_always_white_pixels", f"no bit changes at {(same & never).sum()} of {never.sum()} pixels")

# %% [markdown]
# (c), and you have derived why: $\partial L/\partial W = x^{\mathsf T}\,\partial L/\partial y$, and a pixel that is 0
# in every image makes a row of zeros. The 100 weights at each of these pixels are, bit for bit, what they were at the
# start. So the trained network still has random weights there, and no training image has ever shown what they do.
#
# **Prediction**: now put ink, full black, on all those pixels of every test image. Training never showed such a
# thing. How much accuracy is left: (a) nearly all; (b) a few points less; (c) little better than guessing? And if you
# ink as many other pixels, ones that have ink in 1 to 10 % of the training images? (They are at the edge of the digits,
# so the digit is seldom covered.)

# %%
predict(accuracy_with_ink_on_always_white_pixels=...)  # "a", "b" or "c"
predict(accuracy_with_ink_on_seldom_inked_pixels=...)  # the same

# %%
def with_ink(spots):
    """The test accuracy, in percent, with full ink on these pixels."""
    inked = x_test.copy()
    inked[:, spots] = 1
    return 100 * evaluate(model, inked, y_test).accuracy


share, draws = (x > 0).mean(0), np.random.default_rng(0)
sometimes = np.flatnonzero((share >= 0.01) & (share < 0.1))
few_of_them = [draws.choice(sometimes, min(never.sum(), sometimes.size), replace=False) for _ in range(5)]
reached = sorted(with_ink(spots) for spots in few_of_them)
clean, inked = with_ink([]), with_ink(never)
print(f"{clean:.1f} % right without added ink, {inked:.1f} % with ink where there never was any")
print(f"{reached[0]:.1f} to {reached[-1]:.1f} % with as much ink where there sometimes was (five draws of pixels)")
added = {"there never was any": [never], "there sometimes was": few_of_them}
for where, spots in added.items():
    size = np.mean([np.abs(weights[pixels].sum(0)).mean() for pixels in spots])
    print(f"all that ink where {where} moves a unit's sum by {size:.2f} on average")
recall("accuracy_with_ink_on_always_white_pixels", f"{inked:.1f} %, instead of {clean:.1f} %")
recall("accuracy_with_ink_on_seldom_inked_pixels", f"{reached[0]:.1f} to {reached[-1]:.1f} %, instead of {clean:.1f} %")

# %% [markdown]
# In our run (a): hardly anything changed. We had expected a disaster, and were wrong. The random weights are small,
# and of both signs: in the sum over 67 pixels most of them cancel, and a unit's sum moves by 0.12 on average. The same
# amount of ink on pixels with *trained* weights moves it twice as far, by 0.26, and cost four to fifteen points,
# depending on the pixels. What the network has not learned did less harm here than what it has learned.
#
# A unit's weights are hard to read: strokes here and there. A network of **one** linear layer has no hidden units;
# some of its ten images are readable:

# %%
minidl.manual_seed(0)
one_layer = nn.Sequential(nn.Linear(784, 10))
nn.init.constant_(one_layer[0].weight, 0.0)
train(one_layer)
plot.images(
    one_layer[0].weight.data.T.reshape(-1, 28, 28), range(10),
    "One linear layer: where ink speaks for a digit (orange), and against it (purple)", columns=5, signed=True,
);

# %% [markdown]
# For the zero, orange is a ring, and ink in its middle counts against it. With no hidden layer that is all it can do:
# add up, for each digit, what each pixel says on its own. In our run it reached 91.6 %, and the network with a hidden
# layer 94.6 %. The learning rate was tuned for neither.
#
# ## What we did not show
#
# - The best that is possible on MNIST: a small convolutional network passes 99 % in five epochs
#   ([demo](../docs/demo.md)); [09](09_conv.ipynb) is about such networks.
# - How the learning rates were chosen. We took two that work, 0.5 on the 32 images and 0.1 on all; a fair comparison
#   tunes the rate for each network, on images that are neither for training nor for the test.
# - Spread: these are runs with one seed each. The differences discussed here are large; for small ones, one seed
#   would not be enough.
# - Deep networks. Two layers start on their own; eight did not, in [00](00_start.ipynb). Why is the next question.
#
# ## Summary
#
# - A layer hands back two gradients: one to its input, and one to its weights. Both are a product with what arrives
#   from above. For the logits it is the difference of what the network said and what it should have said, over N.
# - The loop: zero_grad, loss, backward, step.
# - Test a loop first on a few images; look at the first loss ($\log 10$), and at where the loss levels off.
#
# **Confusions settled**: a loss that falls to 0 does not prove learning (random labels). `cross_entropy` takes
# logits, not probabilities. Gradients add up until someone sets them to zero. A bug can pass the overfitting test:
# two of four did.
#
# Next: [03 Why do sigmoid stacks stall?](03_signal.ipynb)
