"""The lowest versions that pyproject.toml allows, as constraints for pip: `python tests/oldest.py > constraints.txt`."""

import re
from pathlib import Path

__all__ = ["lowest"]


def lowest():
    """Pairs (package, version) of everything that minidl and its tests need."""
    text = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    lists = [re.search(rf"^{name} = (\[.*?\])$", text, re.MULTILINE | re.DOTALL) for name in ("dependencies", "dev")]
    return [pair for found in lists if found for pair in re.findall(r'"([\w-]+)>=([\d.]+)', found[1])]


if __name__ == "__main__":
    print("\n".join(f"{package}=={version}" for package, version in lowest()))
