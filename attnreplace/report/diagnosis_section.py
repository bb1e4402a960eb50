"""The page's diagnoses: what the loss of each system is made of."""

from collections.abc import Sequence

from attnreplace.report.diagnosis import Diagnosed
from attnreplace.report.diagnosis_tables import (
    MEANING,
    Table,
    by_test_set,
    detail_tables,
    overview_table,
    remarks,
)
from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.provenance import simple_table


def diagnosis_section(diagnoses: Sequence[Diagnosed], figures: Markup) -> Markup:
    """For each test set where systems are worst; the figures; and all numbers, folded away."""
    parts = [tag("p", MEANING, class_="small")]
    details = []
    for test_set, group in by_test_set(diagnoses).items():
        parts += [tag("h3", f"On “{test_set}”"), _table(overview_table(group))]
        for table in detail_tables(group):
            summary = tag("summary", f"{table.title}, on “{test_set}”")
            details.append(tag("details", summary, _table(table)))
        parts += [tag("p", remark, class_="small") for remark in remarks(group)]
    return join([*parts, figures, *details])


def _table(table: Table) -> Markup:
    return simple_table(table.header, table.rows, table.title, texts=1)
