"""`minidl reproduce`: test the paper's claims and those of later work, and write the ledger of the results."""

import contextlib
import datetime
import re
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import minidl
from minidl.data import DataError
from minidl.lab.after.rows import benchmark_rows
from minidl.lab.commands._flags import at_least, check_writable, path, positive
from minidl.lab.commands._sources import find
from minidl.lab.registry import NOT_TESTED, claims
from minidl.lab.study.claim import PARTS, Scale
from minidl.lab.study.fingerprint import fingerprint
from minidl.lab.study.page import BEGIN, END, load_results, page, put_table, save_result
from minidl.lab.study.store import Store
from minidl.lab.study.sweep import conduct
from minidl.system.files import write_atomically
from minidl.system.machine import commit, instructions, machine, versions
from minidl.system.terminal import note

__all__ = ["HELP", "add_arguments", "run"]

HELP = "test the paper's claims, one by one, and write the ledger of what was found"


def add_arguments(parser):
    """Add the flags of `minidl reproduce`."""
    parser.add_argument("--claim", nargs="+", metavar="ID", help="which claims (all); --list names them")
    parser.add_argument("--list", action="store_true", help="name the claims, a line each, and stop")
    parser.add_argument(
        "--seeds",
        type=at_least(2, "one seed alone says nothing of its spread"),
        help="seeds for each arm (5; quick: 2)",
    )
    parser.add_argument("--quick", action="store_true", help="two seeds and short runs, to see that everything works")
    parser.add_argument("--jobs", type=positive(int), help="runs at a time (all cores); results do not depend on it")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of a Dask scheduler that spreads the runs over machines"
    )
    parser.add_argument(
        "--data",
        type=path,
        metavar="FOLDER",
        help="folder with MNIST's four IDX files, or with folders mnist, cifar10 and text",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="FOLDER",
        default=Path("runs/reproduce"),
        help="where results go (runs/reproduce); finished runs are kept in its folder runs, and found there again",
    )
    parser.add_argument("--readme", type=path, metavar="FILE", help="also put the table between the marks in this file")


def run(args):
    """Run the studies, write results, figures and page; returns the exit status: 1 if a study failed."""
    known = claims()
    if args.list:
        _list(known)
        return 0
    chosen = _chosen(args.claim, known)
    scale = Scale(args.seeds or (2 if args.quick else 5), args.quick)
    check_writable(args.out)
    if args.scheduler and not re.fullmatch(r"(\w+://)?[^\s:/]+:\d+", args.scheduler):
        raise ValueError(f"--scheduler is {args.scheduler}; it must be the address of a Dask scheduler, host:port")
    if args.readme:
        if not args.readme.is_file():
            raise ValueError(f"--readme is {args.readme}; it must be a file with the lines {BEGIN} {END}")
        put_table(args.readme, load_results(args.out, known.values()))  # so that it fails now, if at all
    sources, failed = _sources(args, chosen)
    try:
        with _terminate_as_interrupt():
            for i, claim in enumerate(chosen, 1):
                if claim.id in failed:
                    continue
                print(f"[{i}/{len(chosen)}] {claim.id}: {' '.join(claim.statement.split())}", flush=True)
                try:
                    _study(claim, scale, args, *sources[claim.data], known)
                except Exception:
                    traceback.print_exc()
                    failed.append(claim.id)
    except KeyboardInterrupt:
        print(f"\nstopped; runs that finished are kept in {args.out}, and the same command continues", file=sys.stderr)
        return 130
    if args.readme:
        put_table(args.readme, load_results(args.out, known.values()))
    if len(failed) < len(chosen):
        print(f"wrote {args.out / 'README.md'}")
    if failed:
        print(f"failed: {', '.join(failed)}; the same command tries them again", file=sys.stderr)
    return bool(failed)


@contextlib.contextmanager
def _terminate_as_interrupt():
    """Make the signal to terminate (`kill`) a KeyboardInterrupt, which ends worker processes; alone it would leave them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _list(known):
    """Print a line a claim, under the name of its part."""
    width = max(map(len, known))
    for part, title in zip(PARTS, ("The paper, claim by claim:", "\nAfter the paper:"), strict=True):
        own = [claim for claim in known.values() if claim.part == part]
        if own:
            print(title)
            print("\n".join(f"{c.id:<{width}}  {c.section}: {' '.join(c.statement.split())}" for c in own))


def _study(claim, scale, args, load, facts, known):
    """Run one claim, from its runs to its place on the page."""
    start = time.perf_counter()
    code = fingerprint(claim.run)
    store = Store(args.out / "runs" / claim.id, f"{minidl.__version__} {code}", facts.get("checksum"))
    result = conduct(claim, scale, store, args.jobs or _cores(), args.scheduler, load)
    verdict = claim.verdict(result)
    save_result(args.out, claim, result, _facts(scale, code, facts))
    _draw(claim, result, args.out / "figures" / f"{claim.id}.png")
    found = load_results(args.out, known.values())
    text = page(found, NOT_TESTED, known.values(), benchmark_rows(found, known.values()))
    write_atomically(args.out / "README.md", text.encode())
    print(f"    {verdict.word}: {verdict.number}  ({time.perf_counter() - start:.0f} s)", flush=True)


def _chosen(names, known):
    if unknown := sorted(set(names or ()) - set(known)):
        raise ValueError(f"there is no claim {', '.join(unknown)}; there are {', '.join(known)}")
    return [claim for claim in known.values() if not names or claim.id in names]


def _cores():
    from joblib import cpu_count

    return cpu_count()


def _facts(scale, code, source):
    """Return what a sceptic needs besides the runs: code, data, machine. Kept runs may be older; their code is the same."""
    return {
        "minidl": minidl.__version__,
        "commit": commit(),
        "code": code,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "seeds": scale.seeds,
        "quick": scale.quick,
        "data": source.get("data"),
        "machine": machine(),
        "instructions": instructions(),
        "versions": versions(),
    }


def _draw(claim, result, path):
    from minidl.lab import plot

    path.parent.mkdir(parents=True, exist_ok=True)
    plot.save(claim.figure(result), path)


def _sources(args, chosen):
    """Load each kind of data that is wanted: kind → (a function that gives it in any process, what is known of it).

    Also returns the ids of claims that cannot run without data that is not there. Those who want nothing else get the error.
    """
    found, failed = {None: (None, {})}, []
    for kind in dict.fromkeys(claim.data for claim in chosen if claim.data):
        try:
            found[kind] = find(kind, args.data, args.quick)
        except DataError as error:
            lacking = [claim.id for claim in chosen if claim.data == kind]
            if len(lacking) == len(chosen):
                raise
            note(f"minidl: {error}; left out: {', '.join(lacking)}")
            failed += lacking
    return found, failed
