"""minidl: deep learning from scratch, small enough to read in a day."""

# ruff: noqa: E402  (what follows takes a second, in which somebody may press Ctrl-C)
from minidl.system.interrupt import leave_interrupts_to_the_system

leave_interrupts_to_the_system()

from typing import TYPE_CHECKING, Any

from minidl._version import __version__
from minidl.autograd import detect_anomaly, is_grad_enabled, no_grad
from minidl.kernels.threads import get_num_threads, set_num_threads
from minidl.ops.join import cat, concatenate
from minidl.ops.sparse import CSR
from minidl.random import default_generator, manual_seed
from minidl.tensor import Tensor

if TYPE_CHECKING:
    from minidl.anatomy import summary

__all__ = [
    "CSR",
    "Tensor",
    "__version__",
    "cat",
    "concatenate",
    "default_generator",
    "detect_anomaly",
    "get_num_threads",
    "is_grad_enabled",
    "manual_seed",
    "no_grad",
    "set_num_threads",
    "summary",
]


def __getattr__(name: str) -> Any:
    """Import `summary` when somebody asks for it: training needs none of what it imports."""
    if name == "summary":
        from minidl.anatomy import summary

        globals()[name] = summary
        return summary
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
