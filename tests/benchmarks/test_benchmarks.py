"""Every benchmark runs, at a size at which its figures mean nothing but its equalities do."""

import time
from pathlib import Path

import pytest

from benchmarks import decoder_generation, decoder_training, extraction, grid, reader, sixteen
from benchmarks.plain.distillation import train


def test_decoder_training(tmp_path):
    rows = decoder_training.run(tmp_path, seconds=0, d_model=4, positions=8, batch=3)
    assert [row.case for row in rows] == ["size S", "size M", "size L"]
    assert all(row.extra["largest_difference"] < 1e-5 for row in rows)


def test_decoder_generation(tmp_path, monkeypatch):
    monkeypatch.setattr(decoder_generation, "LENGTHS", (2, 12))
    monkeypatch.setattr(decoder_generation, "BATCHES", (1,))
    rows = decoder_generation.run(tmp_path, seconds=0, preset="tiny", size="xs")
    state = {row.case: row.extra["our_state_bytes"] for row in rows}
    # Keys and values of the cross-attention stay where only the decoder's own is replaced.
    assert state["decoder, batch 1, length 2"] < state["decoder, batch 1, length 12"]
    both = "decoder and cross, batch 1, length"
    assert state[f"{both} 2"] == state[f"{both} 12"] > 0
    teacher = {row.case: row.extra["teacher_state_bytes"] for row in rows}
    assert teacher[f"{both} 2"] < teacher[f"{both} 12"]


def test_extraction(tmp_path):
    rows = extraction.run(tmp_path, seconds=0, pairs=40, preset="tiny")
    sizes = [row for row in rows if row.unit == "B"]
    assert [row.case for row in sizes] == ["encoder, bytes", "all sites, bytes"]
    for row in sizes:
        # Besides the tensors only what describes them.
        assert 0 < row.our_values[0] - row.baseline_values[0] < 200_000
    assert sizes[1].extra["tokens"]["target"] > 0


def test_reader(tmp_path):
    memory, seconds = reader.run(
        tmp_path, seconds=0, processes=1, pairs=100, batch_tokens=64, preset="tiny"
    )
    assert memory.at_most == 1.0
    assert memory.our_values[0] > 0
    assert seconds.extra["mb_per_second"] > 0


def test_the_rise_of_memory_is_the_highest():
    def hold_for_a_moment() -> None:
        bytearray(b"1") * 50_000_000

    assert 45e6 < reader.rise(hold_for_a_moment) < 60e6


def test_sixteen(tmp_path, command):
    def steady(*arguments):
        """The command, in as many seconds as it has bundles to train, and half a one to start."""
        students = Path(arguments[2]) / "students"
        before = {path: path.stat().st_mtime_ns for path in students.glob("*/*.safetensors")}
        command(*arguments)
        after = {path: path.stat().st_mtime_ns for path in students.glob("*/*.safetensors")}
        assert before.items() <= after.items()
        return 0.5 + len(after) - len(before)

    whole, started = sixteen.run(
        tmp_path, rounds=1, pairs=40, methods=["alr", "elr"], sizes=["xs"], command=steady
    )
    assert whole.extra["bit_equal"] and whole.extra == started.extra
    assert whole.extra["seconds_alone"] == {"alr-xs": 1.5, "elr-xs": 1.5}
    assert (whole.baseline_values, whole.our_values) == ([3.0], [2.5])
    assert (started.baseline_values, started.our_values) == ([2.0], [2.0])


@pytest.mark.parametrize("group", ["encoder", "decoder"])
def test_grid(tmp_path, command, group):
    def plain(job):
        started = time.perf_counter()
        figures = train(job)
        return time.perf_counter() - started, figures

    small = grid.Grid(group, ("alr",), ("xs",), goal=5, updates=3)
    (row,) = grid.run(
        tmp_path,
        [small],
        1,
        pairs=40,
        batch_tokens=200,
        preset="tiny",
        command=command,
        plain=plain,
    )
    measured = row.extra["rounds"][0]["measured"]
    assert measured["multiplied_by_layers"] == 2
    student = measured["plain_by_student"]["alr-xs"]
    assert row.baseline_values == [2 * student["seconds"]]
    assert 200 / 2 < measured["plain_sentences_in_batch"] * measured["mean_length"] < 200 * 1.3
