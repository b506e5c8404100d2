"""A study of one's own: what is frozen stays, its runs are those it promised, and a report is held against both."""

import functools
import json

import numpy as np
import pytest

from minidl.lab.course import _progress, capstone, check
from minidl.lab.course.capstone import _registration, _study
from minidl.lab.course.capstone._code import code_of
from minidl.lab.study.claim import Result
from minidl.lab.study.statistics import t_interval
from tests.lab.course.wrong.capstone import GOOD, TRUTH

OFFSET, PEAK = 0.5, 0.3


def run(config):
    """A run without a network: arm a is better by OFFSET; the best rate is PEAK."""
    luck = np.random.default_rng(config["seed"]).normal(0, 0.1)
    gain = OFFSET if config["norm"] == "batch" else 0.0
    return {
        "validation": -abs(np.log(config["lr"] / PEAK)),
        "test": 90 + gain + luck + config["seed"] % 3 * 0.01 * gain,
    }


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a notebook, so that registrations are kept beside it."""
    monkeypatch.setattr(_registration, "_session", {})
    monkeypatch.setattr(_progress, "beside", lambda name: tmp_path / name)
    (tmp_path / "18_capstone.ipynb").write_text("{}")
    return tmp_path


def report_on(study, **changes):
    interval, kept = study.interval(), study.frozen.registration
    return {
        "seeds": len(kept["seeds"]), "rates": {arm: study.rate(arm) for arm in kept["arms"]}, "difference": interval.mean,
        "half_width": interval.half, "verdict": study.word(), "prediction": kept["prediction"],
        "came_true": kept["prediction"] == study.word(), "not_shown": ["No network was trained in these runs."],
    } | changes  # fmt: skip


def kinds(faults):
    return [fault.kind for fault in faults]


# ---- the rule ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high", "margin", "word"), [
    (0.3, 0.9, 0.2, "larger"), (-0.9, -0.3, 0.2, "smaller"), (-0.1, 0.1, 0.2, "about equal"),
    (0.1, 0.15, 0.2, "about equal"),
    (-0.9, 0.9, 0.2, "open"), (0.1, 0.9, 0.2, "open"), (-0.9, -0.1, 0.2, "open"), (0.1, 0.9, 0.0, "larger"),
    (-0.1, 0.9, 0.0, "open"),
])  # fmt: skip
def test_the_rule_reads_the_interval_against_the_margin(low, high, margin, word):
    noise = np.array([-1, 0, 1, -1, 1, 0.0])
    noise *= (high - low) / 2 / t_interval(noise).half
    assert capstone.decide(noise + (low + high) / 2, margin) == word


def test_one_seed_and_equal_seeds():
    assert capstone.decide([5.0], 0.2) == "open"
    assert capstone.decide([0.0, 0.0, 0.0], 0.0) == "about equal"
    assert capstone.decide([0.2, 0.2], 0.2) == "about equal"


@pytest.mark.parametrize(("differences", "margin", "message"), [
    ([], 0.1, "there are no differences"), ([1.0], -0.1, "the margin is -0.1"), ([1.0], float("nan"), "the margin is nan"),
])  # fmt: skip
def test_the_rule_refuses_what_it_cannot_judge(differences, margin, message):
    with pytest.raises(ValueError, match=f"^decide: {message}.*; .*must be"):
        capstone.decide(differences, margin)


# ---- freezing ------------------------------------------------------------------------------------------------------------


def test_what_is_frozen_is_kept_with_time_and_digest(folder):
    now = capstone.freeze("mine", GOOD, run)
    kept = json.loads((folder / "registrations.json").read_text())["mine"]
    assert kept["registration"]["seeds"] == [0, 1, 2, 3, 4]
    assert (kept["digest"], kept["at"], kept["ran"]) == (now.digest, now.at, False)
    assert now.at.endswith("+00:00")
    assert now.intact
    assert capstone.frozen("mine") == now == capstone.freeze("mine", GOOD, run)


def test_before_the_first_run_it_may_be_frozen_anew_and_not_after():
    first = capstone.freeze("mine", GOOD, run)
    second = capstone.freeze("mine", GOOD | {"margin": 0.3}, run)
    assert second.digest != first.digest
    capstone.conduct("mine", run)
    with pytest.raises(ValueError, match=r"^freeze: 'mine' was frozen at .* now margin and prediction would change"):
        capstone.freeze("mine", GOOD | {"prediction": "open"}, run)
    with pytest.raises(ValueError, match="the code of the run would change"):
        capstone.freeze("mine", GOOD | {"margin": 0.3}, lambda config: {"validation": 1.0, "test": 2.0})
    assert capstone.frozen("mine").registration["margin"] == 0.3


def test_a_weak_registration_is_not_frozen(folder):
    with pytest.raises(ValueError, match="with fewer than 5"):
        capstone.freeze("mine", GOOD | {"seeds": [0, 1]}, run)
    with pytest.raises(ValueError, match="the name is"):
        capstone.freeze("", GOOD, run)
    with pytest.raises(ValueError, match="there is no registration 'mine'"):
        capstone.frozen("mine")
    assert not (folder / "registrations.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"mine": 3}', '{"mine": {"registration": {}}}', "[" * 9999])
def test_a_damaged_file_is_said_and_left_alone(folder, text):
    (folder / "registrations.json").write_text(text)
    with pytest.raises(ValueError, match=r"registrations\.json is damaged .*; mend it, or delete it"):
        capstone.freeze("mine", GOOD, run)
    assert (folder / "registrations.json").read_text() == text


def test_without_notebooks_it_is_kept_for_the_session(folder):
    (folder / "18_capstone.ipynb").unlink()
    study = capstone.conduct("mine", run, GOOD)
    assert capstone.frozen("mine").ran
    assert study.word() == "larger"
    assert not list(folder.iterdir())


ODD = [
    ...,
    None,
    3,
    "ab",
    [],
    {},
    [3],
    {"a": 1},
    float("nan"),
    float("inf"),
    True,
    -1,
    10**400,
    np.zeros(3),
    print,
    b"a",
    range(10**30),
]


@pytest.mark.parametrize("key", GOOD)
def test_odd_entries_of_a_registration_are_named(key):
    for value in ODD:
        faults = capstone.weak_points(GOOD | {key: value})
        if not faults:
            assert (key, value) in [("tuned_by", "ab"), ("measure", "ab"), ("margin", 3), ("tuning_seeds", [3])]
            continue
        assert all(len(fault.sentence) > 20 for fault in faults)
    assert capstone.weak_points({k: v for k, v in GOOD.items() if k != key})[0].sentence.startswith(f"It lacks {key!r}")


def test_entries_that_do_not_fit_together_are_named():
    assert "no entry 'extra'" in capstone.weak_points(GOOD | {"extra": 1})[0].sentence
    assert (
        "There are rates for a, c"
        in capstone.weak_points(GOOD | {"rates": {"a": [1, 2, 3], "c": [1, 2, 3]}})[0].sentence
    )
    taken = {"a": {"lr": 1}, "b": {"lr": 2}}
    assert "called 'lr'" in capstone.weak_points(GOOD | {"arms": taken})[0].sentence
    assert "cannot be kept" in capstone.weak_points(GOOD | {"arms": {"a": {"f": print}, "b": {}}})[0].sentence
    assert "cannot be kept" in capstone.weak_points(GOOD | {"arms": {"a": {"f": float("nan")}, "b": {}}})[0].sentence


# ---- the code ------------------------------------------------------------------------------------------------------------


def function(text, name="run", **constants):
    scope = {"__name__": "notebook", "np": np, **constants}
    exec(text, scope)
    return scope[name]


def test_code_is_known_again_and_its_changes_are_seen():
    text = "def helper(x):\n    return x + 1\ndef run(config):\n    lr = config['lr']\n    return helper(lr) * STEPS\n"
    digest = code_of(function(text, STEPS=10))
    assert digest == code_of(function(text, STEPS=10))
    assert digest == code_of(
        function(text.replace("lr = ", "# a comment\n    lr = "), STEPS=10, lr=3, other=np.zeros(3))
    )
    assert digest != code_of(function(text, STEPS=11))
    assert digest != code_of(function(text.replace("x + 1", "x + 2"), STEPS=10))
    assert digest != code_of(function(text.replace("helper(lr)", "helper(lr, 2)"), STEPS=10))
    assert code_of(function("def run(c, n=1): return n")) != code_of(function("def run(c, n=2): return n"))
    inside = "def run(config):\n    return [k * STEPS for k in (1, 2)]\n"
    assert code_of(function(inside, STEPS=1)) != code_of(function(inside, STEPS=2))


def test_code_has_what_it_was_made_with():
    def made(steps, helper=None):
        return lambda config: (steps, helper)

    assert code_of(made(3)) == code_of(made(3))
    assert code_of(made(3)) != code_of(made(4))
    assert code_of(made(3, lambda: 2)) != code_of(made(3, lambda: 1))
    part = functools.partial
    assert code_of(part(made, 3)) == code_of(part(made, 3)) != code_of(part(made, 4))
    assert code_of(part(made, steps=3)) != code_of(made)


def test_code_calls_itself_and_what_has_no_code():
    assert code_of(function("def run(c):\n    return run(c) if c else 0\n"))
    for odd in (print, np.linalg.solve, dict, GOOD.get):
        assert code_of(odd) == code_of(odd)


# ---- the runs ------------------------------------------------------------------------------------------------------------


def test_the_runs_are_those_that_were_promised(folder):
    study = capstone.conduct("mine", run, GOOD)
    assert study.seeds("a") == study.seeds("b") == [0, 1, 2, 3, 4]
    assert study.rate("a") == study.rate("b") == PEAK
    assert not study.at_edge("a")
    assert len(study.result.runs) == 2 * (3 * 2 + 5)
    assert study.differences().mean() == pytest.approx(OFFSET, abs=0.02)
    assert study.word() == "larger"
    assert capstone.audit(study, report_on(study), GOOD) == []


def test_an_arm_at_the_edge_gets_more_rates_both_ways(monkeypatch):
    low = capstone.conduct("low", run, GOOD | {"rates": {"a": (0.9, 1.8, 3.6), "b": (0.05, 0.1, 0.2)}})
    assert list(low.rates("a")) == [0.1125, 0.225, 0.45, 0.9, 1.8, 3.6]
    assert list(low.rates("b")) == [0.05, 0.1, 0.2, 0.4, 0.8]
    monkeypatch.setattr(_study, "BEYOND", 1)
    short = capstone.conduct("short", run, GOOD | {"rates": {"a": (0.9, 1.8, 3.6), "b": (0.1, 0.3, 0.9)}})
    assert short.at_edge("a") == "smallest"
    assert kinds(capstone.audit(short, report_on(short))) == ["edge"]


def test_an_interrupted_study_goes_on_where_it_stopped(folder):
    def fails(config):
        if config["seed"] == 3:
            raise KeyboardInterrupt
        return run(config)

    capstone.freeze("mine", GOOD, run)
    known = capstone.frozen("mine")
    with pytest.raises(KeyboardInterrupt):
        _study.sweep.conduct(_study._claim(known, lambda config, _: fails(config)), _study.Scale(5),
                             _study.Store(folder / "studies", [known.digest, known.code]))  # fmt: skip
    before = len(list((folder / "studies").iterdir()))
    assert 12 < before < 22
    done = {path.name: path.stat().st_mtime_ns for path in (folder / "studies").iterdir()}
    study = capstone.conduct("mine", run)
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "studies").iterdir()}
    assert len(after) == len(study.result.runs) == 22
    assert done.items() <= after.items()


def test_other_code_than_the_frozen_one_does_not_run():
    capstone.freeze("mine", GOOD, run)
    with pytest.raises(ValueError, match=r"^conduct: the code of the run is not what was frozen"):
        capstone.conduct("mine", lambda config: {"validation": 1.0, "test": 1.0})
    assert not capstone.frozen("mine").ran


@pytest.mark.parametrize("record", [None, 3, {}, {"test": 1.0}])
def test_a_record_without_its_numbers_is_named(record):
    with pytest.raises(RuntimeError, match=r"its record has no '\w+'; it must be a dict with 'test' and 'validation'"):
        capstone.conduct("mine", lambda config: record, GOOD)
    assert not capstone.frozen("mine").ran


def test_a_run_that_has_no_number_is_no_mean():
    def diverges(config):
        return run(config) | ({"test": float("nan")} if config["seed"] == 2 else {})

    study = capstone.conduct("mine", diverges, GOOD)
    assert kinds(capstone.audit(study, report_on(study, difference=0.5, half_width=0.1)))[0] == "numbers"


@pytest.mark.parametrize(("idle", "words"), [
    (lambda config: run(config | {"norm": "batch"}), "Both arms have the same 'test' in every run"),
    (lambda config: run(config | {"seed": 1}), "All seeds of 'a' have the same 'test'"),
    (lambda config: run(config) | {"validation": 90.0}, "All rates have the same 'validation'"),
])  # fmt: skip
def test_a_run_that_passes_over_its_config_is_caught(idle, words):
    study = capstone.conduct("idle", idle, GOOD)
    (fault,) = capstone.audit(study, report_on(study), GOOD)
    assert fault.kind == "run"
    assert words in fault.sentence


def test_the_stub_of_a_run_is_not_attempted(capsys):
    def stub(config):
        raise NotImplementedError

    assert check("registration", GOOD, stub) == "not attempted"
    assert check("registration", GOOD, run) == "pass"


# ---- the referee ---------------------------------------------------------------------------------------------------------


def test_each_submission_has_the_fault_that_it_is_meant_to_have():
    found = {i: kinds(capstone.audit(*s)) for i, s in capstone.submissions().items()}
    assert {i: (faults or ["nothing"])[0] for i, faults in found.items()} == TRUTH
    assert set(TRUTH.values()) == set(capstone.KINDS)


@pytest.mark.parametrize(("changes", "kind", "words"), [
    ({"verdict": "smaller"}, "rule", "does not follow"),
    ({"difference": 0.3}, "numbers", "the records give"),
    ({"difference": 1}, "numbers", "the records give"),
    ({"half_width": 0.0}, "numbers", "half_width"),
    ({"seeds": 4}, "seeds", "The report says 4 seeds"),
    ({"rates": {"a": 0.3}}, "numbers", "rate None for 'b'"),
    ({"prediction": "open"}, "prediction", "'larger' was registered"),
    ({"came_true": False}, "prediction", "came true"),
    ({"not_shown": ""}, "not shown", "?"),
    ({"not_shown": ["one two three four five"] * 2}, "not shown", "stands twice"),
])  # fmt: skip
def test_a_spoiled_report_is_caught(changes, kind, words):
    study = capstone.conduct("mine", run, GOOD)
    (fault,) = capstone.audit(study, report_on(study, **changes), GOOD)
    assert fault.kind == kind
    assert words in fault.sentence


def test_a_rounded_report_passes():
    study = capstone.conduct("mine", run, GOOD)
    interval = study.interval()
    for digits in (3, 4, 7):
        told = {"difference": round(interval.mean, digits), "half_width": round(interval.half, digits + 1)}
        assert capstone.audit(study, report_on(study, **told), GOOD) == []
    assert capstone.audit(study, report_on(study, difference=interval.mean + 1e-7), GOOD) == []
    off = interval.mean + interval.half / 5
    assert kinds(capstone.audit(study, report_on(study, difference=off), GOOD)) == ["numbers"]


def test_records_that_are_not_those_of_the_registration_are_caught():
    study = capstone.conduct("mine", run, GOOD)
    runs = study.result.runs

    def audited(runs, **told):
        spoiled = study._replace(result=Result(tuple(runs)))
        return kinds(capstone.audit(spoiled, report_on(study, **told), GOOD))

    assert audited(runs[:-1]) == ["seeds"]
    added = runs[-1].__class__(runs[-1].config | {"seed": 9}, runs[-1].record)
    assert audited((*runs, added)) == ["seeds"]
    assert audited([r for r in runs if r.config["stage"] == "tune"]) == ["seeds"]
    assert audited([r for r in runs if r.config["arm"] == "a"]) == ["seeds"]
    assert audited(()) == ["seeds"]
    other = [r.__class__(r.config | {"lr": 1.0}, r.record) if r.config["stage"] == "final" else r for r in runs]
    assert audited(other) == ["grids"]


def test_a_changed_registration_is_caught():
    study = capstone.conduct("mine", run, GOOD)
    told = report_on(study)
    for key, value in {
        "seeds": range(6),
        "margin": 0.1,
        "prediction": "open",
        "rates": {},
        "question": "Else?",
    }.items():
        (fault,) = capstone.audit(study, told, GOOD | {key: value})
        assert fault.kind == "changed"
        assert repr(key) in fault.sentence
    edited = study._replace(frozen=study.frozen._replace(registration=study.frozen.registration | {"margin": 0.1}))
    assert "edited" in capstone.audit(edited, told)[0].sentence
    assert capstone.audit(study, told, json.loads(json.dumps(study.frozen.registration))) == []


@pytest.mark.parametrize("key", list(capstone.FIELDS))
def test_odd_entries_of_a_report_are_named(key):
    study = capstone.submissions()[2].study
    for value in ODD:
        faults = capstone.audit(study, report_on(study, **{key: value}))
        assert faults or (key, value) == ("not_shown", "none"), (key, value)
        assert all(len(fault.sentence) > 20 for fault in faults)
    for report in (None, 3, [], "report"):
        assert kinds(capstone.audit(study, report)) == ["form"]


def test_a_submission_can_be_read(capsys):
    capstone.show(*capstone.submissions()[5])
    said = capsys.readouterr().out
    assert "now:        prediction 'smaller'" in said
    assert "not shown: Other data" in said
    capstone.show(capstone.submissions()[5].study, {})
    assert "not shown: (nothing)" in capsys.readouterr().out


def test_a_run_must_be_a_function():
    for odd in (None, 3, "run"):
        with pytest.raises(TypeError, match=r"^conduct: run is a .*; it must be a function"):
            capstone.conduct("mine", odd, GOOD)
    with pytest.raises(ValueError, match="there is no registration"):
        capstone.frozen("mine")
