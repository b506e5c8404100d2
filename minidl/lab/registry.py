"""The claims that have a study: every file of `paper/` and `after/` that defines CLAIM. To add a claim, add a file."""

import importlib
import pkgutil

import minidl.lab.after
import minidl.lab.paper
from minidl.lab.study.claim import PARTS

__all__ = ["NOT_TESTED", "claims"]

NOT_TESTED = {
    "ImageNet": """the accuracies themselves (4.9 % top-5 error of an ensemble of Inception networks, better than human
        raters) need a million images and weeks on many machines; nothing here supports or contradicts them.""",
}


def claims():
    """Return all claims: id → Claim. The paper's come first, in its order; then those of the part after it."""
    modules = [
        importlib.import_module(f"{folder.__name__}.{module.name}")
        for folder in (minidl.lab.paper, minidl.lab.after)
        for module in pkgutil.iter_modules(folder.__path__)
    ]
    found = [module.CLAIM for module in modules if hasattr(module, "CLAIM")]
    return {c.id: c for c in sorted(found, key=lambda c: (PARTS.index(c.part), c.section, c.id))}
