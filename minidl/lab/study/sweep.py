"""Running a study: plan, look up what is kept, spread the rest over processes or machines, keep each as it arrives.

Runs go through joblib: on its own worker processes here, or on a Dask cluster. Every run has one thread for its kernels
and one for its BLAS, wherever it happens, so that the same configuration gives the same record.
"""

import contextlib
import json
import time
import warnings

from threadpoolctl import threadpool_limits

from minidl import get_num_threads, set_num_threads
from minidl.lab.study.claim import Result, Run, plain
from minidl.system.progress import progress
from minidl.system.terminal import printing

__all__ = ["conduct", "perform"]


def conduct(claim, scale, store=None, jobs=1, scheduler=None, load=None, quiet=False):
    """Do all runs that a claim's plan asks for; returns a Result.

    store      a Store, in which finished runs are looked up and kept; None: every run is done again
    jobs       processes on this machine; 1: none but this one
    scheduler  address of a Dask scheduler, which then has the runs done; needs the extra `cluster`
    load       load() gives the data, in whichever process it is called; must be picklable if there are several
    Errors     RuntimeError names the run that failed; those that are finished are kept
    """
    runs, plan, answer = [], claim.plan(scale), None
    with progress(desc=claim.id, total=0, unit="run", quiet=quiet) as bar:
        while True:
            try:
                configs = [plain(config) for config in plan.send(answer)]
            except StopIteration:
                return Result(tuple(runs))
            bar.total += len(configs)
            answer = Result(tuple(_do(claim, configs, store, jobs, scheduler, load, bar)))
            runs += answer.runs


def perform(claim, config, load=None):
    """Do one run, on one thread; returns a Run."""
    threads = get_num_threads()
    start = time.thread_time()
    set_num_threads(1)
    try:
        with threadpool_limits(1):
            record = claim.run(config, load() if claim.data else None)
    except Exception as error:
        said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise RuntimeError(f"{claim.id}: the run {json.dumps(config)} failed: {said}") from error
    finally:
        set_num_threads(threads)
    return Run(config, plain(record), round(time.thread_time() - start, 2))


def _do(claim, configs, store, jobs, scheduler, load, bar):
    """The runs of these configurations, in their order."""
    done = {i: run for i, config in enumerate(configs) if store and (run := store.get(config))}
    bar.update(len(done))
    missing = [(i, config) for i, config in enumerate(configs) if i not in done]
    for i, run in _spread(claim, missing, jobs, scheduler, load):
        if store:
            store.put(run)
        done[i] = run
        bar.update()
    return [done[i] for i in range(len(configs))]


def _spread(claim, numbered, jobs, scheduler, load):
    """Pairs (number, run) in the order in which they finish."""
    if not numbered or (jobs == 1 and scheduler is None):
        yield from ((i, perform(claim, config, load)) for i, config in numbered)
        return
    from joblib import Parallel, delayed

    with _backend(jobs, scheduler), warnings.catch_warnings():
        # joblib replaces a worker that has grown by what it compiled, and says so; nothing is lost
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(_numbered)(i, claim, config, load) for i, config in numbered)


def _numbered(i, claim, config, load):
    with printing():  # a worker must not fail because nobody reads what it prints
        return i, perform(claim, config, load)


@contextlib.contextmanager
def _backend(jobs, scheduler):
    from joblib import parallel_config

    if scheduler is None:
        with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            yield
        return
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--scheduler needs Dask; in minidl's clone: pip install -e '.[cluster]'") from None
    with Client(scheduler, set_as_default=True), parallel_config("dask"):
        yield
