"""`python -m benchmarks.kill`: is a killed and resumed stage the same as one left in peace?

A point is a run of a stage that is killed, up to three times, and then left to finish. All finished
files have to hold what they hold after a run without a kill, bit for bit, but for times.

A kill is effective if the stage had begun to write and had not finished: earlier there is nothing
to lose, later nothing to resume. Points go on until as many as wanted had an effective kill.
"""

import os

# Before torch comes in: children are forked, and a thread pool does not survive a fork.
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import attnreplace.api  # noqa: F401  Imported once, for all children.
from attnreplace.rundir import write_json
from benchmarks.kill.child import work
from benchmarks.kill.stages import STAGES, prepare
from benchmarks.kill.trial import Trial, moments, succeed, summary, until_effective
from benchmarks.measure import machine

RECORD = Path("experiments/results/benchmarks/kill.json")


def main(
    points: Annotated[
        int,
        typer.Option(
            help="Points with an effective kill, a stage and kind: at random times, and at "
            "random file operations."
        ),
    ] = 25,
    stages: Annotated[list[str] | None, typer.Option(help=", ".join(STAGES))] = None,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    record: Annotated[Path, typer.Option(help="Where the result goes.")] = RECORD,
) -> None:
    """Kill stages with SIGKILL, resume them and compare; exit code 1 where anything differs.

    68 minutes with 25 points of each kind, on two cores that others kept busy.
    """
    console = Console(highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    base = folder / "base"
    base.mkdir()
    succeed(work(lambda _: prepare(base), base))
    results: list[dict[str, Any]] = []
    durations = {}
    for name in stages or STAGES:
        trial = Trial(STAGES[name], base, folder / name, seed)
        durations[name] = trial.reference.seconds
        with console.status(name):
            for result in until_effective(trial.point, points):
                results.append(result)
                _report(console, result)
        # After each stage: what was found should not be lost with the rest.
        write_json(
            record,
            {
                "schema": "attnreplace.kill/1",
                "machine": machine(),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "seed": seed,
                "seconds_uninterrupted": durations,
                "stages": summary(results),
                "moments": moments(results),
                "points": results,
            },
        )
    table = summary(results)
    console.print(_table(table))
    console.print(f"record: {record}")
    few = [name for name, row in table.items() if row["effective_points"] < 2 * points]
    if few:
        console.print(f"[red]too few effective kills:[/red] {', '.join(few)}", markup=True)
    if few or any(row["survived"] < row["points"] for row in table.values()):
        console.print(f"what was found is in {folder}")
        raise typer.Exit(1)
    shutil.rmtree(folder)


def _report(console: Console, result: dict[str, Any]) -> None:
    if result["different"] or result["error"]:
        last = result["error"].strip().splitlines()[-1:]
        console.print(
            f"[red]{result['stage']}[/red] point {result['point']} "
            f"{'aimed' if result['aimed'] else 'timed'}: {result['different'] or last}\n  "
            + "\n  ".join("; ".join(map(str, kill.values())) for kill in result["kills"]),
            markup=True,
        )


def _table(summary: dict[str, dict[str, int]]) -> Table:
    columns = list(next(iter(summary.values())))
    table = Table("stage", *(column.replace("_", " ") for column in columns))
    for stage, row in summary.items():
        table.add_row(stage, *(str(row[column]) for column in columns))
    return table


if __name__ == "__main__":
    typer.run(main)
