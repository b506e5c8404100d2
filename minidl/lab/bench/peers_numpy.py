"""NumPy as a contender, for the limits of the machine: a matrix product by its own BLAS, and a copy on one core."""

import numpy as np

__all__ = ["Operation", "build", "start"]


def start(variant, threads):
    """Report versions; NumPy takes its number of threads from the environment."""
    from threadpoolctl import threadpool_info

    blas = {f"BLAS {i['version']}": i.get("architecture", "?") for i in threadpool_info() if i["user_api"] == "blas"}
    return {"versions": {"numpy": np.__version__}, "instructions": blas}


def build(case, arrays, variant):
    """Build a matrix product or a copy."""
    return Operation(case["name"], arrays)


class Operation:
    """x @ weight, or a copy of x."""

    def __init__(self, name, arrays):
        x, weight = arrays["x"], arrays.get("weight")
        self.y = np.empty_like(x)
        self.step = {"matmul": lambda: np.matmul(x, weight, self.y), "copy": lambda: np.copyto(self.y, x)}[name]

    def check(self):
        """Return the mean size of the result's numbers."""
        return [float(np.abs(self.y).mean(dtype=np.float64))]
