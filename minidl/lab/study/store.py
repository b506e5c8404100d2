"""Finished runs, kept in one file each, so that an interrupted study continues where it stopped."""

import hashlib
import json

from minidl.lab.study.claim import Run
from minidl.system.files import as_path, write_atomically

__all__ = ["Store"]


class Store:
    """Runs of one claim in a folder, each under a hash of its configuration, its data and its code.

    code    the fingerprint of the code; a run that another code made is not found
    data    what names the data, say its checksum; None where no data is used
    """

    def __init__(self, folder, code, data=None):
        self.folder, self.code, self.data = as_path("Store", folder), code, data

    def get(self, config):
        """Load the finished run of a configuration, or return None; a damaged file counts as none."""
        try:
            kept = json.loads(self._path(config).read_bytes())
            return Run(kept["config"], kept["record"], kept["seconds"]) if kept["config"] == config else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, run):
        """Keep a finished run, whole or not at all."""
        kept = {
            "config": run.config,
            "code": self.code,
            "data": self.data,
            "seconds": run.seconds,
            "record": run.record,
        }
        write_atomically(self._path(run.config), (json.dumps(kept, allow_nan=False) + "\n").encode())

    def _path(self, config):
        text = json.dumps([config, self.code, self.data], sort_keys=True, allow_nan=False)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"
