"""Kernels compile in half the time: what helpers are made of is optimised once, in the kernel that ends up with it.

Numba gives every compiled function a library of its own, and finishes it: the code of all that it calls is linked in,
optimised, and turned into machine code. A kernel is a tree of helpers some five calls deep, and each is put into its caller,
so the innermost are optimised five times; where a loop is spread over threads, its body and two wrappers add three more. All
but the last is thrown away. So here a library waits: whoever calls it gets its code as it is, and only what Python calls
is finished. Measured, of the first step of the paper's network, on one core: 18 s before, 10 after.

The numbers do not change, as no optimisation may change a result (see `jit.py`). These are Numba's inner parts, which may
move: with a version that has not been tried, everything is finished as usual.
"""

import contextlib

import numba
from numba.core import codegen, compiler_lock, environment
from numba.core.registry import cpu_target

__all__ = ["linked_once"]

_TRIED = (0, 63), (0, 68)  # versions of Numba, the first and the last
_OF_A_LOOP = "__numba_parfor_gufunc"  # in the name of a loop's body, which threads run, and Python never calls
_ENVIRONMENT = "_ZN08NumbaEnv"  # begins the name of a place for the address of what a function knows in Python


class _Waiting(codegen.JITCodeLibrary):
    """A library that is finished when Python asks for a function in it, and not when another library links it."""

    _linked = False

    def _link(self):
        """Put in the code of the libraries that are called, as it is."""
        if self._linked:
            return
        self._linked = True
        libraries, self._linking_libraries = dict.fromkeys(self._linking_libraries), []
        for library in libraries:
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
            self._reload_init.update(library._reload_init)

    def _ensure_finalized(self):
        """Wait: Numba calls this before it links a library."""

    def _get_module_for_linking(self):
        self._link()
        return super()._get_module_for_linking()

    def finalize(self):
        self._link()
        super().finalize()
        for variable in self._final_module.global_variables:  # Numba sets them when a library is finished
            known = variable.name.startswith(_ENVIRONMENT) and environment.lookup_environment(variable.name)
            if known and self._codegen._engine.is_symbol_defined(variable.name):
                self._codegen.set_env(variable.name, known)

    def get_pointer_to_function(self, name):
        return super().get_pointer_to_function(name) if self._finalized or self._called_from_python(name) else 0

    def _called_from_python(self, name):
        """Return whether Python will call this function of the library, which then is finished."""
        with contextlib.suppress(NameError):
            if _OF_A_LOOP not in name and not self._final_module.get_function(name).is_declaration:
                self.finalize()
        return self._finalized

    @property
    def codegen(self):
        return self._codegen if self._finalized else _WithoutEnvironments(self._codegen)

    @property
    def has_dynamic_globals(self):
        self._finish()
        return super().has_dynamic_globals

    def serialize_using_object_code(self):
        self._finish()
        return super().serialize_using_object_code()

    def _finish(self):
        if not self._finalized:
            self.finalize()


class _WithoutEnvironments:
    """Numba's code generator as a waiting library shows it: an environment has no address yet, and is set later."""

    def __init__(self, generator):
        self._generator = generator

    def __getattr__(self, name):
        return getattr(self._generator, name)

    def set_env(self, name, env):
        pass


@contextlib.contextmanager
def linked_once():
    """While this lasts, what Numba compiles is linked as it is, and finished when Python calls it."""
    if not _TRIED[0] <= numba.version_info[:2] <= _TRIED[1]:
        yield
        return
    with compiler_lock.global_compiler_lock:  # no other thread compiles meanwhile
        generator = cpu_target.target_context.codegen()
        before = vars(generator).get("_library_class")
        generator._library_class = _Waiting
        try:
            yield
        finally:
            if before is None:
                del generator._library_class
            else:
                generator._library_class = before
