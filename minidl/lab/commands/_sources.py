"""The data of commands that spread their runs over processes: the same in each."""

import functools
import hashlib

from minidl import data
from minidl.lab.photos import made_up
from minidl.system.terminal import note

__all__ = ["find"]


def find(kind, folder, quick=False):
    """Find data ("mnist", "cifar10", "graphs"): a function that gives it in any process, and "data" and "checksum".

    The graphs are a dict, "cora" and "citeseer"; they are part of minidl, and in no folder.

    quick   do not download photographs: where there are none, make some up
    """
    loaded = _open(kind, folder, quick, quiet=False)
    checksum = _checksum(loaded)
    if kind == "graphs":
        text = " and ".join(f"{name}, {len(graph.labels):,} nodes" for name, graph in loaded.items())
        return functools.partial(_load, kind, folder, quick, checksum), {"data": text, "checksum": checksum}
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
    try:
        return data.cifar10(folder, download=not quick, quiet=quiet)
    except data.DataError as error:
        if not quick:
            raise
        if not quiet:
            note(f"minidl: {error}; this quick run takes made-up pictures")
        return made_up(400, 100)


def _checksum(loaded):
    total = hashlib.sha256()
    for split in loaded if not isinstance(loaded, dict) else map(_arrays, loaded.values()):
        for array in split:
            total.update(array.tobytes())
    return total.hexdigest()[:16]


def _arrays(graph):
    return graph.features, graph.labels, graph.edges, graph.train, graph.validation, graph.test
