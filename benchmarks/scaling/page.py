"""The page of the documentation: its tables and figures of speech come from the records.

A block stands between `<!-- begin name -->` and `<!-- end name -->`; what is between is replaced.
"""

import re
from collections.abc import Callable, Mapping

from attnreplace.errors import UserError
from attnreplace.planning.tables import Table, markdown_table
from benchmarks.scaling.calls import WHATS, whats_of
from benchmarks.scaling.cost_tables import (
    PLACES,
    bytes_table,
    depth_table,
    fits_table,
    parameters_table,
    seconds_table,
)
from benchmarks.scaling.crossings import cheaper_table, dearer_table
from benchmarks.scaling.findings import about, findings
from benchmarks.scaling.quality_tables import (
    GROUPS,
    depths_table,
    laws_table,
    lengths_table,
    longer_table,
    teachers_table,
)
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import FORMS, Shape


def shown(table: Table) -> str:
    """A table as Markdown, or that there is none."""
    return markdown_table(table) if table[1] else EMPTY


def _by_group(results: Results, table: Callable[[Results, str], Table]) -> str:
    """A table for each group of sites."""
    return "\n\n".join(
        f"{words[:1].upper()}{words[1:]}:\n\n{shown(table(results, group))}"
        for group, words in GROUPS.items()
    )


BLOCKS: dict[str, Callable[[Results], str]] = {
    "findings": findings,
    "about": about,
    "parameters": lambda results: shown(parameters_table(results)),
    "training memory": lambda r: shown(bytes_table(r, "sentence", "training_bytes")),
    "decoding state": lambda r: shown(bytes_table(r, "prefix", "state_bytes")),
    "train sentence": lambda r: shown(seconds_table(r, "sentence", "train")),
    "forward per-query": lambda r: shown(seconds_table(r, "per-query", "forward")),
    "step prefix": lambda r: shown(seconds_table(r, "prefix", "step")),
    "dearer": lambda results: shown(dearer_table(results)),
    "cheaper": lambda results: shown(cheaper_table(results)),
    "depth": lambda results: shown(depth_table(results)),
    "fits": lambda results: "\n\n".join(
        f"{words[:1].upper()}{words[1:]}:\n\n{shown(fits_table(results, what))}"
        for what, words in WHATS.items()
    ),
    "teachers": lambda results: shown(teachers_table(results)),
    "error by length": lambda results: _by_group(results, lengths_table),
    "error by depth": lambda results: _by_group(results, depths_table),
    "error after longer training": lambda results: _by_group(results, longer_table),
    "error laws": lambda results: shown(laws_table(results)),
}
"""What stands in each block of the page."""
EMPTY = "*Nothing was measured yet.*"
MARK = re.compile(r"(<!-- begin ([^>]+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def fill(
    page: str, results: Results, blocks: Mapping[str, Callable[[Results], str]] = BLOCKS
) -> str:
    """The page with every block as the records give it.

    Raises:
        UserError: the page has a block that is unknown, or lacks one.
    """
    there = [found[2] for found in MARK.finditer(page)]
    if sorted(there) != sorted(blocks):
        wrong = ", ".join(sorted({*there} ^ {*blocks})) or "one of them twice"
        raise UserError(f"the page and the program do not have the same blocks: {wrong}")
    return MARK.sub(lambda found: f"{found[1]}\n{blocks[found[2]](results)}\n\n{found[3]}", page)


def all_tables(results: Results) -> str:
    """Every table of costs, those that the page leaves out too."""
    parts = ["# Scaling: every table of costs\n\nWhat they are: `docs/scaling.md`."]
    for form in FORMS:
        place = PLACES[form]
        tables: dict[str, Table] = {
            f"{place}: parameters": parameters_table(results, form),
            f"{place}: bytes to train": bytes_table(results, form, "training_bytes"),
        }
        for what in whats_of(Shape(form, 1, 1)):
            tables[f"{place}: {WHATS[what]}"] = seconds_table(results, form, what)
        if form != "sentence":
            tables[f"{place}: bytes to decode"] = bytes_table(results, form, "state_bytes")
        parts += [f"## {title}\n\n{shown(table)}" for title, table in tables.items()]
    return "\n\n".join(parts) + "\n"
