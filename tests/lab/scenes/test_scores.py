"""Mean IoU and average precision: against loops, cases by hand, and wrong ways that must be told apart."""

import numpy as np
import pytest

from minidl.lab.scenes import Objects, average_precisions, box_iou, class_ious, mean_average_precision, mean_iou


def rng(seed=0):
    return np.random.default_rng(seed)


def objects(*rows):
    """Objects from (scene, label, box, score)."""
    scene, label, box, score = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Objects(
        np.array(scene, np.int64), np.array(label, np.int64), np.array(box, np.float32).reshape(-1, 4),
        np.array(score, np.float32),
    )  # fmt: skip


# ---- loops ---------------------------------------------------------------------------------------------------------------


def ious_by_loops(found, truth, classes):
    out = []
    for k in range(classes):
        both = either = 0
        for a, b in zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True):
            both += a == k and b == k
            either += a == k or b == k
        out.append(both / either if either else float("nan"))
    return out


def box_iou_by_loops(a, b):
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = height * width if height > 0 and width > 0 else 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) if box[2] > box[0] and box[3] > box[1] else 0.0 for box in (a, b)]
    either = sum(areas) - both
    return both / either if either > 0 else 0.0


def precision_by_loops(found, truth, label, overlap):
    """One class, one object found after another; the area under the envelope, step by step of recall."""
    true = [i for i in range(len(truth.scene)) if truth.label[i] == label]
    if not true:
        return float("nan")
    order = sorted((i for i in range(len(found.scene)) if found.label[i] == label), key=lambda i: -found.score[i])
    taken, curve, right = set(), [], 0
    for place, i in enumerate(order, 1):
        candidates = [j for j in true if truth.scene[j] == found.scene[i]]
        best = max(candidates, key=lambda j: box_iou_by_loops(found.box[i], truth.box[j]), default=None)
        if best is not None and box_iou_by_loops(found.box[i], truth.box[best]) >= overlap and best not in taken:
            taken.add(best)
            right += 1
        curve.append((right / len(true), right / place))
    area = before = 0.0
    for recall in sorted({r for r, _ in curve}):
        area += (recall - before) * max(p for r, p in curve if r >= recall)
        before = recall
    return area


def crowd(seed, scenes=6, count=40, labels=3, jitter=0.8):
    """True objects, and such as a clumsy network finds: near them, or anywhere; scores come twice and more."""
    draw = rng(seed)

    def box(corner, sides):
        return [*corner, *(corner + sides)]

    true, found = [], []
    for _ in range(count):
        corner, sides = draw.uniform(0, 40, 2), draw.uniform(6, 20, 2)
        row = int(draw.integers(scenes)), int(draw.integers(labels))
        true.append((*row, box(corner, sides), 1))
        for _ in range(draw.integers(3)):
            near = box(corner + draw.normal(0, jitter, 2), sides + draw.normal(0, jitter, 2))
            found.append((*row, near, round(float(draw.random()), 1)))
        found.append((*row, box(draw.uniform(0, 40, 2), sides), round(float(draw.random()), 1)))
    return objects(*found), objects(*true)


def test_class_ious_are_those_of_loops():
    for seed in range(5):
        found, truth = (rng([seed, part]).integers(0, 4, (3, 5, 6)) for part in (0, 1))
        got = class_ious(found.astype(np.uint8), truth, 6)
        np.testing.assert_allclose(got, ious_by_loops(found, truth, 6), rtol=1e-15)
        assert np.isnan(got[4:]).all()
        assert mean_iou(found, truth, 6) == pytest.approx(np.mean(got[:4]))


def test_box_iou_is_that_of_loops():
    corner = rng(1).uniform(0, 10, (2, 60, 2))
    a, b = (np.concatenate([c, c + rng(2).uniform(-1, 8, c.shape)], -1) for c in corner)
    got = box_iou(a[:, None], b)
    for i in range(60):
        for j in range(60):
            assert got[i, j] == pytest.approx(box_iou_by_loops(a[i], b[j]), abs=1e-12)
    assert (got > 0).any()


@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.75])
def test_average_precisions_are_those_of_loops(overlap):
    for seed in range(8):
        found, truth = crowd(seed)
        got = average_precisions(found, truth, 4, overlap)
        expected = [precision_by_loops(found, truth, k, overlap) for k in range(4)]
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        assert np.isnan(got[3])
        assert mean_average_precision(found, truth, 4, overlap) == pytest.approx(np.mean(expected[:3]))
        assert 0.01 < np.nanmean(got) < 0.9


# ---- by hand -------------------------------------------------------------------------------------------------------------

BOX, OTHER, FAR = (0, 0, 10, 10), (0, 20, 10, 30), (40, 40, 50, 50)
HALF, LESS = (0, 0, 10, 5), (0, 0, 10, 4.9)  # of BOX: IoU 0.5 and 0.49


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([], [(0, 0, BOX, 1)], 0.0),
        ([(0, 0, BOX, 0.1)], [(0, 0, BOX, 1)], 1.0),
        ([(0, 0, HALF, 0.1)], [(0, 0, BOX, 1)], 1.0),  # exactly the overlap counts
        ([(0, 0, LESS, 0.1)], [(0, 0, BOX, 1)], 0.0),
        ([(1, 0, BOX, 0.1)], [(0, 0, BOX, 1)], 0.0),  # another image
        ([(0, 1, BOX, 0.1)], [(0, 0, BOX, 1)], 0.0),  # another class
        # wrong, right, of one: precision 1/2 at recall 1
        ([(0, 0, FAR, 0.9), (0, 0, BOX, 0.8)], [(0, 0, BOX, 1)], 0.5),
        # right, wrong: what comes after full recall costs nothing
        ([(0, 0, BOX, 0.9), (0, 0, FAR, 0.8)], [(0, 0, BOX, 1)], 1.0),
        # found twice: the second is wrong. right, wrong, right of two: 1/2·1 + 1/2·2/3
        ([(0, 0, BOX, 0.9), (0, 0, HALF, 0.8), (0, 0, OTHER, 0.7)], [(0, 0, BOX, 1), (0, 0, OTHER, 1)], 5 / 6),
        # the envelope: wrong, right, right of two: precision 2/3 counts for both
        ([(0, 0, FAR, 0.9), (0, 0, BOX, 0.8), (0, 0, OTHER, 0.7)], [(0, 0, BOX, 1), (0, 0, OTHER, 1)], 2 / 3),
        # half of them never found
        ([(0, 0, BOX, 0.9)], [(0, 0, BOX, 1), (1, 0, BOX, 1)], 0.5),
        # equal scores keep their order: right first
        ([(0, 0, BOX, 0.5), (0, 0, FAR, 0.5)], [(0, 0, BOX, 1)], 1.0),
        ([(0, 0, FAR, 0.5), (0, 0, BOX, 0.5)], [(0, 0, BOX, 1)], 0.5),
    ],
)  # fmt: skip
def test_average_precision_by_hand(found, truth, expected):
    assert average_precisions(objects(*found), objects(*truth), 2)[0] == pytest.approx(expected)


def test_a_found_object_belongs_to_the_nearest_true_one_even_if_that_is_taken():
    """PASCAL's rule: the second box overlaps both by half and more, but BOX most, which is found already."""
    near, shifted = (0, 0, 10, 10), (0, 2, 10, 12)
    found = objects((0, 0, near, 0.9), (0, 0, (0, 0.5, 10, 10.5), 0.8))
    assert average_precisions(found, objects((0, 0, near, 1), (0, 0, shifted, 1)), 1)[0] == pytest.approx(0.5)


def test_mean_iou_by_hand():
    truth = np.array([[0, 0, 1, 1]])
    assert mean_iou(truth, truth, 3) == 1
    assert mean_iou(np.zeros((1, 4), int), truth, 3) == pytest.approx((2 / 4 + 0) / 2)
    assert mean_iou(np.array([[0, 1, 1, 2]]), truth, 3) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)


def test_means_leave_out_classes_that_are_not_there():
    truth = objects((0, 1, BOX, 1))
    assert mean_average_precision(objects((0, 1, BOX, 0.5), (0, 0, BOX, 0.5)), truth, 5) == 1
    assert np.isnan(mean_average_precision(truth, objects(), 5))


def test_lists_serve_as_well_as_arrays():
    lists = Objects([0, 1], [1, 1], [list(BOX), list(FAR)], [1, 0.5])
    assert mean_average_precision(lists, objects((0, 1, BOX, 1)), 2) == 1


def test_degenerate_boxes_overlap_nothing():
    assert box_iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0
    assert box_iou((5, 5, 2, 9), (0, 0, 9, 9)) == 0
    assert box_iou(np.zeros((0, 4)), BOX).shape == (0,)


# ---- errors --------------------------------------------------------------------------------------------------------------

MASK, ONE = np.zeros((2, 3), int), objects((0, 0, BOX, 1))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: mean_iou(MASK, MASK[:1], 2), ValueError, r"found is \(2, 3\) and truth \(1, 3\); they must be equal"),
        (lambda: mean_iou(MASK[:0], MASK[:0], 2), ValueError, "must be equal, and not empty"),
        (lambda: mean_iou(MASK * 1.0, MASK, 2), ValueError, "found is float64; it must be whole numbers"),
        (lambda: mean_iou(MASK, MASK + 2, 2), ValueError, "truth runs from 2 to 2; it must be from 0 to 1"),
        (lambda: mean_iou(MASK - 1, MASK, 2), ValueError, "found runs from -1 to -1; it must"),
        (lambda: mean_iou(MASK, MASK, 0), ValueError, "classes is 0; it must be"),
        (lambda: box_iou(np.ones(3), BOX), ValueError, r"a is \(3,\); its last size must be 4"),
        (lambda: box_iou(BOX, 4.0), ValueError, r"b is \(\); its last size must be 4"),
        (lambda: average_precisions(ONE, None, 2), TypeError, "truth is a NoneType; it must be Objects"),
        (lambda: average_precisions(ONE, ONE._replace(scene=np.array([-1])), 2), ValueError, "truth begin at -1, .* must"),
        (lambda: average_precisions(ONE, ONE._replace(box=np.array([list("abcd")])), 2), ValueError, "<U1, .* the others"),
        (lambda: average_precisions(ONE, ONE, 2, 1.5), ValueError, "overlap is 1.5; it must be a number from 0 to 1"),
        (lambda: average_precisions(ONE, ONE, 0), ValueError, "classes is 0"),
        (lambda: average_precisions(ONE, ONE._replace(label=np.array([2])), 2), ValueError, "labels run from 2 to 2; .* be"),
        (lambda: average_precisions(ONE._replace(label=np.array([0.0])), ONE, 2), ValueError, "float64, .* the first"),
        (lambda: average_precisions(ONE._replace(score=np.ones(2)), ONE, 2), ValueError, r"found has .*\(2,\); with M"),
        (lambda: average_precisions(ONE._replace(score=np.array([np.nan])), ONE, 2), ValueError, "found has .* NaN; such"),
        (lambda: average_precisions(ONE, ONE._replace(box=np.full((1, 4), np.nan)), 2), ValueError, "truth has .* NaN"),
    ],
)  # fmt: skip
def test_errors_teach(call, error, text):
    with pytest.raises(error, match=text):
        call()
