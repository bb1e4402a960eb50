"""Ratios, goals, and commands."""

import pytest

from attnreplace_cli.options import configure
from benchmarks.measure import Row, all_in_turn, in_turn, settings


def row(**goal) -> Row:
    return Row("b", "c", "plain", "ours", [6.0, 8.0, 9.0], [2.0, 2.0, 3.0], **goal)


def test_ratios_are_of_the_baseline_to_ours():
    assert row().ratios == [3.0, 3.0, 4.0]
    assert row().reached is None
    assert row(goal=3).reached
    assert not row(goal=3.1).reached


def test_a_cost_is_the_other_way_round():
    assert row(at_most=0.3).ratios == [0.25, 1 / 3, 1 / 3]
    assert not row(at_most=0.33).reached
    assert row(at_most=0.34).reached
    assert row(at_most=0.34).to_json()["ratio"]["min"] == 0.25


def test_both_are_called_in_turn():
    calls = []
    taken = in_turn(
        lambda: calls.append("a"),
        lambda: calls.append("b"),
        seconds=0,
        before=lambda: calls.append("-"),
    )
    assert [len(times) for times in taken] == [3, 3]
    assert calls == ["-", "a", "-", "b"] * 4


def test_every_round_has_an_order_of_its_own():
    calls = []
    names = "abcdefgh"
    for _ in range(2):
        taken = all_in_turn(
            {name: lambda name=name: calls.append(name) for name in names},
            seconds=60,
            most=4,
            shuffled=True,
        )
        assert {name: len(times) for name, times in taken.items()} == dict.fromkeys(names, 4)
    rounds = ["".join(calls[i : i + 8]) for i in range(0, len(calls), 8)]
    assert rounds[:5] == rounds[5:]
    assert len(set(rounds)) == 5
    assert all(sorted(one) == list(names) for one in rounds)


def test_settings_are_understood_by_the_program(tmp_path):
    from attnreplace.rundir import RunDir

    options = settings("distill", {"methods": ["elr"], "layers": "0,2", "epochs": 2, "seed": 7})
    assignments = options[1::2]
    assert options[::2] == ["--set"] * 4
    distill = configure(RunDir(tmp_path), {}, assignments).distill
    assert (distill.methods, distill.layers, distill.epochs, distill.seed) == (["elr"], "0,2", 2, 7)


def test_a_failed_process_is_an_error():
    from benchmarks.measure import python

    with pytest.raises(RuntimeError, match="no_such_module"):
        python("no_such_module")
