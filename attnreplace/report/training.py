"""How the teacher and the bundles were trained, read and checked."""

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from attnreplace.digest import digest_json
from attnreplace.evaluate.labels import (
    NON_CAUSAL,
    SHORTER,
    family_word,
    kind_words,
    layers_in_words,
)
from attnreplace.report.fields import Fields
from attnreplace.report.metrics import MEASURES, Measure
from attnreplace.report.palette import Series
from attnreplace.report.result import METHODS, SIZES, position
from attnreplace.report.scopes import Scope
from attnreplace.rundir import RunDir, read_json
from attnreplace.students import FAMILIES


@dataclass(frozen=True)
class Epoch:
    """What is known of a whole model after one epoch; what was not measured is None."""

    epoch: float
    train_loss: float | None
    validation_loss: float | None
    score: float | None
    """On the validation split."""

    measure: Measure = MEASURES["bleu"]
    """What this is a score of."""


@dataclass(frozen=True)
class BundleTraining:
    """How the students of one bundle learned."""

    name: str
    method: str
    family: str
    size: str
    variant: str
    """As in a result: "2 hidden layers, non-causal"."""

    scope: Scope
    """What its students replace."""

    recipe: str | None
    seed: int | None
    digests: Mapping[str, str]
    versions: Mapping[str, Any]
    relative_mse: Mapping[str, float]
    """By site, as the bundle was saved."""

    history: tuple[tuple[float, float], ...]
    """(epoch, relative MSE, the mean over the sites)."""

    settings: Mapping[str, Any]
    """Of `[distill]`, those that count; early bundles lack some of them, or all."""

    rate: float | None
    """The highest one; early bundles do not say it where it was the recipe's own."""

    best_epochs: tuple[int, ...]
    """Those that the sites' weights are of, ascending, each once."""

    digest: str
    """As in records of its evaluation."""

    @property
    def series(self) -> Series:
        """The line it belongs to."""
        return Series(self.method, self.family, self.variant)

    @property
    def label(self) -> str:
        """As the short label of a result: "ALR-M SGU decoder, 2 hidden layers"."""
        where = "" if self.scope.groups == ("encoder",) else self.scope.word
        words = [f"{self.method}-{self.size}".upper(), family_word(self.family), where]
        return ", ".join(filter(None, [" ".join(filter(None, words)), self.variant]))


class Seeded(Protocol):
    """What has a name, a label that several may share, and a seed."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def seed(self) -> int | None: ...


def labels_by_name(trainings: Sequence[Seeded]) -> dict[str, str]:
    """The labels of bundles, or of tuned models, with the seed where only that tells them apart."""
    alike = Counter(training.label for training in trainings)
    seeded = {
        t.name: t.label if alike[t.label] == 1 else f"{t.label}, seed {t.seed}" for t in trainings
    }
    again = Counter(seeded.values())
    return {name: text if again[text] == 1 else name for name, text in seeded.items()}


def teacher_history(run: RunDir) -> list[Epoch]:
    """The teacher's epochs; none where it was not trained here.

    Raises:
        UserError: the record of its training is broken.
    """
    record = _teacher_record(run)
    epochs = record.may(list, "history") or []
    return [parse_epoch(Fields(epoch, record.where)) for epoch in epochs]


def made_harder(run: RunDir) -> str:
    """What makes the teacher's training loss higher than its validation loss, with its strength.

    "label smoothing of 0.1 and dropout of 0.1"; empty without label smoothing.

    Raises:
        UserError: the record of its training is broken.
    """
    record = _teacher_record(run)
    smoothing = record.may_number("config", "training", "label_smoothing")
    dropout = record.may_number("config", "teacher", "dropout")
    if not smoothing:
        return ""
    dropped = f" and dropout of {dropout:g}" if dropout else ""
    return f"label smoothing of {smoothing:g}{dropped}"


def best_epoch(run: RunDir) -> Epoch | None:
    """The epoch whose weights the teacher has; None where it was not trained here.

    Raises:
        UserError: the record of its training is broken.
    """
    record = _teacher_record(run)
    best = record.may(dict, "best")
    return parse_epoch(Fields(best, record.where)) if best else None


def bundle_trainings(run: RunDir) -> list[BundleTraining]:
    """Every bundle's training, by what is replaced, method and size.

    Raises:
        UserError: a bundle's configuration or history is broken.
    """
    trainings = [_bundle_training(run.students / name) for name in run.bundles()]
    return sorted(
        trainings,
        key=lambda t: (
            t.scope.order,
            t.variant,
            position(t.method, METHODS),
            position(t.size, SIZES),
            t.name,
        ),
    )


def teacher_task(run: RunDir) -> str:
    """What the teacher was trained for, "translation" where nothing says so.

    Raises:
        UserError: the record of its training is broken.
    """
    return _teacher_record(run).may(str, "corpus", "task") or "translation"


def _teacher_record(run: RunDir) -> Fields:
    path = run.teacher / "training.json"
    return Fields(read_json(path) if path.exists() else {}, str(path))


def parse_epoch(fields: Fields) -> Epoch:
    """One epoch of a history as the training loop writes it."""
    scores = {name: fields.may_number(f"validation_{name}") for name in MEASURES}
    name = next((name for name, score in scores.items() if score is not None), "bleu")
    return Epoch(
        fields.number("epoch"),
        fields.may_number("train_loss"),
        fields.may_number("validation_loss"),
        scores[name],
        MEASURES[name],
    )


def _bundle_training(folder: Path) -> BundleTraining:
    path = folder / "config.json"
    value = read_json(path)
    fields = Fields(value, str(path))
    rate = fields.may_number("training", "learning_rate")
    if rate is None:
        rate = fields.may_number("training", "settings", "learning_rate")
    best = fields.numbers("training", "best_epoch").values()
    digests = {
        "teacher": fields.may(str, "teacher_digest"),
        "tokenizer": fields.may(str, "tokenizer_digest"),
    }
    return BundleTraining(
        name=folder.name,
        method=fields.need(str, "method"),
        family=fields.need(str, "family"),
        size=str(fields.need(object, "size")),
        variant=_variant(fields, folder.name),
        scope=Scope.of(map(str, fields.may(list, "sites") or ())),
        recipe=fields.may(str, "recipe"),
        seed=fields.may(int, "seed"),
        digests={name: digest for name, digest in digests.items() if digest},
        versions=fields.may(dict, "versions") or {},
        relative_mse=fields.numbers("training", "relative_mse"),
        history=_history(folder / "history.json"),
        settings=fields.may(dict, "training", "settings") or {},
        rate=rate,
        best_epochs=tuple(sorted({int(epoch) for epoch in best})),
        digest=digest_json(value),
    )


def _variant(fields: Fields, name: str) -> str:
    """What sets the students apart, in the words of the evaluation."""
    students = [Fields(s, fields.where) for s in (fields.may(dict, "students") or {}).values()]
    depth = max((student.may(int, "hidden_layers") or 1 for student in students), default=1)
    forms = {student.may(str, "form") or "sentence" for student in students}
    weights = {student.may(str, "spatial") for student in students}
    known = FAMILIES.get(fields.need(str, "family"), {})
    classes = [known[form] for form in forms if form in known]
    found = re.search(r"-layers([\d.-]*\d)", name)
    layers = found[1] if found else ""
    details = [
        f"{depth} hidden layers" if depth > 1 else "",
        "dense" if "dense" in weights else "",
        layers_in_words(layers.replace(".", ",")) if layers else "",
        SHORTER[NON_CAUSAL] if "paper" in forms else "",
        *kind_words(classes),
    ]
    return ", ".join(filter(None, details))


def _history(path: Path) -> tuple[tuple[float, float], ...]:
    if not path.exists():
        return ()
    epochs = [Fields(epoch, str(path)) for epoch in Fields(read_json(path), str(path)).items()]
    return tuple(
        (fields.number("epoch"), statistics.fmean(values))
        for fields in epochs
        if (values := list(fields.numbers("relative_mse").values()))
    )
