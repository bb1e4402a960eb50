"""Scores of many experiments side by side: a row a system, a column an experiment's test set."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any, NamedTuple

from attnreplace.report.metrics import Measure
from attnreplace.report.numbers import difference
from attnreplace.report.overview.experiments import Experiment
from attnreplace.report.result import Result, any_seed
from attnreplace.report.scopes import Scope
from attnreplace.report.selection import headline_beam
from attnreplace.report.tables import NOTHING, Column, Row, as_markdown


class System(NamedTuple):
    """What has one row, whichever experiment it was evaluated in."""

    kind: str
    scope: Scope
    label: str

    @classmethod
    def of(cls, result: Result) -> "System":
        """The system of a result; those that differ in their seed are one."""
        return cls(result.kind, result.scope, any_seed(result.label))


TEACHER = System("teacher", Scope(()), "Teacher")

Texts = Sequence[tuple[str, Callable[[Sequence[Result]], str]]]
"""Headings of the columns that say what a system is, from all its results."""

SYSTEM = "System", lambda results: System.of(results[0]).label
SCOPE = "Attention", lambda results: results[0].scope.word or NOTHING
KIND = "Kind", lambda results: results[0].nature or NOTHING


@dataclass(frozen=True)
class Found:
    """A system's results at one beam width: its seeds."""

    results: tuple[Result, ...]
    beam: int | None
    measure: Measure

    @property
    def score(self) -> float:
        """Their mean."""
        return fmean(result.score for result in self.results)

    @property
    def text(self) -> str:
        """Mean ± standard deviation."""
        column = Column("", lambda r: r.score, self.measure.text, self.beam, spread=True)
        return Row(self.results).cell(column)


@dataclass(frozen=True)
class Trial:
    """An experiment on one of its test sets."""

    experiment: Experiment
    test_set: str

    @cached_property
    def systems(self) -> dict[System, list[Result]]:
        """All results, by system, compared by the experiment's first measure."""
        groups: dict[System, list[Result]] = {}
        for result in self.experiment.results:
            if result.test_set == self.test_set and result.measure is self.measure:
                groups.setdefault(System.of(result), []).append(result)
        return groups

    @property
    def measure(self) -> Measure:
        """What systems are compared by."""
        return self.experiment.results[0].measure

    @cached_property
    def beam(self) -> int | None:
        """The beam width that is meant where no other is named: half of the systems have it."""
        beams = [beam for found in self.systems.values() for beam in {r.beam for r in found}]
        results = [result for found in self.systems.values() for result in found]
        common = [r for r in results if 2 * beams.count(r.beam) >= len(self.systems)]
        return headline_beam(common or results)

    def find(self, system: System, beam: int | None = None) -> Found | None:
        """A system at one beam width: the usual one, or where it lacks that, the widest it has."""
        results = self.systems.get(system, [])
        beams = {r.beam for r in results}
        usual = self.beam if self.beam in beams else headline_beam(results)
        beam = usual if beam is None else beam
        chosen = tuple(r for r in results if r.beam == beam)
        return Found(chosen, beam, self.measure) if chosen else None

    def difference(self, system: System) -> float | None:
        """A system's mean score less the teacher's at the same beam width."""
        found = self.find(system)
        teacher = self.find(TEACHER, found.beam) if found else None
        return found.score - teacher.score if found and teacher else None

    def cell(self, system: System, differs: bool) -> str:
        """`38.2 ± 0.1 (+0.4)`, and the beam width where it is not the usual one."""
        found = self.find(system)
        if found is None:
            return NOTHING
        text, apart = found.text, self.difference(system)
        if differs and apart is not None and system != TEACHER:
            text += f" ({difference(apart)})"
        return text if found.beam == self.beam else f"{text}, beam {found.beam}"

    @property
    def data(self) -> tuple[str, str]:
        """Languages, or the experiment where there are none, and test set."""
        return self.experiment.results[0].pair or self.experiment.name, self.test_set

    def heading(self, page: str, named: bool) -> str:
        """Its heading in a Markdown table, which links to the experiment on a page."""
        (first, test_set), name = self.data, self.experiment.name
        # A long name may be broken, or it is all of a column's width.
        words = [f"[{first}]({page}#{name})", test_set.replace("_", "_<wbr>")]
        words += [] if self.beam is None else [f"beam {self.beam}"]
        return "<br>".join([*words, name] if named else words)


def trials_of(experiments: Iterable[Experiment]) -> list[Trial]:
    """Every experiment on each of its test sets."""
    return [Trial(one, test_set) for one in experiments for test_set in one.test_sets]


def joint_table(
    trials: Sequence[Trial],
    texts: Texts,
    wanted: Callable[[Result], bool] = lambda result: True,
    order: Callable[[Result], Any] = lambda result: result.rank,
    *,
    differs: bool = False,
    page: str = "",
) -> str:
    """A Markdown table of all systems of some trials; what was not evaluated has a dash.

    Args:
        trials: the columns.
        texts: the columns that say what a system is; one that says nothing of any is left out.
        wanted: which results have a row.
        order: sort key of the rows.
        differs: whether cells also say what is between a score and the teacher's.
        page: what headings link to; empty: the same page.
    """
    groups: dict[System, list[Result]] = {}
    for trial in trials:
        for system, results in trial.systems.items():
            chosen = [result for result in results if wanted(result)]
            if chosen:
                groups.setdefault(system, []).extend(chosen)
    systems = sorted(groups, key=lambda system: min(map(order, groups[system])))
    said = {heading: [text(groups[system]) for system in systems] for heading, text in texts}
    columns = {h: column for h, column in said.items() if set(column) != {NOTHING}}
    scores = [[trial.cell(system, differs) for system in systems] for trial in trials]
    # Experiments are named where their data do not tell them apart.
    named = Counter(trial.data for trial in trials)
    header = [*columns, *(trial.heading(page, named[trial.data] > 1) for trial in trials)]
    rows = zip(*columns.values(), *scores, strict=True)
    return as_markdown(header, list(rows), texts=len(columns))
