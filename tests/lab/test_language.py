"""Language models: attention looks back only, norms over sequences are what they are called, padding changes nothing."""

import functools
import math

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl.data._splits import split_text
from minidl.gradcheck import GradientError, gradcheck
from minidl.lab.language import Attention, Decoder, SequenceNorm, causal_attention, lines_of
from minidl.optim import update_bn

PLAY = split_text("To be, or\nnot to be:\n\nthat is\nthe question\n" * 20, "made up")
N, T, C, V = 5, 6, 4, 7
ENDS = np.array([6, 3, 1, 5, 2])
REAL = (np.arange(T) < ENDS[:, None]).astype(float)[..., None]
NUMBERS = np.where(REAL[..., 0] == 1, np.random.default_rng(3).integers(0, V, (N, T)), V)
NORMS = {
    "none": None,
    "layer": nn.LayerNorm,
    "batch": SequenceNorm,
    "no padding": functools.partial(SequenceNorm, padding=False),
    "by place": functools.partial(SequenceNorm, length=T),
    "by place, no padding": functools.partial(SequenceNorm, length=T, padding=False),
}


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(1, 2, shape)


def leaf(*shape, seed=0):
    return Tensor(numbers(*shape, seed=seed), requires_grad=True)


def decoder(norm="layer", seed=0, **others):
    settings = dict(layers=2, features=8, heads=2)
    return Decoder(V, T, NORMS[norm], **(settings | others), generator=np.random.default_rng(seed))


# ---- lines


def test_what_follows_a_character_is_its_target_and_at_last_the_end():
    lines = lines_of(PLAY, PLAY.train, 12)
    end, padding = PLAY.encode("\n")[0], len(PLAY.characters)
    assert lines.padding == padding
    for row, text in zip(range(4), ("To be, or", "not to be:", "that is", "the question"), strict=True):
        own = PLAY.encode(text).tolist()
        fill = [padding] * (12 - len(own))
        assert lines.inputs[row].tolist() == own + fill
        assert lines.targets[row].tolist() == [*own[1:], end, *fill]


def test_lines_without_a_character_are_left_out_and_long_ones_cut():
    lines = lines_of(PLAY, PLAY.train, 4)
    assert (lines.targets != lines.padding).all()
    assert PLAY.decode(lines.inputs[1]) == "not "
    assert PLAY.decode(lines.targets[1]) == "ot t"
    assert (lines.inputs[:, 1:] == lines.targets[:, :-1]).all()
    assert lines.some(slice(1, 3)).inputs.shape == (2, 4)


@pytest.mark.parametrize("text", ["no end at all here", "\n" * 30])
def test_a_text_without_lines(text):
    made = split_text(text, "made up")
    with pytest.raises(ValueError, match="lines_of: the text has no lines; it must have some"):
        lines_of(made, made.train, 8)


@pytest.mark.parametrize("length", [0, -1, 2.5, None])
def test_a_length_that_is_none(length):
    with pytest.raises((ValueError, TypeError), match="lines_of: length is"):
        lines_of(PLAY, PLAY.train, length)


# ---- attention


def naive_attention(q, k, v):
    """One query after the other, over what is there so far."""
    y = np.zeros((*q.shape[:-1], v.shape[-1]))
    for place in np.ndindex(q.shape[:-2]):
        for t in range(q.shape[-2]):
            scores = np.array([q[place][t] @ k[place][s] / math.sqrt(q.shape[-1]) for s in range(t + 1)])
            shares = np.exp(scores - scores.max())
            y[place][t] = sum(share * v[place][s] for s, share in enumerate(shares / shares.sum()))
    return y


@pytest.mark.parametrize("before", [(), (2,), (2, 3)])
def test_attention_is_the_loop(before):
    q, k, v = numbers(*before, 5, 4), numbers(*before, 5, 4, seed=1), numbers(*before, 5, 3, seed=2)
    np.testing.assert_allclose(
        causal_attention(Tensor(q), Tensor(k), Tensor(v)).data, naive_attention(q, k, v), atol=1e-12
    )


def test_attention_has_the_right_gradient():
    gradcheck(causal_attention, numbers(2, 5, 4), numbers(2, 5, 4, seed=1), numbers(2, 5, 3, seed=2))


def test_no_gradient_comes_from_the_past_to_the_future():
    q, k, v = leaf(5, 4), leaf(5, 4, seed=1), leaf(5, 3, seed=2)
    causal_attention(q, k, v)[2].sum().backward()
    for part in (q, k, v):
        assert not part.grad[3:].any()
    assert k.grad[:3].all()
    assert v.grad[:3].all()


def test_attention_stays_finite_with_large_scores():
    q = Tensor(np.full((3, 2), 1e18, np.float32))
    y = causal_attention(q, q, Tensor(np.arange(6, dtype=np.float32).reshape(3, 2)))
    assert np.isfinite(y.data).all()


@pytest.mark.parametrize("shapes", [((3, 2), (3, 2), (4, 2)), ((3, 2), (4, 2), (4, 2)), ((3,), (3,), (3,)),
                                    ((3, 0), (3, 0), (3, 2)), ((2, 3, 2), (2, 3, 2), (3, 2))])  # fmt: skip
def test_shapes_of_attention(shapes):
    with pytest.raises(ValueError, match=r"causal_attention: q is .*; they must be \(…, T, d\)"):
        causal_attention(*(leaf(*shape) for shape in shapes))


def test_attention_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    q, k, v = (numbers(2, 3, 7, 4, seed=seed) for seed in range(3))
    given = [torch.tensor(part, requires_grad=True) for part in (q, k, v)]
    own = [Tensor(part, requires_grad=True) for part in (q, k, v)]
    wanted = torch.nn.functional.scaled_dot_product_attention(*given, is_causal=True)
    y, cotangent = causal_attention(*own), numbers(2, 3, 7, 4, seed=9)
    np.testing.assert_allclose(y.data, wanted.detach().numpy(), atol=1e-12)
    y.backward(cotangent)
    wanted.backward(torch.tensor(cotangent))
    for ours, theirs in zip(own, given, strict=True):
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-11)


def test_each_head_has_its_own_part():
    layer = Attention(4, 2, np.random.default_rng(0)).to("float64")
    x = numbers(2, 5, 4)
    q, k, v = (x @ part.weight.data for part in (layer.query, layer.key, layer.value))
    heads = [naive_attention(*(part[..., h : h + 2] for part in (q, k, v))) for h in (0, 2)]
    np.testing.assert_allclose(layer(Tensor(x)).data, np.concatenate(heads, -1) @ layer.out.weight.data, atol=1e-12)


def test_settings_of_attention():
    with pytest.raises(ValueError, match="Attention: 3 heads do not divide 8 features; each must"):
        Attention(8, 3)
    with pytest.raises(ValueError, match="Attention: heads is 0; it must be"):
        Attention(8, 0)


# ---- norms


def naive_norm(x, real, by_place, padding, old=(0, 1), eps=1e-5):
    """The statistics one after the other: y, means, variances (biased), counts."""
    y, where = np.zeros_like(x), [[t] for t in range(T)] if by_place else [range(T)]
    means, variances, counts = [], [], []
    for places in where:
        seen = [x[n, t] for n in range(N) for t in places if padding or real[n, t, 0]]
        counts.append(len(seen))
        mean, var = (np.mean(seen, 0), np.var(seen, 0)) if len(seen) > 1 else (np.full(C, old[0]), np.full(C, old[1]))
        means.append(mean)
        variances.append(var)
        for t in places:
            y[:, t] = (x[:, t] - mean) / np.sqrt(var + eps)
    return y, np.array(means), np.array(variances), np.array(counts)


@pytest.mark.parametrize("by_place", [False, True])
@pytest.mark.parametrize("padding", [False, True])
def test_the_norm_is_the_loop_and_keeps_its_statistics(by_place, padding):
    norm, x = SequenceNorm(C, T if by_place else None, padding, momentum=0.3).to("float64"), numbers(N, T, C)
    norm.weight.data[:], norm.bias.data[:] = numbers(C, seed=1), numbers(C, seed=2)
    y, means, variances, counts = naive_norm(x, REAL, by_place, padding)
    np.testing.assert_allclose(norm(Tensor(x), REAL).data, y * norm.weight.data + norm.bias.data, atol=1e-12)
    few = (counts < 2)[:, None]
    assert few.any() == (by_place and not padding)
    unbiased = np.where(few, variances, variances * (counts / np.maximum(counts - 1, 1))[:, None])
    np.testing.assert_allclose(norm.running_mean.reshape(means.shape), 0.3 * means, atol=1e-12)
    np.testing.assert_allclose(norm.running_var.reshape(means.shape), 0.7 + 0.3 * unbiased, atol=1e-12)
    assert norm.num_batches_tracked == 1

    norm.eval()
    expected = (x - norm.running_mean) / np.sqrt(norm.running_var + 1e-5) * norm.weight.data + norm.bias.data
    before = norm.state_dict()
    np.testing.assert_allclose(norm(Tensor(x), REAL).data, expected, atol=1e-12)
    assert all(np.array_equal(before[name], array) for name, array in norm.state_dict().items())


def test_without_choices_it_is_batch_norm():
    ours, theirs, x = SequenceNorm(C), nn.BatchNorm(C), numbers(N, T, C).astype(np.float32)
    np.testing.assert_allclose(ours(Tensor(x), REAL).data, theirs(Tensor(x)).data, atol=1e-6)
    np.testing.assert_allclose(ours.running_var, theirs.running_var, rtol=1e-6)


@pytest.mark.parametrize("length", [None, T])
def test_where_everything_is_a_character_padding_is_no_question(length):
    x = Tensor(numbers(N, T, C).astype(np.float32))
    norms = [SequenceNorm(C, length, padding) for padding in (True, False, False)]
    first, *others = (
        norm(x, real).data for norm, real in zip(norms, (None, None, np.ones((N, T, 1), bool)), strict=True)
    )
    np.testing.assert_allclose(others[0], first, atol=1e-5)
    assert np.array_equal(*others)
    np.testing.assert_allclose(norms[1].running_var, norms[0].running_var, rtol=1e-5)


@pytest.mark.parametrize("by_place", [False, True])
@pytest.mark.parametrize("padding", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_the_norm_has_the_right_gradient(by_place, padding, training):
    def normalised(x, weight, bias):
        norm = SequenceNorm(C, T if by_place else None, padding).to("float64").train(training)
        norm.running_mean[...], norm.running_var[...] = 0.3, 1.7
        norm.__dict__["weight"], norm.__dict__["bias"] = weight, bias
        return norm(x, REAL)

    gradcheck(normalised, numbers(N, T, C), numbers(C, seed=1), numbers(C, seed=2))


def test_a_gradient_without_the_variance_would_be_found():
    """As in the paper's §2: what is taken out of the gradient."""

    def wrong(x):
        mean = (x * Tensor(REAL)).sum((0, 1)) / REAL.sum()
        var = ((((x - mean) ** 2) * Tensor(REAL)).sum((0, 1)) / REAL.sum()).detach()
        return (x - mean) * (var + 1e-5) ** -0.5

    with pytest.raises(GradientError):
        gradcheck(wrong, numbers(N, T, C))


def test_padding_may_be_anything_if_it_does_not_count():
    for length in (None, T):
        norm, x = SequenceNorm(C, length, padding=False), numbers(N, T, C).astype(np.float32)
        other = np.where(REAL == 1, x, 1e3).astype(np.float32)
        a, b = (norm(Tensor(given), REAL.astype(np.float32)).data * REAL for given in (x, other))
        assert np.array_equal(a, b)


def test_a_place_with_too_few_characters_keeps_what_was_found_so_far():
    norm = SequenceNorm(C, T, padding=False)
    norm.running_mean[:], norm.running_var[:] = 3, 4
    x = numbers(N, T, C).astype(np.float32)
    y = norm(Tensor(x), REAL.astype(np.float32)).data
    np.testing.assert_allclose(y[:, 5], (x[:, 5] - 3) / 2, atol=1e-5)  # one line has a character there
    np.testing.assert_array_equal(norm.running_mean[5], 3)
    np.testing.assert_allclose(norm.running_var[5], 4)
    assert (norm.running_mean[:5] != 3).all()


@pytest.mark.parametrize("name", ["batch", "no padding", "by place", "by place, no padding"])
def test_exact_statistics_are_those_of_the_batches(name):
    model = decoder(name, features=C).to("float64")
    first = model.blocks[0].first_norm
    first.running_mean[...], first.running_var[...] = 9, 9
    update_bn([NUMBERS, NUMBERS], model)
    x = (model.table(Tensor(NUMBERS)) + model.places).data
    _, means, variances, counts = naive_norm(x, REAL, first.length, first.padding)
    unbiased = variances * np.where(counts < 2, 1, counts / np.maximum(counts - 1, 1))[:, None]
    assert first.num_batches_tracked == 2
    np.testing.assert_allclose(first.running_mean.reshape(means.shape), means, atol=1e-12)
    np.testing.assert_allclose(first.running_var.reshape(means.shape), unbiased, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "real", "length", "message"),
    [
        ((N, C), (N, 1), None, r"x is \(5, 4\); it must be \(N, T, 4\)"),
        ((N, T, 3), (N, T, 1), None, r"x is \(5, 6, 3\); it must be \(N, T, 4\)"),
        ((N, 5, C), (N, 5, 1), T, r"x is \(5, 5, 4\); it must be \(N, 6, 4\)"),
        ((N, T, C), (N, T), None, r"real is \(5, 6\); it must be \(5, 6, 1\)"),
    ],
)
def test_shapes_of_the_norm(x, real, length, message):
    with pytest.raises(ValueError, match=message):
        SequenceNorm(C, length, padding=False)(leaf(*x), np.ones(real))


@pytest.mark.parametrize("length", [None, T])
def test_a_single_character_has_no_statistics(length):
    norm, real = SequenceNorm(C, length, padding=False).to("float64"), np.zeros((N, T, 1))
    real[0, 0] = 1
    before = norm.state_dict()
    with pytest.raises(ValueError, match=r"SequenceNorm: training found 1 characters .*; there must be at least two"):
        norm(leaf(N, T, C), real)
    assert all(np.array_equal(before[name], array) for name, array in norm.state_dict().items())


@pytest.mark.parametrize("settings", [{"length": 0}, {"length": 1.5}, {"padding": 1}, {"momentum": 2}, {"eps": -1}])
def test_settings_of_the_norm(settings):
    with pytest.raises((ValueError, TypeError), match=next(iter(settings))):
        SequenceNorm(C, **settings)


def test_the_norm_says_what_it_is():
    assert repr(SequenceNorm(4, 6, False)).startswith(
        "SequenceNorm(4, eps=1e-05, momentum=0.1, length=6, padding=False)"
    )
