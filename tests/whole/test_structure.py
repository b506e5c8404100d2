"""The house rules that can be checked: imports go downward, `import minidl` is quick, docstrings and size."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minidl

ROOT = Path(minidl.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# The floor of each module (DESIGN: a file imports from floors below it); a package's __init__ hands on its own rooms.
FLOORS = [
    {"_version", "_arrays", "_files", "_flat", "_fma", "_graph", "_jit", "_machine", "_matmul", "_memory", "_product",
     "_progress", "_recording", "_shapes", "_table", "_vector", "random"},
    {"anomaly", "autograd", "tensor"},
    {"ops"},
    {"functional", "nn", "optim", "data", "gradcheck"},
    {"models", "train", "probe", "checkpoint", "replay", "_surroundings"},
    {"study"},
    {"plot", "paper", "course", "bench", "jobs", "cli", "__main__"},
]  # fmt: skip
# Within a floor some things stand on others; these, in this order.
WITHIN = [("_memory", "_jit"), ("_recording", "_jit"), ("_recording", "random"), ("_jit", "_flat"), ("_flat", "_product"),
          ("_jit", "_fma"), ("_jit", "_vector"), ("_jit", "_product"), ("_vector", "_product"),
          ("_product", "_matmul"), ("_vector", "_matmul"),
          ("_flat", "_matmul"), ("_jit", "_matmul"), ("autograd", "anomaly"), ("autograd", "tensor"),
          ("functional", "nn"), ("_surroundings", "replay"), ("_jit", "data"), ("plot", "jobs"), ("plot", "paper"),
          ("paper", "jobs"), ("paper", "course"), ("plot", "course"), ("course", "jobs"), ("bench", "jobs"), ("jobs", "cli"),
          ("cli", "__main__")]  # fmt: skip


def room(module):
    """minidl.ops.norm -> ops."""
    return module.split(".")[1] if "." in module else ""


def floor(name):
    found = [i for i, rooms in enumerate(FLOORS) if name in rooms]
    assert found, f"minidl/{name} stands on no floor; add it to FLOORS"
    return found[0]


def imported_modules(path):
    """Full names of the minidl modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "minidl")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minidl":
            for alias in node.names:
                inner = ROOT.joinpath(*node.module.split(".")[1:], alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                yield f"{node.module}.{alias.name}" if is_module else node.module


def goes_upward(importer, imported):
    if importer == imported or not imported or not importer:  # the package itself hands on its own rooms
        return False
    if (imported, importer) in WITHIN:
        return False
    return floor(imported) >= floor(importer)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downward(path):
    me = path.relative_to(ROOT).with_suffix("").parts[0]
    me = "" if me == "__init__" else me
    upward = [name for name in imported_modules(path) if goes_upward(me, room(name))]
    # Two deliberate, late imports: the tensor draws its graph, and MNIST falls back on strokes (same floor).
    assert not upward, f"{path.name} imports from above or beside: {upward}"


def test_the_floor_check_can_fail():
    assert goes_upward("tensor", "nn")
    assert goes_upward("ops", "functional")
    assert goes_upward("data", "nn")
    assert not goes_upward("nn", "ops")


def test_only_plot_imports_matplotlib():
    users = {p.relative_to(ROOT).parts[0] for p in FILES if "matplotlib" in _external_imports(p)}
    assert users <= {"plot.py", "plot"}


def test_only_jit_knows_numba():
    users = {p.relative_to(ROOT).as_posix() for p in FILES if "numba" in _external_imports(p)}
    assert users == {"_fma.py", "_jit.py", "_vector.py"}


def _external_imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_import_is_silent_and_light():
    code = "import sys, minidl; print(sorted({'matplotlib', 'pooch', 'tqdm', 'PIL', 'IPython'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_editable_install_is_a_path_and_no_hook():
    """Else `import minidl` beside a clone finds the clone's folder, a package without content (setuptools issue 3557)."""
    settings = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '[tool.setuptools]\npackage-dir = { "" = "." }\n' in settings


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 420


def public_things():
    """All classes and functions that an `__all__` of the package names, and their public methods."""
    for path in FILES:
        name = ".".join(("minidl", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        if name.endswith("__main__") or {"torch", "jax"} & set(_external_imports(path)):  # they may not be installed
            continue
        __import__(name)
        module = sys.modules[name]
        for public in getattr(module, "__all__", ()):
            thing = getattr(module, public)
            if not callable(thing) or getattr(thing, "__module__", None) != name:
                continue
            yield f"{name}.{public}", thing
            if inspect.isclass(thing):
                methods = [(n, m) for n, m in vars(thing).items() if not n.startswith("_") and inspect.isfunction(m)]
                yield from ((f"{name}.{public}.{n}", m) for n, m in methods)


def test_docstrings_are_complete():
    missing = [name for name, thing in public_things() if not (inspect.getdoc(thing) or "").strip()]
    assert not missing


def test_every_module_says_what_it_is_for():
    assert not [p.name for p in FILES if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]


def test_operations_state_their_maths():
    from minidl import functional

    for name in functional.__all__:
        doc = inspect.getdoc(getattr(functional, name))
        assert all(part in doc for part in ("Forward", "Backward", "Shape")), f"F.{name} lacks its maths"
