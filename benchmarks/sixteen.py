"""Sixteen bundles by one command, against sixteen commands for one bundle each.

Once whole, as a person waits for it, and once without the start of the commands, which sixteen pay
sixteen times. The start is measured in the same round, by commands that find their bundles
finished: they import, load the teacher, open the store and plan, and then have nothing to train.
Off each command alone goes the mean of one such command a method; off the one command its own. What
is left is the statistics of the targets, training, validation and writing.
"""

import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from attnreplace.digest import digest_file
from attnreplace.rundir import RunDir
from benchmarks.material import extracted_run
from benchmarks.measure import Row, attnreplace, settings

AT_MOST = 0.4
"""Of the time of all alone."""
METHODS = ("alr", "aslr", "alrr", "elr")
SIZES = ("xs", "s", "m", "l")


def run(
    folder: Path,
    rounds: int = 2,
    pairs: int = 800,
    preset: str = "tiny",
    methods: Sequence[str] = METHODS,
    sizes: Sequence[str] = SIZES,
    command: Callable[..., float] = attnreplace,
) -> list[Row]:
    """Compare, whole and without the start.

    Args:
        folder: where to work.
        rounds: how often, both ways in turn.
        pairs: training pairs.
        preset: the teacher's shape.
        methods: of the grid.
        sizes: of the grid.
        command: runs the program; gives the seconds.
    """
    run_dir = extracted_run(folder / f"sixteen-{preset}-{pairs}", pairs, ["encoder"], preset=preset)
    measured = [_round(command, run_dir, list(methods), list(sizes)) for _ in range(rounds)]
    count = len(methods) * len(sizes)
    alone = [sum(one.alone.values()) for one in measured]
    together = [one.together for one in measured]
    cases = {
        "": (alone, together),
        ", without the start": (
            [seconds - count * one.start for seconds, one in zip(alone, measured, strict=True)],
            [one.together - one.start_together for one in measured],
        ),
    }
    return [
        Row(
            benchmark="bundles together",
            case=f"{count} bundles, {preset} teacher{how}",
            baseline="a command for each",
            ours="one command",
            baseline_values=baseline,
            our_values=ours,
            at_most=AT_MOST,
            extra={
                "bit_equal": all(one.equal for one in measured),
                "seconds_alone": measured[-1].alone,
                "seconds_start": [one.start for one in measured],
                "seconds_start_together": [one.start_together for one in measured],
                "pairs": pairs,
            },
        )
        for how, (baseline, ours) in cases.items()
    ]


@dataclass(frozen=True)
class _Round:
    """Seconds of all commands, once."""

    alone: dict[str, float]
    """By bundle."""
    together: float
    start: float
    """Of a command for one bundle, in the mean."""
    start_together: float
    equal: bool
    """Whether both ways gave the same bundles, to the bit."""


def _round(
    command: Callable[..., float], run: RunDir, methods: list[str], sizes: list[str]
) -> _Round:
    alone: dict[str, float] = {}
    expected: dict[str, str] = {}
    starts = []
    for method in methods:
        for size in sizes:
            alone[f"{method}-{size}"] = _distill(command, run, [method], [size])
            expected |= _weights(run)
        starts.append(_start(command, run, [method], [size]))
    together = _distill(command, run, methods, sizes)
    equal = _weights(run) == expected and len(expected) == len(alone)
    start_together = _start(command, run, methods, sizes)
    return _Round(alone, together, statistics.mean(starts), start_together, equal)


def _distill(
    command: Callable[..., float], run: RunDir, methods: list[str], sizes: list[str]
) -> float:
    shutil.rmtree(run.students, ignore_errors=True)
    return _start(command, run, methods, sizes)


def _start(
    command: Callable[..., float], run: RunDir, methods: list[str], sizes: list[str]
) -> float:
    """The same command, which has nothing to do but for what is missing."""
    options = settings("distill", {"methods": methods, "sizes": sizes, "epochs": 2})
    return command("distill", "--run", str(run.path), *options)


def _weights(run: RunDir) -> dict[str, str]:
    """Digests of the weights of all bundles."""
    return {name: digest_file(run.students / name / "model.safetensors") for name in run.bundles()}
