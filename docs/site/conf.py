"""Sphinx's settings for minidl's site. `build.py` collects the pages, runs Sphinx on them and checks what came out."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from names import ROOT  # noqa: E402

# The repository's address, such as https://github.com/someone/minidl: where the first page says to clone from, and at the
# foot of each. Empty: no page leads there.
REPOSITORY = os.environ.get("MINIDL_REPOSITORY", "")

project = "minidl"
author = "the minidl contributors"
copyright = author
extensions = ["myst_nb", "maths", "pages"]
nb_execution_mode = "off"  # what is shown is what was committed
nb_merge_streams = True
myst_all_links_external = True  # pages.py resolves them
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "attrs_block"]
smartquotes = False  # two hyphens are a flag
# Types in signatures are not links; and what a learner shall fill in, such as `{"drift": …}`, is no Python.
suppress_warnings = ["ref.python", "misc.highlighting_failure"]
add_module_names = False

html_theme = "furo"
html_title = "minidl"
templates_path = [str(HERE / "templates")]
html_static_path = [str(HERE / "static"), str(ROOT / "build/site-static")]
html_css_files = ["katex/katex.min.css", "site.css"]
html_js_files = ["site.js"]
html_favicon = str(HERE / "static" / "icon.svg")
html_copy_source = False
html_show_sphinx = False
html_permalinks_icon = "#"
html_domain_indices = False
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
html_theme_options = {"top_of_page_buttons": [], "footer_icons": []}
if REPOSITORY:
    html_theme_options["footer_icons"] = [
        {"name": "The repository", "url": REPOSITORY, "html": "The repository", "class": ""}
    ]


def setup(app):
    """Files that are copied although no page links to them."""
    pages = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/live").glob("*.html"))
    app.add_config_value("minidl_files", pages, "html")
    app.add_config_value("minidl_repository", REPOSITORY, "env")
