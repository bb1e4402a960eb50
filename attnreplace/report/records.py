"""Result records: read, checked and ordered, for tables, figures and the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from attnreplace.evaluate.labels import SHORTER
from attnreplace.evaluate.record import SCHEMA
from attnreplace.evaluate.specs import without_seed
from attnreplace.evaluate.stale import bundle_files, of_former_students
from attnreplace.report.fields import Fields
from attnreplace.report.scopes import Scope
from attnreplace.rundir import RunDir, read_json

BATCHES = (1, 64)
DIGESTS = ("teacher", "tokenizer", "data", "bundle")
KINDS = ("teacher", "removed", "untrained", "student")
METHODS = ("alr", "aslr", "alrr", "elr")
SIZES = ("xs", "s", "m", "l", "xl")


@dataclass(frozen=True)
class Score:
    """A corpus score with sacreBLEU's signature."""

    score: float
    signature: str


@dataclass(frozen=True)
class Latency:
    """Median wall-clock seconds of one batch; a part that was not measured is None."""

    encoder: float | None
    """The encoder's forward pass, where replaced self-attention shows most."""

    generate: float | None
    """A whole greedy translation."""


@dataclass(frozen=True)
class OverLong:
    """What was done with sentences that have more tokens than a student has positions."""

    policy: str | None
    limit: int | None
    count: int | None
    target_limit: int | None = None
    targets: int | None = None
    """Translations that did not end within that limit."""


@dataclass(frozen=True)
class Result:
    """One evaluation: a system on a test set with one beam width."""

    kind: str
    name: str
    label: str
    method: str | None
    family: str | None
    size: str | None
    variant: str
    """What sets it apart from the plain students of its method and size; mostly nothing."""

    sites: tuple[str, ...]
    parts: tuple[str, ...]
    """Names of the bundles in it; early records do not say."""

    pair: str
    test_set: str
    sentences: int
    beam: int
    over_long: OverLong
    bleu: Score
    chrf: Score
    replaced: int | None
    """Parameters of the teacher's attention that the students stand in for."""

    replacement: int | None
    """Parameters of the students."""

    whole: int | None
    """Parameters of the model as it is evaluated."""

    encoder_flops: float | None
    """Operations of the encoder a source token."""

    decoder_flops: float | None
    """Operations of the decoder a target token."""

    latency: Mapping[int, Latency]
    """By batch size."""

    state: Mapping[int, int]
    """Bytes that generation keeps from step to step, by batch size; early records lack it."""

    device: str | None
    threads: int | None
    relative_mse: Mapping[str, float]
    """By site; empty where it does not apply."""

    recipe: str | None
    seed: int | None
    digests: Mapping[str, str]
    versions: Mapping[str, Any]
    created: str

    @property
    def relative_error(self) -> float | None:
        """Mean over the sites of the error relative to the target's variance."""
        values = list(self.relative_mse.values())
        return sum(values) / len(values) if values else None

    @property
    def scope(self) -> Scope:
        """What is replaced."""
        return Scope.of(self.sites)

    @property
    def short_label(self) -> str:
        """The label for figures, where there is little room."""
        label = self.label
        for words, short in SHORTER.items():
            label = label.replace(words, short)
        return label

    @property
    def flops(self) -> float | None:
        """Operations of encoder and decoder a token."""
        if self.encoder_flops is None or self.decoder_flops is None:
            return None
        return self.encoder_flops + self.decoder_flops

    @property
    def rank(self) -> tuple[Any, ...]:
        """Sort key: the teacher; for each scope removed, untrained, students by method and size."""
        return (
            self.kind != "teacher",
            self.scope.order,
            position(self.kind, KINDS),
            self.variant,
            position(self.method, METHODS),
            position(self.size, SIZES),
            # Students that differ in their seed only are one system.
            without_seed(self.name, self.seed),
            self.recipe or "",
        )


def load_records(folder: Path) -> list[dict[str, Any]]:
    """The records of a results folder, by file name; none where there is no folder.

    Raises:
        UserError: a file is not a result record; the message names it.
    """
    return list(_read(folder).values())


def current_records(run: RunDir) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """The records of a run by file, and the names of the systems that are left out.

    Left out are records of students that are gone, or that others have taken the place of.

    Raises:
        UserError: a file is not a result record; the message names it.
    """
    records, files = _read(run.results), bundle_files(run)
    former = {path: r for path, r in records.items() if of_former_students(r, files)}
    current = {path: record for path, record in records.items() if path not in former}
    return current, list(dict.fromkeys(r["system"]["name"] for r in former.values()))


def parse_records(records: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Check records and put them in reading order.

    Raises:
        UserError: a record is broken; the message says which and where.
    """
    results = [parse_record(record, f"record {i}") for i, record in enumerate(records)]
    return sorted(results, key=lambda r: (r.pair, r.test_set, r.rank, r.beam, r.seed or 0))


def parse_record(record: Any, where: str) -> Result:
    """Check one record; `where` names it in the error.

    Raises:
        UserError: a field is missing, of the wrong type, or the schema is another one.
    """
    fields = Fields(record, where)
    schema = fields.need(str, "schema")
    if schema != SCHEMA:
        raise fields.error(f"schema {schema!r} is not {SCHEMA!r}")
    return Result(
        kind=fields.need(str, "system", "kind"),
        name=fields.need(str, "system", "name"),
        label=fields.need(str, "system", "label"),
        method=fields.may(str, "system", "method"),
        family=fields.may(str, "system", "family"),
        size=fields.may(str, "system", "size"),
        variant=fields.may(str, "system", "variant") or "",
        sites=tuple(map(str, fields.may(list, "system", "sites") or ())),
        parts=_parts(fields),
        pair=fields.need(str, "pair"),
        test_set=fields.need(str, "test_set"),
        sentences=fields.need(int, "sentences"),
        beam=fields.need(int, "decoding", "beam"),
        over_long=OverLong(
            policy=fields.may(str, "decoding", "over_long", "policy"),
            limit=fields.may(int, "decoding", "over_long", "limit"),
            count=fields.may(int, "decoding", "over_long", "count"),
            target_limit=fields.may(int, "decoding", "over_long", "target_limit"),
            targets=fields.may(int, "decoding", "over_long", "targets"),
        ),
        bleu=_score(fields, "bleu"),
        chrf=_score(fields, "chrf"),
        replaced=fields.may(int, "cost", "parameters", "replaced"),
        replacement=fields.may(int, "cost", "parameters", "replacement"),
        whole=fields.may(int, "cost", "parameters", "model"),
        encoder_flops=fields.may_number("cost", "flops_per_token"),
        decoder_flops=fields.may_number("cost", "decoder_flops_per_token"),
        latency={batch: _latency(fields, batch) for batch in BATCHES},
        state={
            batch: size
            for batch in BATCHES
            if (size := fields.may(int, "cost", "memory", f"state_batch_{batch}")) is not None
        },
        device=fields.may(str, "cost", "device"),
        threads=fields.may(int, "cost", "threads"),
        relative_mse=fields.numbers("relative_mse"),
        recipe=fields.may(str, "recipe"),
        seed=fields.may(int, "seed"),
        digests={
            name: digest
            for name in DIGESTS
            if (digest := fields.may(str, "digests", name)) is not None
        },
        versions=fields.may(dict, "versions") or {},
        created=fields.may(str, "created") or "",
    )


def _read(folder: Path) -> dict[Path, dict[str, Any]]:
    records = {}
    for path in sorted(folder.glob("*.json")):
        record = read_json(path)
        parse_record(record, str(path))
        records[path] = record
    return records


def _parts(fields: Fields) -> tuple[str, ...]:
    parts = fields.may(list, "system", "parts") or []
    return tuple(Fields(part, fields.where).need(str, "bundle") for part in parts)


def _score(fields: Fields, metric: str) -> Score:
    return Score(
        fields.number("scores", metric, "score"), fields.need(str, "scores", metric, "signature")
    )


def _latency(fields: Fields, batch: int) -> Latency:
    where = ("cost", "latency", f"batch_{batch}")
    return Latency(
        fields.may_number(*where, "encoder", "median_s"),
        fields.may_number(*where, "generate", "median_s"),
    )


def first_test_set(results: Sequence[Result]) -> str:
    """The test set that headline, figures and samples use: the first by name."""
    return min(result.test_set for result in results)


def join_seeds(results: Iterable[Result]) -> list[Result]:
    """One result for those that differ in their seed only, with their mean scores and errors.

    Args:
        results: in reading order.
    """

    def key(result: Result) -> tuple[Any, ...]:
        return result.pair, result.test_set, result.rank, result.beam

    joined = []
    for _, group in groupby(results, key):
        first, *others = members = list(group)
        if others:
            errors = [result.relative_mse for result in members]
            first = replace(
                first,
                bleu=replace(first.bleu, score=fmean(r.bleu.score for r in members)),
                chrf=replace(first.chrf, score=fmean(r.chrf.score for r in members)),
                relative_mse={
                    site: fmean(by_site[site] for by_site in errors)
                    for site in first.relative_mse
                    if all(site in by_site for by_site in errors)
                },
            )
        joined.append(first)
    return joined


def headline_beam(results: Iterable[Result]) -> int:
    """The beam width that headline, figures and samples use: 5, else the widest."""
    beams = {result.beam for result in results}
    return 5 if 5 in beams else max(beams)


def headline_results(results: Sequence[Result]) -> list[Result]:
    """The results on the first test set at the headline beam, in reading order."""
    test_set = first_test_set(results)
    chosen = [result for result in results if result.test_set == test_set]
    beam = headline_beam(chosen)
    return [result for result in chosen if result.beam == beam]


def of_kind(results: Iterable[Result], kind: str) -> list[Result]:
    """The results of one kind of system."""
    return [result for result in results if result.kind == kind]


def best(results: Sequence[Result]) -> Result | None:
    """The result with the highest BLEU; the first of equals."""
    return max(results, key=lambda result: result.bleu.score, default=None)


def position(value: str | None, order: Sequence[str]) -> int:
    """Place in `order`; what the order does not know comes last."""
    return order.index(value) if value in order else len(order)
