"""`python -m benchmarks.kill`: is a killed and resumed stage the same as one left in peace?

A point is a run of a stage that is killed, up to three times, and then left to finish. All finished
files have to hold what they hold after a run without a kill, bit for bit, but for times.
"""

import os

# Before torch comes in: children are forked, and a thread pool does not survive a fork.
os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import random
import shutil
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import attnreplace.api  # noqa: F401  Imported once, for all children.
from attnreplace.rundir import write_json
from benchmarks.kill.child import AFTER, Ending, Moment, moment_of, work
from benchmarks.kill.contents import contents, differences, litter
from benchmarks.kill.stages import STAGES, Stage, prepare
from benchmarks.measure import machine

MOST_KILLS = 3
PATIENCE = 20
"""Times as long as a run without a kill may the last one take."""
RECORD = Path("experiments/results/benchmarks/kill.json")


class Trial:
    """All points of a stage."""

    def __init__(self, stage: Stage, base: Path, folder: Path, seed: int) -> None:
        self.stage, self.base, self.folder, self.seed = stage, base, folder, seed
        run = stage.begin(base, folder / "reference")
        self.reference = _succeed(work(lambda progress: stage.run(run, progress), run.path))
        self.expected = contents(run.path)

    def point(self, number: int, aimed: bool) -> dict[str, Any]:
        """One run, killed and resumed."""
        generator = random.Random(f"{self.seed}/{self.stage.name}/{number}/{aimed}")
        stage, path = self.stage, self.folder / f"{'aimed' if aimed else 'timed'}-{number}"
        run = stage.begin(self.base, path)
        overwrites = generator.random() < 0.5
        if overwrites:
            _succeed(work(lambda _: stage.stale(run), path))
        kills: list[dict[str, str]] = []
        for attempt in range(generator.choice((1, 1, 2, MOST_KILLS))):
            # There is less to do for whoever goes on.
            moment = Moment.draw(
                generator,
                aimed=aimed,
                seconds=self.reference.seconds / (1 + attempt),
                operations=self.reference.operations // (1 + attempt),
            )
            delay = generator.choice((0.0, generator.uniform(0, AFTER)))
            ending = work(lambda progress: stage.run(run, progress), path, moment, delay)
            if ending.error:
                return self._result(path, number, aimed, overwrites, kills, ending.error)
            if not ending.finished:
                kills.append(
                    {"moment": str(moment), "task": ending.task, "operation": ending.operation}
                )
        limit = PATIENCE * self.reference.seconds
        ending = work(lambda progress: stage.run(run, progress), path, Moment(seconds=limit))
        error = ending.error
        if not (ending.finished or error):
            error = f"still at work after {limit:.0f} s: {ending.operation}"
        return self._result(path, number, aimed, overwrites, kills, error)

    def _result(
        self,
        path: Path,
        number: int,
        aimed: bool,
        overwrites: bool,
        kills: list[dict[str, str]],
        error: str,
    ) -> dict[str, Any]:
        found = contents(path) if not error else {}
        wrong = [] if error else differences(self.expected, found)
        result = {
            "stage": self.stage.name,
            "point": number,
            "aimed": aimed,
            "overwrites": overwrites,
            "kills": kills,
            "different": wrong,
            "litter": [] if error else litter(self.expected, found),
            "error": error,
        }
        if not (wrong or error):
            shutil.rmtree(path)
        return result


def _succeed(ending: Ending) -> Ending:
    if not ending.finished:
        raise RuntimeError(ending.error)
    return ending


def main(
    points: Annotated[
        int,
        typer.Option(
            help="Points a stage and kind: at random times, and at random file operations."
        ),
    ] = 50,
    stages: Annotated[list[str] | None, typer.Option(help=", ".join(STAGES))] = None,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 0,
    record: Annotated[Path, typer.Option(help="Where the result goes.")] = RECORD,
) -> None:
    """Kill stages with SIGKILL, resume them and compare; exit code 1 where anything differs.

    About 12 minutes with 50 points, most of them in processes that are killed.
    """
    console = Console(highlight=False, soft_wrap=True)
    folder = Path(tempfile.mkdtemp(prefix="kill-"))
    base = folder / "base"
    base.mkdir()
    _succeed(work(lambda _: prepare(base), base))
    results: list[dict[str, Any]] = []
    durations = {}
    for name in stages or STAGES:
        trial = Trial(STAGES[name], base, folder / name, seed)
        durations[name] = trial.reference.seconds
        with console.status(name):
            for number in range(points):
                for aimed in (False, True):
                    result = trial.point(number, aimed)
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
    if any(row["survived"] < row["points"] for row in table.values()):
        console.print(f"what was found is in {folder}")
        raise typer.Exit(1)
    shutil.rmtree(folder)


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Counts by stage."""
    table = {}
    for stage in dict.fromkeys(result["stage"] for result in results):
        own = [result for result in results if result["stage"] == stage]
        table[stage] = {
            "points": len(own),
            "at_work": sum(bool(result["kills"]) for result in own),
            "kills": sum(len(result["kills"]) for result in own),
            "survived": sum(not (result["different"] or result["error"]) for result in own),
            "with_litter": sum(bool(result["litter"]) for result in own),
        }
    return table


def moments(results: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """How many kills hit which moment, by stage: the last operation on a file before them."""
    table: dict[str, Counter[str]] = {}
    for result in results:
        counts = table.setdefault(result["stage"], Counter())
        counts.update(moment_of(kill["operation"]) for kill in result["kills"])
    return {stage: dict(counts.most_common()) for stage, counts in table.items()}


def _report(console: Console, result: dict[str, Any]) -> None:
    if result["different"] or result["error"]:
        last = result["error"].strip().splitlines()[-1:]
        console.print(
            f"[red]{result['stage']}[/red] point {result['point']} "
            f"{'aimed' if result['aimed'] else 'timed'}: {result['different'] or last}\n  "
            + "\n  ".join("; ".join(kill.values()) for kill in result["kills"]),
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
