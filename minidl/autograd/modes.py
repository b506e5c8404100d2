"""Whether operations are recorded: in each thread they are, but inside `no_grad`."""

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar, overload

__all__ = ["is_grad_enabled", "mode", "no_grad"]

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled = True
    before: tuple[bool, ...] = ()  # of the `with no_grad()` around


mode = _Mode()  # each thread has its own


@overload
def no_grad() -> "_NoGrad": ...
@overload
def no_grad(function: F) -> F: ...
def no_grad(function: Any = None) -> Any:
    """Record nothing inside: `with no_grad(): …`, or on a function or a generator, `@no_grad()` or `@no_grad`.

    Errors  TypeError for a class, and for an async function, which others may run in the middle of
    """
    return _NoGrad() if function is None else _NoGrad()(function)


class _NoGrad:
    def __enter__(self) -> None:
        mode.before, mode.enabled = (*mode.before, mode.enabled), False

    def __exit__(self, *exc: object) -> None:
        *before, mode.enabled = mode.before
        mode.before = tuple(before)

    def __call__(self, function: F) -> F:
        if isinstance(function, type) or not callable(function):
            what = f"the class {function.__name__}" if isinstance(function, type) else f"a {type(function).__name__}"
            raise TypeError(f"no_grad: got {what}; it must be a function: decorate methods, or use `with no_grad():`")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            name = getattr(function, "__name__", "the function")
            raise TypeError(
                f"no_grad: {name} is async, and others would run in its mode; use `with no_grad():` where nothing is awaited"
            )

        @functools.wraps(function)
        def without_gradients(*args, **kwargs):
            with self:
                result = function(*args, **kwargs)
            return _steps(result) if inspect.isgeneratorfunction(function) else result

        return without_gradients  # type: ignore[return-value]


def _steps(generator):
    """Each step of a generator runs in no_grad, and what its caller does between two steps does not."""
    step, value = generator.send, None
    while True:
        try:
            with _NoGrad():
                result = step(value)
        except StopIteration as end:
            return end.value
        try:
            step, value = generator.send, (yield result)
        except BaseException as error:  # thrown in, or GeneratorExit
            step, value = generator.throw, error


def is_grad_enabled() -> bool:
    """Return whether operations are being recorded."""
    return mode.enabled
