"""What a person is told of students in training."""

from types import SimpleNamespace
from typing import Any

from attnreplace.distill.figures import BY_LAYER, NAMED, WIDTH, summary
from attnreplace.distill.trainee import TraineeKey
from attnreplace.hosts import Site


def trainee(bundle: str, layer: int, errors: list[float], best: int = 0) -> Any:
    """What `summary` reads of a student."""
    site = Site("encoder", "self", layer)
    cut = SimpleNamespace(location=SimpleNamespace(site=site))
    return SimpleNamespace(
        key=TraineeKey(bundle, str(site)), cut=cut, errors=errors, best_epoch=best
    )


def test_errors_of_the_best_epochs_by_layer():
    students = [
        trainee("alr-m", 0, [0.5, 0.25], best=1),
        trainee("alr-m", 2, [0.125, 0.75]),
        # Of the others this pass has one layer.
        trainee("elr-xs-s1", 2, [1.0625]),
    ]
    assert summary(students).splitlines() == [
        "relative error by layer",
        "               0      2",
        "alr-m     0.2500 0.1250",
        "elr-xs-s1        1.0625",
    ]


def test_four_bundles_of_six_layers_are_a_line_each():
    names = ["alr-l-summaries-decoder-s1", "alr-m", "alr-s", "alr-xs"]
    lines = summary(trainee(name, i, [0.1 * i]) for name in names for i in range(6)).splitlines()
    assert len(lines) == 2 + len(names)
    assert lines[2] == "alr-l-summaries-decoder-s1 0.0000 0.1000 0.2000 0.3000 0.4000 0.5000"
    assert all(len(line) <= WIDTH for line in lines)


def test_what_is_too_wide_goes_on_below():
    name = "alr-l-summaries-decoder-s1"
    lines = summary(trainee(name, i, [i / 100]) for i in range(12)).splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    assert [line.split() for line in lines[1::2]] == [
        ["0", "1", "2", "3", "4", "5", "6"],
        ["7", "8", "9", "10", "11"],
    ]
    assert lines[4].split() == [name, "0.0700", "0.0800", "0.0900", "0.1000", "0.1100"]


def test_many_bundles_or_students_are_means():
    many = [trainee(f"alr-{n}", i, [0.25 + 0.5 * i]) for n in range(NAMED + 1) for i in range(2)]
    assert summary(many) == "relative error " + ", ".join(
        f"alr-{n} 0.5000" for n in range(NAMED + 1)
    )
    deep = [trainee("alr-m", i, [0.5]) for i in range(BY_LAYER + 1)]
    assert summary(deep) == "relative error alr-m 0.5000"
    assert len(summary(deep[:-1]).splitlines()) > 2
