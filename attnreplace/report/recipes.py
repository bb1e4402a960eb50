"""Tables of how students and tuned models were trained."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from attnreplace.digest import short
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.objectives import AUTO
from attnreplace.report.markup import Markup, tag
from attnreplace.report.tables import NOTHING
from attnreplace.report.training import BundleTraining
from attnreplace.report.tunings import Tuning
from attnreplace.tune.config import LOSSES, TuneConfig, changes_in_words

DIGEST = "SHA-256, first digits"
UNKNOWN = "not recorded"
"""Of early versions, in a sentence; in a table it is a dash."""
T = TypeVar("T")
Cell = str | Markup | None


@dataclass(frozen=True)
class TrainedTable:
    """A table of texts; what is the same in all rows is said beside it."""

    title: str
    header: list[str]
    rows: list[list[str]]
    texts: int
    """So many columns at the left are words, the others figures."""

    shared: str
    """What is the same for all: "recipe modern, epochs 3"."""


@dataclass(frozen=True)
class _Column(Generic[T]):
    heading: str
    cell: Callable[[T], Cell]
    """None for what is not recorded, and for nothing unusual."""

    words: bool = False
    outcome: bool = False
    """Stays in the table, whatever it is: not set beforehand."""

    optional: bool = False
    """Mostly there is nothing to say."""


def students_table(trainings: Sequence[BundleTraining]) -> TrainedTable | None:
    """The bundles of a run; None without any."""

    def setting(name: str) -> Callable[[BundleTraining], Cell]:
        return lambda training: _text(training.settings.get(name))

    columns: list[_Column[BundleTraining]] = [
        _Column("Recipe", lambda t: t.recipe or None, words=True),
        _Column("Objective", _objective, words=True),
        _Column("Products in", setting("precision"), words=True),
        _Column("Other settings", _other_settings, words=True, optional=True),
        _Column("Epochs", setting("epochs")),
        _Column("Peak rate", lambda t: _text(t.rate)),
        _Column("Tokens a batch", setting("batch_tokens")),
        _Column("Seed", lambda t: _text(t.seed)),
        _Column("Best epoch", _best_epochs, outcome=True),
        _Column(DIGEST, lambda t: tag("code", short(t.digest)), outcome=True),
    ]
    names = [f"{t.name} ({t.variant})" if t.variant else t.name for t in trainings]
    return _table("Bundle", names, trainings, columns)


def tuned_table(tunings: Sequence[Tuning]) -> TrainedTable | None:
    """The tuned models of a run; None without any."""

    def setting(name: str) -> Callable[[Tuning], Cell]:
        return lambda tuning: _text(tuning.config.get(name))

    score = tunings[0].measure.label if tunings else ""
    columns: list[_Column[Tuning]] = [
        _Column("Loss", _loss, words=True),
        _Column("Changes", _changes, words=True),
        _Column("Start", setting("start"), words=True),
        _Column("Targets", _targets, words=True),
        _Column("Other settings", _other_config, words=True, optional=True),
        _Column("Epochs", setting("epochs")),
        _Column("Peak rate", setting("learning_rate")),
        _Column("Warm-up steps", setting("warmup_steps")),
        _Column("Seed", setting("seed")),
        _Column("Best epoch", lambda t: _text(t.best and t.best[0]), outcome=True),
        _Column(
            f"Validation {score}", lambda t: t.best and t.measure.text(t.best[1]), outcome=True
        ),
        _Column("Seconds", lambda t: _text(t.seconds and round(t.seconds)), outcome=True),
        _Column(DIGEST, lambda t: tag("code", short(t.digest)), outcome=True),
    ]
    if any(t.config.get("name") for t in tunings):  # Other names begin with the system.
        columns.insert(0, _Column("System", lambda t: t.system, words=True))
    return _table("Tuned model", [t.name for t in tunings], tunings, columns)


def _table(
    what: str, names: Sequence[str], rows: Sequence[T], columns: Sequence[_Column[T]]
) -> TrainedTable | None:
    """What all of several rows share is said beside the table, and is no column."""
    if not rows:
        return None
    cells = {column: [column.cell(row) for row in rows] for column in columns}
    known = [column for column in columns if any(cells[column]) or not column.optional]
    shared = [
        column
        for column in known
        if len(rows) > 1 and not column.outcome and len(set(cells[column])) == 1
    ]
    shown = [column for column in known if column not in shared]
    return TrainedTable(
        title=f"{what}s",
        header=[what, *(column.heading for column in shown)],
        rows=[
            [name, *(cells[column][i] or NOTHING for column in shown)]
            for i, name in enumerate(names)
        ],
        texts=1 + sum(column.words for column in shown),
        shared=", ".join(
            f"{column.heading[:1].lower()}{column.heading[1:]} {cells[column][0] or UNKNOWN}"
            for column in shared
        ),
    )


def _objective(training: BundleTraining) -> Cell:
    name = training.settings.get("objective")
    return AUTO.get(training.recipe or "", name) if name == "auto" else _text(name)


def _best_epochs(training: BundleTraining) -> Cell:
    """One of all sites, or from the first to the last."""
    epochs = training.best_epochs
    return "\N{EN DASH}".join(str(epoch) for epoch in sorted({*epochs[:1], *epochs[-1:]})) or None


def _other_settings(training: BundleTraining) -> Cell:
    said = ("recipe", "objective", "precision", "epochs", "learning_rate", "batch_tokens", "seed")
    return _unusual(training.settings, asdict(DistillConfig()), said)


def _loss(tuning: Tuning) -> Cell:
    """The losses, with their weights where these are not the usual ones."""
    losses, weights = tuning.config.get("losses") or [], tuning.config.get("weights") or []
    if all(LOSSES.get(loss) == weight for loss, weight in zip(losses, weights, strict=False)):
        return "+".join(losses) or None
    return " + ".join(f"{weight:g} {loss}" for loss, weight in zip(losses, weights, strict=True))


def _changes(tuning: Tuning) -> Cell:
    train = tuning.config.get("train")
    return train and changes_in_words(train, tuning.config.get("lora_rank"))


def _targets(tuning: Tuning) -> Cell:
    targets, beam = tuning.config.get("targets"), tuning.config.get("target_beam")
    return f"{targets} (beam {beam})" if targets == "teacher" and beam else _text(targets)


def _other_config(tuning: Tuning) -> Cell:
    said = ["losses", "weights", "train", "lora_rank", "start", "targets", "target_beam"]
    said += ["epochs", "learning_rate", "warmup_steps", "seed"]
    said += ["lora_alpha"] if tuning.config.get("train") != "lora" else []
    return _unusual(tuning.config, asdict(TuneConfig()), [*said, "name", "system"])


def _unusual(settings: Mapping[str, Any], usual: Mapping[str, Any], said: Collection[str]) -> Cell:
    """Settings that are neither said elsewhere nor the usual ones: "schedule constant; beta2 0.9".

    How often a training was saved changes nothing.
    """
    found = {
        name: settings[name]
        for name, value in usual.items()
        if name in settings and name not in (*said, "checkpoint_minutes")
        if settings[name] != value
    }
    return "; ".join(f"{name} {_text(value)}" for name, value in found.items()) or None


def _text(value: Any) -> Cell:
    """A setting or figure: `2,048`, `0.0005`, `encoder, decoder`."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
