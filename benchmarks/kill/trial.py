"""Points of a stage: runs that are killed and resumed, and what is left."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.kill.child import AFTER, Ending, Moment, moment_of, work
from benchmarks.kill.contents import contents, differences, litter
from benchmarks.kill.stages import Stage

MOST_KILLS = 3
PATIENCE = 20
"""Times as long as a run without a kill may the last one take."""
TRIES = 10
"""Points at most, for each that is wanted."""


class Trial:
    """All points of a stage."""

    def __init__(self, stage: Stage, base: Path, folder: Path, seed: int) -> None:
        self.stage, self.base, self.folder, self.seed = stage, base, folder, seed
        run = stage.begin(base, folder / "reference")
        self.reference = succeed(work(lambda progress: stage.run(run, progress), run.path))
        self.begun = self.reference.begun or 0.0
        self.expected = contents(run.path)

    def point(self, number: int, aimed: bool) -> dict[str, Any]:
        """One run, killed and resumed."""
        generator = random.Random(f"{self.seed}/{self.stage.name}/{number}/{aimed}")
        stage, path = self.stage, self.folder / f"{'aimed' if aimed else 'timed'}-{number}"
        run = stage.begin(self.base, path)
        overwrites = generator.random() < 0.5
        if overwrites:
            succeed(work(lambda _: stage.stale(run), path))
        kills: list[dict[str, Any]] = []
        for attempt in range(generator.choice((1, 1, 2, MOST_KILLS))):
            # There is less to do for whoever goes on, but as much before the first write.
            moment = Moment.draw(
                generator,
                aimed=aimed,
                begun=self.begun,
                seconds=self.begun + (self.reference.seconds - self.begun) / (1 + attempt),
                operations=self.reference.operations // (1 + attempt),
            )
            delay = generator.choice((0.0, generator.uniform(0, AFTER)))
            ending = work(lambda progress: stage.run(run, progress), path, moment, delay)
            if ending.error:
                return self._result(path, number, aimed, overwrites, kills, ending.error)
            if not ending.finished:
                kills.append(
                    {
                        "moment": str(moment),
                        "task": ending.task,
                        "operation": ending.operation,
                        "effective": ending.effective,
                    }
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
        kills: list[dict[str, Any]],
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


def succeed(ending: Ending) -> Ending:
    """The ending of work that nothing should have ended early."""
    if not ending.finished:
        raise RuntimeError(ending.error)
    return ending


def until_effective(
    point: Callable[[int, bool], dict[str, Any]], wanted: int
) -> Iterator[dict[str, Any]]:
    """Points of both kinds in turn, until so many of each had an effective kill."""
    missing = {False: wanted, True: wanted}
    for number in range(TRIES * wanted):
        for aimed in missing:
            if missing[aimed]:
                result = point(number, aimed)
                missing[aimed] -= _effective(result) > 0
                yield result


def _effective(result: dict[str, Any]) -> int:
    return sum(kill["effective"] for kill in result["kills"])


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Counts by stage."""
    table = {}
    for stage in dict.fromkeys(result["stage"] for result in results):
        own = [result for result in results if result["stage"] == stage]
        table[stage] = {
            "points": len(own),
            "effective_points": sum(_effective(result) > 0 for result in own),
            "kills": sum(len(result["kills"]) for result in own),
            "effective_kills": sum(_effective(result) for result in own),
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
