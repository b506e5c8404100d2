"""The house rules that can be checked: imports go downwards, sizes, frames, `import minidl` is quick, docstrings."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn

ROOT = Path(minidl.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# From the bottom to the top; a file may import from its own layer and from those before it. Inside `lab/` the same.
LAYERS = ["_version", "_numbers", "_arrays", "_python", "random", "system", "kernels", "autograd", "tensor", "ops",
          "functional", "nn", "optim", "data", "train", "probe", "exchange", "checkpoint", "gradcheck", "replay",
          "anatomy", "lab", "__main__"]  # fmt: skip
LAB = ["models", "graphs", "language", "scenes", "photos", "mirror", "recipe", "study", "web", "plot", "paper", "after",
       "registry", "live", "course", "bench", "commands"]  # fmt: skip

# What one must read, to understand everything from `loss.backward()` to a trained network.
CORE = ["autograd", "tensor", "_python", "ops", "functional", "nn", "optim", "train", "data/loader"]
NOT_CORE = {
    "autograd/picture.py", "autograd/layout.py",  # how a graph is drawn
    "ops/fused.py", "nn/fuse.py", "nn/fold.py", "nn/replace.py",  # the same networks, made faster
    "ops/whiten.py",  # what the paper turns away from (§2)
    "nn/views.py", "nn/whitening.py", "optim/averages.py", "optim/piecewise.py",  # what some recipes add
    "ops/group_norm.py", "ops/group_norm_small.py", "ops/renorm.py", "ops/rectifiers.py", "ops/embedding.py",
    "ops/sparse.py", "ops/edges.py",  # what came after the paper, for graphs
    "ops/conv_transpose.py", "ops/upsample.py", "ops/residual.py", "nn/group_norm.py", "nn/renorm.py", "nn/more_layers.py",
    "nn/containers.py", "nn/utils.py", "optim/adam.py", "optim/muon.py", "optim/later_schedules.py",
    "optim/plateau.py",  # what came after the paper
}  # fmt: skip


def layer(name):
    """minidl.ops.norm → its place among the layers, and among those of the lab if it is there."""
    parts = name.split(".")[1:]
    assert parts[0] in LAYERS, f"minidl/{parts[0]} is no layer; give it a place in LAYERS"
    inside = LAB.index(parts[1]) if parts[0] == "lab" and len(parts) > 1 else -1
    return LAYERS.index(parts[0]), inside


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


def name_of(path):
    return ".".join(("minidl", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


def goes_upwards(importer, imported):
    """Whether an import leads to a layer above. The package itself hands on what is in it, and may be asked its version."""
    if "minidl" in (importer, imported):
        return False
    return layer(imported) > layer(importer)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downwards(path):
    me = name_of(path)
    upwards = [name for name in imported_modules(path) if goes_upwards(me, name)]
    assert not upwards, f"{me} imports from above: {upwards}"


def test_the_check_of_imports_can_fail():
    assert goes_upwards("minidl.tensor", "minidl.nn")
    assert goes_upwards("minidl.ops.norm", "minidl.functional")
    assert goes_upwards("minidl.kernels.jit", "minidl.replay.recording")
    assert goes_upwards("minidl.lab.plot.curves", "minidl.lab.paper")
    assert not goes_upwards("minidl.nn.layers", "minidl.ops.linear")
    with pytest.raises(AssertionError, match="give it a place"):
        goes_upwards("minidl.elsewhere", "minidl.nn")


def cycle(graph):
    """A circle in a graph {name: names}, or None."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return None
        path.append(name)
        for other in sorted(graph.get(name, ())):
            found = visit(other)
            if found:
                return found
        path.pop()
        done.add(name)
        return None

    return next(filter(None, map(visit, sorted(graph))), None)


def test_no_files_import_each_other_in_a_circle():
    graph = {}
    for path in FILES:
        me = name_of(path)
        ours = [name for name in imported_modules(path) if not me.startswith(name)]
        graph[me] = {name for name in ours if not (ROOT.parent / name.replace(".", "/")).is_dir()}
    assert cycle(graph) is None
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c"]


def external_imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name.split(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def folders_that_import(package):
    return {p.relative_to(ROOT).parts[0] for p in FILES if package in set(external_imports(p))}


def test_only_the_kernels_know_numba():
    assert folders_that_import("numba") == {"kernels"}


def test_matplotlib_is_in_the_lab():
    users = {p.relative_to(ROOT).parts[:2] for p in FILES if "matplotlib" in set(external_imports(p))}
    assert users == {("lab", "plot")}


# ---- sizes ---------------------------------------------------------------------------------------------------------------


def lines(path):
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_short(path):
    assert lines(path) <= 400, f"{path.name} has {lines(path)} lines, and a file has at most 400: make two of it"


def core_files():
    for place in CORE:
        found = sorted((ROOT / place).rglob("*.py")) or [ROOT / f"{place}.py"]
        yield from (path for path in found if path.relative_to(ROOT).as_posix() not in NOT_CORE)


def test_the_core_is_small_and_readme_says_how_small():
    total = sum(map(lines, core_files()))
    print(f"the core that one must read: {total:,} lines")
    assert total < 4500
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    said = re.search(r"the core\s+is\s+([\d,]+)\s+lines", readme)
    assert said, "README does not say: the core is N lines"
    assert abs(int(said.group(1).replace(",", "")) - total) <= 50, f"README says {said.group(1)}, and it is {total:,}"


def code_lines(function):
    """Lines of a function without its docstring, comments and blank lines."""
    source = inspect.getsource(function)
    tree = ast.parse(source.replace("\n    ", "\n").strip())
    node = tree.body[0]
    first = node.body[1] if ast.get_docstring(node) is not None else node.body[0]
    return 1 + len(range(first.lineno, node.end_lineno + 1))


def test_backward_is_a_dozen_lines():
    assert code_lines(Tensor.backward) <= 15


@pytest.mark.parametrize("path", [p for p in FILES if "lab" not in p.parts], ids=lambda p: str(p.relative_to(ROOT)))
def test_kernels_take_at_most_eight_arguments(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
        if "kernels" in path.parts or marks & {"kernel", "device", "intrinsic"}:
            count = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
            limit = 9 if "intrinsic" in marks else 8  # Numba's own comes first
            assert count <= limit, f"{path.name}: {node.name} takes {count} arguments"


# ---- how deep a call is --------------------------------------------------------------------------------------------------


def frames_to_kernel(layer, x, monkeypatch):
    """Names of the functions on the stack when a kernel is called, from the layer's call on."""
    from minidl.kernels import matmul

    found = []

    def look(*args):
        frame = sys._getframe(1)
        while frame.f_code is not here:
            found.append(frame.f_code.co_name)
            frame = frame.f_back

    here = sys._getframe().f_code
    monkeypatch.setattr(matmul.product, "serial", look)
    monkeypatch.setattr(matmul.product, "parallel", look)
    layer(x)
    return found[::-1]


def test_three_frames_from_a_layer_to_its_kernel(monkeypatch):
    frames = frames_to_kernel(nn.Linear(3, 2, bias=False), Tensor(np.ones((4, 3), np.float32)), monkeypatch)
    assert frames == ["__call__", "forward", "linear"]


# ---- import ---------------------------------------------------------------------------------------------------------------


def test_import_is_silent_and_light():
    code = "import sys, minidl; print(sorted({'matplotlib', 'pooch', 'tqdm', 'PIL', 'IPython'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_an_editable_install_is_a_path_and_no_hook():
    """Else `import minidl` beside a clone finds the clone's folder, a package without content (setuptools issue 3557)."""
    settings = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '[tool.setuptools]\npackage-dir = { "" = "." }\n' in settings


# ---- docstrings -----------------------------------------------------------------------------------------------------------


def public_things():
    """All classes and functions that an `__all__` of the package names, and their public methods."""
    for path in FILES:
        name = name_of(path)
        if name.endswith("__main__") or {"torch", "jax", "tensorflow"} & set(
            external_imports(path)
        ):  # they may not be installed
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


def test_checks_say_that_they_check():
    """`Whether …` is for what returns a bool; what raises says `Check that …`."""
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.lstrip("_").startswith("check"):
                wrong += [f"{path.name}: {node.name}"] * (ast.get_docstring(node) or "").startswith("Whether")
    assert not wrong


def test_every_module_says_what_it_is_for():
    assert not [p.name for p in FILES if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]


def test_operations_state_their_maths():
    from minidl import functional

    for name in functional.__all__:
        doc = inspect.getdoc(getattr(functional, name))
        assert all(part in doc for part in ("Forward", "Backward", "Shape")), f"F.{name} lacks its maths"
