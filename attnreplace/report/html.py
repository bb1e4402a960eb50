"""The page: one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnreplace.evaluate.labels import NON_CAUSAL, WITH_ATTENTION
from attnreplace.report.canvas import NARROW, Chart
from attnreplace.report.headline import headline
from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.provenance import provenance, scroll, simple_table
from attnreplace.report.records import Result, best, headline_results, join_seeds, of_kind
from attnreplace.report.samples import RULE, Sample, departures
from attnreplace.report.scopes import Scope, scopes_of
from attnreplace.report.style import CSS
from attnreplace.report.tables import (
    NOTHING,
    SCOPE_COLUMN,
    Column,
    cost_columns,
    error,
    quality_columns,
    table_rows,
    text_columns,
)
from attnreplace.report.training import BundleTraining

NON_CAUSAL_NOTE = (
    "The paper's form of cross-attention is not causal: it reads the whole target and writes all "
    "positions at once. It was trained on whole references and translates from beginnings of "
    "sentences, without a cache."
)
ATTENTION_NOTE = (
    "Students of the family aMLP contain a small attention: with them the model is not free of it."
)


@dataclass(frozen=True)
class Contents:
    """What a page shows; what is empty or None is left out with a line that says how to get it."""

    name: str
    results: Sequence[Result]
    left_out: Sequence[str]
    """Systems whose students are gone or were replaced since they were evaluated."""
    quality: Sequence[Chart]
    errors: Chart | None
    error_values: Mapping[str, Mapping[str, float]]
    training: Sequence[Chart]
    trainings: Sequence[BundleTraining]
    samples: Sequence[Sample]
    settings: str | None


def page(contents: Contents) -> str:
    """The whole document."""
    sections = [
        ("quality", "Quality against cost", _quality(contents)),
        ("results", "Results", _results(contents)),
        ("layers", "Layer by layer", _layers(contents)),
        ("training", "Training", _training(contents)),
        ("samples", "Translations", _samples(contents)),
        ("settings", "How it was made", _settings(contents)),
    ]
    links = [tag("li", tag("a", name, href=f"#{key}")) for key, name, _ in sections]
    body = tag(
        "div",
        tag(
            "header",
            tag("p", "Attention replacement", class_="small"),
            tag("h1", contents.name),
            _top(contents),
            tag("nav", tag("ul", *links), aria_label="Sections"),
        ),
        tag(
            "main",
            *(
                tag(
                    "section",
                    tag("h2", name, id=f"{key}-title"),
                    content,
                    id=key,
                    aria_labelledby=f"{key}-title",
                )
                for key, name, content in sections
            ),
        ),
        class_="page",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{contents.name}: attention replacement"),
        tag("style", Markup(CSS)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n"


def _top(contents: Contents) -> Markup:
    if not contents.results:
        return _missing("No results yet", "attnreplace eval")
    return headline(join_seeds(headline_results(contents.results)))


def _results(contents: Contents) -> Markup:
    if not contents.results:
        return _missing("No results yet", "attnreplace eval")
    parts = []
    for test_set in dict.fromkeys(result.test_set for result in contents.results):
        results = [result for result in contents.results if result.test_set == test_set]
        caption = tag(
            "caption",
            f"Quality on “{test_set}” ",
            tag("span", f"{results[0].sentences:,} sentences", class_="quiet"),
        )
        parts += [_table(results, quality_columns(results), caption), _signatures(results)]
    if any(len({r.seed for r in row.results}) > 1 for row in table_rows(contents.results)):
        note = "Where students were trained from several seeds: mean ± standard deviation."
        parts.append(tag("p", note, class_="small"))
    parts.append(_costs(contents))
    for words, note in ((NON_CAUSAL, NON_CAUSAL_NOTE), (WITH_ATTENTION, ATTENTION_NOTE)):
        # Where several kinds of students are joined, only the label says it.
        if any(words in result.label for result in contents.results):
            parts.append(tag("p", note, class_="small"))
    if contents.left_out:
        what = "Left out, as their students are gone or were replaced since they were evaluated: "
        parts.append(_missing(what + ", ".join(contents.left_out), "attnreplace eval"))
    return join(parts)


def _costs(contents: Contents) -> Markup:
    # What a system costs was measured once, whatever it translates.
    cost = [
        r for r in contents.results if r.test_set == headline_results(contents.results)[0].test_set
    ]
    columns = cost_columns(cost)
    if all(r.whole is None for r in cost):
        missing = _missing("No cost was measured", "attnreplace eval --cost")
        caption = tag("caption", "Error of the students")
        return join([_table(cost, columns, caption), missing] if columns else [missing])
    table = _table(cost, columns, tag("caption", "Cost"))
    decodes = any(result.scope.decodes for result in cost)
    flops = (
        "FLOPs of the encoder a source token and of the decoder a target token, matrix products."
        if decodes
        else "FLOPs of the encoder, matrix products."
    )
    state = (
        " State: what a greedy translation of one sentence keeps from step to step."
        if decodes
        else ""
    )
    note = tag(
        "p",
        "Replaced: parameters of the attention that is gone; replacement: parameters of the "
        f"students; whole: the model as evaluated. {flops} "
        "Latency: median of the encoder alone, and of a greedy translation, for a batch of "
        f"1 and of 64 sentences.{state} Relative error: mean over the layers.",
        class_="small",
    )
    return join([table, note])


def _table(results: Sequence[Result], columns: Sequence[Column], caption: Markup) -> Markup:
    """A results table: a heading for everything that is replaced, where that differs.

    There is a rule between kinds, and methods of several sizes; the best student is bold.
    """
    scopes = scopes_of(r.scope for r in results)
    # The headings say which attention it is.
    texts = [column for column in text_columns(results) if column[0] != SCOPE_COLUMN]
    students = of_kind(join_seeds(headline_results(results)), "student")
    chief = [best([s for s in students if s.scope == scope]) for scope in scopes]
    best_names = {student.name for student in chief if student is not None}
    head = [tag("th", heading, scope="col", class_="text") for heading, _ in texts]
    head += [tag("th", column.heading, scope="col") for column in columns]
    several = len({r.size for r in results if r.kind == "student"}) > 1
    rows, group, scope = [], None, Scope(())
    for row in table_rows(results):
        first = row.first
        if first.scope != scope and len(scopes) > 1:
            title = tag("th", first.scope.title, scope="rowgroup", colspan=len(head))
            rows.append(tag("tr", title, class_="scope"))
            scope, group = first.scope, None
        here = first.kind, first.method if several and first.kind == "student" else None
        classes = [
            "group" if group not in (None, here) else "",
            "best" if first.name in best_names else "",
        ]
        group = here
        cells = [tag("th", first.label, scope="row")]
        cells += [tag("td", text(first), class_="text") for _, text in texts[1:]]
        cells += [tag("td", row.cell(column)) for column in columns]
        rows.append(tag("tr", *cells, class_=" ".join(filter(None, classes)) or None))
    table = tag("table", caption, tag("thead", tag("tr", *head)), tag("tbody", *rows))
    return scroll(table, "Results")


def _signatures(results: Sequence[Result]) -> Markup:
    found = dict.fromkeys(
        (metric, score.signature)
        for r in results
        for metric, score in (("BLEU", r.bleu), ("chrF", r.chrf))
    )
    lines = [
        tag("div", f"{metric} ", tag("code", signature)) for metric, signature in sorted(found)
    ]
    return tag("div", *lines, class_="small")


def _quality(contents: Contents) -> Markup:
    if not contents.quality:
        return _missing("No student was evaluated", "attnreplace eval")
    shown = headline_results(contents.results)[0]
    where = f"BLEU on “{shown.test_set}”, beam {shown.beam}."
    return join([tag("p", where, class_="small"), _figures(contents.quality)])


def _layers(contents: Contents) -> Markup:
    if contents.errors is None:
        return _missing("No student was trained", "attnreplace distill")
    sites = dict.fromkeys(site for row in contents.error_values.values() for site in row)
    rows = [
        [label, *(error(row[site]) if site in row else NOTHING for site in sites)]
        for label, row in contents.error_values.items()
    ]
    table = simple_table(["System", *sites], rows, "Relative error by layer", texts=1)
    details = tag("details", tag("summary", "The same as a table"), table)
    return join([_figures([contents.errors]), details])


def _training(contents: Contents) -> Markup:
    names = {chart.name for chart in contents.training}
    parts = [_figures(contents.training)] if names else []
    if "teacher_training" not in names:
        parts.append(_missing("No record of the teacher's training", "attnreplace train"))
    if "students_training" not in names:
        parts.append(_missing("No students' histories", "attnreplace distill"))
    return join(parts)


def _samples(contents: Contents) -> Markup:
    if not contents.samples:
        return _missing("No translations are kept beside the results", "attnreplace eval")
    marks = tag("mark", "Underlined")
    parts = [tag("p", f"{RULE} ", marks, ": not in the teacher's translation.", class_="small")]
    source_language, _, target_language = contents.results[0].pair.partition("-")
    for number, sample in enumerate(contents.samples, start=1):
        teacher = sample.hypotheses[0][1]
        same: dict[str, list[str]] = {}
        for result, text in sample.hypotheses:
            same.setdefault(text, []).append(result.label)
        systems = [
            tag(
                "div",
                tag("dt", ", ".join(names)),
                tag("dd", *_marked(teacher, text), lang=target_language, dir="auto"),
            )
            for text, names in same.items()
        ]
        given = [
            tag("div", tag("dt", name), tag("dd", text, lang=language, dir="auto"))
            for name, text, language in (
                ("Source", sample.source, source_language),
                ("Reference", sample.reference, target_language),
            )
        ]
        parts.append(
            tag(
                "article",
                tag("h3", f"Sentence {number}"),
                tag("dl", *given, class_="given"),
                tag("dl", *systems, class_="systems"),
                class_="sample",
            )
        )
    return join(parts)


def _marked(teacher: str, text: str) -> list[Markup | str]:
    """A translation with the words marked that are not the teacher's."""
    if not text.strip():
        return [tag("span", "(nothing)", class_="quiet")]
    pieces = departures(teacher, text)
    shown = [tag("mark", piece) if new else piece for piece, new in pieces]
    return [part for piece in shown for part in (piece, " ")]


def _settings(contents: Contents) -> Markup:
    content = provenance(contents.settings, contents.results, contents.trainings)
    return content or _missing("No settings are recorded", "attnreplace train")


def _figures(charts: Sequence[Chart]) -> Markup:
    """Each chart for wide and for narrow screens; the style sheet shows one of the two."""
    figures = [
        tag(
            "figure",
            tag("figcaption", tag("h3", chart.title), tag("div", chart.caption, class_="small")),
            tag("div", chart.svg(chart.wide), class_="wide"),
            tag("div", chart.svg(NARROW), class_="narrow"),
        )
        for chart in charts
    ]
    return tag("div", *figures, class_="figures" if len(figures) > 1 else "figures alone")


def _missing(what: str, command: str) -> Markup:
    return tag("p", f"{what}. To fill this in: ", tag("code", command), class_="missing")
