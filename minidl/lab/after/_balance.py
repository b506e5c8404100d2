"""Where weight decay and gradient steps balance, for weights whose length the loss does not see."""

__all__ = ["equilibrium"]


def equilibrium(lr: float, decay: float, squared: float, momentum: float = 0.0) -> float:
    """Return the ‖w‖ at which weight decay takes away what the steps add: ‖w‖⁴ = lr·squared / (2·decay·(1 − momentum)).

    The gradient g is at right angles to w, so a step of plain SGD makes of ‖w‖² the number (1 − lr·decay)²‖w‖² +
    lr²‖g‖², and ‖g‖² is squared/‖w‖². Equal to ‖w‖², for a small lr·decay: 2·decay·‖w‖² = lr·squared/‖w‖². With
    momentum (v ← momentum·v + g + decay·w, w ← w − lr·v) let A, B, D be the means of ‖w‖², ‖v‖², ⟨w, v⟩, the last before
    the step, and let g not correlate with the v before it. At rest ‖w − lr·v‖² = A gives lr·B = 2D; so ⟨w, v⟩ is −D after
    the step, and D = −momentum·D + decay·A. The square of v's line is then (1 − momentum²)·B = ‖g‖², but for terms with
    decay², whence 2·decay·(1 − momentum)·A = lr·‖g‖².

    squared  the mean of ‖w‖²‖g‖², which is the squared gradient of a vector of length 1; a number or an array
    Source   van Laarhoven 2017, "L2 Regularization versus Batch and Weight Normalization", for plain SGD
    """
    return (lr * squared / (2 * decay * (1 - momentum))) ** 0.25
