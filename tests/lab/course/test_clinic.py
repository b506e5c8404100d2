"""The patients of lesson 15: really broken, each told apart by its chart, and well again without the broken part."""

import os
from dataclasses import fields

import numpy as np
import pytest

from minidl import Tensor, data, nn
from minidl.lab.course import check, clinic
from minidl.lab.course.broken_runs import PATIENTS, ship_exactly, ship_folded
from minidl.lab.course.clinic_run import HEALTHY, HandNorm, Parts, convolutional, run
from minidl.train import predict_logits

LETTERS = pytest.mark.parametrize("letter", list(PATIENTS))


@pytest.fixture(scope="module")
def ward():
    found = data.mnist() if os.environ.get("MINIDL_DATA") else data.strokes(6000, 1000)
    return clinic.Ward(found)


@LETTERS
def test_each_patient_has_one_broken_part(letter):
    _, own, _ = PATIENTS[letter]
    broken = {f.name for f in fields(Parts) if getattr(own, f.name) is not getattr(HEALTHY, f.name)}
    assert len(broken - {"network"}) == 1
    assert set(clinic.CURES[letter]) == broken - {"network"}


@LETTERS
def test_a_patient_is_ill_and_its_cure_brings_the_accuracy_back(letter, ward):
    aim = ward.aim(letter)
    assert aim > 80
    assert ward.charts[letter].test[-1] < aim - 3
    assert ward.treat(letter, clinic.CURES[letter]).test[-1] > aim - 1


@LETTERS
def test_only_the_right_diagnosis_explains_a_chart(letter, ward):
    explained = [illness for illness in clinic.ILLNESSES if not clinic.contradiction(illness, ward.charts[letter])]
    assert explained == [PATIENTS[letter][0]]


@LETTERS
def test_some_number_tells_a_patient_from_all_others(letter, ward):
    assert max(clinic.telling(ward.charts)[letter].values()) == len(PATIENTS) - 1


def test_nothing_on_the_chart_of_a_healthy_run_looks_like_an_illness(ward):
    explained = [illness for illness in clinic.ILLNESSES if not clinic.contradiction(illness, ward.healthy)]
    assert explained == []


def test_a_run_is_the_same_again(ward):
    once, again = ward.treat("F"), ward.treat("F")
    np.testing.assert_array_equal(once.losses, again.losses)
    np.testing.assert_array_equal(once.test, again.test)


def test_statistics_on_a_chart_are_those_of_the_norm(ward):
    chart = ward.healthy
    again = chart.running_mean[0] + 0.1 * (chart.batch_mean[1] - chart.running_mean[0])
    np.testing.assert_allclose(again, chart.running_mean[1], rtol=1e-4, atol=1e-5)
    assert chart.epoch == 500
    np.testing.assert_array_equal(chart.jumps, 0)


def test_a_batch_of_one_leaves_the_bias_and_no_variance():
    norm = HandNorm(3)
    norm.bias.data[...] = [1, 2, 3]
    y = norm(Tensor(np.ones((1, 3), np.float32)))
    np.testing.assert_array_equal(y.data, [[1, 2, 3]])
    assert np.isnan(norm.running_var).all()
    np.testing.assert_allclose(norm.running_mean, 0.1)
    y.sum().backward()
    np.testing.assert_array_equal(norm.bias.grad, 1)


def test_with_more_examples_the_norm_is_the_librarys():
    x = np.random.default_rng(0).normal(2, 3, (7, 2, 2, 3)).astype(np.float32)
    ours, theirs = HandNorm(3), nn.BatchNorm(3)
    np.testing.assert_array_equal(ours(Tensor(x)).data, theirs(Tensor(x)).data)
    np.testing.assert_array_equal(ours.running_var, theirs.running_var)
    one = HandNorm(3)
    one(Tensor(x[:1]))  # one image has four numbers of each channel
    assert np.isfinite(one.running_var).all()


def test_the_scale_alone_goes_into_the_convolution():
    generator, model = np.random.default_rng(0), convolutional(HandNorm).eval()
    for layer in model:
        if isinstance(layer, HandNorm):
            for array in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                array[...] = generator.uniform(0.5, 2, array.shape)
    x = generator.random((5, 784), dtype=np.float32)
    want, exact, folded = (predict_logits(m, x) for m in (model, ship_exactly(model), ship_folded(model)))
    np.testing.assert_allclose(exact, want, rtol=1e-3, atol=1e-4)
    assert np.abs(folded - want).max() > 0.01


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"batches": lambda labels, generator: []}, "batches should return"),
        ({"batches": lambda labels, generator: [[0.5]]}, "batches should return"),
        ({"batches": lambda labels, generator: np.array(3)}, "batches should return"),
        (
            {"batches": lambda labels, generator: [[0, -1]]},
            "batches asks for image -1; the images have the numbers 0 to",
        ),
        ({"prepare": lambda images: images / 255}, "prepare returns an array of float64"),
        ({"rehearse": lambda model, x, y: True}, "rehearse returns a bool; it should return the accuracy, a number"),
        ({"ship": lambda model: 3}, "ship returns a int"),
        ({"network": lambda norm: None}, "network returns a NoneType"),
    ],
)
def test_a_part_that_returns_something_else_is_named(part, message, ward):
    with pytest.raises(TypeError, match=message):
        run(ward.data, Parts(**part))


def test_batches_may_come_one_by_one_and_weights_may_be_nan(ward):
    chart = run(ward.data, Parts(batches=lambda labels, generator: (b for b in np.arange(16).reshape(2, 8))))
    assert len(chart.losses) == 6

    def diverges(model, optimizer, inputs, labels):
        for p in model.parameters():
            p.data[...] = np.nan
        return np.nan

    assert np.isnan(run(ward.data, Parts(step=diverges, batches=lambda *_: [np.arange(8)])).losses).all()


def test_a_ward_needs_enough_digits_and_knows_its_patients(ward):
    with pytest.raises(ValueError, match="300 and 100 digits; it takes 5,001"):
        clinic.Ward(data.strokes(300, 100))
    with pytest.raises(ValueError, match="no patient 'Z'; there are A, B"):
        ward.treat("Z")
    with pytest.raises(TypeError, match="mode"):
        ward.treat("A", {"mode": len})


@LETTERS
def test_a_program_is_shown_without_its_cause(letter):
    text = clinic.program(letter)
    assert text.startswith("def ")
    assert '"""…"""' in text
    assert not {"NaN", "issue", "pull request"} & set(text.split())


def test_checks_use_the_ward_that_was_opened(monkeypatch):
    monkeypatch.setattr(clinic, "_opened", [])
    mine = clinic.open_ward(data.strokes(6000, 1000))
    assert clinic.ward() is mine


def test_whoever_is_right_hears_what_the_number_looked_at_first_was_worth(monkeypatch, ward, capsys):
    """By counting, from the charts, from how many of the other patients a number tells each."""
    monkeypatch.setattr(clinic, "_opened", [ward])
    told = clinic.telling(ward.charts)
    worst = {letter: min(counts, key=counts.get) for letter, counts in told.items()}
    best = {letter: max(counts, key=counts.get) for letter, counts in told.items()}
    for first in (worst, best):
        check("diagnoses", {letter: (PATIENTS[letter][0], first[letter]) for letter in PATIENTS})
        lines = [line for line in capsys.readouterr().out.splitlines() if "of the other 7" in line]
        assert len(lines) == len(PATIENTS)
        for line, (letter, counts) in zip(lines, told.items(), strict=True):
            assert (
                f"{letter}, {PATIENTS[letter][0]}: {first[letter]} tells it from {counts[first[letter]]} of the" in line
            )
            assert ("would have told it from 7" in line) == (counts[first[letter]] < 7)
            assert ("nothing tells more" in line) == (counts[first[letter]] == 7)
    assert any(counts[worst[letter]] < 7 for letter, counts in told.items())
