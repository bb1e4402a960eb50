"""Sixteen bundles by one command, against sixteen commands for one bundle each."""

import shutil
from collections.abc import Callable, Sequence
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
    """Compare.

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
    alone, together = [], []
    equal = True
    for _ in range(rounds):
        single = {
            f"{method}-{size}": (_distill(command, run_dir, [method], [size]), _weights(run_dir))
            for method in methods
            for size in sizes
        }
        alone.append(sum(seconds for seconds, _ in single.values()))
        together.append(_distill(command, run_dir, list(methods), list(sizes)))
        expected = {
            name: digest for _, weights in single.values() for name, digest in weights.items()
        }
        equal = equal and _weights(run_dir) == expected and len(expected) == len(single)
    return [
        Row(
            benchmark="bundles together",
            case=f"{len(methods) * len(sizes)} bundles, {preset} teacher",
            baseline="a command for each",
            ours="one command",
            baseline_values=alone,
            our_values=together,
            at_most=AT_MOST,
            extra={
                "bit_equal": equal,
                "seconds_alone": {name: seconds for name, (seconds, _) in single.items()},
                "pairs": pairs,
            },
        )
    ]


def _distill(
    command: Callable[..., float], run: RunDir, methods: list[str], sizes: list[str]
) -> float:
    shutil.rmtree(run.students, ignore_errors=True)
    options = settings("distill", {"methods": methods, "sizes": sizes, "epochs": 2})
    return command("distill", "--run", str(run.path), *options)


def _weights(run: RunDir) -> dict[str, str]:
    """Digests of the weights of all bundles."""
    return {name: digest_file(run.students / name / "model.safetensors") for name in run.bundles()}
