"""`minidl lessons`: a copy of the notebooks to work in, and JupyterLab in it; or, with --build, the notebooks anew."""

import shutil
import subprocess
import sys
from pathlib import Path

from minidl.course.notebooks import build, sources

__all__ = ["HELP", "add_arguments", "copy", "run"]

HELP = "copy the lessons to a folder of your own, and open them in JupyterLab"


def add_arguments(parser):
    """The flags of `minidl lessons`."""
    parser.add_argument("names", nargs="*", metavar="LESSON", help="beginnings of names, such as 03 (all)")
    parser.add_argument("--from", dest="source", type=Path, default=Path("lessons"), help="where they are (lessons)")
    parser.add_argument(
        "--to", type=Path, default=Path("work"), help="your folder; nothing in it is overwritten (work)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only copy")
    parser.add_argument(
        "--build", action="store_true", help="execute the lessons where they are, as they are published"
    )
    parser.add_argument("--quick", action="store_true", help="with --build: short runs, to see that everything works")


def run(args):
    """Returns the exit status."""
    chosen = [p for p in sources(args.source) if not args.names or p.name.startswith(tuple(args.names))]
    if not chosen:
        raise ValueError(f"there are no lessons {' '.join(args.names)} in {args.source}; name their folder with --from")
    if args.build:
        return _build(chosen, args.quick)
    for name in copy(chosen, args.to):
        print(f"copied to {name}")
    if args.no_browser:
        return 0
    return subprocess.run([sys.executable, "-m", "jupyter", "lab", str(args.to)]).returncode


def _build(chosen, quick):
    from nbclient.exceptions import CellExecutionError

    for source in chosen:
        print(f"{source.stem} …", end=" ", flush=True)
        try:
            print(f"{build(source, quick):.0f} s", flush=True)
        except CellExecutionError as error:
            print(f"stopped, and its notebook is as it was:\n{error}", file=sys.stderr)
            return 1
    return 0


def copy(chosen, folder):
    """Copy the notebooks that the folder does not have yet; returns their new places."""
    folder.mkdir(parents=True, exist_ok=True)
    new = [(p.with_suffix(".ipynb"), folder / f"{p.stem}.ipynb") for p in chosen]
    new = [(old, place) for old, place in new if old.is_file() and not place.exists()]
    for old, place in new:
        shutil.copyfile(old, place)
    return [place for _, place in new]
