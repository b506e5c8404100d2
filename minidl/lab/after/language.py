"""Batch norm in a decoder on characters: does it train as well as layer norm, and fail when it is evaluated?"""

import numpy as np

from minidl.lab.after._language import BATCH, CUT, LENGTH, NORMS, fit
from minidl.lab.study.claim import Claim, Verdict, best
from minidl.lab.study.statistics import paired, t_interval

__all__ = ["CLAIM"]

LAYER, BATCH_NORM = "layer norm", "batch norm"
BATCH_NORMS = tuple(name for name in NORMS if name.startswith(BATCH_NORM))
RATES = (3e-3, 1e-2, 3e-2)
TUNING = (1000, 1001)  # seeds, never those of the results
FINAL = {"stage": "final"}
AS_GOOD = 0.02  # nats, 2 % of perplexity: less is as good, more is worse
MODES = {"batch": "batch statistics", "exact": "exact statistics", "moving": "moving averages"}


def plan(scale):
    """6 arms × (3 rates × 2 seeds + 5 seeds) × 1,000 steps."""
    steps = scale.pick(1000, 20)
    tuned = yield [
        {"arm": norm, "norm": norm, "steps": steps, "stage": "tune", "lr": lr, "seed": seed}
        for norm in NORMS
        for lr in scale.pick(RATES, RATES[:2])
        for seed in scale.pick(TUNING, TUNING[:1])
    ]
    yield [
        {"arm": norm, "norm": norm, "steps": steps, **FINAL, "lr": _rate(tuned, norm), "seed": seed}
        for norm in NORMS
        for seed in range(scale.seeds)
    ]


def _rate(tuned, norm):
    """The learning rate with the lowest mean loss on validation lines, in evaluation mode."""
    return best(tuned.where(stage="tune", norm=norm), "validation")


def run(config, text):
    """Losses of a decoder with one kind of norm."""
    return fit(text, config)


def _values(result, name, norm):
    return result.values(name, norm=norm, **FINAL)


def _less(result, name, norm):
    """The loss with a norm less that with layer norm, one a seed."""
    return _values(result, name, norm) - _values(result, name, LAYER)


def _closed(result, norm):
    """How much of the gap between evaluation and training mode exact statistics close: a share, or None without a gap."""
    batch, exact, moving = (_values(result, mode, norm) for mode in MODES)
    gap = paired(moving, batch)
    return (moving - exact).mean() / gap.mean if gap.above_zero else None


def _judged(result, norm):
    """What the rule asks of a batch norm: training and evaluation, less layer norm; whether it is as good, and worse."""
    training, evaluation = (t_interval(_less(result, name, norm)) for name in ("train", "moving"))
    excess = paired(_less(result, "moving", norm), _less(result, "train", norm))
    return training, evaluation, excess, training.high < AS_GOOD, evaluation.low > AS_GOOD and excess.above_zero


def verdict(result):
    """Batch norm less layer norm, in training and in evaluation; gaps and what closes them, for each batch norm."""
    training, evaluation, _, as_good, worse = _judged(result, BATCH_NORM)
    others = [norm for norm in BATCH_NORMS[1:] if all(_judged(result, norm)[-2:])]
    if as_good and worse:
        word = "reproduced"
    elif worse or others:
        word = "partly"
    else:
        word = "contradicted" if as_good and evaluation.high < AS_GOOD else "not at this scale"
    both = [BATCH_NORM] * (as_good and worse) + others
    told, numbers = (
        [f"Both parts of the rule hold for {', '.join(both) if both else 'none of the four batch norms'}."],
        {},
    )
    for norm in BATCH_NORMS:
        sentences, found = _told_of(result, norm)
        told.append(sentences)
        numbers |= found
    sentences, found = _told_of_the_future(result)
    share = _closed(result, BATCH_NORM)
    closed = "there is no gap to close" if share is None else f"exact statistics close {100 * share:.0f} % of the gap"
    return Verdict(
        word,
        f"batch norm less layer norm, in nats a character: {_nats(training)} in training, {_nats(evaluation)} in "
        f"evaluation; {closed}",
        " ".join([*told, sentences]),
        numbers | found,
    )


def _told_of(result, norm):
    """How one batch norm compares with layer norm, and its own evaluation with its own training mode."""
    training, evaluation, excess, _, _ = _judged(result, norm)
    batch, exact, moving = (_values(result, mode, norm) for mode in MODES)
    gap, rest, share = paired(moving, batch), paired(exact, batch), _closed(result, norm)
    of_it = f", of which exact statistics close {100 * share:.0f} %" if share is not None else ", which is no gap"
    told = (
        f"{norm.capitalize()} less layer norm is {_nats(training)} in training, {_nats(evaluation)} in evaluation mode, and "
        f"{_nats(t_interval(_less(result, 'exact', norm)))} with exact statistics. Its own evaluation less its own training "
        f"mode, on the same test lines, is {_nats(gap)}{of_it}."
    )
    parts = {"training": training, "evaluation": evaluation, "excess": excess, "gap": gap, "gap that is left": rest}
    return told, {f"{norm}, {part}": interval for part, interval in parts.items()}


def _told_of_the_future(result):
    """What another future changes, in training mode."""
    moved = {norm: t_interval(_values(result, "moved", norm)) for norm in NORMS}
    leak = {norm: t_interval(_values(result, "leak", norm)) for norm in NORMS}
    still = [norm for norm, interval in moved.items() if interval.mean == 0]
    others = {norm: interval for norm, interval in moved.items() if norm not in still}
    told = [
        f"with {norm} the log-probabilities before it by {interval.text(3)} on average, and the loss there by "
        f"{leak[norm].text(4, sign=True)}"
        for norm, interval in others.items()
    ]
    text = f"In training mode, another future from place {CUT} on changes {'; '.join(told)}." if told else ""
    if still:
        text += f" It changes nothing with {', '.join(still)}."
    numbers = {f"{norm}, moved by the future": moved[norm] for norm in NORMS}
    return text.strip(), numbers | {f"{norm}, loss by another future": leak[norm] for norm in others}


def _nats(interval):
    return interval.text(3, sign=True)


def figure(result):
    """Training, evaluation by three kinds of statistics, and how far the future reaches back."""
    from minidl.lab import plot

    figure, axes = plot.panels(3, size=(6.0, 4.6))
    rows = {norm: np.exp(_values(result, "train", norm)) for norm in NORMS}
    less = _less(result, "train", BATCH_NORM).mean()
    title = f"Training: batch norm's perplexity is {_apart(less)} layer norm's"
    plot.intervals(axes[0], rows, title, "perplexity of the last tenth of training, a small dot a seed")
    rows = {LAYER: np.exp(_values(result, "moving", LAYER)), "none": np.exp(_values(result, "moving", "none"))}
    for norm in BATCH_NORMS:
        rows |= {f"{norm}: {told}": np.exp(_values(result, mode, norm)) for mode, told in MODES.items()}
    less = _less(result, "moving", BATCH_NORM).mean()
    title = f"Evaluation: batch norm's is {_apart(less)} layer norm's"
    plot.intervals(axes[1], rows, title, "perplexity of test lines")
    rows = {norm: _values(result, "moved", norm) for norm in NORMS}
    moved = rows[BATCH_NORM].mean()
    reach = "reaches back through batch norm" if moved > 0 else "does not reach back"
    plot.intervals(
        axes[2], rows, f"In training mode the future {reach}", "mean change of log-probabilities, by another future"
    )
    return figure


def _apart(less):
    """How far two perplexities are apart, from the difference of the losses."""
    percent = 100 * np.expm1(less)
    return f"{abs(percent):.1f} % {'above' if percent > 0 else 'below'}"


def tables(result):
    """Perplexities by arm, and how the learning rates were found."""
    heads = ("in training", *(f"test, {told}" for told in MODES.values()))
    rows = ["| norm | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for norm in NORMS:
        cells = [np.exp(_values(result, name, norm)).mean() for name in ("train", *MODES)]
        rows.append(f"| {norm} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    tuned = result.where(stage="tune")
    rates = sorted(tuned.settings("lr"))
    tried = ["| norm | " + " | ".join(f"{rate:g}" for rate in rates) + " |", "|---" * (len(rates) + 1) + "|"]
    for norm in NORMS:
        chosen, cells = _rate(tuned, norm), []
        for rate in rates:
            text = f"{np.exp(-tuned.values('validation', norm=norm, lr=rate)).mean():.3f}"
            cells.append(f"**{text}**" if rate == chosen else text)
        tried.append(f"| {norm} | {' | '.join(cells)} |")
    return (
        "\n\nPerplexities, means over seeds:\n\n"
        + "\n".join(rows)
        + "\n\nPerplexity of validation lines in evaluation mode by learning rate, means of two seeds; bold: chosen:\n\n"
        + "\n".join(tried)
    )


CLAIM = Claim(
    id="language",
    section="language",
    part="after",
    statement="""In a network for language, batch norm trains as well as layer norm and fails in evaluation, as the
        statistics that it has kept are not those of its batches.""",
    method=f"""Shen et al. 2020 report that batch norm does worse than layer norm in transformers, whose batches have
        statistics that vary much; Wang, Wu and Huang 2022 that training and evaluation differ (both not read). Here: a
        decoder with causal attention, two blocks, 64 features, four heads, that tells the next of 65 characters in lines
        of Tiny Shakespeare, cut at {LENGTH} places; batches of {BATCH} lines, of which three tenths are padding; Adam, 1,000
        steps, about one pass; the rate rises for 50 steps, then falls to a tenth. Before attention, before the hidden layer
        and before the last map: layer norm; nothing; batch norm over all lines and places; the same without padding; batch
        norm over the lines for each place, with padding and without (where fewer than two lines are that long, it keeps
        its moving averages). The learning rate of each (0.003, 0.01, 0.03) is the one with the lowest loss of validation
        lines in evaluation mode, over two seeds of its own; then five seeds. Loss in training: the mean of the last tenth of
        the steps. Test lines are measured with the statistics of each batch of {BATCH}, with moving averages (momentum 0.1),
        and with exact ones: averages over ten batches of 256 training lines (Algorithm 2). Reaching back: in training mode,
        all characters from place {CUT} on are replaced by as many from elsewhere in the test lines, and what changes before
        that place is measured; a causal mask should let nothing change. Trials of 300 steps with another seed came before
        the rule; in them batch norm was ahead of layer norm in training and in evaluation.""",
    rule=f"""All in nats a character, batch norm less layer norm, paired by seed. Training is as good if the interval of the
        loss in training ends below {AS_GOOD}. Evaluation is worse if the interval of the test loss in evaluation
        mode lies above {AS_GOOD}, and it is behind by more than training is (the interval of the excess is above
        0). Reproduced if both hold for batch norm over all lines and places; partly if only the second does, or if
        both hold for one of the three others; contradicted if neither is so, training is as good, and the interval
        in evaluation ends below {AS_GOOD}, too; otherwise not at this scale. The gap of a batch norm is its test
        loss in evaluation mode less that with the statistics of each batch; the share that exact statistics close
        is told if the gap is above 0.""",
    limits="""A small decoder, one text, one pass, characters in place of words, norms before the parts of a block; the
        transformers of these papers have them after, are larger, and train for much longer. With 1,500 places in a
        batch its statistics are not very noisy. The rate is chosen for evaluation, not for training, and falls towards the
        end, which lets moving averages catch up.""",
    plan=plan, run=run, verdict=verdict, figure=figure, data="text", tables=tables,
)  # fmt: skip
