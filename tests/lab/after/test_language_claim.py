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


def made_up(lines=400, seed=0):
    """Lines of a few words each, some short and some longer than a row."""
    generator = np.random.default_rng(seed)
    rows = [" ".join(generator.choice(WORDS, generator.integers(1, 14))) for _ in range(lines)]
    return split_text("\n".join(rows) + "\n", "made up")


TEXT = made_up()


def config(norm=MAIN, steps=12, stage="final", lr=3e-3, seed=0):
    return {"norm": norm, "steps": steps, "stage": stage, "lr": lr, "seed": seed}


def untrained(norm):
    norm = _language.NORMS[norm]
    return _language.Decoder(len(TEXT.characters), _language.LENGTH, norm, generator=np.random.default_rng(0))


def trained(norm, steps=12):
    model = untrained(norm)
    _language._train(model, _language.line_parts(TEXT)[0], 3e-3, steps, 0)
    return model


# ---- runs


@pytest.mark.parametrize("norm", _language.NORMS)
def test_every_arm_runs_and_repeats(norm):
    record = CLAIM.run(config(norm), TEXT)
    names = {"validation", "train", "curve", "moving", "batch", "exact", "moved", "leak"}
    assert set(record) == names
    assert all(np.isfinite(record[name]).all() for name in names)
    json.dumps(plain(record), allow_nan=False)
    assert 1 < record["train"] < np.log(len(TEXT.characters)) + 1
    assert len(record["curve"]) == 12
    if "batch" not in norm:
        assert record["moving"] == pytest.approx(record["exact"], abs=1e-6)
        assert record["moving"] == pytest.approx(record["batch"], abs=1e-5)
    assert (record["moved"] > 0) == (norm in ("batch norm", "batch norm without padding"))
    if norm == "batch norm by place, without padding":  # the most involved one
        assert plain(record) == plain(CLAIM.run(config(norm), TEXT))


def test_runs_for_tuning_see_validation_lines_alone(monkeypatch):
    validation = _language.line_parts(TEXT)[1]
    seen, own = [], _language._log_likelihoods

    def look(model, given, size):
        seen.append(given)
        return own(model, given, size)

    monkeypatch.setattr(_language, "_log_likelihoods", look)
    assert set(CLAIM.run(config(stage="tune"), TEXT)) == {"validation"}
    assert [given is validation for given in seen] == [True]


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
    _language._settle(model, _language.line_parts(TEXT)[0], 0)
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
    for norm, seed in ((LAYER, 0), (MAIN, 0), (MAIN, 1)):
        _language._train(untrained(norm), _language.line_parts(TEXT)[0], 1e-3, 2, seed)
    assert np.array_equal(seen[:2], seen[2:4])
    assert not np.array_equal(seen[:2], seen[4:])


def test_kept_runs_are_found_by_another_process():
    code = (
        "from minidl.lab.study.fingerprint import fingerprint; from minidl.lab.after.language import run; "
        "print(fingerprint(run))"
    )
    assert in_a_process(code) == fingerprint(CLAIM.run)


# ---- plan


def made_up_record(config):
    wanted = 1e-2 if config["norm"] == MAIN else 3e-3
    record = {"validation": -1.0 - (config["lr"] != wanted)}
    if config["stage"] == "final":
        record |= {name: 2.0 + config["seed"] / 100 for name in ("train", "moving", "exact", "batch")}
        record |= {"moved": 0.01, "leak": 0.0, "curve": [2.0]}
    return record


def test_each_arm_gets_its_own_rate_from_seeds_of_its_own():
    runs = all_runs(CLAIM, made_up_record, Scale())
    final, tuned = runs.where(stage="final"), runs.where(stage="tune")
    assert len(final.runs) == 6 * 5
    assert len(tuned.runs) == 6 * 3 * 2
    assert final.where(norm=MAIN).settings("lr") == [1e-2]
    assert final.where(norm=LAYER).settings("lr") == [3e-3]
    assert not set(tuned.settings("seed")) & set(final.settings("seed"))


# ---- verdicts


def losses(noise=1e-3, **arms):
    """Made-up finals: arm → (training, batch, exact, moving), less 2 nats; others are as layer norm is."""

    def record(norm, seed):
        train, batch, exact, moving = arms.get(norm.replace(" ", "_").replace(",", ""), (0, 0, 0, 0))
        wobble = noise * (seed - 1) * (norm != LAYER)
        own = {"train": train, "batch": batch, "exact": exact, "moving": moving}
        moved = 0.05 * (norm in ("batch norm", "batch norm without padding"))
        found = {name: 2 + loss + wobble * (1 + (name != "train")) for name, loss in own.items()}
        return found | {"moved": moved, "leak": 0.0}

    return result(
        *[({"stage": "final", "norm": norm, "seed": s}, record(norm, s)) for norm in _language.NORMS for s in range(3)]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arms", "word"),
    [
        ({"batch_norm": (0, 0, 0.05, 0.2)}, "reproduced"),
        ({"batch_norm": (-0.3, 0, 0, 0.2)}, "reproduced"),
        ({"batch_norm": (0.1, 0.1, 0.2, 0.4)}, "partly"),  # it trains worse
        ({"batch_norm": (0.0, 0, 0, 0), "batch_norm_by_place": (0, 0.1, 0.2, 0.3)}, "partly"),  # another one does it
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
    assert "hold for none of the four batch norms" in verdict.because


def test_what_the_future_changes_is_told():
    because = CLAIM.verdict(losses()).because
    assert (
        "It changes nothing with layer norm, none, batch norm by place, batch norm by place, without padding."
        in because
    )
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
    assert "| batch norm | 7.389 | **2.718** | 7.389 |" in text
