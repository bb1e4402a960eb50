"""Progress on a narrow terminal, and where there is none."""

import io

import pytest
from rich.console import Console

from attnreplace_cli import console
from attnreplace_cli.console import LineProgress, TerminalProgress


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> tuple[io.StringIO, Clock]:
    """What is written, and what time it is."""
    file, clock = io.StringIO(), Clock()
    monkeypatch.setattr(console, "err", Console(file=file, highlight=False, get_time=clock))
    return file, clock


def test_lines_say_the_time_left(log: tuple[io.StringIO, Clock]):
    file, clock = log
    # Fifty of the steps were done by a run that was killed: they say nothing of the pace.
    with LineProgress().task("distill alr-s", 150, done=50) as task:
        for step in range(100):
            clock.now += 40.0
            task.advance(1, **({"loss": 0.5} if step == 5 else {}))
    lines = file.getvalue().splitlines()
    assert lines[0] == "distill alr-s: 60/150  left 1:00:00  loss 0.5"
    assert lines[1] == "distill alr-s: 75/150  left 0:50:00  loss 0.5"
    assert lines[-1] == "distill alr-s: 150/150  loss 0.5"
    assert len(lines) == 7


def test_lines_say_no_time_where_none_is_known(log: tuple[io.StringIO, Clock]):
    file, clock = log
    with LineProgress().task("translate", 20) as task:
        clock.now += 10.0
        task.advance(4, bleu=31.25)
        clock.now += 10.0
        task.advance(8)
    assert file.getvalue().splitlines() == [
        "translate: 4/20  bleu 31.25",
        "translate: 12/20  left 0:00:10  bleu 31.25",
    ]


def test_lines_leave_time_between_them(log: tuple[io.StringIO, Clock]):
    file, clock = log
    for _ in range(3):
        with LineProgress().task("short", 20) as task:
            for _ in range(20):
                clock.now += 0.4
                task.advance()
    assert file.getvalue() == ""
    with LineProgress().task("longer", 20) as task:
        for _ in range(20):
            clock.now += 1.5
            task.advance()
    assert [line.split()[1] for line in file.getvalue().splitlines()] == ["8/20", "16/20"]


def test_the_pace_is_that_of_late(log: tuple[io.StringIO, Clock]):
    file, clock = log
    with LineProgress().task("train", 100) as task:
        for step in range(50):
            clock.now += 1000.0 if step < 20 else 100.0
            task.advance()
    assert file.getvalue().splitlines()[-1] == "train: 50/100  left 1:23:20"


def test_bars_say_the_time_left_in_eighty_columns(monkeypatch: pytest.MonkeyPatch):
    file, clock = io.StringIO(), Clock()
    terminal = Console(file=file, width=80, force_terminal=True, color_system=None, get_time=clock)
    monkeypatch.setattr(console, "err", terminal)
    names = ["alr-l-summaries-decoder", "alr-m-decoder", "alr-s", "alr-xs"]
    groups = {f"group{n}": "loss 0.1234, error 0.1234" for n in range(3)}
    progress = TerminalProgress()
    with progress.task(f"distill {' '.join(names)}", 4800) as task:
        for _ in range(3):
            clock.now += 2.0
            task.advance(100, **groups)
        start = file.tell()
        assert progress._bars is not None
        progress._bars.refresh()
    last = file.getvalue()[start:]
    assert "300/4800" in last and "0:00:06 left 0:01:30" in last
    assert all(name in last for name in names)
    # Each on one line, whatever the width.
    assert all(f"{name} {figures}" in last for name, figures in groups.items())
