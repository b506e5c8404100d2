"""`minidl bench --recipe cifar`: its flags, and what it prints and writes."""

import json
import sys
import tempfile

from minidl.lab.bench.recipe import (
    RECIPE_PEERS,
    as_table,
    contenders,
    make_plan,
    measure_recipe,
    recipe_record,
)
from minidl.lab.commands._flags import path, positive
from minidl.lab.commands.cifar import QUICK, first_or_made_up
from minidl.lab.photos import DATASETS
from minidl.lab.recipe import SIZES, settings_for
from minidl.system.files import write_atomically

__all__ = ["add_recipe_arguments", "check_recipe_arguments", "run_recipe"]

_ONLY_HERE = ("model", "steps", "data")  # flags


def add_recipe_arguments(parser):
    """Add the flags that go with --recipe."""
    group = parser.add_argument_group("with --recipe")
    group.add_argument("--model", choices=list(SIZES), help="as for `minidl cifar` (fast)")
    group.add_argument("--steps", type=positive(int), help="timed steps in each turn (an epoch's)")
    group.add_argument("--data", type=path, metavar="FOLDER", help="folder with the files of CIFAR-10")


def check_recipe_arguments(args, parts):
    """Check that flags that belong to --recipe come with it, and others without."""
    if not args.recipe:
        given = [name for name in _ONLY_HERE if getattr(args, name) is not None]
        if given:
            raise ValueError(f"--{given[0]} goes with --recipe cifar; add that, or leave it out")
        return
    alone = [
        *(f"--{part}" for part in parts),
        *(["--against"] if args.against else []),
        *(["--warm"] if args.warm else []),
    ]
    if alone:
        raise ValueError(f"--recipe measures the recipe alone, and {alone[0]} is given; run that on its own")
    if unknown := set(args.peers or ()) - {*RECIPE_PEERS, "none"}:
        raise ValueError(
            f"--peers names {sorted(unknown)[0]}, which has no such recipe; use {', '.join(RECIPE_PEERS)} or none"
        )


def run_recipe(args, threads):
    """Train in turns, print the table, write recipe.json and recipe.md; returns the exit status."""
    peers = _peers(args.peers)
    photos = first_or_made_up("cifar10", args.data) if args.quick else DATASETS["cifar10"](args.data)
    model = args.model or "fast"
    settings = settings_for(model, **(QUICK if args.quick else {}))
    plan = make_plan(
        settings, photos, args.steps or (2 if args.quick else None), args.rounds or (2 if args.quick else None)
    )
    everyone = contenders(peers)
    print(
        f"recipe: {model}; turns: {plan.rounds} of {plan.steps} steps; contenders, taking turns: "
        f"{', '.join(one.name for one in everyone)}; {threads} threads each, instructions: {args.isa}",
        file=sys.stderr, flush=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="minidl-bench-") as scratch:
        result = measure_recipe(plan, everyone, threads, args.isa, scratch)
    record = recipe_record(plan, result, threads, args.isa, _arguments(args), model, photos.source)
    try:
        written = list(_write(args.out, record))
    finally:  # what cannot be written is printed all the same
        print(as_table(record))
    print("\n".join(f"wrote {path}" for path in written))
    return 0 if set(record["results"]) == {one.name for one in everyone} else 1


def _peers(named):
    """List those that were named, which must be installed; without names, all that are."""
    for name in named or ():
        if name != "none" and not RECIPE_PEERS[name].installed():
            raise ValueError(f"--peers names {name}, but torch is not installed: pip install torch")
    return [name for name, peer in RECIPE_PEERS.items() if (peer.installed() if named is None else name in named)]


def _write(out, record):
    write_atomically(out / "recipe.json", (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    yield out / "recipe.json"
    write_atomically(out / "recipe.md", (as_table(record, markdown=True) + "\n").encode())
    yield out / "recipe.md"


def _arguments(args):
    """Return the command line again, for the record; without paths of this machine."""
    words = ["--recipe", args.recipe]
    for name in ("model", "steps", "rounds", "threads"):
        if (given := getattr(args, name)) is not None:
            words += [f"--{name}", str(given)]
    words += ["--peers", *args.peers] if args.peers is not None else []
    return words + (["--isa", args.isa] if args.isa != "native" else []) + (["--quick"] if args.quick else [])
