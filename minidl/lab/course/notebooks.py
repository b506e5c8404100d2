"""Lessons as files: a source in jupytext's py:percent next to the executed notebook.

The source is written and reviewed; the notebook is read, on the web too, with its figures.
"""

import base64
import io
import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidl.system.files import as_path, write_atomically

__all__ = [
    "EXERCISE",
    "FOLDED",
    "build",
    "describe_figures",
    "execute",
    "exercises",
    "inject",
    "read",
    "sources",
]

EXERCISE = "exercise:"  # a cell tagged "exercise:NAME" is where the learner writes; the next one checks
FOLDED = (
    "hide-input"  # the code of a cell with this tag is folded, in JupyterLab and on the site: it gives an answer away
)
_DESCRIBE = f"__import__({__name__!r}, fromlist=['notebooks']).describe_figures()"  # leaves no name in the lesson


def sources(folder: str | os.PathLike) -> list[Path]:
    """List the lessons' sources in their order: files that begin with two digits, and perhaps a letter (03b)."""
    return sorted(p for p in as_path("sources", folder).glob("*.py") if re.match(r"\d\d[a-z]?_", p.name))


def read(source: str | os.PathLike) -> Any:
    """Read a lesson as a notebook without outputs."""
    import jupytext

    notebook = jupytext.reads(as_path("read", source).read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i:02}"
        cell.metadata = {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
        if FOLDED in cell.metadata.get("tags", ()):
            cell.metadata["jupyter"] = {"source_hidden": True}
    return notebook


def exercises(notebook: Any) -> dict[str, Any]:
    """Return the cells in which a learner writes, by the name of the exercise."""
    return {
        tag.removeprefix(EXERCISE): cell
        for cell in notebook.cells
        for tag in cell.metadata.get("tags", ())
        if tag.startswith(EXERCISE)
    }


def inject(notebook: Any, answers: Mapping[str, str]) -> Any:
    """Put an answer in the place of each exercise that has one; returns the notebook.

    Errors  KeyError for an answer to an exercise that the notebook does not have
    """
    cells = exercises(notebook)
    for name, answer in answers.items():
        if name not in cells:
            raise KeyError(f"inject: the lesson has no exercise {name!r}; it has {', '.join(cells) or 'none'}")
        cells[name].source = answer
    return notebook


def execute(notebook: Any, folder: str | os.PathLike, quick: bool = False, timeout: float = 900) -> float:
    """Run a notebook from a clean kernel, in a folder; its outputs are put into it. Returns the seconds it took.

    Errors  nbclient's CellExecutionError, which shows the cell and its error
    """
    from nbclient import NotebookClient

    # no widgets: nbclient sometimes waits for ever for a cell that has one (github.com/jupyter/nbclient/issues/312)
    environment = os.environ | {"MINIDL_QUICK": str(int(quick)), "TQDM_DISABLE": "1", "MINIDL_NO_WIDGETS": "1"}
    environment.pop("MPLBACKEND", None)  # the kernel draws into the notebook
    client = NotebookClient(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR", f"--IPKernelApp.exec_lines={_DESCRIBE}"],
        record_timing=False,
        coalesce_streams=True,  # a busy machine delivers the output in more pieces
        resources={"metadata": {"path": str(as_path("execute", folder))}},
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as own:  # leave alone the predictions of a learner who works in this folder
        client.execute(env=environment | {"MINIDL_PREDICTIONS": str(Path(own, "predictions.json"))})
    seconds = time.perf_counter() - start
    _tidy(notebook)
    return seconds


def describe_figures() -> None:
    """Make the IPython that calls this write each figure's description under its name, for `execute` to keep."""
    from IPython import get_ipython  # type: ignore[attr-defined]

    def both(figure, printer, cycle):
        from minidl.lab.plot import describe

        printer.text(f"{figure!r}\n{describe(figure)}")

    def register(*_):
        plain.for_type_by_name("matplotlib.figure", "Figure", both)

    plain = get_ipython().display_formatter.formatters["text/plain"]
    for moment in ("pre_run_cell", "post_execute"):  # matplotlib's own set-up, in the first cell, throws printers out
        get_ipython().events.register(moment, register)


def _tidy(notebook):
    """Take out what would differ from run to run, or means nothing in print; give each picture its text alternative."""
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if "metadata" in output:
                output.metadata = _alternative(output.data)
                if "image/png" in output.data:
                    output.data["image/png"] = _packed(output.data["image/png"])


def _packed(png):
    """Return the same picture, packed as tightly as Pillow can: notebooks are kept small, for whoever clones them.

    A picture that nothing shines through has no need of its fourth channel.
    """
    from PIL import Image

    packed = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        opaque = image.mode == "RGBA" and image.getextrema()[3] == (255, 255)
        drawn = image.convert("RGB") if opaque else image
        drawn.save(packed, "PNG", optimize=True, dpi=image.info.get("dpi", (100, 100)))
    return min(png, base64.b64encode(packed.getvalue()).decode() + "\n", key=len)


def _alternative(data):
    """Return what nbconvert and the site read: {"image/png": {"alt": …}}; takes the description out of the plain text."""
    text = data.get("text/plain", "")
    if "image/png" in data:
        data["text/plain"], _, described = text.partition("\n")
        return {"image/png": {"alt": described}}
    if "image/svg+xml" in data:  # a graph: its text has one line for each node
        lines = [" ".join(line.split()) for line in text.splitlines()]
        return {"image/svg+xml": {"alt": f"A graph of {len(lines)} nodes: {'; '.join(lines)}."}}
    return {}


def build(source: str | os.PathLike, quick: bool = False) -> float:
    """Execute a lesson, and write the notebook next to its source; returns the seconds it took."""
    import nbformat

    source = as_path("build", source)
    notebook = read(source)
    seconds = execute(notebook, source.parent, quick)
    write_atomically(source.with_suffix(".ipynb"), nbformat.writes(notebook).encode())
    return seconds
