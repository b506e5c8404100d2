"""The line about kernels that are compiled: at once, then now and then, with a number that never exceeds its whole."""

from minidl.lab.commands import _runs
from minidl.lab.commands._runs import announce_compiling


def test_the_first_kernel_is_told_at_once_and_later_ones_now_and_then(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(_runs.time, "monotonic", lambda: now[0])
    announce = announce_compiling(3)
    for name, seconds in ("product", 4.9), ("normalise", 0.2), ("descend", 9.0), ("extra", 1.0):
        announce(name)
        now[0] += seconds
    head = "compiling kernels, which later runs find ready: "
    assert capsys.readouterr().err.splitlines() == [
        f"{head}1 of about 3, product", f"{head}3 of about 3, descend", f"{head}4 of about 4, extra",
    ]  # fmt: skip
