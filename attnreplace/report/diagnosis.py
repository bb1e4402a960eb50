"""Diagnoses of a run, read and checked, as the page, the console and Markdown show them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attnreplace.evaluate.diagnosis.record import SCHEMA
from attnreplace.evaluate.stale import bundle_files, of_former_students
from attnreplace.hosts import GROUPS, Site
from attnreplace.report.fields import Fields
from attnreplace.report.numbers import share
from attnreplace.report.result import of_several
from attnreplace.report.scopes import Scope
from attnreplace.rundir import RunDir, read_json

ENOUGH = 0.05
"""The share of all tokens that a bin has to hold to be called the worst."""


@dataclass(frozen=True)
class Part:
    """Some of the tokens, or all of them, with means over them."""

    name: str
    """Of their positions, or of the lengths of their sources: "4-6", "21+"; empty for all."""
    tokens: int
    divergence: float
    agreement: float
    loss: float
    teacher_loss: float


@dataclass(frozen=True)
class Layer:
    """What one student does; None where the model gave no numbers."""

    site: Site
    alone: float | None
    saved: float | None
    """What the system's divergence loses where this student gives way to the attention."""

    @property
    def name(self) -> str:
        """For people: "cross 1"."""
        return f"{self.site.group} {self.site.layer}"


@dataclass(frozen=True)
class BleuPart:
    """BLEU of the sentences whose sources have some lengths."""

    name: str
    sentences: int
    score: float
    teacher_score: float


@dataclass(frozen=True)
class Diagnosed:
    """What the loss of a system on a test set is made of."""

    name: str
    label: str
    scope: Scope
    test_set: str
    sentences: int
    limit: int
    left_out: int
    overall: Part
    positions: tuple[Part, ...]
    lengths: tuple[Part, ...]
    layers: tuple[Layer, ...]
    layers_missing: str
    bleu: Mapping[int, tuple[BleuPart, ...]]
    """By beam width."""

    def share(self, part: Part) -> float:
        """How much of all divergence is in a part."""
        total = self.overall.divergence * self.overall.tokens
        return part.divergence * part.tokens / total if total else 0.0

    def worst(self, parts: Sequence[Part]) -> Part:
        """The part with the greatest mean, of those that hold enough tokens to tell."""
        enough = [part for part in parts if part.tokens >= ENOUGH * self.overall.tokens]
        return max(enough, key=lambda part: part.divergence)

    @property
    def worst_layer(self) -> Layer | None:
        """The student that the system would gain most by losing; None where that is not known."""
        known = [layer for layer in self.layers if layer.saved is not None]
        return max(known, key=lambda layer: layer.saved or 0.0, default=None)


def diagnosis_files(run: RunDir, teachers: Collection[str] = ()) -> dict[Path, dict[str, Any]]:
    """The records of a run's diagnoses by file, those of former students left out.

    Args:
        run: holds them.
        teachers: digests of the teachers that count; empty: all.
    """
    paths = sorted(run.diagnoses.glob("*.json"))
    records, there = {path: read_json(path, dict) for path in paths}, bundle_files(run)
    for path, record in records.items():
        parse_diagnosis(record, str(path))
    return {
        path: record
        for path, record in records.items()
        if not of_former_students(record, there)
        and (not teachers or record["digests"]["teacher"] in teachers)
    }


def load_diagnoses(run: RunDir, teachers: Collection[str] = ()) -> list[Diagnosed]:
    """The same, parsed and in order.

    Raises:
        UserError: a file is broken.
    """
    files = diagnosis_files(run, teachers)
    return in_order(parse_diagnosis(record, str(path)) for path, record in files.items())


def in_order(diagnoses: Iterable[Diagnosed]) -> list[Diagnosed]:
    """By test set, by what is replaced, and the nearest to the teacher first.

    Systems of one label, as those of several seeds are, have their names with it.
    """
    found = list(diagnoses)
    clash = of_several((one.label, one.name) for one in found)
    apart = [
        replace(one, label=f"{one.label} ({one.name})") if one.label in clash else one
        for one in found
    ]
    return sorted(apart, key=lambda one: (one.test_set, one.scope.order, one.overall.divergence))


def layer_names(diagnoses: Iterable[Diagnosed]) -> list[str]:
    """The layers that any of the systems has figures of, in the order of `GROUPS`."""
    layers = [layer for one in diagnoses for layer in one.layers]
    layers.sort(key=lambda layer: (GROUPS.index(layer.site.group), layer.site))
    return list(dict.fromkeys(layer.name for layer in layers))


def parse_diagnosis(value: Mapping[str, Any], where: str) -> Diagnosed:
    """A record as `diagnose` returns it.

    Raises:
        UserError: of another schema, or broken.
    """
    fields = Fields(value, where)
    fields.need_schema(SCHEMA)
    fields.need(str, "digests", "teacher")
    overall = _part(fields.need(dict, "overall"), where, "")
    bins = {
        what: tuple(_part(one, where, _range(one, where)) for one in fields.need(list, what))
        for what in ("positions", "lengths")
    }
    sites = sorted(map(str, fields.need(list, "system", "sites")))
    return Diagnosed(
        name=fields.need(str, "system", "name"),
        label=fields.need(str, "system", "label"),
        scope=Scope.of(sites),
        test_set=fields.need(str, "test_set"),
        sentences=fields.need(int, "sentences"),
        limit=fields.need(int, "limit"),
        left_out=fields.need(int, "left_out"),
        overall=overall,
        positions=bins["positions"],
        lengths=bins["lengths"],
        layers=tuple(_layer(one, where, overall.divergence) for one in fields.need(list, "sites")),
        layers_missing=fields.need(str, "sites_missing"),
        bleu={
            Fields(one, where).need(int, "beam"): tuple(
                _bleu(part, where) for part in Fields(one, where).need(list, "lengths")
            )
            for one in fields.need(list, "bleu")
        },
    )


def diagnosis_sentence(one: Diagnosed) -> str:
    """What came out, in two sentences."""
    whole, layer = one.overall, one.worst_layer
    place, length = one.worst(one.positions), one.worst(one.lengths)
    first = (
        f"{one.label} on {one.test_set}: {whole.divergence:.4f} nats a token from the teacher, "
        f"with which it agrees at {share(whole.agreement)} of {whole.tokens:,} tokens"
    )
    parts = [
        f"tokens {place.name} ({place.divergence:.4f}, {share(one.share(place))} of all)",
        f"sources of {length.name} tokens ({length.divergence:.4f}, {share(one.share(length))})",
    ]
    if layer is not None and layer.saved is not None:
        saved = layer.saved / whole.divergence if whole.divergence else 0.0
        parts.insert(0, f"{layer.name} ({share(saved)} less with its attention back)")
    return f"{first}. Worst: {'; '.join(parts)}."


def _part(value: Any, where: str, name: str) -> Part:
    fields = Fields(value, where)
    numbers = ("divergence", "agreement", "loss", "teacher_loss")
    return Part(name, fields.need(int, "tokens"), *map(fields.number, numbers))


def _layer(value: Any, where: str, divergence: float) -> Layer:
    fields = Fields(value, where)
    site, left = Site.parse(fields.need(str, "site")), fields.may_number("given_back")
    return Layer(
        site,
        fields.may_number("alone"),
        None if left is None else divergence - left,
    )


def _bleu(value: Any, where: str) -> BleuPart:
    fields = Fields(value, where)
    scores = map(fields.number, ("score", "teacher_score"))
    return BleuPart(_range(value, where), fields.need(int, "sentences"), *scores)


def _range(value: Any, where: str) -> str:
    """Both ends of a bin: "1", "4-6", "21+"."""
    fields = Fields(value, where)
    first, last = fields.need(int, "first"), fields.may(int, "last")
    if last is None:
        return f"{first}+"
    return str(first) if first == last else f"{first}-{last}"
