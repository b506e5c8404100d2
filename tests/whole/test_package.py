"""minidl can be built, installed without its repository, and run; and all files agree on versions."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import minidl

ROOT = Path(minidl.__file__).parents[1]
NOT_BUILT_FROM = shutil.ignore_patterns(
    ".*",
    "*.egg-info",
    "__pycache__",
    "build",
    "datasets",
    "dist",
    "docs",
    "lessons",
    "results",
    "runs",
    "tests",
    "work",
)


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def run(*command, cwd, **environment):
    """Run a command where nothing leads back to the repository; returns its standard output."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MINIDL_DATA")}
    command = [str(word) for word in command]
    done = subprocess.run(command, cwd=cwd, env=clean | environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The sdist, and the wheel that was built from it; needs no network."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copytree(ROOT, folder / "source", ignore=NOT_BUILT_FROM)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, folder / "source", cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def sources():
    """What a package holds: Python, the pages of the lab, the built-in graphs, the list of usual kernels, and the mark."""
    web = (path for path in (ROOT / "minidl" / "lab" / "web").iterdir() if path.suffix in (".html", ".js", ".css"))
    graphs = (path for path in (ROOT / "minidl" / "data" / "built_in").iterdir() if path.suffix in (".gz", ".txt"))
    names = (path.relative_to(ROOT).as_posix() for path in (*(ROOT / "minidl").rglob("*.py"), *web, *graphs))
    return {*names, "minidl/py.typed", "minidl/kernels/usual.txt"}


def test_the_wheel_holds_the_package_and_nothing_else(packages):
    with zipfile.ZipFile(packages[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    assert names == sources()
    assert {
        f"minidl/data/built_in/{name}" for name in ("cora.txt.gz", "citeseer.txt.gz", "LICENSE-planetoid.txt")
    } < names
    assert f"\nVersion: {minidl.__version__}\n" in metadata
    assert "\nLicense-Expression: MIT\n" in metadata


def test_the_sdist_holds_what_is_needed_to_build(packages):
    with tarfile.open(packages[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert sources() | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff"} <= names
    assert not {name for name in names if name.startswith(("tests", "lessons"))}


def test_the_wheel_runs_without_the_repository(packages, tmp_path):
    """With the libraries of these tests; that those which the wheel names are enough is for the long test below."""
    home, site = tmp_path / "home", tmp_path / "site"
    home.mkdir()
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    run(*pip, "--no-deps", "--no-index", "--target", site, packages[1], cwd=home)
    where = run(sys.executable, "-c", "import minidl; print(minidl.__file__)", cwd=home, PYTHONPATH=str(site))
    assert Path(where.strip()) == site / "minidl" / "__init__.py"
    graphs = "from minidl.data import citeseer, cora; print(cora(), citeseer())"
    assert run(sys.executable, "-c", graphs, cwd=home, PYTHONPATH=str(site)).startswith(
        "Graph(cora: features (2708, 1433)"
    )
    claims = run(sys.executable, "-m", "minidl", "reproduce", "--list", cwd=home, PYTHONPATH=str(site), PYTHONUTF8="1")
    assert "Batch norm reduces internal covariate shift" in claims
    (script,) = (path for path in (site / "bin", site / "Scripts") if path.is_dir())
    assert [path.stem for path in script.iterdir()] == ["minidl"]


@pytest.mark.full
@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_a_package_installs_into_an_empty_environment_and_runs_the_demo(packages, tmp_path, kind):
    """Needs pip's index; what is not MNIST's own server may be absent, and then the digits are drawn."""
    venv.create(tmp_path / "env", with_pip=True)
    scripts = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    package = packages[kind == "wheel"]
    run(scripts / "python", "-m", "pip", "--disable-pip-version-check", "install", package, cwd=tmp_path)
    printed = run(scripts / "minidl", "mnist", "--quick", "--threads", "1", cwd=tmp_path, PYTHONUTF8="1")
    assert "with batch norm" in printed
    results = tmp_path / "runs" / "mnist"
    assert {"results.json", "figure1.png", "weights-batch.npz"} <= {path.name for path in results.iterdir()}


def test_the_version_is_the_same_everywhere():
    (newest, date) = re.search(r"^## (\S+) – (\d{4}-\d\d-\d\d)$", text_of("CHANGELOG.md"), re.M).groups()
    assert newest == minidl.__version__
    assert f"\nversion: {newest}\n" in text_of("CITATION.cff")
    assert f'\ndate-released: "{date}"\n' in text_of("CITATION.cff")


def test_hooks_use_the_versions_of_pyproject():
    project, hooks = text_of("pyproject.toml"), text_of(".pre-commit-config.yaml")
    for tool in ("ruff", "mypy"):
        (wanted,) = re.findall(rf'"({tool}>=[^"]+)"', project)
        assert {wanted} == set(re.findall(rf'"({tool}[^"]*)"', hooks))


def test_no_page_names_an_index_that_has_no_minidl():
    """minidl is installed from its repository."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("lessons/*"), *ROOT.glob("minidl/**/*.py")]
    pattern = re.compile(r"pip install [\"']?minidl")
    assert not [page.name for page in pages if page.is_file() and pattern.search(page.read_text(encoding="utf-8"))]
