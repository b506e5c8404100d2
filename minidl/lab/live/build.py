"""Put the living figure together: the page, what it shows without JavaScript, and still pictures of the same data."""

import html
import json
import re

import numpy as np

import minidl
from minidl.lab.live.pack import shares
from minidl.lab.live.words import few, sentence, sentences
from minidl.lab.web import page

__all__ = ["about", "living_page", "recorded", "still", "still_svg"]

_INK = {"none": 1, "batch": 0, "start": 2}  # numbers of plot.INKS
_WIDTH, _ROW = 150, 34  # of a panel of the still, in pixels


def about(facts, seeds, quick):
    """Say in a sentence or two how the data were made: the page's footer."""
    short = " --quick" if quick else ""
    many = f" --seeds {len(seeds)}" if not quick and len(seeds) != 3 else ""
    cut = " The runs were cut short, to see that everything works; do not believe them." if quick else ""
    return (
        f"Made by minidl {minidl.__version__} with “minidl live{short}{many}”; data: {facts['data']}; seeds "
        f"{seeds[0]} to {seeds[-1]}.{cut}"
    )


def living_page(packed):
    """Return the page as text, from the packed data (`pack`)."""
    nets = [{**net, "says": sentences(net)} for net in packed["nets"]]
    first = packed["nets"][0]
    last = len(first["steps"]) - 1
    figure = f'<figure style="max-width:44rem">{still_svg(packed, first, last)}</figure>'
    words = html.escape(sentence(first, last))
    note = (
        f'{figure}<p class="says">{words}</p><p>This is the end of the training. With JavaScript the page shows every '
        "moment of it, and a second network.</p>"
    )
    return page("live", {**packed, "nets": nets}, still=note, about=html.escape(packed["about"]))


def recorded(text):
    """Return the packed data that a page holds, so that it can be made again without recording.

    Errors  ValueError for a text that holds none
    """
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    try:
        packed = json.loads(found[1])
        for net in packed["nets"]:
            del net["says"]
    except (TypeError, ValueError, KeyError):
        raise ValueError("recorded: this is no page of the living figure; make one with `minidl live`") from None
    return packed


def still_svg(packed, net, at):
    """Return an SVG of all layers of all arms at one moment, in the page's own colours."""
    edges, arms, rows = packed["edges"], net["arms"], len(net["layers"])
    width, height = _WIDTH * len(arms), _ROW * rows + 56
    peak = max(shares(net, arm).max() for arm in arms) ** 0.5
    parts = []
    for k, arm in enumerate(arms):
        columns = shares(net, arm)[0, at] ** 0.5 / peak
        left = k * _WIDTH + 20
        step = (_WIDTH - 40) / (len(edges) - 1)
        parts.append(f'<text class="{arm["id"]}" x="{left}" y="16">{html.escape(arm["name"])}</text>')
        for a, b in net["flat"]:
            x = left + (a - edges[0]) / (edges[1] - edges[0]) * step
            wide = (b - a) / (edges[1] - edges[0]) * step
            parts.append(f'<rect x="{x:.1f}" y="24" width="{wide:.1f}" height="{_ROW * rows}" fill="var(--zone)"/>')
        for i, layer in enumerate(columns):
            base, path, before = 24 + (i + 1) * _ROW, f"M{left} {24 + (i + 1) * _ROW}", 0.0
            for column in layer * (_ROW - 4):
                path += f"v{before - column:.1f}h{step:.1f}"
                before += -float(f"{before - column:.1f}")
            colours = f'fill="var(--{arm["id"]}-fill)" stroke="var(--{arm["id"]})"'
            parts.append(f'<path d="{path}V{base}Z" {colours}/>')
            parts.append(f'<text x="{left - 18}" y="{base - 4}">{i + 1}</text>')
        for value in (edges[0], 0, edges[-1]):
            x = left + (value - edges[0]) / (edges[1] - edges[0]) * step
            sign = f"{value:g}".replace("-", "−")
            parts.append(f'<text x="{x:.0f}" y="{_ROW * rows + 40}" text-anchor="middle">{sign}</text>')
    label = html.escape(sentence(net, at))
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def still(packed, net, at=-1):
    """Draw the layers of all arms at one moment, and their test accuracy over training; returns a figure."""
    from minidl.lab import plot

    at = range(len(net["steps"]))[at]
    figure, axes = plot.panels(len(net["arms"]) + 1, size=(3.1, 4.2))
    peak = max(shares(net, arm).max() for arm in net["arms"])
    left = [100 * np.mean([seed[at][-1] / seed[at][0] for seed in arm["signal"]]) for arm in net["arms"]]
    for ax, arm, kept in zip(axes, net["arms"], left, strict=False):
        title = f"{arm['name'][0].upper()}{arm['name'][1:]}:\nits last layer has {few(kept)} % of the signal"
        shown = shares(net, arm)[:, at]
        plot.ridges(ax, packed["edges"], shown, net["layers"], title, f"input of the {net['unit']}", ink=_INK[arm["id"]],
                    zones=net["flat"], peak=peak)  # fmt: skip
        ax.set_xticks([packed["edges"][0], 0, packed["edges"][-1]])
    later = slice(1, None)  # a logarithmic axis has no place for step 0
    runs = {arm["name"]: (net["steps"][later], [seed[later] for seed in arm["acc"]]) for arm in net["arms"]}
    ends = [f"{np.mean([seed[at] for seed in arm['acc']]):.1f} % {arm['name']}" for arm in net["arms"]]
    title, inks = f"After {net['steps'][at]:,} steps:\n" + "\n".join(ends), [_INK[arm["id"]] for arm in net["arms"]]
    plot.lines(axes[-1], runs, title, "training step", "test accuracy (%)", log="x", inks=inks, key=False)
    axes[-1].set_ylim(0, 101)
    return figure
