"""Tables: the numbers of the record, and what an eye needs to judge them."""

import json

import pytest

from minidl.lab.bench.cases import conv2d
from minidl.lab.bench.parts import Measurement
from minidl.lab.bench.report import as_markdown, as_text, changes
from tests.lab.bench.fakes import a_record, measured, training
from tests.lab.bench.test_record import LIMITS

STEP = training(
    minidl=measured([0.001, 0.0015, 0.003], [0.0025], first=9),
    eager=measured([0.003] * 3, [0.01]),
    jax=measured([0.003] * 3, [0.003]),
)
OPERATION = Measurement(
    "ops", conv2d(2, 8, 4, 4), 2, {"minidl": measured([0.001], [0.001]), "torch eager": measured([0.012], [0.012])}
)
GROWTH = [
    training("scaling", batch=batch, threads=threads, minidl=measured([batch * 1e-4 / threads]), eager=measured([0.01]))
    for batch, threads in ((8, 2), (32, 2), (60, 1))
]


def lines(text, *words):
    return [line for line in text.splitlines() if all(word in line for word in words)]


@pytest.fixture
def record():
    return json.loads(json.dumps(a_record(*LIMITS, STEP, OPERATION, *GROWTH, peers=("torch eager", "jax jit"))))


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_networks(record):
    text = as_markdown(record)
    head = cells(*lines(text, "network", "contender"))
    (ours,) = (cells(line) for line in lines(text, "mlp, batch 60 | minidl"))
    row = dict(zip(head, ours, strict=True))
    assert row["ms a step"] == "2.00 (1.75–2.25)"
    assert row["speed, eager = 1"] == "3.00 (2.50–3.50)"
    assert row["speed, fastest peer = 1"] == "1.60 (1.40–1.80)"
    assert row["first step"] == "9.00 s"
    assert row["memory"] == "200 MB"
    (eager,) = (cells(line) for line in lines(text, "mlp, batch 60 | torch eager"))
    assert dict(zip(head, eager, strict=True))["speed, eager = 1"] == "1"
    (jax,) = (cells(line) for line in lines(text, "mlp, batch 60 | jax jit"))
    assert dict(zip(head, jax, strict=True))["speed, fastest peer = 1"] == "1"


def test_a_busy_machine_is_compared_with_the_quiet_one():
    busy = training("busy", minidl=measured([0.003]), eager=measured([0.03]), jax=measured([0.006]))
    text = as_markdown(a_record(*LIMITS, STEP, busy, peers=("torch eager", "jax jit")))
    head = cells(*lines(text, "ms a step, busy"))
    rows = [cells(line) for line in lines(text, "mlp, batch 60")]
    ours, eager, jax = (dict(zip(head, row, strict=True)) for row in rows if len(row) == len(head))
    assert (ours["ms a step, busy"], ours["busy / quiet"]) == ("3.00 (3.00–3.00)", "1.50")
    assert (eager["busy / quiet"], jax["busy / quiet"]) == ("4.62", "2.00")
    assert (ours["speed, eager = 1"], ours["speed, fastest peer = 1"]) == ("10.0 (10.0–10.0)", "2.00 (2.00–2.00)")
    alone = as_markdown(a_record(*LIMITS, busy))
    assert "| 3.00 (3.00–3.00) | – |" in alone


def test_operations_and_scaling(record):
    text = as_markdown(record)
    (operation,) = lines(text, "2×8×8×4→4, 3×3")
    assert "forward + backward" in operation
    assert "12.0 (12.0–12.0)" in operation  # speed; and ms of eager
    assert cells(operation)[-1].endswith("%")
    growth = [cells(line)[:4] for line in lines(text, "| mlp | ")]
    assert growth == [
        ["mlp", "8", "2", "0.400 (0.400–0.400)"], ["mlp", "32", "2", "1.60 (1.60–1.60)"],
        ["mlp", "60", "1", "6.00 (6.00–6.00)"],
    ]  # fmt: skip


def test_the_circumstances_are_told(record):
    record |= {"isa": "avx2", "pinned_in_environment": {"OPENBLAS_CORETYPE": "Haswell"}}
    for text in (as_text(record), as_markdown(record)):
        assert record["date"][:10] in text
        assert record["machine"]["processor"] in text
        assert "at most AVX2" in text
        assert "set aside, as found in the environment: OPENBLAS_CORETYPE=Haswell" in text
        assert "100 GFLOP/s" in text
        assert "10.0 GB/s" in text
        assert "Left out: torch.compile on mlp batch 60: RuntimeError: no compiler" in text
    assert "`minidl bench --networks mlp`" in as_markdown(record)


def test_columns_of_the_terminal_line_up(record):
    rows = lines(as_text(record), "mlp, batch 60")
    assert len(rows) == 3
    assert len({row.index(" MB") for row in rows}) == 1


def test_without_peers_there_is_no_speed_to_compare():
    record = a_record(training(minidl=measured([0.002])), peers=())
    assert "speed" not in lines(as_text(record), "network", "contender")[0]
    assert lines(as_text(record), "mlp, batch 60", "2.00 (2.00–2.00)")


def test_without_minidl_the_peers_are_still_shown():
    record = a_record(
        training(eager=measured([0.002])), Measurement("ops", OPERATION.case, 2, {"torch eager": measured([0.1])})
    )
    assert lines(as_text(record), "mlp, batch 60", "torch eager", "2.00")
    assert lines(as_text(record), "conv2d", "–", "100")


@pytest.mark.parametrize(("cores", "warned"), [(1.95, False), (0.7, True)])
def test_a_busy_machine_is_told(record, cores, warned):
    for entry in record["results"]:
        if entry["part"] == "limits":
            entry["contenders"]["numpy"]["cores_busy"] = cores
    assert bool(lines(as_text(record), "WARNING", "of 2 cores", "0.700")) is warned
    assert bool(lines(as_markdown(record), "WARNING")) is warned


def test_a_small_product_says_nothing_about_the_machine(record):
    for entry in record["results"]:
        entry["gflop"] = 0.001
    assert not lines(as_text(record), "WARNING")


def versions(*pairs):
    """A record of this and that minidl, from pairs of times by round."""
    measurements = [
        training("scaling", batch=8 + i, this=measured(*([t] for t in this)), that=measured(*([t] for t in that)))
        for i, (this, that) in enumerate(pairs)
    ]
    return a_record(*measurements, ours=("this", "that"), peers=())


def test_changes_between_two_versions():
    same, noisy = [1.0, 1.01, 0.99], [0.5, 1.0, 2.0]
    record = versions((same, same), (same, [2.0] * 3), ([2.0] * 3, same), (noisy, [1.1] * 3), ([1.03] * 3, same))
    told = changes(record).splitlines()
    assert len(told) == 3
    assert told[0].startswith("SLOWER: mlp batch 10 2 threads: 0.50")
    assert told[1].startswith("faster: mlp batch 9 2 threads: 2.00")
    assert told[2].startswith("no difference")
    assert told[2].endswith("3 cases")
    assert "speed, that = 1" in as_text(record)


def test_changes_of_replays():
    fast, slow = measured([1.0], [1.0]), measured([2.0], [2.0])
    both = {"this": slow, "that": slow, "this, fused and replayed": slow, "that, fused and replayed": fast}
    told = changes(a_record(training("networks", batch=8, **both), ours=("this", "that"), peers=())).splitlines()
    assert [line.split(" (")[0] for line in told] == [
        "SLOWER: mlp batch 8, fused and replayed: 0.50", "no difference beyond the spread and 5 %: 1 cases"
    ]  # fmt: skip
