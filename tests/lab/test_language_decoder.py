"""The decoder and its loss: what a character can see, what training replays, and that padding does not count."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.gradcheck import gradcheck
from minidl.lab.language import Decoder, SequenceNorm, lines_of, sequence_loss
from minidl.optim import SGD
from minidl.replay import Replay
from tests.lab.test_language import NORMS, NUMBERS, PLAY, REAL, N, T, V, decoder, leaf, numbers


def changed_future(cut):
    """The same lines with other characters from a place on."""
    other = np.where(NUMBERS == V, V, (NUMBERS + 1) % V)
    return np.where(np.arange(T) < cut, NUMBERS, other)


@pytest.mark.parametrize("norm", NORMS)
def test_in_evaluation_mode_no_character_sees_a_later_one(norm):
    model = decoder(norm)
    model(Tensor(NUMBERS))
    model.eval()
    for cut in (1, 3, T):
        a, b = (model(Tensor(given)).data[:, :cut] for given in (NUMBERS, changed_future(cut)))
        assert np.array_equal(a, b)


@pytest.mark.parametrize("norm", NORMS)
def test_in_training_mode_the_statistics_of_all_places_let_it(norm):
    """By place, they are those of characters that are there already."""
    a, b = (decoder(norm)(Tensor(given)).data[:, :3] for given in (NUMBERS, changed_future(3)))
    sees = norm in ("batch", "no padding")
    assert np.array_equal(a, b) != sees
    assert not sees or np.abs(a - b).max() > 1e-3


@pytest.mark.parametrize("norm", NORMS)
def test_lines_see_each_other_in_training_mode_with_batch_norm_alone(norm):
    other = NUMBERS.copy()
    other[1:] = np.where(other[1:] == V, V, (other[1:] + 1) % V)
    a, b = (decoder(norm)(Tensor(given)).data[0] for given in (NUMBERS, other))
    assert np.array_equal(a, b) == (norm in ("none", "layer"))


def test_initial_weights_do_not_depend_on_the_norm():
    states = [decoder(norm).state_dict() for norm in NORMS]
    shared = {name: array for name, array in states[0].items() if "norm" not in name}
    assert len(shared) == 2 + 2 * 8 + 2
    for state in states:
        assert all(np.array_equal(state[name], array) for name, array in shared.items())


def test_norms_are_before_attention_hidden_layer_and_last_map():
    assert sum(isinstance(module, nn.LayerNorm) for module in decoder("layer").modules()) == 2 * 2 + 1
    assert sum(isinstance(module, SequenceNorm) for module in decoder("by place").modules()) == 2 * 2 + 1


@pytest.mark.parametrize("norm", NORMS)
def test_a_step_can_be_replayed(norm):
    models = [decoder(norm), decoder(norm)]
    step, generator = Replay(models[0], sequence_loss), np.random.default_rng(0)
    optimizers = [SGD(model.parameters(), 0.1) for model in models]
    for i in range(4):
        ends = generator.integers(1, T + 1, (N, 1))
        given, wanted = (np.where(np.arange(T) < ends, generator.integers(0, V, (N, T)), V) for _ in range(2))
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = sequence_loss(models[1](Tensor(given)), wanted)
        loss.backward()
        assert step(given, wanted) == loss.item()
        for optimizer in optimizers:
            optimizer.step()
        assert (step.why_not is None) == (i > 0), step.why_not
    for a, b in zip(models[0].state_dict().values(), models[1].state_dict().values(), strict=True):
        assert np.array_equal(a, b)


def test_it_learns_what_lines_have_in_common():
    lines = lines_of(PLAY, PLAY.train, T)
    model = Decoder(len(PLAY.characters), T, nn.LayerNorm, 1, 16, 2, np.random.default_rng(0))
    step, optimizer = Replay(model, sequence_loss), SGD(model.parameters(), 0.5)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        losses.append(step(lines.inputs[:24], lines.targets[:24]))
        optimizer.step()
    assert losses[0] > 2
    assert losses[-1] < 0.5


def test_settings_of_the_decoder():
    with pytest.raises(ValueError, match="Decoder: layers is 0; it must be"):
        decoder(layers=0)
    with pytest.raises(ValueError, match=r"Decoder: got \(5, 4\); lines must be \(N, 6\)"):
        decoder()(Tensor(NUMBERS[:, :4]))
    with pytest.raises(ValueError, match=r"embedding: input runs from .* to 8 but weight has 8 rows"):
        decoder()(Tensor(NUMBERS + 1))
    with pytest.raises(TypeError, match="embedding: input is float64"):
        decoder()(Tensor(NUMBERS.astype(float)))


# ---- the loss


def test_the_loss_is_that_of_the_characters():
    logits, flat = leaf(N, T, V), REAL.reshape(-1) == 1
    loss = sequence_loss(logits, NUMBERS)
    expected = F.cross_entropy(Tensor(logits.data.reshape(-1, V)[flat]), NUMBERS.reshape(-1)[flat])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss.backward()
    assert not logits.grad[NUMBERS == V].any()
    gradcheck(lambda logits: sequence_loss(logits, NUMBERS), numbers(N, T, V))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (NUMBERS[:, :3], r"targets are \(5, 3\) of int64; they must be \(5, 6\), of whole numbers"),
        (NUMBERS.astype(float), "of float64; they must be"),
        (np.full((N, T), V), "targets run from 7 to 7 .*not all padding"),
        (
            NUMBERS + 1,
            "targets run from .* to 8 and there are 7 characters; they must be from 0 to 6, or 7 for padding",
        ),
        (NUMBERS - 9, "targets run from -.*; they must be from 0"),
    ],
)
def test_targets_that_cannot_be(targets, message):
    with pytest.raises(ValueError, match=message):
        sequence_loss(leaf(N, T, V), targets)
