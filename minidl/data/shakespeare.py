"""Tiny Shakespeare: 1.1 million characters of plays, for networks that learn to continue a text; and a stand-in for it.

The file comes from a folder of yours, from minidl's cache, or from the internet; without any of the three, minidl takes the
docstrings of its own code (`docstrings`).
"""

import ast
import os
import threading
from pathlib import Path

from minidl._numbers import check_bool
from minidl.data._download import DownloadError, RemoteFile
from minidl.data._files import GET_AGAIN, DataError, opened, read_at_most, unzipped
from minidl.data._sources import Folder, folder_name, named_folder, originals
from minidl.data._splits import Text, split_text
from minidl.system.terminal import note

_MIRRORS = ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",)
_FILE = RemoteFile("input.txt", 1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed")
_NAMES = ("tinyshakespeare.txt", "input.txt")
_SPELLINGS = tuple(name + suffix for name in _NAMES for suffix in ("", ".gz"))
_MOST_BYTES = 2**26
_FEWEST = 20  # characters, so that each part has one

_one_at_a_time = threading.Lock()  # a second thread waits and finds what the first has downloaded


def shakespeare(folder: str | os.PathLike | None = None, *, download: bool = True, quiet: bool = False) -> Text:
    """Load Tiny Shakespeare, or another text: `train, validation, test = shakespeare()`.

    With a `folder`, or with the environment variable MINIDL_DATA, a file there is read and nothing else is tried:
    tinyshakespeare.txt or input.txt, plain or gzipped (.gz), in UTF-8. It may also be in a folder `text` or `shakespeare`
    in it. It need not be Shakespeare.

    Otherwise the original file, 1.1 MB, is taken from `cache_dir()`, or downloaded to it unless `download` is False. If that
    fails, one line on stderr says so, and the text is that of `docstrings()`. `quiet` hides the progress, never that line.

    Returns `Text`, whose `source` is "shakespeare" for the original file only, else "docstrings" or the folder's name
    Shapes  numbers of characters, int64 (N,): the first 90 % of the text for training, then 5 % for validation, the rest
            for tests
    Errors  DataError if the folder has no such file, or it is damaged, no text, or a text of less than 20 characters; or if
            the cache lacks it and `download` is False
    Source  Karpathy 2015, char-rnn; lines of Shakespeare's plays, which are in the public domain
    """
    check_bool("shakespeare", "download", download)
    check_bool("shakespeare", "quiet", quiet)
    inside = ("text", "shakespeare")
    if found := named_folder("shakespeare", folder, inside, lambda present: bool(present & set(_SPELLINGS))):
        return _from_folder(found)

    try:
        with _one_at_a_time:
            (content,) = originals(
                "shakespeare", "Tiny Shakespeare", [_FILE], _MIRRORS, download=download, quiet=quiet
            ).values()
    except DownloadError as error:
        note(
            f"minidl: could not download Tiny Shakespeare ({error}); using the docstrings of minidl's code instead. If you "
            f"have the file, name its folder by MINIDL_DATA"
        )
        return docstrings()
    return split_text(_decoded(content, _FILE.name), "shakespeare")


def docstrings() -> Text:
    """Make a text of the docstrings of minidl's own code, file by file: the stand-in for `shakespeare()`.

    It is the same on every machine that has the same version of minidl. `source` is "docstrings".
    Errors  DataError if minidl is installed without its source files
    """
    root = Path(__file__).parents[1]
    paths = sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts)
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in paths)
    texts = [text for tree in trees for text in _texts(tree)]
    if not texts:
        raise DataError(f"docstrings: {root} has no source files; install minidl from its sources")
    return split_text("\n\n".join(texts) + "\n", "docstrings")


def _texts(node):
    """The docstrings of a module, class or function and of those in it, from top to bottom."""
    if text := ast.get_docstring(node):
        yield text
    for inner in node.body:
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _texts(inner)


def _from_folder(folder: Folder) -> Text:
    name = next((name for name in _SPELLINGS if name in folder.present), None)
    if name is None:
        raise DataError(
            f"shakespeare: the folder {folder.path} lacks {_NAMES[0]}; put it there, or {_NAMES[1]}, plain or as .gz"
            f"{folder.otherwise}"
        )
    path = folder.path / name
    with opened("shakespeare", path, "a file of text") as file, unzipped("shakespeare", file, path) as unpacked:
        content = read_at_most(unpacked, _MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise DataError(f"shakespeare: {path} has more than {_MOST_BYTES:,} bytes of text; it must be a smaller one")
    source = "shakespeare" if _FILE.matches(content) else folder_name(folder.path)
    text = _decoded(content, path)
    if len(text) < _FEWEST:
        raise DataError(
            f"shakespeare: {path} has {len(text)} characters; a text must have at least {_FEWEST}; {GET_AGAIN}"
        )
    return split_text(text, source)


def _decoded(content, name):
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"shakespeare: {name} is no text in UTF-8 ({error.reason} at byte {error.start:,}); {GET_AGAIN}"
        ) from None
