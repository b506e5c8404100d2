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
    # One process: with several, the one that typesets the mathematics is left behind, and holds the terminal.
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", HERE, "-d", BUILD / "site-doctrees", "-j", "1"]
    command += ["-q", "-W", "--keep-going", BUILD / "site-source", SITE]
    status = subprocess.run(command).returncode
    if status:
        return status
    from check import check

    wrong = check(SITE)
    print(f"the site is in {SITE.relative_to(HERE.parents[1])} ({time.perf_counter() - start:.0f} s)")
    return 1 if wrong else 0


def _fonts(folder):
    """Copy KaTeX's style and fonts, which must be of the version that typesets the formulas."""
    import sphinxcontrib.katex as typesetter

    katex = Path(sys.prefix, "node_modules", "katex")
    if not katex.is_dir():
        sys.exit(f"KaTeX's fonts are not in {katex}; make site installs them with npm")
    if not shutil.which("node"):
        sys.exit("node is missing; it typesets the mathematics: https://nodejs.org, or apt install nodejs")
    version = re.search(r'"version": "([\d.]+)"', (katex / "package.json").read_text(encoding="utf-8"))[1]
    if version != typesetter.katex_version:
        sys.exit(f"KaTeX's fonts are {version}, and the formulas are typeset by {typesetter.katex_version}: package.json")
    (folder / "fonts").mkdir(parents=True, exist_ok=True)
    style = (katex / "dist" / "katex.min.css").read_text(encoding="utf-8")
    style = re.sub(r",url\(fonts/[\w-]+\.(?:woff|ttf)\) format\(\"\w+\"\)", "", style)  # every browser reads woff2
    (folder / "katex.min.css").write_text(style, encoding="utf-8")
    for font in (katex / "dist" / "fonts").glob("*.woff2"):
        shutil.copyfile(font, folder / "fonts" / font.name)


if __name__ == "__main__":
    sys.exit(main())
