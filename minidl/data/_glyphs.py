"""How a hand writes the ten digits: the pen's path for several ways of writing each, as smooth curves.

A way of writing is one line of text. Each pair "x,y" is a point that the pen passes, x to the right and y downwards, in
hundredths of the digit's height. The pen curves smoothly from point to point; "!" after a point makes it a corner, and
"/" lifts the pen. So "8,8 65,6! 45,50 32,100 / 22,52 66,48" is a seven: across, sharply down, then its bar.
"""

import functools
import itertools
from typing import NamedTuple

import numpy as np

POINTS = 64  # of the fine polyline that stands for a path: about one pixel apart on a digit 20 pixels tall
CONTROLS = 16  # no path has more points

# digit -> (how often, path), as often as one meets it among people's handwriting
WAYS = {
    0: [
        (4, "48,4 22,12 7,45 14,82 38,97 60,82 67,45 54,12 40,3"),
        (2, "42,8 20,24 9,60 22,94 46,86 58,48 50,14 30,5 22,14"),
        (2, "54,4 20,14 3,48 16,86 50,97 84,82 96,48 80,14 48,3"),
        (1, "30,4 12,28 8,66 24,95 50,90 66,56 58,18 34,6 40,24"),
    ],
    1: [
        (6, "50,0 51,48 49,100"),
        (2, "34,20 52,2! 52,50 51,100"),
        (1, "28,30 54,2! 52,50 51,100"),
        (1, "32,20 50,2! 50,50 50,98 / 30,99 74,98"),
    ],
    2: [
        (4, "8,20 32,3 58,16 54,38 32,68 6,95! 38,95 72,93"),
        (3, "10,18 34,3 60,18 52,48 28,82 10,92 8,80 24,78 46,92 76,90"),
        (2, "5,28 18,8 46,3 62,22 48,52 10,94! 32,87 52,94 78,88"),
        (1, "6,10 34,4 60,10 50,34 8,95! 38,94 70,96"),
        (2, "14,16 34,2 52,16 44,44 8,78 4,92 20,88 50,80 96,84"),
    ],
    3: [
        (4, "10,14 36,2 60,18 50,38 28,47! 56,54 66,76 42,97 8,88"),
        (2, "10,6 38,5 62,6! 46,24 30,42! 58,52 66,74 40,98 6,88"),
        (2, "12,12 40,2 60,20 44,42 26,48 34,40 58,54 66,76 42,97 6,88"),
        (1, "8,8 46,3 58,22 34,45! 60,56 58,82 30,98 4,94"),
        (1, "20,12 44,2 60,14 48,32 28,38! 56,46 60,66 40,92 2,98"),
    ],
    4: [
        (4, "14,6 9,34 14,54 36,56 66,50 / 64,4 60,48 54,100"),
        (2, "52,2 28,34 4,64! 40,66 84,64 / 58,22 57,60 56,100"),
        (2, "22,6 14,34 4,60! 40,61 76,56 / 54,32 50,66 46,100"),
        (1, "12,4 10,28 8,52! 40,53 80,50 / 58,20 56,60 56,100"),
        (1, "8,18 6,46 22,56 56,46 / 62,0 56,46 46,100"),
    ],
    5: [
        (3, "18,6 14,42! 40,36 63,54 60,80 36,98 6,88 / 18,5 42,5 68,2"),
        (3, "68,4 44,5 22,6! 16,44! 42,38 62,58 54,88 28,98 6,88"),
        (2, "66,4 32,8 18,24 26,42 50,56 56,78 34,97 6,92"),
        (2, "96,8 66,10 38,14! 30,42! 52,44 60,66 42,94 4,96"),
    ],
    6: [
        (3, "46,2 20,28 7,64 16,92 40,97 57,78 46,60 26,62 12,78"),
        (2, "58,2 22,46 9,82 30,98 56,88 56,68 34,60 12,78"),
        (2, "38,0 16,34 8,70 20,97 44,95 52,76 36,66 14,80"),
        (1, "62,10 42,2 16,30 7,68 28,98 60,86 60,60 36,50 11,68"),
        (1, "20,0 10,40 9,76 22,97 46,92 50,70 32,60 12,74"),
    ],
    7: [
        (4, "8,9 36,8 66,5! 46,48 32,100"),
        (2, "8,9 36,8 66,5! 46,48 32,100 / 22,52 44,50 68,47"),
        (2, "7,24 10,7! 36,8 66,6! 44,48 36,100"),
        (2, "6,14 30,6 60,8 60,28 42,58 34,100"),
        (1, "8,26 22,12 48,18 72,6! 54,50 48,100"),
    ],
    8: [
        (4, "60,14 34,2 12,18 24,40 50,58 60,82 36,98 10,84 20,60 48,40 62,16"),
        (2, "36,2 15,12 18,36 37,47 56,34 56,12 36,2 / 37,47 11,60 9,88 36,98 62,88 60,60 37,47"),
        (1, "64,8 40,3 16,14 26,40 48,56 56,80 34,98 10,86 18,62 44,40 68,12"),
        (2, "20,10 14,26 44,52 58,78 38,97 12,86 20,60 50,36 54,12 34,2 20,10"),
        (1, "62,18 36,2 8,18 20,46 44,64 48,84 34,98 18,86 26,66 54,44 62,16"),
    ],
    9: [
        (4, "57,14 32,3 11,22 18,45 42,44 59,16! 57,54 53,100"),
        (2, "59,18 36,3 12,20 20,45 46,42 61,14 62,52 50,88 20,97"),
        (2, "56,22 40,5 14,14 12,36 36,44 58,16 52,48 30,100"),
        (1, "60,10 30,4 8,20 24,34 58,12! 58,56 60,100"),
        (1, "52,20 34,2 12,16 16,34 38,34 52,14! 46,50 36,76 22,100"),
    ],
}


class Glyph(NamedTuple):
    """One way of writing a digit, ready to be drawn in many hands.

    `controls` (K, 2) are the points of the description, `basis` (POINTS, K) turns them, moved or not, into the fine
    polyline `basis @ controls`, `pen_down` (POINTS − 1,) tells which of its pieces leave ink, and `ends` (K,) which
    controls start or end a stroke.
    """

    controls: np.ndarray
    basis: np.ndarray
    pen_down: np.ndarray
    ends: np.ndarray


@functools.cache
def glyphs(digit: int) -> tuple[np.ndarray, list[Glyph]]:
    """Return the probabilities (V,) of the V ways of writing `digit`, and these ways."""
    weights = np.array([weight for weight, _ in WAYS[digit]], float)
    return weights / weights.sum(), [read_glyph(path) for _, path in WAYS[digit]]


def read_glyph(path: str) -> Glyph:
    """Read the notation at the top of this file.

    Each run of points between corners becomes a natural cubic spline, the curve that bends least, over the length of
    the chords. A spline is linear in the points that it passes, hence one matrix does for every hand.
    """
    strokes = [stroke.split() for stroke in path.split("/")]
    controls = np.array([point.rstrip("!").split(",") for stroke in strokes for point in stroke], float) / 100
    runs, ends, start = [], [], 0
    for stroke in strokes:
        corners = [start + i for i, point in enumerate(stroke) if point.endswith("!")]
        stops = [start, *corners, start + len(stroke) - 1]
        runs += [np.arange(a, b + 1) for a, b in itertools.pairwise(stops)]
        ends += [stops[0], stops[-1]]
        start += len(stroke)
    shares = _shares([_chords(controls[run])[-1] for run in runs])
    basis = np.zeros((POINTS, len(controls)))
    pen_down = np.ones(POINTS, bool)
    row = 0
    for run, count in zip(runs, shares, strict=True):
        basis[row : row + count, run] = _spline(controls[run], count)
        row += count
        pen_down[row - 1] = run[-1] not in ends
    return Glyph(controls, basis, pen_down[:-1], np.isin(np.arange(len(controls)), ends))


def _chords(points):
    """Length of the polyline up to each of its points."""
    return np.concatenate([[0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def _shares(lengths):
    """Split POINTS among the runs by their lengths."""
    ends = np.rint(np.cumsum(lengths) / np.sum(lengths) * POINTS).astype(int)
    return np.diff(ends, prepend=0)


def _spline(points, count):
    from scipy.interpolate import CubicSpline  # here, because it is slow to import and rarely needed

    chords = _chords(points)
    spline = CubicSpline(chords, np.eye(len(points)), bc_type="natural")
    return spline(np.linspace(0, chords[-1], count))
