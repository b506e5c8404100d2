"""How minidl talks to Numba: its flags, its cache, and which of two builds of a loop a call gets.

A kernel is a plain Python loop over arrays under the decorator `@kernel`, which compiles the same source twice, lazily:
once for one core, and once with every `prange` spread over threads. Each call picks one by the amount of work, because
starting threads costs more than a small batch is worth: `relu_kernel[x.size](x, y)`. (CUDA's launches look like this, too.)

Training gives the same bits on one thread and on many. Kernels keep that promise by cutting their work into chunks of a
fixed size (never "n / threads") and by adding up partial sums in the order of the chunks; the choice between the two
builds depends on sizes alone, and the compiler may not change the order of operations.

A prange counts in unsigned numbers; divmod, min and max of one and a signed number would give floats: hence `np.int64(k)`.

With the environment variable NUMBA_DISABLE_JIT=1 every kernel is the Python function that you read: step through it.
"""

import builtins
import contextlib
import dis
import functools
import inspect
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import prange, types
from numba.core import event
from numba.core.registry import CPUDispatcher
from numba.extending import overload

from minidl.kernels import threads
from minidl.kernels.aside import Meanwhile, before_compiling
from minidl.kernels.linking import linked_once
from minidl.kernels.memory import keep_freed_memory

__all__ = [
    "CHUNK",
    "add_to",
    "assign",
    "by_precision",
    "compiled_as",
    "computed",
    "contiguous",
    "device",
    "inlined",
    "kernel",
    "n_chunks",
    "numpy_kernel",
    "on_compile",
    "prange",
]

CHUNK = 8192  # elements in a chunk of elementwise work: 32 KiB of float32

# No fast-math: LLVM may not reorder sums or fuse a·b + c, and results are the same bits however a loop was compiled. (With
# it, a kernel fresh from the compiler and the same kernel from the cache gave different last bits.) Loops in
# which each channel is on its own vectorise all the same. `numpy` lets a division by zero give infinity.
_OPTIONS = {"fastmath": False, "error_model": "numpy"}
_ONLY_INSIDE = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # nothing to compile for calls from Python

on_call: Any = None  # told of every call that fills arrays: (function, args); whoever wants to know sets it
forks = 0  # of this process and those that it was forked from, that left Numba's threads behind
_parallel_from = None  # set by the first kernel call
_files: dict = {}  # helper → the source files that it is made of


class _Build(CPUDispatcher):
    """A kernel's compiled code."""

    def compile(self, sig):
        before_compiling(self, sig)
        with linked_once():
            return super().compile(sig)

    @property
    def is_cached(self):
        """Whether what is compiled is kept for other processes."""
        return hasattr(self._cache, "_cache_file")

    def is_at_hand(self, types):
        """Return whether code for arguments of these types is here, or in the cache."""
        if types in self.overloads:
            return True
        try:
            return self._cache._index_key(types, self.targetctx.codegen()) in self._cache._cache_file._load_index()
        except Exception:  # there is no cache; or whatever unpickling damaged bytes may raise: compiling anew mends it
            return True


class _Helper(CPUDispatcher):
    """A helper's compiled code, for kernels alone: called from Python, it is the Python function that one reads."""

    def __call__(self, *args):
        return self.py_func(*args)


def device(function, inline=False):
    """Compile a helper that kernels call: a number in and a number out, or a loop over parts of arrays.

    Nothing here runs on a GPU: the words kernel and device are borrowed from there.

    inline  put the code into every caller, for short runs whose call would take longer than they do
    """
    helper = numba.njit(forceinline=inline, **_ONLY_INSIDE, **_OPTIONS)(_with_a_name(function))
    if not numba.config.DISABLE_JIT:
        helper.__class__ = _Helper
    _files[helper] = _files_of_helpers(function) | {inspect.getsourcefile(function)}
    return helper


inlined = functools.partial(device, inline=True)


def _with_a_name(function):
    """The same function, or ValueError for one of those closures that all have the same name.

    Numba links kernels to their helpers by qualified name and a number that counts up in each process. Two kernels cached
    by two processes would call one helper for both if the names were the same.
    """
    if "<locals>" in function.__qualname__:
        raise ValueError(f"{function.__qualname__}: give each of these closures a __qualname__ of its own")
    return function


def _files_of_helpers(function):
    """Source files of the helpers whose names stand in a function, or that it was made around.

    NameError for a name that is not defined yet: a helper below the kernel would be left out of its fingerprint.
    """
    known = vars(builtins) | function.__globals__
    names = {i.argval for i in dis.get_instructions(function) if i.opname == "LOAD_GLOBAL"}
    if not names <= known.keys():
        raise NameError(f"{function.__qualname__}: define {', '.join(sorted(names - known.keys()))} above it")
    used = [known[name] for name in names]
    used += [cell.cell_contents for cell in function.__closure__ or ()]
    return {file for helper in used if callable(helper) for file in _files.get(helper, ())}


def _fingerprint(function):
    """A number that changes with the code of a function's helpers, and with this file.

    Numba's cache does not notice a change in a function that a kernel calls from *another* file, nor in its options, and
    goes on with the old code. So each kernel is cached under a name with this number in it.
    """
    fingerprint = 0
    for file in sorted(_files_of_helpers(function) | {__file__}):
        fingerprint = zlib.crc32(Path(file).read_bytes(), fingerprint)
    return fingerprint


def by_precision(single, double):
    """Give kernels one name to call: `single` answers for float32 numbers, `double` for float64."""

    def choose(x):
        return single(x) if isinstance(x, np.float32) else double(x)

    choose.__qualname__ = f"by_precision-{single.__name__}"

    @compiled_as(choose, *_files[single], *_files.get(double, ()))  # the same choice, made by Numba when it compiles
    def compiled(x):
        if x == types.float32:
            return lambda x: single(x)
        return lambda x: double(x)

    return choose


def compiled_as(plain, *files):
    """In kernels, calls of `plain` run other code; without the compiler, `plain` itself does.

    The decorated function gets the arguments' types, and returns a function with plain's signature.

    files  sources that the other code is made of, besides the one that it stands in
    """

    def register(choose):
        _files[_with_a_name(plain)] = {inspect.getsourcefile(choose), *files}

        @functools.wraps(choose)
        def named(*args, **kwargs):
            code = choose(*args, **kwargs)
            code.__qualname__ = plain.__qualname__
            return code

        return overload(plain, jit_options={"forceinline": True, **_OPTIONS})(named)

    return register


@device
def n_chunks(n, size=CHUNK):
    """Return how many chunks of `size` cover n elements: ⌈n / size⌉."""
    return (n + size - 1) // size


def kernel(function=None, *, cost=1):
    """Compile a loop for one core and for many; each call uses the build that suits its size.

    `loop[work](…)`: work, times `cost`, is how much there is to do. Work is mostly a number of elements; cost 1 is a few
    multiplications for each, 4 to 8 an exponential, 64 a convolution; roughly. A kernel fills arrays that it is given and
    returns nothing; a step of a `prange` writes only what no other step touches.
    """
    return Kernel(function, cost) if function else functools.partial(kernel, cost=cost)


class Kernel:
    """The two builds of one loop: `serial` and `parallel`. The source is under `__wrapped__`.

    `for_many` is the parallel build, or what takes its place until it is compiled.

    A call costs 0.2 µs, half of it in Numba, and Numba 0.04 more for each argument (a Python number 0.02, a NumPy one 0.06).
    """

    def __init__(self, function, cost):
        functools.update_wrapper(self, function)
        self.cost = cost
        if numba.config.DISABLE_JIT:
            # Compiled code meets an overflow in silence; here NumPy's numbers would warn.
            self.serial = self.parallel = self.for_many = np.errstate(all="ignore")(function)
            return
        self.serial = _compile(function, "serial", parallel=False)
        self.parallel = _compile(function, "parallel", parallel=True)
        self.for_many = Meanwhile(self)

    def __getitem__(self, work):
        """The build that suits so much work."""
        if _parallel_from is None:
            _start()
        if work * self.cost < _parallel_from:
            build = self.serial
        else:
            threads.adopt()
            build = self.for_many
        return build if on_call is None else functools.partial(_announced, build)


def _announced(function, *args):
    if on_call is not None:
        on_call(function, args)
    function(*args)


def numpy_kernel(function):
    """Announce the calls of a function that fills arrays by NumPy or Python, as a kernel's are. Arguments go by position."""
    return functools.wraps(function)(functools.partial(_announced, function))


@numpy_kernel
def assign(array, values):
    """array[…] = values."""
    array[...] = values


@numpy_kernel
def add_to(array, values):
    """array += values."""
    array += values


def computed(function, *args):
    """Return function(*args), one array that NumPy computes; a listener is told how to compute it again, in its place.

    All arrays that it is computed from are among the arguments, also in tuples. A view of one of them is nothing to compute.
    """
    result = function(*args)
    if on_call is None:
        return result
    result = np.asarray(result)  # without dimensions it is a number, in whose place nothing can be written
    if not any(isinstance(array, np.ndarray) and np.may_share_memory(result, array) for array in args):
        on_call(_ufunc_again if isinstance(function, np.ufunc) else _again, (result, function, *args))
    return result


def _ufunc_again(result, ufunc, *args):
    ufunc(*args, out=result)


def _again(result, function, *args):
    result[...] = function(*args)


def contiguous(array):
    """Return an array's numbers in the order of its dimensions: the array itself if they are, or a copy."""
    return array if array.flags.c_contiguous else computed(np.ascontiguousarray, array)


def _compile(function, build, parallel):
    """One build of a kernel. Its cache file is named after `__qualname__`, which must therefore tell builds apart."""
    name = function.__qualname__
    function.__qualname__ = f"{name}-{build}-{_fingerprint(function):08x}"
    try:
        build = _forgiving(numba.njit(parallel=parallel, cache=True, **_OPTIONS)(function))
    except RuntimeError:  # no folder for the cache can be written: compile anew each time
        build = numba.njit(parallel=parallel, **_OPTIONS)(function)
    finally:
        function.__qualname__ = name
    build.__class__ = _Build
    return build


def _forgiving(build):
    """The same build, stopped neither by a full disk nor by a damaged cache: what is lost is compiled anew.

    After a power cut a file may be empty, cut, or have zeros inside. Numba reads code as pickles, which end where they say
    they do: behind one goes its checksum.
    """
    cache = build._cache
    file = cache._cache_file
    save, load, dump, load_data = cache.save_overload, cache.load_overload, file._dump, file._load_data

    def save_or_not(signature, compiled):
        with contextlib.suppress(OSError):
            save(signature, compiled)

    def load_or_not(signature, context):
        try:
            return load(signature, context)
        except Exception:  # whatever unpickling damaged bytes may raise
            with contextlib.suppress(OSError):
                cache.flush()
            return None

    def dump_with_checksum(code):
        pickled = dump(code)
        return pickled + zlib.crc32(pickled).to_bytes(4, "big")

    def load_if_intact(name):
        content = Path(file._data_path(name)).read_bytes()
        if zlib.crc32(content[:-4]).to_bytes(4, "big") != content[-4:]:
            raise ValueError(f"{name} is damaged")
        return load_data(name)

    cache.save_overload, cache.load_overload = save_or_not, load_or_not
    file._dump, file._load_data = dump_with_checksum, load_if_intact
    return build


def _start():
    """Before the first kernel: start Numba's threads, and keep freed memory."""
    global _parallel_from
    keep_freed_memory()
    _parallel_from = threads.parallel_from()


def _after_fork():
    """Use one core from now on: Numba's threads stayed with the parent, and its parallel loops would end the process."""
    global _parallel_from, forks
    if threads.are_started():
        _parallel_from, forks = math.inf, forks + 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class on_compile(event.Listener):
    """Call `announce(name)` whenever Numba really compiles a kernel (not when it finds it in the cache).

    Used as a context: `with on_compile(print): …`.
    """

    def __init__(self, announce):
        self.announce, self._depth = announce, 0

    def on_start(self, event):
        if not self._depth:  # helpers are compiled within their kernels
            self.announce(event.data["dispatcher"].py_func.__name__)
        self._depth += 1

    def on_end(self, event):
        self._depth -= 1

    def __enter__(self):
        event.register("numba:compile", self)
        return self

    def __exit__(self, *exc):
        event.unregister("numba:compile", self)
