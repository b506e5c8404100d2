"""no_grad: around a block, on functions, on generators; in one thread."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minidl import Tensor, is_grad_enabled, no_grad


def leaf(*values):
    return Tensor(np.array(values), requires_grad=True)


def test_no_grad_records_nothing_and_restores_what_was():
    x = leaf(1.0)
    with no_grad():
        assert not is_grad_enabled()
        with no_grad():
            y = x * 2
        assert not is_grad_enabled()
    assert is_grad_enabled()
    assert not y.requires_grad
    assert y._parents == ()
    assert (x * 2).requires_grad
    assert x.requires_grad


def test_no_grad_is_restored_after_an_exception():
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0  # noqa: B018
    assert is_grad_enabled()


def test_no_grad_as_a_decorator():
    @no_grad()
    def double(x, depth=0):
        """Twice x."""
        assert not is_grad_enabled()
        return double(x, depth + 1) if depth < 3 else x * 2  # re-entered

    x = leaf(1.0)
    assert not double(x).requires_grad
    assert double.__doc__ == "Twice x."
    assert is_grad_enabled()


def test_no_grad_holds_for_one_thread():
    with no_grad(), ThreadPoolExecutor(1) as other:
        assert other.submit(is_grad_enabled).result(timeout=30)
        assert not is_grad_enabled()


def test_a_decorated_function_may_run_in_two_threads_at_once():
    order = [threading.Event() for _ in range(3)]

    @no_grad()
    def step(arrived, go_on):
        arrived.set()
        assert go_on.wait(30)

    def in_grad_mode():
        step(order[0], order[1])
        return is_grad_enabled()

    def in_no_grad_mode():
        with no_grad():
            assert order[0].wait(30)
            step(order[1], order[2])
            return is_grad_enabled()

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.submit(in_grad_mode), threads.submit(in_no_grad_mode)
        assert first.result(timeout=60)
        order[2].set()
        assert not second.result(timeout=60)


def test_no_grad_without_parentheses():
    @no_grad
    def double(x):
        """Twice x."""
        return x * 2

    assert not double(leaf(1.0)).requires_grad
    assert double.__doc__ == "Twice x."
    assert is_grad_enabled()


def test_one_no_grad_may_be_entered_twice():
    off = no_grad()
    with off, off:
        assert not is_grad_enabled()
    assert is_grad_enabled()
    with no_grad(), off:
        pass
    assert is_grad_enabled()


# ---- generators ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorate", [no_grad, no_grad()], ids=["bare", "called"])
def test_each_step_of_a_generator_runs_in_no_grad_and_its_caller_does_not(decorate):
    seen = []

    @decorate
    def steps(x):
        """Twice."""
        seen.append(is_grad_enabled())
        got = yield x * 2
        seen.append((is_grad_enabled(), got))
        try:
            yield x * 3
        except KeyError:
            seen.append(is_grad_enabled())
            yield x * 4
        return "end"

    def delegate():
        return (yield from steps(leaf(1.0)))

    generator = delegate()
    results = [next(generator), generator.send("sent"), generator.throw(KeyError())]
    assert is_grad_enabled()
    with pytest.raises(StopIteration) as stopped:
        next(generator)
    assert stopped.value.value == "end"
    assert seen == [False, (False, "sent"), False]
    assert [result.data[0] for result in results] == [2, 3, 4]
    assert not any(result.requires_grad for result in results)
    assert steps.__doc__ == "Twice."
    assert is_grad_enabled()


def test_a_generator_that_is_closed_or_fails():
    closed = []

    @no_grad()
    def steps():
        try:
            yield 1
            raise ZeroDivisionError
        finally:
            closed.append(is_grad_enabled())

    generator = steps()
    next(generator)
    generator.close()
    generator = steps()
    next(generator)
    with pytest.raises(ZeroDivisionError):
        next(generator)
    assert closed == [False, False]
    assert is_grad_enabled()
