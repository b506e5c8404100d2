"""`minidl bench`: how fast training is, against PyTorch, JAX and TensorFlow, or against another version of minidl."""

import json
import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from minidl.lab.bench.cases import NETWORKS, OPERATIONS
from minidl.lab.bench.environment import ISAS, pinned
from minidl.lab.bench.parts import (
    Run,
    Settings,
    measure_busy,
    measure_limits,
    measure_networks,
    measure_operations,
    measure_scaling,
)
from minidl.lab.bench.record import as_record
from minidl.lab.bench.remote import PEERS, minidl_at
from minidl.lab.bench.report import as_markdown, as_text, changes
from minidl.lab.bench.versions import other_version
from minidl.lab.commands._bench_recipe import add_recipe_arguments, check_recipe_arguments, run_recipe
from minidl.lab.commands._flags import check_writable, path, positive
from minidl.system.files import write_atomically
from minidl.system.machine import available_cores

__all__ = ["HELP", "add_arguments", "run"]

HELP = "compare speed with PyTorch, JAX and TensorFlow, or with another version of minidl"
PARTS = {
    "networks": measure_networks, "busy": measure_busy, "scaling": measure_scaling, "ops": measure_operations
}  # fmt: skip
DEFAULT_PARTS = ("networks", "ops")


def add_arguments(parser):
    """Add the flags of `minidl bench`."""
    parts = parser.add_argument_group("what to measure (all networks and operations, some minutes, if none is named)")
    parts.add_argument(
        "--networks", nargs="*", choices=NETWORKS, metavar="NAME", help=f"training steps: {_list(NETWORKS)}"
    )
    parts.add_argument(
        "--busy", nargs="*", choices=NETWORKS, metavar="NAME",
        help="training steps, quiet and then while a process of the benchmark's own takes one core",
    )  # fmt: skip
    parts.add_argument("--ops", nargs="*", choices=OPERATIONS, metavar="NAME", help=f"operations: {_list(OPERATIONS)}")
    parts.add_argument(
        "--scaling", nargs="*", choices=NETWORKS, metavar="NAME",
        help="training steps with batches of 8 to 512 and with 1, 2, 4, … threads",
    )  # fmt: skip
    parts.add_argument(
        "--recipe",
        choices=["cifar"],
        help="the training of `minidl cifar` against the same one in PyTorch, nothing else",
    )
    add_recipe_arguments(parser)
    parser.add_argument(
        "--peers", nargs="*", choices=[*PEERS, "none"], metavar="NAME",
        help=f"with whom to compare: {_list(PEERS)} (all that are installed; with --against: none), or none",
    )  # fmt: skip
    parser.add_argument(
        "--against",
        type=_version,
        metavar="FOLDER_OR_COMMIT",
        help="also measure another minidl: a checkout, or a commit of this one",
    )
    parser.add_argument("--threads", type=positive(int), help="threads that each may use (all cores)")
    parser.add_argument(
        "--isa", choices=ISAS, default="native",
        help="processor instructions: native, which every library chooses for itself, or at most avx2 for all (native)",
    )  # fmt: skip
    parser.add_argument(
        "--rounds", type=positive(int), help="turns that each contender gets on each case (7; scaling and recipe: 3)"
    )
    parser.add_argument(
        "--warm",
        action="store_true",
        help="use compiled kernels of earlier runs: quicker, but first steps do not compile",
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", default=Path("runs/bench"), help="where results go (runs/bench)"
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes and few steps, to see that everything works")


def _version(text):
    """A flag's type: a path or a commit, which is left as it is."""
    return os.path.expanduser(text) if path(text) else None


def run(args):
    """Measure, print the tables, write the results; returns the exit status."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise ValueError("NUMBA_DISABLE_JIT is set, and without the compiler there is no speed to measure; unset it")
    threads = args.threads or available_cores()
    if threads > available_cores():
        raise ValueError(f"--threads is {threads}, but this process can use {available_cores()} cores")
    check_writable(args.out)
    check_recipe_arguments(args, [part for part in PARTS if getattr(args, part) is not None])
    if args.recipe:
        return run_recipe(args, threads)
    parts = _parts(args)
    with tempfile.TemporaryDirectory(prefix="minidl-bench-") as scratch, _ours(args.against) as ours:
        settings = Settings(
            ours, _peers(args), threads, args.isa, args.rounds, not (args.warm or args.quick), args.quick, Path(scratch)
        )
        print(_plan(settings, parts, args), file=sys.stderr, flush=True)
        done = _measure(settings, parts)
    record = as_record(done, settings, _arguments(args))
    try:
        written = list(_write(args.out, record))
    finally:  # what cannot be written is printed all the same
        print(as_text(record))
        if args.against:
            print("\n" + changes(record))
    print("\n".join(f"wrote {path}" for path in written))
    return 0 if set(parts) <= {entry["part"] for entry in record["results"]} else 1


def _parts(args):
    """Return part → names: those that were asked for, or the default ones."""
    asked = {part: getattr(args, part) for part in PARTS if getattr(args, part) is not None}
    asked = asked or {part: [] for part in DEFAULT_PARTS}
    chosen = {part: tuple(names) or (OPERATIONS if part == "ops" else NETWORKS) for part, names in asked.items()}
    if "busy" in chosen:  # its table says how many times as long as on a quiet machine
        chosen["networks"] = tuple(dict.fromkeys((*chosen.get("networks", ()), *chosen["busy"])))
    return chosen


@contextmanager
def _ours(against):
    """Give minidl, and the version to compare with, for as long as that is unpacked."""
    if not against:
        yield (minidl_at(),)
        return
    with other_version(against) as folder:
        yield minidl_at(name="this minidl"), minidl_at(folder, f"minidl of {_short(against)}")


def _peers(args):
    """List those that were named, which must be installed; without names, all that are."""
    if args.peers is None:
        return () if args.against else tuple(peer for peer in PEERS.values() if peer.installed())
    chosen = [peer for name, peer in PEERS.items() if name in args.peers]
    for peer in chosen:
        if not peer.installed():
            raise ValueError(
                f"--peers names {peer.name}, but {peer.package} is not installed: pip install {peer.package}"
            )
    return tuple(chosen)


def _measure(settings, parts):
    """Measure all parts. The limits come first and last: between them the machine may have changed its pace."""
    done = Run()
    measure_limits(done, settings)
    for part, measure in PARTS.items():
        if part in parts:
            measure(done, settings, parts[part])
    measure_limits(done, settings)
    return done


def _plan(settings, parts, args):
    """Say what is about to happen, in a few lines."""
    who = ", ".join(c.name for c in (*settings.ours, *settings.peers))
    lines = [f"{part}: {_list(names)}" for part, names in parts.items()]
    lines.append(f"contenders, taking turns: {who}; {settings.threads} threads each, instructions: {settings.isa}")
    missing = sorted({peer.package for peer in PEERS.values() if not peer.installed()})
    if missing and args.peers is None and not args.against:
        lines.append(f"not installed, and so left out: {', '.join(missing)} (docs/speed.md says how to get them)")
    if pins := pinned():
        lines.append(f"set aside, as found in the environment: {' '.join(f'{k}={v}' for k, v in pins.items())}")
    if settings.cold and "networks" in parts:
        lines.append(
            "first steps compile; torch.compile and JAX take their time (--warm, --peers and --networks save some)"
        )
    return "\n".join(lines)


def _write(out, record):
    from minidl.lab import plot

    write_atomically(out / "bench.json", (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    yield out / "bench.json"
    write_atomically(out / "bench.md", as_markdown(record).encode())
    yield out / "bench.md"
    points = _points(record)
    if points and record["limits"]:
        plot.save(plot.roofline(points, **record["limits"]), out / "roofline.png", dpi=130)
        yield out / "roofline.png"


def _points(record):
    """Return the figure's points: operations and steps of minidl, and of another version or PyTorch where all did them."""
    entries = [
        e for e in record["results"] if e["part"] in ("networks", "ops") and record["ours"][0] in e["contenders"]
    ]
    present = {name for e in entries for name in e["contenders"]}
    names = [name for name in (*record["ours"], "torch eager") if name in present][:2]
    entries = [e for e in entries if set(names) <= set(e["contenders"])]
    points = {name: {} for name in names if entries}
    for entry in entries:
        kind = f"{entry['name']} step" if entry["part"] == "networks" else entry["name"]
        for name in names:
            pair = (1e3 * entry["gflop"] / entry["mb"], entry["contenders"][name]["gflops"])
            points[name].setdefault(kind, []).append(pair)
    return points


def _arguments(args):
    """Return the command line again, for the record; without paths of this machine."""
    words = []
    for name in (*PARTS, "peers"):
        if (given := getattr(args, name)) is not None:
            words += [f"--{name}", *given]
    for name in ("against", "threads", "rounds"):
        if (given := getattr(args, name)) is not None:
            words += [f"--{name}", _short(given) if name == "against" else str(given)]
    words += ["--isa", args.isa] if args.isa != "native" else []
    return words + [f"--{name}" for name in ("warm", "quick") if getattr(args, name)]


def _short(against):
    """Name a commit, or a folder."""
    return Path(against).resolve().name if Path(against).is_dir() else against


def _list(names):
    return ", ".join(names)
