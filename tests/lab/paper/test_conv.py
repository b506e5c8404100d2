"""Batch norm of maps is batch norm of columns: run, and judged."""

import pytest

from minidl.lab.paper import conv
from tests.lab.paper.synthetic import edited, exact


def test_it_holds():
    assert conv.CLAIM.verdict(exact(conv.CLAIM)).word == "reproduced"


@pytest.mark.parametrize("entry", conv.ALLOWED)
def test_any_difference_contradicts(entry):
    wrong = edited(exact(conv.CLAIM, 2), {"seed": 1}, **{entry: 1})
    assert conv.CLAIM.verdict(wrong).word == "contradicted"


def test_statistics_over_the_batch_alone_would_be_noticed(monkeypatch):
    real = conv.F.batch_norm

    def per_position(x, mean, var, gamma, beta, **options):
        if x.ndim == 4:
            real(x[:, :1, :1].reshape(-1, x.shape[-1]), mean, var, gamma, beta, **options)
            return real(x, None, None, gamma, beta, training=True)
        return real(x, mean, var, gamma, beta, **options)

    monkeypatch.setattr(conv.F, "batch_norm", per_position)
    assert conv.run({"seed": 0, "shape": [4, 5, 6, 3]})["running statistics"] > 0
