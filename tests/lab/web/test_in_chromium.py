"""The pages in a real browser: what their scripts have written is what minidl computes, and none of them fails."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from minidl import Tensor
from minidl import functional as F
from minidl.lab.live.build import living_page
from minidl.lab.live.pack import pack
from minidl.lab.live.words import sentence
from minidl.lab.web import page, source
from tests.lab.live.fakes import result

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is not installed, so the pages are not opened in a browser"
)


def opened(text, folder):
    """The page as it is after its scripts have run."""
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--virtual-time-budget=2000",
    ]
    command += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not re.findall(r"CONSOLE.*", done.stderr)
    return html.unescape(done.stdout)


def said(dom):
    return re.search(r'id="says"[^>]*>([^<]*)<', dom)[1]


def rows(dom, name="rows"):
    """The cells of a table's body, as numbers; a row for each of its rows."""
    body = re.search(rf'<tbody id="{name}">(.*?)</tbody>', dom, re.S)[1]
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in body.split("</tr>")[:-1]]
    return np.array([[float(cell.replace("−", "-")) for cell in row] for row in cells])


def by_minidl(x, g, eps):
    x = Tensor(np.array(x)[:, None], requires_grad=True)
    hats = F.batch_norm(x, None, None, training=True, eps=eps)
    hats.backward(np.array(g)[:, None])
    return hats.data[:, 0], x.grad[:, 0]


def test_the_dragged_batch(tmp_path):
    dom = opened(page("drag"), tmp_path)
    start = json.loads(re.search(r"START = (\[.*?\])", source("drag.html"))[1])
    x, hat, arriving, passes = rows(dom).T
    hats, gradient = by_minidl(start, [0] * 7 + [1], 1e-5)
    assert x == pytest.approx(start, abs=0.005)
    assert hat == pytest.approx(hats, abs=0.0051)
    assert arriving.tolist() == [0] * 7 + [1]
    assert passes == pytest.approx(gradient, abs=0.00051)
    assert f"its x̂ is {hats[-1]:.2f}" in said(dom)
    assert dom.count('role="slider"') >= 8


def test_the_circle(tmp_path):
    dom = opened(page("circle"), tmp_path)
    x, hat, g, passes = rows(dom)
    hats, gradient = by_minidl(x, g, 0)
    assert hat == pytest.approx(hats, abs=0.02)  # from x and g as they are shown, with two digits
    assert passes == pytest.approx(gradient * x.std(), abs=0.02)
    share = 100 * np.linalg.norm(passes) / np.linalg.norm(g)
    assert abs(int(re.search(r"length (\d+) % passes", said(dom))[1]) - share) < 2


def test_the_sliders(tmp_path):
    dom = opened(page("sliders"), tmp_path)
    assert said(dom).startswith("y has mean 0.00, which is β, and standard deviation 1.00; |γ| is 1.00.")
    assert dom.count("<path") >= 2


def test_the_living_figure(tmp_path):
    packed = pack(result(), "made up")
    dom = opened(living_page(packed), tmp_path)
    net = packed["nets"][0]
    assert said(dom) == sentence(net, 0)
    for arm in net["arms"]:
        values = [seed[0] for seed in arm["acc"]]
        assert f"{np.mean(values):.1f} % right ({min(values):.1f} to {max(values):.1f})" in dom
    table = re.search(r'<table id="table">(.*?)</table>', dom, re.S)[1]
    assert table.count('scope="row"') == len(net["layers"])
    assert table.count("<td>") == 6 * len(net["arms"]) * len(net["layers"]) + table.count("<td></td>")
    for arm in net["arms"]:
        for layer in range(len(net["layers"])):
            assert (
                f"<td>{arm['p'][0][layer][2]:.2f}</td>".replace("-", "−") in table or abs(arm["p"][0][layer][2]) < 0.1
            )


def test_an_error_in_a_script_is_found(tmp_path):
    with pytest.raises(AssertionError):
        opened(page("drag").replace("backward(g, x, 1, EPS)", "backwards(g, x, 1, EPS)"), tmp_path)
