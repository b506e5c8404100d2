"""Run the pages' JavaScript without a browser."""

import json
import shutil
import subprocess

import pytest

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed, so the pages' arithmetic is not compared")


def evaluate(source, expression, **given):
    """The value of an expression in JavaScript after a source, with names given; NaN and infinity become null."""
    names = "".join(f"const {name} = given.{name};\n" for name in given)
    script = (
        "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
        f"{source}\n{{\n{names}process.stdout.write(JSON.stringify({expression}));\n}}"
    )
    done = subprocess.run([NODE, "-e", script], input=json.dumps(given), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
