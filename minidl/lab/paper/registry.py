"""The claims that have a study: every file of this folder that defines CLAIM. To add a claim, add a file."""

import importlib
import pkgutil

import minidl.lab.paper

__all__ = ["NOT_TESTED", "claims"]

NOT_TESTED = {
    "steps": """the abstract, Figures 2 and 3: the same accuracy in fourteen times fewer steps, and the table of networks
        trained with 5 and 30 times the learning rate. The study is there (`minidl reproduce --claim steps`); it takes
        hours, and has not been run in full yet.""",
    "ImageNet": """the accuracies themselves (4.9 % top-5 error of an ensemble of Inception networks, better than human
        raters) need a million images and weeks on many machines; nothing here supports or contradicts them.""",
}


def claims():
    """Return all claims, in the paper's order: id → Claim."""
    names = [module.name for module in pkgutil.iter_modules(minidl.lab.paper.__path__)]
    modules = [importlib.import_module(f"minidl.lab.paper.{name}") for name in names]
    found = [module.CLAIM for module in modules if hasattr(module, "CLAIM")]
    return {claim.id: claim for claim in sorted(found, key=lambda claim: (claim.section, claim.id))}
