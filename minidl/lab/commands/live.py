"""`minidl live`: record the runs of the living figure, and write its page, the three small ones, and the stills."""

import sys
from pathlib import Path

import minidl
from minidl.lab.commands._flags import at_least, check_writable, path, positive
from minidl.lab.commands._sources import find
from minidl.lab.live.build import about, living_page, recorded, still
from minidl.lab.live.pack import pack
from minidl.lab.live.record import RECORDING
from minidl.lab.study.claim import Scale
from minidl.lab.study.fingerprint import fingerprint
from minidl.lab.study.store import Store
from minidl.lab.study.sweep import conduct
from minidl.lab.web import SMALL, page
from minidl.system.files import write_atomically

__all__ = ["HELP", "add_arguments", "run"]

HELP = "record what reaches each layer over training, and write the page on which one can move through it"


def add_arguments(parser):
    """Add the flags of `minidl live`."""
    parser.add_argument(
        "--seeds",
        type=at_least(2, "one seed alone says nothing of its spread"),
        help="seeds for each arm (3; quick: 2)",
    )
    parser.add_argument("--quick", action="store_true", help="two seeds and short runs, to see that everything works")
    parser.add_argument("--jobs", type=positive(int), default=1, help="runs at a time (1); results do not depend on it")
    parser.add_argument(
        "--data", type=path, metavar="FOLDER", help="folder with MNIST's four IDX files, or with a folder mnist"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", default=Path("runs/live"), help="where pages and stills go (runs/live)"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="record nothing: make the pages in --out again, from the data that its index.html holds",
    )
    parser.add_argument(
        "--runs",
        type=path,
        metavar="FOLDER",
        default=Path("runs/live/runs"),
        help="where finished runs are kept, and found there again (runs/live/runs)",
    )


def run(args):
    """Record, and write the files; returns the exit status."""
    if args.again:
        return _tell(write(args.out, _kept(args)))
    scale = Scale(args.seeds or (2 if args.quick else 3), args.quick)
    check_writable(args.out)
    check_writable(args.runs, "--runs")
    load, digits = find("mnist", args.data)
    store = Store(args.runs, f"{minidl.__version__} {fingerprint(RECORDING.run)}", digits["checksum"])
    try:
        result = conduct(RECORDING, scale, store, args.jobs, load=load)
    except KeyboardInterrupt:
        print(f"\nstopped; runs that finished are kept in {args.runs}, and the same command continues", file=sys.stderr)
        return 130
    except RuntimeError as error:  # names the run; the others are kept
        print(f"minidl live: {error}; the same command tries it again", file=sys.stderr)
        return 1
    return _tell(write(args.out, pack(result, about(digits, result.settings("seed"), args.quick))))


def _kept(args):
    """The data of the page that is there."""
    if args.quick or args.seeds or args.data:
        raise ValueError("--again records nothing, so --quick, --seeds and --data have no place beside it")
    page_there = args.out / "index.html"
    if not page_there.is_file():
        raise ValueError(f"--again makes {page_there} from its own data, and it is not there; leave --again out once")
    try:
        return recorded(page_there.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{page_there} holds no recorded data; leave --again out once") from None


def _tell(names):
    for name in names:
        print(f"wrote {name}")
    return 0


def write(out, packed):
    """Write the page, the small ones and the stills; yield their names."""
    from minidl.lab import plot

    pages = {"index": living_page(packed), **{name: page(name) for name in SMALL}}
    for name, text in pages.items():
        write_atomically(out / f"{name}.html", text.encode())
        yield out / f"{name}.html"
    for net in packed["nets"]:
        path = out / f"{net['id']}.png"
        plot.save(still(packed, net), path)
        yield path
