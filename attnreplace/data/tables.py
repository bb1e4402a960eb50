"""Columns of rows with a text and maybe a class: of TSV, JSON lines, Parquet, `datasets` splits."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from attnreplace.data.reading import Entry, read_bytes, read_text
from attnreplace.errors import UserError

if TYPE_CHECKING:
    import datasets

TEXT_COLUMNS = ("text", "sentence", "content")
LABEL_COLUMNS = ("label", "labels", "class")


@dataclass(frozen=True)
class Table:
    """The rows of one set."""

    where: str
    """How a message names the set."""
    columns: dict[str, list[Any]]
    """Values by the names of their columns."""
    classes: dict[str, list[str]] = field(default_factory=dict)
    """Names of the classes, by the columns that hold indices into them."""


TableReader = Callable[[], Table]
"""Reads one set when it is called."""


def texts(table: Table) -> list[str]:
    """The texts, without the white space around them; null is read as an empty one.

    Raises:
        UserError: no column of text, or something else in it.
    """
    name = next((name for name in TEXT_COLUMNS if name in table.columns), None)
    if name is None:
        raise UserError(
            f"{table.where} has the columns {', '.join(table.columns) or 'none'}, where one of "
            f"{', '.join(TEXT_COLUMNS)} is needed"
        )
    for value in table.columns[name]:
        if value is not None and not isinstance(value, str):
            raise UserError(f'{table.where}: "{name}" should be text, not {value!r:.40}')
    return [(value or "").strip() for value in table.columns[name]]


def labels(table: Table) -> tuple[list[Any], list[str] | None] | None:
    """The class of each row, and the names of the classes where the rows hold indices.

    Returns:
        None where no column holds classes.
    """
    name = label_column(table.columns, table.classes)
    return None if name is None else (table.columns[name], table.classes.get(name))


def label_column(columns: Iterable[str], numbered: Iterable[str]) -> str | None:
    """Which column holds the classes: one of a usual name, else the first of `numbered`.

    Args:
        columns: names of all columns.
        numbered: those of which `datasets` knows the names of the classes.
    """
    usual = [name for name in LABEL_COLUMNS if name in columns]
    return next(iter([*usual, *numbered]), None)


def read_lines_of(entry: Entry) -> Table:
    """A text file, a row a line.

    Raises:
        UserError: it cannot be read.
    """
    return Table(entry.where, {"text": read_text(entry).split("\n")})


def read_tsv(entry: Entry) -> Table:
    """Columns between tabs under a header, without quotes, as in GLUE.

    Raises:
        UserError: it cannot be read, or a row is longer or shorter than the header.
    """
    header, *rows = [line.rstrip("\r").split("\t") for line in read_text(entry).split("\n")]
    while rows and rows[-1] == [""]:
        rows.pop()
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UserError(
                f"{entry.where} line {number} has {len(row)} columns, its header {len(header)}; "
                "mend that line"
            )
    return Table(entry.where, {name: [row[i] for row in rows] for i, name in enumerate(header)})


def read_json_lines(entry: Entry) -> Table:
    """An object a line.

    Raises:
        UserError: it cannot be read, or its objects have different fields.
    """
    columns: dict[str, list[Any]] = {}
    count = 0
    for number, line in enumerate(read_text(entry).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{entry.where} line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where} is not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict) or (count and row.keys() != columns.keys()):
            raise UserError(f"{where} should be an object with the fields of the first line")
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
        count += 1
    return Table(entry.where, columns)


def read_parquet(entry: Entry) -> "datasets.Dataset":
    """A Parquet file, with the features that `datasets` noted in it.

    Raises:
        UserError: it cannot be read.
    """
    import datasets
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(read_bytes(entry)))
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"cannot read {entry.where} as Parquet ({shorten(str(error), 300)}); download it again"
        ) from error
    return datasets.Dataset(datasets.table.InMemoryTable(table))


def dataset_table(split: "datasets.Dataset", where: str) -> Table:
    """The columns of text and of classes of a `datasets` split."""
    import datasets

    wanted = {
        name: feature
        for name, feature in split.features.items()
        if name in TEXT_COLUMNS + LABEL_COLUMNS or isinstance(feature, datasets.ClassLabel)
    }
    return Table(
        where,
        {name: column(split, name) for name in wanted},
        {n: f.names for n, f in wanted.items() if isinstance(f, datasets.ClassLabel)},
    )


def column(split: "datasets.Dataset", name: str) -> list[Any]:
    """The values of one column of a `datasets` split, in the order of its rows."""
    return split.select_columns([name]).with_format("arrow")[:][name].to_pylist()


def joined(tables: list[Table]) -> Table:
    """The rows of several files of one set, one after the other.

    Raises:
        UserError: they have different columns.
    """
    first, *others = tables
    columns = {name: list(values) for name, values in first.columns.items()}
    for other in others:
        if other.columns.keys() != columns.keys():
            raise UserError(
                f"{other.where} has other columns than {first.where}; name the two as two sets"
            )
        for name, values in other.columns.items():
            columns[name] += values
    return Table(first.where, columns, first.classes)
