"""What the headline shows: of every kind of student the best, by what is replaced."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from attnreplace.report.overview.experiments import Experiment, by_study
from attnreplace.report.overview.trials import System, Trial
from attnreplace.report.result import KINDS as SYSTEMS
from attnreplace.report.result import Result, position
from attnreplace.report.scopes import Scope
from attnreplace.report.selection import first_test_set
from attnreplace.students import KINDS
from attnreplace.tune.folder import TUNED

REMOVED = "removed"
SCRATCH = "from scratch"
STAGES = ("each layer alone", "tuned as a whole", SCRATCH)
"""How students came to be: from the teacher's activations; trained in the spliced model, after that
or at once; with a whole model, nothing of which was ever trained."""


@dataclass(frozen=True)
class Choice:
    """A system, and how far it is from the teacher."""

    system: System
    nature: str
    """The kind of its students, as in a result; `REMOVED` where there are none."""

    stage: str
    """One of `STAGES`; empty where nothing was trained."""

    differences: tuple[float, ...]
    """Its score less the teacher's, in each trial that has it."""

    @property
    def mean(self) -> float:
        """The mean difference."""
        return fmean(self.differences)

    @property
    def place(self) -> tuple[Any, ...]:
        """Sort key: what is replaced, by what, how it was trained."""
        return self.system.scope.order, nature_place(self.nature), position(self.stage, STAGES)

    @property
    def merit(self) -> tuple[int, float]:
        """What is in more of the trials goes before what has a better mean in fewer."""
        return len(self.differences), self.mean


@dataclass(frozen=True)
class Headline:
    """Experiments of one study, each on its first test set."""

    trials: tuple[Trial, ...]

    @property
    def corpus(self) -> str:
        """What was trained on."""
        return self.trials[0].experiment.corpus

    @cached_property
    def choices(self) -> list[Choice]:
        """Attention removed, and of each kind and stage the system with the best mean score.

        All of them replace every layer.
        """
        best: dict[tuple[Scope, str, str], Choice] = {}
        results = {s: (t, r[0]) for t in self.trials for s, r in t.systems.items()}
        for system, (where, result) in results.items():
            if result.kind not in (REMOVED, "student") or not where.experiment.is_whole(result):
                continue
            differences = [trial.difference(system) for trial in self.trials]
            known = tuple(value for value in differences if value is not None)
            if known:
                nature = REMOVED if result.kind == REMOVED else result.nature
                one = Choice(system, nature, stage_of(result), known)
                key = system.scope, one.nature, one.stage
                best[key] = max(best.get(key, one), one, key=lambda c: c.merit)
        return sorted(best.values(), key=lambda choice: choice.place)

    @property
    def foremost(self) -> list[Choice]:
        """The choices, but of several stages only the best."""
        best: dict[tuple[Scope, str], Choice] = {}
        for choice in self.choices:
            key = choice.system.scope, choice.nature
            best[key] = max(best.get(key, choice), choice, key=lambda c: c.merit)
        return list(best.values())


def headline_of(experiments: Sequence[Experiment]) -> Headline | None:
    """The headline's experiments; None where there are none of translation.

    Those of one study, as they are named alike for other languages: the one that has most of them
    among those that compare kinds of students.
    """
    translations = [one for one in experiments if one.translates]
    groups = by_study([one for one in translations if one.compares] or translations)
    if not groups:
        return None
    chosen = max(
        groups.values(), key=lambda group: (len(group), sum(len(e.results) for e in group))
    )
    return Headline(tuple(Trial(one, first_test_set(one.results)) for one in chosen))


def stage_of(result: Result) -> str:
    """Which of `STAGES` a system went through last; nothing where none was trained."""
    if result.kind != "student":
        return ""
    if not result.name.startswith(TUNED):
        return STAGES[0]
    return SCRATCH if SCRATCH in result.variant else STAGES[1]


def kind_order(result: Result) -> tuple[Any, ...]:
    """Sort key: the teacher, then by what is replaced and by what kind of student."""
    kind = position(result.kind, SYSTEMS)
    return kind > 0, result.scope.order, kind, nature_place(result.nature), result.rank


def nature_place(nature: str) -> tuple[int, str]:
    """Sort key: removed, then the kinds from the farthest from attention to the nearest."""
    kind, _, form = nature.partition(", ")
    return position(kind, (REMOVED, *KINDS)), form
