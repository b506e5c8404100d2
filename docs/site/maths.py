"""Mathematics typeset when the site is built: KaTeX is called once, for all formulas that are new."""

import json
import subprocess
import sys
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError

KATEX = Path(sys.prefix, "node_modules", "katex")
_TYPESET = """
const katex = require(process.argv[1]);
const formulas = JSON.parse(require("fs").readFileSync(0, "utf8"));
const typeset = ([tex, displayMode]) => katex.renderToString(tex, { displayMode, throwOnError: true });
process.stdout.write(JSON.stringify(formulas.map((formula) => {
  try { return typeset(formula); } catch (error) { return { wrong: error.message }; }
})));
"""


def setup(app):
    """Take the place of Sphinx's own MathJax, which works in the reader's browser."""
    app.add_html_math_renderer("katex", inline_renderers=(_inline, None), block_renderers=(_block, None))
    app.connect("doctree-read", _collect)
    app.connect("env-purge-doc", lambda app, env, page: _formulas(env).pop(page, None))
    app.connect("write-started", _typeset)
    return {"parallel_read_safe": False, "version": "1"}


def _formulas(env):
    """Page → its formulas, (TeX, whether it is displayed); kept with the environment."""
    if not hasattr(env, "minidl_formulas"):
        env.minidl_formulas, env.minidl_typeset = {}, {}
    return env.minidl_formulas


def _collect(app, doctree):
    found = {(node.astext(), False) for node in doctree.findall(nodes.math)}
    found |= {(node.astext(), True) for node in doctree.findall(nodes.math_block)}
    _formulas(app.env)[app.env.docname] = found


def _typeset(app, builder):
    env, typeset = app.env, app.env.minidl_typeset
    new = sorted({formula for found in _formulas(env).values() for formula in found} - typeset.keys())
    if not new:
        return
    command = ["node", "-e", _TYPESET, str(KATEX)]
    done = subprocess.run(command, input=json.dumps(new), capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        raise ExtensionError(f"KaTeX did not run: {done.stderr}")
    results = json.loads(done.stdout)
    wrong = [f"{formula[0]}: {r['wrong']}" for formula, r in zip(new, results, strict=True) if isinstance(r, dict)]
    if wrong:
        raise ExtensionError("formulas that cannot be typeset:\n" + "\n".join(wrong))
    typeset.update(zip(new, results, strict=True))


def _inline(self, node):
    self.body.append(f'<span class="math">{self.builder.env.minidl_typeset[node.astext(), False]}</span>')
    raise nodes.SkipNode


def _block(self, node):
    self.body.append(f'<div class="math">{self.builder.env.minidl_typeset[node.astext(), True]}</div>')
    raise nodes.SkipNode
