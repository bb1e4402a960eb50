"""What students and attention cost: counted for every shape, timed for those within a budget."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from attnreplace.errors import UserError
from attnreplace.rundir import read_json, write_json
from benchmarks.measure import all_in_turn, machine
from benchmarks.scaling.calls import Subject, whats_of
from benchmarks.scaling.counts import count_shape
from benchmarks.scaling.shapes import SYSTEMS, Shape

MEMORY = 1e9
"""Bytes that a student may take in training, to be timed."""
MINUTES = 9.0
"""Of CPU time, for all timings; counting takes about one more."""
SECONDS = 0.5
"""For the timings of all systems in one shape and of one kind, about."""
ROUNDS = 15
"""Of timings, at most."""
ROUNDED = 3
"""Significant digits of recorded seconds."""

Counts = dict[str, dict[str, dict[str, dict[str, int]]]]
"""By shape, system and call: what `count_shape` gives."""


def count_all(path: Path, shapes: Iterable[Shape], note: Callable[[str], None]) -> Counts:
    """Count every system in every shape that the record lacks.

    Args:
        path: of the record.
        shapes: what to count.
        note: is told what is done.
    """
    record = _begin(path, "counts")
    for shape in shapes:
        counted = record["counts"].setdefault(shape.key, {})
        missing = [name for name in SYSTEMS if name not in counted]
        if missing:
            note(f"counting {shape.key}: {', '.join(missing)}")
            counted |= {name: count_shape(name, shape) for name in missing}
    write_json(path, record)
    return record["counts"]


def time_all(
    path: Path,
    shapes: Iterable[Shape],
    counts: Counts,
    note: Callable[[str], None],
    *,
    minutes: float = MINUTES,
    memory: float = MEMORY,
    seconds: float = SECONDS,
) -> None:
    """Time every shape that the record lacks, the cheapest first, until the time is spent.

    A shape that lacks but one of the systems is timed anew with all of them, for what is compared
    was measured in one run.

    Times are those of the processor and not of the clock on the wall, on one thread, in float32.
    All systems of a shape take turns, so that each finds the caches as another left them, as the
    layers of a model do, and in another order each round, so that it is not always the same one.

    Args:
        path: of the record; it is written after every shape.
        shapes: what to time.
        counts: of these shapes.
        note: is told what is done.
        minutes: of CPU time, over all times that this was called; no shape is begun after them.
        memory: bytes that a student may take in training.
        seconds: for one kind of call in one shape, about.

    Raises:
        UserError: the record was made on another machine.
    """
    record = _begin(path, "seconds")
    here = machine()
    if record.setdefault("machine", here) != here:
        raise UserError(f"{path} was measured on another machine; move it away to measure anew")
    record |= {"training_bytes": memory, "cpu_seconds": record.get("cpu_seconds", 0)}
    for shape in sorted(shapes, key=lambda shape: _operations(counts[shape.key], memory)):
        systems = _within(counts[shape.key], memory)
        if set(systems) <= set(record["seconds"].get(shape.key, ())):
            continue
        if record["cpu_seconds"] >= 60 * minutes:
            note("the time is spent: the rest is extrapolated")
            break
        note(f"timing {shape.key}: {', '.join(systems)}")
        before = time.process_time()
        record["seconds"][shape.key] = _time(shape, systems, seconds)
        record["cpu_seconds"] += round(time.process_time() - before, 1)
        write_json(path, record)


def _begin(path: Path, name: str) -> dict[str, Any]:
    if path.is_file():
        return read_json(path, dict)
    return {
        "schema": f"attnreplace.scaling-{name}/1",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        name: {},
    }


def _within(counts: Mapping[str, Any], memory: float) -> list[str]:
    return [name for name in SYSTEMS if counts[name]["size"]["training_bytes"] <= memory]


def _operations(counts: Mapping[str, Any], memory: float) -> int:
    return sum(counts[name]["train"]["flops"] for name in _within(counts, memory))


def _time(shape: Shape, systems: list[str], seconds: float) -> dict[str, dict[str, list[float]]]:
    """Seconds of every system and call, round by round."""
    torch.manual_seed(0)
    subjects = {system: Subject(system, shape) for system in systems}
    taken: dict[str, dict[str, list[float]]] = {system: {} for system in systems}
    for what in whats_of(shape):
        calls = {
            system: subject.trainer() if what == "train" else subject.user(what)
            for system, subject in subjects.items()
        }
        times = all_in_turn(
            calls, seconds=seconds, most=ROUNDS, clock=time.process_time, shuffled=True
        )
        for system in systems:
            taken[system][what] = [float(f"{value:.{ROUNDED}g}") for value in times[system]]
    return taken
