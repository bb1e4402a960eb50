"""Tables as plain data: the rows that the command line, Markdown files and the page show."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from attnreplace.report.metrics import MEASURES, Measure
from attnreplace.report.numbers import count, error, kilobytes, milliseconds, probability
from attnreplace.report.parsing import parse_records
from attnreplace.report.result import OverLong, Result
from attnreplace.report.scopes import scopes_of
from attnreplace.report.selection import headline_beam

NOTHING = "\u2013"
P_NOTE = (
    "p: how likely chance alone makes BLEU differ as much from the teacher's, by paired bootstrap "
    "resampling; under 0.05 the test set tells the two apart."
)
SCOPE_COLUMN = "Attention"
"""Heading of the column that says what is replaced."""


@dataclass(frozen=True)
class Column:
    """One column of figures."""

    heading: str
    value: Callable[[Result], float | None]
    text: Callable[[float], str]
    beam: int | None
    """The column shows results with this beam width; None: those without any."""

    spread: bool = False
    """Several results of one system (seeds) give mean ± standard deviation, else the mean."""

    listed: bool = False
    """Several results of one system are listed."""


@dataclass(frozen=True)
class Row:
    """All results of one system on one test set: its beams and seeds."""

    results: tuple[Result, ...]

    @property
    def first(self) -> Result:
        """A result that stands for what all have in common."""
        return self.results[0]

    def cell(self, column: Column) -> str:
        """The text of one cell."""
        found = [column.value(r) for r in self.results if r.beam == column.beam]
        values = [value for value in found if value is not None]
        if not values:
            return NOTHING
        if column.listed:
            return ", ".join(map(column.text, values))
        text = column.text(statistics.fmean(values))
        if column.spread and len(values) > 1:
            text += f" ± {column.text(statistics.stdev(values))}"
        return text


def results_table(
    records: Iterable[Mapping[str, Any]], *, quality: bool = True, cost: bool = True
) -> tuple[list[str], list[list[str]]]:
    """The results as a header and rows of text.

    Rows: the teacher; then for everything that is replaced removed, untrained, students by method
    and size. Columns of text come first: the system, and whatever differs between the records:
    pair, test set, family, what is replaced. Then the figures asked for: quality, cost, or both.

    Raises:
        UserError: a record is broken.
    """
    results = parse_records(records)
    texts = text_columns(results)
    columns = quality_columns(results) if quality else []
    columns += cost_columns(results) if cost else []
    header = [heading for heading, _ in texts] + [column.heading for column in columns]
    rows = [
        [text(row.first) for _, text in texts] + [row.cell(column) for column in columns]
        for row in table_rows(results)
    ]
    return header, rows


def markdown_table(
    records: Iterable[Mapping[str, Any]], *, quality: bool = True, cost: bool = True
) -> str:
    """The results as a Markdown table, figures aligned to the right; see `results_table`.

    Raises:
        UserError: a record is broken.
    """
    records = list(records)
    header, rows = results_table(records, quality=quality, cost=cost)
    return as_markdown(header, rows, texts=len(text_columns(parse_records(records))))


def as_markdown(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> str:
    """A table as Markdown: the first columns, so many, are texts, and figures stand right."""
    rule = ["---" if i < texts else "---:" for i in range(len(header))]
    lines = [[_markdown(cell) for cell in line] for line in (header, *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], rule, *lines[1:]))


def text_columns(results: Sequence[Result]) -> list[tuple[str, Callable[[Result], str]]]:
    """Headings and texts of the columns that say which system a row is about."""
    students = [result for result in results if result.kind == "student"]
    columns: list[tuple[str, Callable[[Result], str]]] = [("System", lambda r: r.label)]
    if len({r.pair for r in results}) > 1:
        columns.append(("Pair", lambda r: r.pair))
    if len({r.test_set for r in results}) > 1:
        columns.append(("Test set", lambda r: r.test_set))
    if len({r.family for r in students}) > 1:
        columns.append(("Family", lambda r: r.family or NOTHING))
    scopes = scopes_of(r.scope for r in results)
    if len(scopes) > 1:
        columns.append((SCOPE_COLUMN, lambda r: r.scope.word or NOTHING))
    if any(len({r.sites for r in students if r.scope == scope}) > 1 for scope in scopes):
        columns.append(("Sites", lambda r: describe_sites(r.sites) or NOTHING))
    return columns


def describe_sites(sites: Iterable[str]) -> str:
    """Sites in words: `6 layers of encoder self-attention`."""
    stacks = Counter(site.rpartition(".")[0].replace(".", " ") for site in sites)
    parts = [
        f"{number} {'layer' if number == 1 else 'layers'} of {stack}-attention"
        for stack, number in stacks.items()
    ]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def describe_over_long(long: OverLong, example: str = "sentence") -> str:
    """What became of sentences over the limit: `7 sentences over 50 tokens: cut off there`."""
    if long.count is None:
        return "Not recorded"
    done = {"truncate": "cut off there", "teacher": "translated by the teacher"}
    text = f"{plural(long.count, example)} over {long.limit} tokens"
    if long.count:
        text += f": {done.get(long.policy or '', long.policy)}"
    if long.targets is None:
        return text
    text += f"; {plural(long.targets, 'translation')} without an end after"
    text += f" {long.target_limit} tokens"
    return f"{text}: {done.get(long.policy or '', long.policy)}" if long.targets else text


def plural(number: int, what: str) -> str:
    """So many: `1 sentence`, `1,014 sentences`, `7 blocks of text`."""
    noun, of, rest = what.partition(" of ")
    return f"{number:,} {noun}{'' if number == 1 else 's'}{of}{rest}"


def table_rows(results: Sequence[Result]) -> list[Row]:
    """One row a system and test set, in reading order; `results` are ordered."""

    def key(result: Result) -> tuple[str, str, tuple[Any, ...]]:
        return result.pair, result.test_set, result.rank

    return [Row(tuple(group)) for _, group in groupby(results, key)]


def quality_columns(results: Sequence[Result]) -> list[Column]:
    """Every score at each beam width, and how what systems are compared by stands to the teacher's.

    There is no column that every row has a dash in.
    """
    if not results:
        return []
    beams = sorted({result.beam for result in results}, key=lambda beam: beam or 0)
    columns = [
        Column(_at(measure.label, beam), _score_of(measure), measure.text, beam, spread=True)
        for measure in MEASURES.values()
        for beam in beams
    ]
    teachers = {_comparable(r): r.score for r in results if r.kind == "teacher"}
    beam = headline_beam(results)
    for measure in MEASURES.values():

        def kept(result: Result, measure: Measure = measure) -> float | None:
            teacher = teachers.get(_comparable(result))
            return result.score / teacher if teacher and result.measure is measure else None

        if measure.has_share:
            text = measure.relative_text
            columns.append(Column(_at(measure.relative, beam), kept, text, beam))
    columns += [
        Column(_at("p", beam), lambda r: r.p, probability, beam, listed=True) for beam in beams
    ]
    return _filled(columns, results)


def cost_columns(results: Iterable[Result]) -> list[Column]:
    """What a system costs, from its results with the narrowest beam; what is not known has none.

    Where attention of a decoder is replaced, the operations are those of encoder and decoder, and
    what generation keeps from step to step is shown as well.
    """
    results = list(results)
    beam = min((r.beam for r in results if r.beam is not None), default=None)
    decodes = any(result.scope.decodes for result in results)
    flops: tuple[str, Callable[[Result], float | None], Callable[[float], str]]
    if decodes:
        flops = "FLOPs/token, encoder + decoder", lambda r: r.flops, count
    elif any(result.task == "image" for result in results):
        flops = "FLOPs/image", lambda r: r.image_flops, count
    else:
        flops = "FLOPs/token", lambda r: r.encoder_flops, count
    columns: list[tuple[str, Callable[[Result], float | None], Callable[[float], str]]] = [
        ("Replaced", lambda r: r.replaced, count),
        ("Replacement", lambda r: r.replacement, count),
        ("Whole", lambda r: r.whole, count),
        flops,
        ("Encode 1, ms", lambda r: r.latency[1].encoder, milliseconds),
        ("Encode 64, ms", lambda r: r.latency[64].encoder, milliseconds),
        ("Translate 1, ms", lambda r: r.latency[1].generate, milliseconds),
        ("Translate 64, ms", lambda r: r.latency[64].generate, milliseconds),
        ("Relative error", lambda r: r.relative_error, error),
    ]
    if decodes and any(result.state for result in results):
        columns.insert(-1, ("State, kB", lambda r: r.state.get(1), kilobytes))
    return _filled([Column(*column, beam) for column in columns], results)


def _at(heading: str, beam: int | None) -> str:
    return heading if beam is None else f"{heading}, beam {beam}"


def _score_of(measure: Measure) -> Callable[[Result], float | None]:
    def value(result: Result) -> float | None:
        found = result.scores.get(measure.name)
        return found.score if found else None

    return value


def _comparable(result: Result) -> tuple[str, str, str]:
    """What results have in common that can be held against each other."""
    return result.pair, result.test_set, f"{result.setting} {result.measure.name}"


def _filled(columns: Iterable[Column], results: Sequence[Result]) -> list[Column]:
    """The columns that some result has a value for."""
    return [
        column
        for column in columns
        if any(r.beam == column.beam and column.value(r) is not None for r in results)
    ]


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
