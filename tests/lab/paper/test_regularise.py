"""Regularisation: the arms are what they are called, and judged."""

import numpy as np
import pytest

from minidl import Tensor, nn
from minidl import functional as F
from minidl.lab.models import paper_mlp
from minidl.lab.paper import regularise
from minidl.lab.paper._training import draws, split
from tests.lab.paper.synthetic import bars, finals, joined, result


def study(bn, whole, bn_drop, none, none_drop):
    """Test accuracies; the dropout of 0.2 is the better one on the validation images."""
    means = dict.fromkeys(regularise.ARMS, 0.9)
    means |= {"BN": bn, "BN, statistics of all images": whole, "BN, dropout 0.2": bn_drop, "no BN": none}
    means |= {"no BN, dropout 0.2": none_drop, "BN, dropout 0.4": 0.999, "no BN, dropout 0.4": 0.999}
    given = finals("test", {arm: ({"lr": 0.5}, mean) for arm, mean in means.items()})
    for run in given.runs:
        run.record["gap"] = 1 - run.record["test"]
    tuned = [
        ({"arm": arm, "stage": "tune", "lr": 0.5, "seed": 9}, {"validation": 0.9 - 0.1 * arm.endswith("0.4")})
        for arm in regularise.ARMS
    ]
    return joined(result(*tuned), given)


@pytest.mark.parametrize(
    ("tests", "word"),
    [
        ((0.92, 0.90, 0.92, 0.90, 0.91), "reproduced"),
        ((0.92, 0.90, 0.93, 0.90, 0.91), "partly"),  # dropout still helps with BN
        ((0.92, 0.90, 0.92, 0.90, 0.90), "partly"),  # dropout helps nobody
        ((0.92, 0.92, 0.92, 0.90, 0.91), "partly"),  # the noise does nothing
        ((0.92, 0.92, 0.92, 0.90, 0.95), "not at this scale"),  # dropout alone is better
        ((0.92, 0.92, 0.92, 0.90, 0.90), "not at this scale"),
        ((0.92, 0.93, 0.93, 0.90, 0.91), "contradicted"),
    ],
)
def test_verdicts(tests, word):
    assert regularise.CLAIM.verdict(study(*tests)).word == word


def test_the_arm_without_noise_normalises_by_all_images():
    """Its loss is that of the batch's rows, and its gradient knows that all images have a part in the statistics."""
    data = split(bars())
    model = paper_mlp("batch", generator=np.random.default_rng(0))
    chosen, labels = next(draws(data._replace(x=np.arange(len(data.y))), 10, 0))
    images, same_labels = next(draws(data, 10, 0))
    np.testing.assert_array_equal(data.x[chosen], images)
    np.testing.assert_array_equal(labels, same_labels)
    loss = regularise._loss_among_all(data.x, model, chosen, labels)
    model.zero_grad()
    loss.backward()
    first = model[0].weight.grad
    logits = model(Tensor(data.x)).data[chosen]
    assert loss.item() == pytest.approx(F.cross_entropy(Tensor(logits), labels).item(), rel=1e-6)
    unseen = (data.x[chosen].max(0) == 0) & (data.x.max(0) > 0)  # pixels that only other images have
    assert np.abs(first[unseen]).max() > 0


@pytest.mark.parametrize("arm", ["BN, statistics of all images", "BN, dropout 0.2", "no BN"])
def test_a_run_learns(arm):
    config = {**regularise.ARMS[arm], "images": 200, "batch": 20, "lr": 2.0, "seed": 0, "steps": 60}
    record = regularise.run(config, bars())
    assert record["train"] > 0.3
    assert record["gap"] == pytest.approx(record["train"] - record["test"])


def test_dropout_stands_after_each_sigmoid(monkeypatch):
    built = []
    monkeypatch.setattr(regularise, "train", lambda model, *_, **__: built.append(model))
    regularise.run(
        {"norm": "none", "batch": 20, "dropout": 0.4, "images": 100, "lr": 1.0, "seed": 0, "steps": 1}, bars()
    )
    drops = [layer for layer in built[0].modules() if isinstance(layer, nn.Dropout)]
    assert [layer.p for layer in drops] == [0.4] * 3
