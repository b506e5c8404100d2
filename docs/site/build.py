"""Build the site and check it: `make site`, which prepares an environment of its own for it, `.venv-site`."""

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
SITE = BUILD / "site"


def main():
    """Collect, build, check; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clean", action="store_true", help="build everything anew")
    if parser.parse_args().clean:
        for name in ("site", "site-source", "site-doctrees", "site-static"):
            shutil.rmtree(BUILD / name, ignore_errors=True)
    start = time.perf_counter()
    _fonts(BUILD / "site-static" / "katex")
    from stage import stage

    stage(BUILD / "site-source")
    _remove_old(BUILD / "site-source")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", HERE, "-d", BUILD / "site-doctrees"]
    command += ["-q", "-W", "--keep-going", BUILD / "site-source", SITE]
    status = subprocess.run(command).returncode
    if status:
        return status
    from check import check

    wrong = check(SITE)
    print(f"the site is in {SITE.relative_to(HERE.parents[1])} ({time.perf_counter() - start:.0f} s)")
    return 1 if wrong else 0


def _remove_old(source):
    """Remove pages whose source is gone, which Sphinx leaves."""
    kept = {path.relative_to(source).with_suffix("") for path in source.rglob("*")} | {Path("search"), Path("genindex")}
    for page in SITE.rglob("*.html"):
        if page.relative_to(SITE).with_suffix("") not in kept:
            page.unlink()


def _fonts(folder):
    """Copy the style and the fonts of the KaTeX that typesets the formulas."""
    from maths import KATEX

    if not KATEX.is_dir():
        sys.exit(f"KaTeX is not in {KATEX}; make site installs it with npm")
    if not shutil.which("node"):
        sys.exit("node is missing; it typesets the mathematics: https://nodejs.org, or apt install nodejs")
    (folder / "fonts").mkdir(parents=True, exist_ok=True)
    style = (KATEX / "dist" / "katex.min.css").read_text(encoding="utf-8")
    style = re.sub(r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"\w+\"\)", "", style)  # every browser reads woff2
    (folder / "katex.min.css").write_text(style, encoding="utf-8")
    for font in (KATEX / "dist" / "fonts").glob("*.woff2"):
        shutil.copyfile(font, folder / "fonts" / font.name)


if __name__ == "__main__":
    sys.exit(main())
