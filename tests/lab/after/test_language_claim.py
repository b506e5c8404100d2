"""The claim about language: what is measured is what the text says, and verdicts follow from the numbers."""

import json

import numpy as np
import pytest

from minidl import Tensor
from minidl.data._splits import split_text
from minidl.lab.after import _language, language
from minidl.lab.study.claim import Scale, plain
from minidl.lab.study.fingerprint import fingerprint
from tests.helpers import in_a_process
from tests.lab.after.test_graph_claims import all_runs
from tests.lab.paper.synthetic import result

CLAIM = language.CLAIM
MAIN, LAYER = "batch norm", "layer norm"
WORDS = ["to", "be", "or", "not", "that", "is", "the", "question", "whether", "nobler", "in", "mind", "suffer"]


def made_up(lines=300, seed=0):
    """Lines of a few words each, some short and some longer than a row."""
    generator = np.random.default_rng(seed)
    rows = [" ".join(generator.choice(WORDS, generator.integers(1, 14))) for _ in range(lines)]
    return split_text("\n".join(rows) + "\n", "made up")


TEXT = made_up()


def config(arm=MAIN, steps=6, stage="final", lr=3e-3, seed=0):
    return {**language.ARMS[arm], "arm": arm, "steps": steps, "measured": 100, "stage": stage, "lr": lr, "seed": seed}


def untrained(norm):
    norm = _language.NORMS[norm]
    return _language.Decoder(len(TEXT.characters), _language.LENGTH, norm, generator=np.random.default_rng(0))


def trained(norm, steps=6):
    model = untrained(norm)
    _language._train(model, _language.line_parts(TEXT)[0], config(norm, steps))
    return model


# ---- runs


@pytest.mark.parametrize("arm", language.ARMS)
def test_every_arm_runs_and_repeats(arm):
    record = CLAIM.run(config(arm), TEXT)
    names = {"validation", "train", "moving", "batch", "exact", "moved", "leak"}
    assert set(record) == names
    assert all(np.isfinite(record[name]).all() for name in names)
    json.dumps(plain(record), allow_nan=False)
    assert 1 < record["train"] < np.log(len(TEXT.characters)) + 1
    if arm not in language.BATCH_NORMS:
        assert record["moving"] == pytest.approx(record["exact"], abs=1e-6)
        assert record["moving"] == pytest.approx(record["batch"], abs=1e-5)
    assert (record["moved"] > 0) == ("batch norm" in arm and "by place" not in arm)
    if arm in ("batch norm by place, without padding", "batch norm, lines of like length"):
        assert plain(record) == plain(CLAIM.run(config(arm), TEXT))


def test_runs_for_tuning_see_validation_lines_alone(monkeypatch):
    validation = _language.line_parts(TEXT)[1]
    seen, own = [], _language._log_likelihoods

    def look(model, given, size):
        seen.append(given)
        return own(model, given, size)

    monkeypatch.setattr(_language, "_log_likelihoods", look)
    assert set(CLAIM.run(config(stage="tune"), TEXT)) == {"validation"}
    assert len(seen) == 1
    assert np.array_equal(seen[0].inputs, validation.inputs)


def test_a_network_that_diverges_guesses():
    record = CLAIM.run(config("none", lr=1e30), TEXT)
    guess = np.log(len(TEXT.characters))
    assert [record[name] for name in ("validation", "moving", "batch", "exact")] == pytest.approx(
        [-guess] + [guess] * 3
    )
    assert record["train"] == pytest.approx(guess)
    json.dumps(plain(record), allow_nan=False)


def test_losses_are_those_of_characters():
    """Against one line after the other, and one character after the other."""
    model, lines = trained(LAYER), _language.line_parts(TEXT)[2]
    losses = []
    for inputs, targets in zip(lines.inputs, lines.targets, strict=True):
        logits = model(Tensor(inputs[None])).data[0].astype(float)
        for row, target in zip(logits, targets, strict=True):
            if target != lines.padding:
                losses.append(np.log(np.exp(row - row[target]).sum()))
    assert _language._loss(model, lines) == pytest.approx(np.mean(losses), rel=1e-5)


def test_measuring_in_training_mode_leaves_the_statistics_alone():
    model, lines = trained(MAIN), _language.line_parts(TEXT)[2]
    before = model.state_dict()
    moving = _language._loss(model, lines)
    with _language._in_training(model):
        assert model.training
        assert _language._mean_loss(_language._log_likelihoods(model, lines, 8), lines) != moving
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    assert not model.training
    assert _language._loss(model, lines) == moving


def test_exact_statistics_replace_the_moving_ones():
    model = trained(MAIN)
    norm = model.norm
    moving = norm.running_mean.copy()
    _language._settle(model, _language.line_parts(TEXT)[0], 0, 200)
    assert np.abs(norm.running_mean - moving).max() > 1e-3
    assert norm.momentum == 0.1


def test_another_future_has_the_same_past_and_the_same_lengths():
    lines = _language.line_parts(TEXT)[2]
    other = _language._other_future(lines, 0)
    cut, padding = _language.CUT, lines.padding
    assert np.array_equal(other.inputs[:, :cut], lines.inputs[:, :cut])
    assert np.array_equal(other.inputs == padding, lines.inputs == padding)
    assert other.targets is lines.targets
    later = lines.inputs[:, cut:] != padding
    assert (other.inputs[:, cut:] != lines.inputs[:, cut:])[later].mean() > 0.7
    stream = TEXT.decode(lines.inputs[lines.inputs != padding])
    row = next(i for i in range(len(later)) if later[i].sum() > 8)
    assert TEXT.decode(other.inputs[row, cut:][later[row]]) in stream * 2


def test_arms_see_the_same_lines(monkeypatch):
    seen, own = [], _language.Lines.some

    def look(self, chosen):
        seen.append(np.array(chosen))
        return own(self, chosen)

    monkeypatch.setattr(_language.Lines, "some", look)
    for like in ("", f", {language.LIKE}"):
        seen.clear()
        for norm, seed in ((LAYER, 0), (MAIN, 0), (MAIN, 1)):
            _language._train(untrained(norm), _language.line_parts(TEXT)[0], config(norm + like, 2, seed=seed))
        assert np.array_equal(seen[:2], seen[2:4])
        assert not np.array_equal(seen[:2], seen[4:])


def test_lines_of_like_length():
    lines = _language.line_parts(made_up(3000))[0]
    for alike in (True, False):
        batches = _language._batches(lines, alike, 0)
        lengths = [(next(batches).targets != lines.padding).sum(1) for _ in range(8)]
        assert all(len(length) == _language.BATCH for length in lengths)
        spreads = [length.std() for length in lengths]
        assert (max(spreads) < 6) == alike, spreads
        assert np.std([length.mean() for length in lengths]) > 8 or not alike
    sorted_lengths = (lines.some(_language._by_length(lines)).targets != lines.padding).sum(1)
    assert (np.diff(sorted_lengths) >= 0).all()


def test_kept_runs_are_found_by_another_process():
    code = (
        "from minidl.lab.study.fingerprint import fingerprint; from minidl.lab.after.language import run; "
        "print(fingerprint(run))"
    )
    assert in_a_process(code) == fingerprint(CLAIM.run)


# ---- plan


def made_up_record(config):
    wanted = 1e-2 if config["arm"] == MAIN else 3e-3
    record = {"validation": -1.0 - (config["lr"] != wanted)}
    if config["stage"] == "final":
        record |= {name: 2.0 + config["seed"] / 100 for name in ("train", "moving", "exact", "batch")}
        record |= {"moved": 0.01, "leak": 0.0}
    return record


def test_each_arm_gets_its_own_rate_from_seeds_of_its_own():
    runs = all_runs(CLAIM, made_up_record, Scale())
    final, tuned = runs.where(stage="final"), runs.where(stage="tune")
    assert len(final.runs) == 8 * 5
    assert len(tuned.runs) == 8 * len(language.RATES) * 2
    assert final.where(arm=MAIN).settings("lr") == [1e-2]
    assert final.where(arm=LAYER).settings("lr") == [3e-3]
    assert {run.config["arm"] for run in final.runs if run.config["alike"]} == {
        f"{a}, {language.LIKE}" for a in (LAYER, MAIN)
    }
    assert not set(tuned.settings("seed")) & set(final.settings("seed"))


# ---- verdicts


def losses(noise=1e-3, **arms):
    """Made-up finals: arm → (training, batch, exact, moving), less 2 nats; others are as layer norm is."""

    def record(arm, seed):
        train, batch, exact, moving = arms.get(arm.replace(" ", "_").replace(",", ""), (0, 0, 0, 0))
        wobble = noise * (seed - 1) * (not arm.startswith(LAYER))
        own = {"train": train, "batch": batch, "exact": exact, "moving": moving}
        found = {name: 2 + loss + wobble * (1 + (name != "train")) for name, loss in own.items()}
        return found | {"moved": 0.05 * ("batch" in arm and "by place" not in arm), "leak": 0.0}

    return result(
        *[({"stage": "final", "arm": arm, "seed": s}, record(arm, s)) for arm in language.ARMS for s in range(3)]
    )


@pytest.mark.parametrize(
    ("arms", "word"),
    [
        ({"batch_norm": (0, 0, 0.05, 0.2)}, "reproduced"),
        ({"batch_norm": (-0.3, 0, 0, 0.2)}, "reproduced"),
        ({"batch_norm": (0.1, 0.1, 0.2, 0.4)}, "partly"),  # it trains worse
        ({"batch_norm": (0.0, 0, 0, 0), "batch_norm_by_place": (0, 0.1, 0.2, 0.3)}, "partly"),  # another one does it
        ({"batch_norm_lines_of_like_length": (0, 0.1, 0.2, 0.3)}, "partly"),
        (
            {
                "batch_norm_lines_of_like_length": (0, 0.1, 0.2, 0.3),
                "layer_norm_lines_of_like_length": (0, 0.3, 0.3, 0.3),
            },
            "contradicted",
        ),  # so does layer norm with these batches
        ({"batch_norm": (-0.1, 0, 0, -0.1)}, "contradicted"),
        ({"batch_norm": (0, 0, 0, 0.005)}, "contradicted"),
        ({"batch_norm": (0, 0, 0, 0.0205)}, "not at this scale"),  # about as much as counts
        ({"batch_norm": (0.3, 0.3, 0.3, 0.3)}, "not at this scale"),  # worse, and no worse in evaluation
        ({"batch_norm": (0.3, 0.1, 0.1, 0.1)}, "not at this scale"),
    ],
)
def test_verdicts(arms, word):
    assert CLAIM.verdict(losses(**arms)).word == word


def test_nothing_follows_from_seeds_that_disagree():
    assert CLAIM.verdict(losses(noise=0.5, batch_norm=(0, 0, 0.05, 0.2))).word == "not at this scale"


def test_the_share_that_exact_statistics_close():
    verdict = CLAIM.verdict(losses(batch_norm=(0, 0.1, 0.15, 0.3)))
    assert verdict.number.endswith("exact statistics close 75 % of the gap")
    assert "+0.300" in verdict.number
    assert "Both parts of the rule hold for batch norm." in verdict.because
    assert (
        "with exact statistics. Its own evaluation less its own training mode, on the same test lines, is +0.200"
        in (verdict.because)
    )
    verdict = CLAIM.verdict(losses(batch_norm=(0, 0, 0, -0.1)))
    assert verdict.number.endswith("there is no gap to close")
    assert "Both parts of the rule hold for no batch norm." in verdict.because
    assert "evaluation is the better of the two." in verdict.because
    assert "which is no clear gap" in CLAIM.verdict(losses()).because


def test_what_the_future_changes_is_told():
    because = CLAIM.verdict(losses()).because
    still = [
        *(norm for norm in _language.NORMS if norm not in (MAIN, f"{MAIN} without padding")),
        f"{LAYER}, {language.LIKE}",
    ]
    assert because.endswith(f"It changes nothing with {'; '.join(still)}.")
    assert "with batch norm the log-probabilities before it by 0.050" in because


# ---- page


def test_figure_and_tables_show_the_result():
    import matplotlib.pyplot as plt

    found = all_runs(CLAIM, made_up_record, Scale(3))
    figure = CLAIM.figure(found)
    axes = [ax for ax in figure.axes if ax.has_data()]
    assert len(axes) == 3
    assert all(ax.get_title(loc="left") and ax.get_xlabel() for ax in axes)
    plt.close(figure)
    text = CLAIM.tables(found)
    assert text.startswith("\n\n")
    assert text.count("| batch norm |") == 2
    assert "| batch norm | 7.389 | 7.389 | **2.718** | 7.389 | 7.389 |" in text
    assert "| layer norm | 7.389 | **2.718** | 7.389 | 7.389 | 7.389 |" in text


def test_a_rate_at_an_edge_is_marked():
    def record(config):
        tuned = {"validation": -1.0 - (config["lr"] != language.RATES[0])} if config["stage"] == "tune" else {}
        return made_up_record(config) | tuned

    text = CLAIM.tables(all_runs(CLAIM, record, Scale(3)))
    assert "| layer norm | **2.718**† | 7.389 | 7.389 | 7.389 | 7.389 |" in text


def test_titles_say_how_far_apart_they_are_if_intervals_do():
    assert language._apart(np.array([0.01, 0.011, 0.012])) == "is 1.1 % above"
    assert language._apart(np.array([-0.01, -0.011, -0.012])) == "is 1.1 % below"
    assert language._apart(np.array([-0.01, 0.011, 0.012])) == "is not clearly apart from"


def test_perplexities_without_limit_are_shown_at_one():
    import matplotlib.pyplot as plt

    def record(config):
        far = {"moving": 1e7} if config["arm"] == MAIN else {}
        return made_up_record(config) | (far if config["stage"] == "final" else {"validation": -1e7})

    found = all_runs(CLAIM, record, Scale(3))
    assert CLAIM.tables(found).count("over 100") == 1 + 8 * len(language.RATES)
    with np.errstate(all="raise"):
        figure = CLAIM.figure(found)
    assert "or 100 if it is larger" in figure.axes[1].get_xlabel()
    plt.close(figure)
    assert CLAIM.verdict(found).word == "reproduced"
