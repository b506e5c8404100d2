"""Which processor instructions, and how many threads, the libraries may use: the same for all, by environment variables.

Libraries look at the processor and pick their fastest code. Variables in the environment can pin some of them to older
instructions, which would hobble those alone; a fair comparison lifts all pins, or limits everyone.
"""

import os

import numpy as np

__all__ = ["ISAS", "pinned", "worker_environment"]

ISAS = ("native", "avx2")

_PINS = (
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "NVPL_BLAS_DEBUG_CPU_TYPE",  # the BLAS of NumPy and of SciPy
    "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES",
    "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_ENABLE_AVX",
    "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS", "MKL_DEBUG_CPU_TYPE", "MKL_CBWR",  # PyTorch and its BLAS
    "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_CPU_ISA_HINTS", "DNNL_CPU_ISA_HINTS",  # its convolutions
    "TORCHINDUCTOR_CPP_MARCH",  # torch.compile
)  # fmt: skip
_XLA_PIN = "--xla_cpu_max_isa="  # JAX: a part of XLA_FLAGS

# Measured by the code that came out (zmm registers in it), by each library's report, or both. Numba's name alone does not
# do: the features of the host stay on, so they are named too.
_AVX2 = {
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "TORCHINDUCTOR_CPP_MARCH": "haswell",
}

_THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
            "NPROC")  # fmt: skip  # NPROC is XLA's


def pinned(environ=os.environ):
    """Return the variables found in the environment that choose instructions: name → value."""
    found = {name: environ[name] for name in _PINS if name in environ}
    xla = [flag for flag in environ.get("XLA_FLAGS", "").split() if flag.startswith(_XLA_PIN)]
    return found | ({"XLA_FLAGS": " ".join(xla)} if xla else {})


def worker_environment(isa, threads, environ=os.environ):
    """Return the environment for the process of a contender.

    isa      "native": every library chooses for itself; "avx2": none uses more than AVX2
    threads  that every library may use
    """
    if isa not in ISAS:
        raise ValueError(f"isa is {isa!r}; it must be one of {', '.join(ISAS)}")
    env = {name: value for name, value in environ.items() if name not in _PINS}
    xla = [flag for flag in environ.get("XLA_FLAGS", "").split() if not flag.startswith(_XLA_PIN)]
    if isa == "avx2":
        env |= _AVX2
        xla.append(f"{_XLA_PIN}AVX2")
        if features := _numpy_features_above_avx2():
            env["NPY_DISABLE_CPU_FEATURES"] = " ".join(features)
    env.pop("XLA_FLAGS", None)
    if xla:
        env["XLA_FLAGS"] = " ".join(xla)
    return env | dict.fromkeys(_THREADS, str(threads))


def _numpy_features_above_avx2():
    """List those that this NumPy was built for and this processor has, by NumPy's names, which differ between versions."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", ())
    return [name for name in found if name.startswith("AVX512") or name == "X86_V4"]
