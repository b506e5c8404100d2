"""The data of commands that spread their runs over processes: the same in each."""

import functools
import hashlib

import numpy as np

from minidl import data
from minidl.lab.photos import made_up
from minidl.system.terminal import note

__all__ = ["find"]


def find(kind, folder, quick=False):
    """Find data ("mnist", "cifar10", "graphs", "text"): a function that gives it in any process, "data" and "checksum".

    The graphs are a dict, "cora" and "citeseer"; they are part of minidl, and in no folder.

    quick   do not download photographs or a text: where there are none, make some up, and take docstrings
    """
    loaded = _open(kind, folder, quick, quiet=False)
    checksum = _checksum(loaded)
    if kind == "graphs":
        text = " and ".join(f"{name}, {len(graph.labels):,} nodes" for name, graph in loaded.items())
    elif kind == "text":
        text = f"{loaded.source}, {len(loaded.train):,} training and {len(loaded.test):,} test characters"
    else:
        text = f"{loaded.source}, {len(loaded.train.labels):,} training and {len(loaded.test.labels):,} test images"
    return functools.partial(_load, kind, folder, quick, checksum), {"data": text, "checksum": checksum}


@functools.lru_cache(maxsize=1)
def _load(kind, folder, quick, checksum):
    """Load data in a worker as in the main process: others would give other results under the same name."""
    loaded = _open(kind, folder, quick, quiet=True)
    if _checksum(loaded) != checksum:
        raise data.DataError(
            f"this process found other data ({getattr(loaded, 'source', kind)}) than the one that planned the runs; give "
            "all machines the same data, say with MINIDL_DATA"
        )
    return loaded


def _open(kind, folder, quick, quiet):
    if kind == "graphs":
        return {"cora": data.cora(), "citeseer": data.citeseer()}
    if kind == "mnist":
        return data.mnist(folder, quiet=quiet)
    load, instead, stand_in = {
        "cifar10": (data.cifar10, "made-up pictures", functools.partial(made_up, 400, 100)),
        "text": (data.shakespeare, "docstrings", data.docstrings),
    }[kind]
    try:
        return load(folder, download=not quick, quiet=quiet)
    except data.DataError as error:
        if not quick:
            raise
        if not quiet:
            note(f"minidl: {error}; this quick run takes {instead}")
        return stand_in()


def _checksum(loaded):
    total = hashlib.sha256()
    for array in _arrays(loaded):
        total.update(array.tobytes())
    return total.hexdigest()[:16]


def _arrays(loaded):
    if isinstance(loaded, data.Text):
        return *loaded, np.array(loaded.characters)
    if isinstance(loaded, dict):
        parts = ("features", "labels", "edges", "train", "validation", "test")
        return [getattr(graph, part) for graph in loaded.values() for part in parts]
    return [array for split in loaded for array in split]
