"""The six sentences of the claim `steps`, judged on made-up results; what the page and the figure show of them."""

import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from minidl.lab.paper import steps
from minidl.lab.paper._steps_arms import ARMS, RETUNED, STACK
from minidl.lab.paper._steps_verdict import Curves, judge
from minidl.lab.study.page import page
from tests.lab.paper.made_up_steps import TARGET, study
from tests.lab.paper.synthetic import edited

REPRODUCED, PARTLY, NEITHER, CONTRADICTED = "reproduced", "partly", "not at this scale", "contradicted"
FACTS = {"minidl": "0.1", "seeds": 5, "quick": False, "data": "made-up photographs", "core_seconds": 60.0}


@pytest.fixture(scope="module")
def usual():
    return study()


def words(result):
    return [sentence.word for sentence in judge(result)]


def test_the_usual_made_up_study_is_reproduced(usual):
    assert words(usual) == [REPRODUCED] * 4 + [PARTLY, REPRODUCED]
    assert steps.CLAIM.verdict(usual).word == REPRODUCED


@pytest.mark.parametrize(
    ("number", "soon", "best", "word"),
    [
        (1, {"BN": 2400}, {}, PARTLY),  # only at its own rate
        (1, {"BN": 2400, "BN, own rate": 2500}, {}, NEITHER),
        (1, {"BN": None, "BN, own rate": None}, {"BN": 0.6, "BN, own rate": 0.6}, CONTRADICTED),
        (1, {"BN": None}, {"BN": 0.6}, PARTLY),
        (1, {"plain": 800, "BN": 2400, "BN, own rate": 2400}, {}, CONTRADICTED),
        (2, {"BN-x5": 800}, {}, PARTLY),  # three times
        (2, {"BN-x5": 2500}, {}, NEITHER),
        (2, {"BN-x5": None}, {"BN-x5": 0.6}, CONTRADICTED),
        (2, {"plain": 800, "BN-x5": 2400}, {}, CONTRADICTED),
        (3, {}, {"BN, own rate": TARGET}, PARTLY),  # only with the bundle
        (3, {}, {"BN, own rate": TARGET, "BN-x30": TARGET}, NEITHER),
        (3, {}, {"BN, own rate": 0.74, "BN-x30": TARGET}, CONTRADICTED),
        (4, {}, {"sigmoid": 0.3}, PARTLY),
        (4, {}, {"BN-x5-Sigmoid": 0.3}, PARTLY),  # it trains, and not to half of the target
        (4, {}, {"BN-x5-Sigmoid": 0.1}, NEITHER),
        (4, {}, {"sigmoid, standardised": 0.65}, CONTRADICTED),
        (5, {"tuned plain": 2400}, {}, REPRODUCED),
        (5, {"tuned plain": 240}, {}, NEITHER),
        (5, {"tuned plain": 80}, {}, CONTRADICTED),
        (5, {"BN-x5": None}, {"BN-x5": 0.6}, CONTRADICTED),
    ],
)
def test_sentences(number, soon, best, word):
    assert words(study(soon, best))[number - 1] == word


@pytest.mark.parametrize(
    ("right", "word"),
    [((0.7, 0.75, 0.65, 0.7), REPRODUCED), ((0.7, 0.75, 0.7, 0.78), PARTLY), ((0.7, 0.7, 0.65, 0.65), NEITHER),
     ((0.75, 0.7, 0.65, 0.65), CONTRADICTED)],
)  # fmt: skip
def test_the_sentence_on_ensembles(right, word):
    assert words(study(right=right))[5] == word


@pytest.mark.parametrize(
    ("soon", "best", "word"),
    [
        ({"BN-x5": 800}, {}, PARTLY),
        ({"BN": 2400, "BN, own rate": 2500, "BN-x5": 2500},
         {"BN, own rate": TARGET, "BN-x30": TARGET, "BN-x5-Sigmoid": 0.1}, NEITHER),
        ({"BN": None, "BN, own rate": None, "BN-x5": None, "BN-x30": None},
         {"BN": 0.6, "BN, own rate": 0.6, "BN-x5": 0.6, "BN-x30": 0.6, "BN-x5-Sigmoid": 0.1}, CONTRADICTED),
    ],
)  # fmt: skip
def test_the_claim_is_the_four_of_the_paper(soon, best, word):
    assert steps.CLAIM.verdict(study(soon, best)).word == word


def test_ours_and_the_ensembles_change_no_word_of_the_claim():
    result = study({"tuned plain": 80}, right=(0.75, 0.7, 0.65, 0.65))
    assert words(result)[4:] == [CONTRADICTED] * 2
    assert steps.CLAIM.verdict(result).word == REPRODUCED


def test_a_plain_network_that_misses_its_own_mean_is_a_bound():
    """Its best differs by seed, so that some seeds are below the mean of them."""
    curves = Curves(study(wobble=0.005))
    assert curves.target == pytest.approx(TARGET)
    arrivals = np.array(list(curves.arrivals("plain").values()))
    assert 0 < np.isnan(arrivals).sum() < 5
    speed = curves.speed("BN-x5")
    assert speed.at_least == np.isnan(arrivals).sum()
    assert speed.faster
    assert speed.text().startswith("at least ")


def test_to_each_seeds_own_best_every_plain_network_arrives():
    """And so the ratio is a value, of about what the bound was of."""
    curves = Curves(study(wobble=0.005))
    own, bound = curves.own("BN-x5"), curves.speed("BN-x5")
    assert (own.at_least, own.at_most, own.unknown) == (0, 0, 0)
    assert np.isfinite(own.high)
    assert own.mean == pytest.approx(10, rel=0.2)
    assert bound.at_least
    usual = Curves(study())
    assert usual.own("BN-x5") == usual.speed("BN-x5")
    assert usual.own("BN × 5").seeds == 3


def test_a_share_of_a_bound_is_called_a_bound():
    assert re.search(r", \d\d % of the logarithm", judge(study())[4].number)
    assert re.search(r", at most \d\d % of the logarithm", judge(study(wobble=0.005))[4].number)


def test_the_retuned_networks_differ_in_batch_norm_alone():
    with_bn, without = RETUNED["BN, retuned"], RETUNED["plain, retuned"]
    assert {name: value for name, value in with_bn.items() if without[name] != value} == {"norm": "batch"}
    numbers = [sentence.number for sentence in judge(study({"BN, retuned": 540}))]
    assert "on both sides +5.00 ± 0.00" in numbers[2]
    assert re.search(
        r"1\.00 ± 0\.00 points better, BN-x5 4\.\d\d× .*and the same recipe with batch norm 1\.\d\d×", numbers[4]
    )


def test_speed_ups_are_those_that_were_made_up(usual):
    curves = Curves(usual)
    for arm, factor in (("BN", 3), ("BN-x5", 10), ("tuned plain", 2.5)):
        assert curves.speed(arm).mean == pytest.approx(factor, rel=0.1)
    assert curves.speed("BN-x5", "tuned plain").mean == pytest.approx(4, rel=0.1)
    assert curves.speed("plain").mean == 1


def test_one_slow_seed_takes_the_certainty_away(usual):
    where = {"arm": "BN-x5", "seed": 3, "stage": "final"}
    flat = [0.5] * len(Curves(usual).at)
    sentence = judge(edited(usual, where, accuracy=flat))[1]
    assert sentence.word == NEITHER
    assert "4 of 5 seeds" in sentence.number


def test_arms_are_paired_over_the_seeds_that_both_have(usual):
    without = type(usual)(tuple(r for r in usual.runs if not (r.config["arm"] == "BN" and r.config["seed"] == 1)))
    assert Curves(without).speed("BN").seeds == 4
    assert Curves(usual).speed("BN").seeds == 5
    assert Curves(usual).speed("BN × 5").seeds == 3


CASES = {
    REPRODUCED: ((), ()),
    PARTLY: ({"BN-x5": 800}, {}),
    NEITHER: ({"BN": 2400, "BN, own rate": 2500, "BN-x5": 2500},
              {"BN, own rate": TARGET, "BN-x30": TARGET, "BN-x5-Sigmoid": 0.1}),
    CONTRADICTED: ({"BN": None, "BN, own rate": None, "BN-x5": None, "BN-x30": None},
                   {"BN": 0.6, "BN, own rate": 0.6, "BN-x5": 0.6, "BN-x30": 0.6, "BN-x5-Sigmoid": 0.1}),
}  # fmt: skip


@pytest.mark.parametrize("word", CASES)
def test_the_page_shows_every_verdict(word):
    result = study(*CASES[word])
    text = page([(steps.CLAIM, FACTS, result)], {"steps": "not yet"})
    assert f"## steps: {word}" in text
    assert "not yet" not in text
    for sentence in judge(result):
        assert f"| {sentence.text} | {sentence.word} | {sentence.number} |" in text
    for arm in ARMS | RETUNED:
        assert re.search(rf"^\| {re.escape(arm)} \| [\d.e-]+ \| [35] \| ", text, re.M)
    table = [line.count("|") for line in text.splitlines() if line.startswith("| ") and "§" not in line]
    assert min(table) >= 4
    assert not re.search(r"\b(nan|inf)\b", text)
    assert "None" not in text


def test_the_page_shows_the_grids_with_what_was_chosen(usual):
    text = steps.CLAIM.tables(usual)
    row = next(line for line in text.splitlines() if line.startswith("| plain, decay 1/16, He |"))
    assert row.count("**") == 2
    assert "**70.0**" in row
    for arm in ("BN, own rate", "stack: plain", "sigmoid", "tuned plain"):
        assert f"\n| {arm}, decay 1/" in text
    assert len(re.findall(r"^\| .*\*\*.*$", text, re.M)) == 10  # one choice for each arm that was tuned


def test_the_waterfalls_go_from_plain_to_bn_x5(usual):
    text = steps.CLAIM.tables(usual)
    rows = [
        line.split(" | ")
        for line in text.splitlines()
        if line.startswith(("| plain | ", "| + ")) and line.count("|") == 7
    ][-9:]
    assert len(rows) == 9
    assert rows[0][2] == rows[0][5].removesuffix(" |") == "1.00× (1.00 to 1.00)"
    assert rows[-1][2] == rows[-1][5].removesuffix(" |") == Curves(usual).speed("BN-x5").text()
    assert rows[1][0] == "| + batch norm"
    assert rows[-1][3] == "+ batch norm"


def test_times_are_steps_times_milliseconds(usual):
    text = steps.CLAIM.tables(usual)
    row = next(line for line in text.splitlines() if line.startswith("| BN | "))
    steps_there, seconds, step = re.search(r"\| 5 \| ([\d,]+) \|.* (\d+) s \(([\d.]+) ms", row).groups()
    assert float(seconds) == pytest.approx(float(steps_there.replace(",", "")) * float(step) / 1000, abs=0.51)


def drawn(result):
    figure = steps.CLAIM.figure(result)
    titles, pixels = [ax.get_title(loc="left").replace("\n", " ") for ax in figure.axes], io.BytesIO()
    figure.savefig(pixels, format="rgba", dpi=40)
    plt.close(figure)
    return titles, pixels.getvalue()


def test_the_figure_shows_the_result(usual):
    titles, pixels = drawn(usual)
    assert titles[0] == "Inception: first to reach 75.0 %: BN-x30"
    assert titles[3] == "Soonest at the plain network's best: BN-x30"
    assert len(titles) == 6
    others, other_pixels = drawn(study({"BN-x5": 120}))
    assert others[0] == "Inception: first to reach 75.0 %: BN-x5"
    assert other_pixels != pixels


def test_the_figure_can_be_drawn_where_nothing_arrives():
    assert drawn(study(*CASES[CONTRADICTED]))[0][3].startswith("Soonest at the plain network's best: ")


def test_the_stack_and_the_longer_budget_are_told(usual):
    because = steps.CLAIM.verdict(usual).because
    assert re.search(
        r"With the plain stack of convolutions \(target 75.0 %\): batch norm alone [23]\.\d\d× \(", because
    )
    assert "With four times the steps (target 75.0 %)" in because
    assert set(STACK) <= set(ARMS)
