"""Result records, checked and ordered."""

from collections.abc import Iterable, Mapping
from typing import Any

from attnreplace.evaluate.record import SCHEMA
from attnreplace.report.fields import Fields
from attnreplace.report.metrics import MEASURES
from attnreplace.report.result import Latency, OverLong, Result, Score
from attnreplace.students import FAMILIES, KINDS

BATCHES = (1, 64)
DIGESTS = ("teacher", "tokenizer", "data", "bundle")


def parse_records(records: Iterable[Mapping[str, Any]]) -> list[Result]:
    """Check records and put them in reading order.

    Raises:
        UserError: a record is broken; the message says which and where.
    """
    results = [parse_record(record, f"record {i}") for i, record in enumerate(records)]
    return sorted(results, key=lambda r: (r.pair, r.test_set, r.rank, _place(r), r.seed or 0))


def parse_record(record: Any, where: str) -> Result:
    """Check one record; `where` names it in the error.

    Raises:
        UserError: a field is missing, of the wrong type, or the schema is another one.
    """
    fields = Fields(record, where)
    schema = fields.need(str, "schema")
    if schema != SCHEMA:
        raise fields.error(f"schema {schema!r} is not {SCHEMA!r}")
    task = fields.may(str, "task") or "translation"
    translates = task == "translation"
    name = fields.may(str, "metric") or "bleu"
    if name not in MEASURES:
        raise fields.error(f"metric {name!r} is none of {', '.join(MEASURES)}")
    long = ("decoding", "over_long") if translates else ("over_long",)
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
        kinds=_kinds(fields),
        task=task,
        pair=fields.need(str, "pair") if translates else "",
        test_set=fields.need(str, "test_set"),
        examples=fields.need(int, "sentences"),
        beam=fields.need(int, "decoding", "beam") if translates else None,
        over_long=OverLong(
            policy=fields.may(str, *long, "policy"),
            limit=fields.may(int, *long, "limit"),
            count=fields.may(int, *long, "count"),
            target_limit=fields.may(int, *long, "target_limit"),
            targets=fields.may(int, *long, "targets"),
        ),
        measure=MEASURES[name],
        scores=_scores(fields, name),
        p=fields.may_number("significance", "p"),
        replaced=fields.may(int, "cost", "parameters", "replaced"),
        replacement=fields.may(int, "cost", "parameters", "replacement"),
        whole=fields.may(int, "cost", "parameters", "model"),
        encoder_flops=fields.may_number("cost", "flops_per_token"),
        source_tokens=fields.may(int, "cost", "source_tokens"),
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


def _parts(fields: Fields) -> tuple[str, ...]:
    parts = fields.may(list, "system", "parts") or []
    return tuple(Fields(part, fields.where).need(str, "bundle") for part in parts)


def _kinds(fields: Fields) -> tuple[str, ...]:
    """The kinds of the students that are known, without twice the same, in their order.

    Of a family whose forms are of several kinds it is the form that says it.
    """
    system = fields.may(dict, "system") or {}
    parts = fields.may(list, "system", "parts") or [{}]
    found = set()
    for part in [Fields(system | part, fields.where) for part in parts]:
        forms = FAMILIES.get(part.may(str, "family") or "", {})
        kinds = {form: student.kind for form, student in forms.items()}
        form = part.may(str, "form")
        found |= {kinds[form]} if form in kinds else set(kinds.values())
    return tuple(kind for kind in KINDS if kind in found)


def _scores(fields: Fields, metric: str) -> dict[str, Score]:
    """The scores that have a name here; the one that systems are compared by has to be there."""
    found = fields.may(dict, "scores") or {}
    return {
        name: Score(
            fields.number("scores", name, "score"),
            fields.may(str, "scores", name, "signature") or "",
        )
        for name in MEASURES
        if name in found or name == metric
    }


def _place(result: Result) -> tuple[int, int]:
    """The order of the records of one system on one test set."""
    return list(MEASURES).index(result.measure.name), result.beam or 0


def _latency(fields: Fields, batch: int) -> Latency:
    where = ("cost", "latency", f"batch_{batch}")
    return Latency(
        fields.may_number(*where, "encoder", "median_s"),
        fields.may_number(*where, "generate", "median_s"),
    )
