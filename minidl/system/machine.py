"""What a result was made on: processor, libraries and the code itself, to compare with."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

__all__ = ["available_cores", "commit", "instructions", "machine", "versions"]


def machine():
    """Describe the machine in general words."""
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def available_cores():
    """Count the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def instructions():
    """Map library → the processor for which it computes: the BLAS of NumPy, and Numba."""
    from llvmlite.binding import get_host_cpu_name
    from threadpoolctl import threadpool_info

    blas = {f"BLAS {i['version']}": i.get("architecture", "?") for i in threadpool_info() if i["user_api"] == "blas"}
    return blas | {"Numba": os.environ.get("NUMBA_CPU_NAME") or get_host_cpu_name()}


def versions():
    """Return the versions of Python and of the libraries that compute."""
    return {"python": platform.python_version()} | {name: version(name) for name in ("numpy", "numba", "scipy")}


def commit():
    """Return the commit of this code, with "-dirty" if the package was changed since; None outside of a checkout."""
    here = Path(__file__).parents[1]  # the package
    if not (here.parent / ".git").exists():
        return None
    try:
        head = _git(here, "rev-parse", "--short=12", "HEAD")
        return head + ("-dirty" if _git(here, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder, *command):
    done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def _processor():
    if sys.platform == "linux":
        try:
            with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as info:
                names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
        except OSError:
            names = []
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _memory_gb():
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
