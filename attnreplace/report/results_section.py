"""The page's tables of results."""

from collections.abc import Sequence
from pathlib import Path

from attnreplace.evaluate.labels import KIND_WORDS, NON_CAUSAL
from attnreplace.report.markup import Markup, join, missing, tag
from attnreplace.report.metrics import MEASURES
from attnreplace.report.provenance import scroll
from attnreplace.report.result import Result
from attnreplace.report.scopes import Scope, scopes_of
from attnreplace.report.selection import best, headline_results, join_seeds, of_kind
from attnreplace.report.tables import (
    P_NOTE,
    SCOPE_COLUMN,
    Column,
    cost_columns,
    plural,
    quality_columns,
    table_rows,
    text_columns,
)

NON_CAUSAL_NOTE = (
    "The paper's form of cross-attention is not causal: it reads the whole target and writes all "
    "positions at once. It was trained on whole references and translates from beginnings of "
    "sentences, without a cache."
)
ATTENTION_NOTE = "Students that contain attention, however small: the model is not free of it."
PAIRS_NOTE = (
    "Students that score pairs have neither dot product nor softmax, but a number for every pair "
    "of tokens, as attention has."
)


def results_section(every: Sequence[Result], left_out: Sequence[str], run: Path) -> Markup:
    """A table of quality a test set, and one of cost.

    Args:
        every: all results, in reading order.
        left_out: systems whose students are gone or were replaced since they were evaluated.
        run: its folder.
    """
    if not every:
        return missing("No results yet", "attnreplace eval", run)
    parts = []
    for test_set in dict.fromkeys(result.test_set for result in every):
        results = [result for result in every if result.test_set == test_set]
        caption = tag(
            "caption",
            f"Quality on “{test_set}” ",
            tag("span", plural(results[0].examples, results[0].example), class_="quiet"),
        )
        parts += [_table(results, quality_columns(results), caption), _signatures(results)]
    if any(len({r.seed for r in row.results}) > 1 for row in table_rows(every)):
        note = "Where students were trained from several seeds: mean ± standard deviation."
        parts.append(tag("p", note, class_="small"))
    if any(result.p is not None for result in every):
        parts.append(tag("p", P_NOTE, class_="small"))
    parts.append(_costs(every, run))
    for words, note in (
        (NON_CAUSAL, NON_CAUSAL_NOTE),
        (KIND_WORDS["pairwise"], PAIRS_NOTE),
        (KIND_WORDS["attention"], ATTENTION_NOTE),
    ):
        # Where several kinds of students are joined, only the label says it.
        if any(words in result.label for result in every):
            parts.append(tag("p", note, class_="small"))
    if left_out:
        what = "Left out, as their students are gone or were replaced since they were evaluated: "
        parts.append(missing(what + ", ".join(left_out), "attnreplace eval", run))
    return join(parts)


def _costs(every: Sequence[Result], run: Path) -> Markup:
    # What a system costs was measured once, whatever it translates.
    shown = headline_results(every)[0]
    cost = [r for r in every if r.test_set == shown.test_set]
    columns = cost_columns(cost)
    if all(r.whole is None for r in cost):
        nothing = missing("No cost was measured", "attnreplace eval --cost", run)
        caption = tag("caption", "Error of the students")
        return join([_table(cost, columns, caption), nothing] if columns else [nothing])
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
    translates = shown.task == "translation"
    latency = (
        "median of the encoder alone, and of a greedy translation, for a batch of "
        if translates
        else "median of the model without its head, for a batch of "
    )
    noun = "texts" if shown.task == "mlm" else plural(64, shown.example).partition(" ")[2]
    note = tag(
        "p",
        "Replaced: parameters of the attention that is gone; replacement: parameters of the "
        f"students; whole: the model as evaluated. {flops} "
        f"Latency: {latency}1 and of 64 {noun}.{state} Relative error: mean over the layers.",
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
    """What is needed to reproduce the scores, where their names do not say it all."""
    names: dict[str, list[str]] = {}
    for result in results:
        for name, score in result.scores.items():
            labels = names.setdefault(score.signature, [])
            if MEASURES[name].label not in labels:
                labels.append(MEASURES[name].label)
    names.pop("", None)
    lines = [
        tag("div", f"{', '.join(labels)} ", tag("code", signature))
        for signature, labels in sorted(names.items(), key=lambda item: item[1])
    ]
    return tag("div", *lines, class_="small")
