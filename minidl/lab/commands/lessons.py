"""`minidl lessons`: copy the notebooks to work in, and open JupyterLab there; or, with --build, execute them anew."""

import importlib.util
import os
import shlex
import subprocess
import sys
from pathlib import Path

from minidl.lab.commands._flags import check_writable, path
from minidl.lab.course.notebooks import build, sources
from minidl.system.files import write_atomically

__all__ = ["HELP", "add_arguments", "copy", "run"]

HELP = "copy the lessons to a folder of your own, and open them in JupyterLab"


def add_arguments(parser):
    """Add the flags of `minidl lessons`."""
    parser.add_argument("names", nargs="*", metavar="LESSON", help="beginnings of names, such as 03 (all)")
    parser.add_argument("--from", dest="source", type=path, default=Path("lessons"), help="where they are (lessons)")
    parser.add_argument(
        "--to", type=path, default=Path("work"), help="your folder; nothing in it is overwritten (work)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only copy")
    parser.add_argument(
        "--build", action="store_true", help="execute the lessons where they are, as they are published"
    )
    parser.add_argument("--quick", action="store_true", help="with --build: short runs, to see that everything works")


def run(args):
    """Copy and open lessons, or build them; returns the exit status."""
    chosen = _chosen(args.names, args.source)
    if args.quick and not args.build:
        raise ValueError("--quick goes with --build; for short runs in a notebook, set MINIDL_QUICK=1 before it starts")
    if args.build:
        return _build(chosen, args.quick)
    if not args.no_browser and importlib.util.find_spec("jupyterlab") is None:
        raise ValueError('JupyterLab is missing; make lessons, or pip install -e ".[lessons]", installs it')
    if args.to.exists() and not args.to.is_dir():
        raise ValueError(f"--to is {args.to}, a file; it must be a folder, or the name of a new one")
    check_writable(args.to, "--to")
    new = copy(chosen, args.to)
    for name in new:
        print(f"copied to {name}", flush=True)
    if not new:
        print(f"nothing to copy: {args.to} has these lessons, and nothing in it is overwritten", flush=True)
    return 0 if args.no_browser else _open(args.to)


def _chosen(names, folder):
    """List the sources of the lessons that were named, 3 as well as 03; without names, all."""
    lessons = sources(folder)
    if not lessons:
        raise ValueError(f"there are no lessons in {folder}; go to minidl's folder, or name theirs with --from")
    beginnings = [f"{name.zfill(2)}_" if name.isdigit() else name for name in names]  # 3 is not 03b
    unknown = [name.rstrip("_") for name in beginnings if not any(p.name.startswith(name) for p in lessons)]
    if unknown:
        raise ValueError(f"no lesson begins with {', '.join(unknown)}; there are {', '.join(p.stem for p in lessons)}")
    return [p for p in lessons if not names or p.name.startswith(tuple(beginnings))]


def _open(folder):
    command = [sys.executable, "-m", "jupyter", "lab", str(folder)]
    status = subprocess.run(command).returncode
    if status and hasattr(os, "geteuid") and os.geteuid() == 0:
        command.insert(-1, "--allow-root")
        print(f"JupyterLab runs as root only if it is told to:\n{shlex.join(command)}", file=sys.stderr)
    return status


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
        write_atomically(place, old.read_bytes())
    return [place for _, place in new]
