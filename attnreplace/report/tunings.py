"""Tuned models of a run, read and checked."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnreplace.evaluate.labels import tuned_label
from attnreplace.evaluate.specs import Chosen
from attnreplace.report.fields import Fields
from attnreplace.report.labels import Point
from attnreplace.report.metrics import MEASURES, Measure
from attnreplace.report.result import position
from attnreplace.report.scopes import Scope
from attnreplace.report.training import Epoch, parse_epoch
from attnreplace.rundir import RunDir
from attnreplace.tune.config import STARTS
from attnreplace.tune.folder import RECORD, tuned_models, tuned_parts, tuned_record, tuned_summary


@dataclass(frozen=True)
class Tuning:
    """How a spliced model was trained as a whole."""

    name: str
    """Of its folder."""

    label: str
    """As in a result: "ALR-M all, tuned kl+ce"."""

    scope: Scope
    """What its students replace."""

    system: str
    """Its bundles, as they are asked for."""

    config: Mapping[str, Any]
    """Of `[tune]`, as it was; early records lack some fields."""

    history: tuple[Epoch, ...]
    seconds: float | None
    digest: str
    """As in records of its evaluation."""

    versions: Mapping[str, Any]

    @property
    def seed(self) -> int | None:
        """Of its training."""
        return self.config.get("seed")

    @property
    def start(self) -> str:
        """What it began with, a name of `STARTS`."""
        return str(self.config.get("start") or STARTS[0])

    @property
    def measure(self) -> Measure:
        """What its epochs were scored by."""
        scored = (epoch.measure for epoch in self.history if epoch.score is not None)
        return next(scored, MEASURES["bleu"])

    @property
    def scores(self) -> list[Point]:
        """(epoch, validation score)."""
        return [(epoch.epoch, epoch.score) for epoch in self.history if epoch.score is not None]

    @property
    def best(self) -> Point | None:
        """Of these the one whose weights it has: the earliest of equals; None without any."""
        return max(self.scores, key=lambda point: self.measure.sign * point[1], default=None)


def tuning_files(run: RunDir, teachers: Collection[str] = ()) -> dict[str, Path]:
    """The records of a run's tuned models by their names.

    Args:
        run: holds them.
        teachers: digests of the teachers that count; empty: all.

    Raises:
        UserError: a record is broken.
    """
    return {
        name: run.tuned / name / RECORD
        for name in tuned_models(run)
        if not teachers or tuned_record(run, name).get("teacher_digest") in teachers
    }


def load_tunings(run: RunDir, teachers: Collection[str] = ()) -> list[Tuning]:
    """The same, parsed, by what is replaced and what they began with.

    Raises:
        UserError: a file is broken.
    """
    found = [_tuning(run, name, path) for name, path in tuning_files(run, teachers).items()]
    return sorted(
        found,
        key=lambda one: (one.scope.order, position(one.start, STARTS), one.label, one.name),
    )


def _tuning(run: RunDir, name: str, path: Path) -> Tuning:
    record = tuned_record(run, name)
    fields = Fields(record, str(path))
    system, config = fields.need(str, "system"), fields.need(dict, "config")
    fields.need(str, "summary")
    fields.may(int, "config", "seed")
    parts, history = tuned_parts(run, name), fields.may(list, "history") or []
    return Tuning(
        name=name,
        label=tuned_label(parts, _every(parts), tuned_summary(record)),
        scope=Scope.of(str(site) for part in parts for site in part.sites),
        system=system,
        config=config,
        history=tuple(parse_epoch(Fields(epoch, fields.where)) for epoch in history),
        seconds=fields.may_number("seconds"),
        digest=fields.need(str, "inputs_digest"),
        versions=fields.may(dict, "versions") or {},
    )


def _every(parts: Sequence[Chosen]) -> Mapping[str, int]:
    """How many layers the model has by group, or one more than are replaced where more are left.

    That is all that a label needs, and the model is not loaded for it.
    """
    every: Counter[str] = Counter()
    for part in parts:
        left = not part.whole or "-layers" in part.bundle
        every[part.group] += len(part.sites) + left
    return every
