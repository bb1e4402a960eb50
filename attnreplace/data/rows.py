"""Rows that hold a sentence in several languages: JSON lines, Parquet, `datasets` tables.

A row is `{"translation": {"de": ..., "en": ...}}`, as in translation datasets on the Hub, or has
the languages side by side, `{"de": ..., "en": ...}`.
"""

import json
from collections.abc import Collection
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from attnreplace.data.corpus import Pairs
from attnreplace.data.reading import Entry, one_line, read_bytes, read_text
from attnreplace.errors import UserError

if TYPE_CHECKING:
    import pyarrow

FIELD = "translation"


def read_rows(entries: list[Entry], pair: str) -> Pairs:
    """Pairs of the rows of JSON lines or Parquet files, one file after the other.

    Raises:
        UserError: a file cannot be read, or lacks a language.
    """
    source: list[str] = []
    target: list[str] = []
    for entry in entries:
        read = _read_parquet if ".parquet" in entry.name else _read_json_lines
        part = read(entry, pair)
        source += part.source
        target += part.target
    return Pairs(source, target)


def table_pairs(table: "pyarrow.Table", pair: str, where: str) -> Pairs:
    """Pairs of an Arrow table.

    Raises:
        UserError: the table lacks a language.
    """
    import pyarrow
    from pyarrow import compute

    columns: dict[str, Any] = {name: table[name] for name in table.column_names}
    if FIELD in columns and pyarrow.types.is_struct(columns[FIELD].type):
        translation = columns[FIELD]
        columns = {
            field.name: compute.struct_field(translation, field.name) for field in translation.type
        }
    source, target = _languages(columns, pair, where)
    return Pairs(
        _sentences(columns[source].to_pylist(), where),
        _sentences(columns[target].to_pylist(), where),
    )


def _read_parquet(entry: Entry, pair: str) -> Pairs:
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(pyarrow.BufferReader(read_bytes(entry)))
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"cannot read {entry.where} as Parquet ({shorten(str(error), 300)}); download it again"
        ) from error
    return table_pairs(table, pair, entry.where)


def _read_json_lines(entry: Entry, pair: str) -> Pairs:
    sources: list[Any] = []
    targets: list[Any] = []
    for number, line in enumerate(read_text(entry).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{entry.where} line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where} is not JSON ({error}); write one object a line") from error
        if not isinstance(row, dict):
            raise UserError(f"{where} is not a JSON object; write one object a line")
        if isinstance(row.get(FIELD), dict):
            row = row[FIELD]
        source, target = _languages(row, pair, where)
        sources.append(row[source])
        targets.append(row[target])
    return Pairs(_sentences(sources, entry.where), _sentences(targets, entry.where))


def _languages(names: Collection[str], pair: str, where: str) -> tuple[str, str]:
    source, target = pair.split("-")
    missing = [language for language in (source, target) if language not in names]
    if missing:
        raise UserError(
            f"{where} lacks {' and '.join(missing)}: it has the fields {', '.join(names)}, where "
            f'a "{FIELD}" field with "{source}" and "{target}" is needed'
        )
    return source, target


def _sentences(values: list[Any], where: str) -> list[str]:
    """The sentences, with null read as an empty one."""
    for value in values:
        if value is not None and not isinstance(value, str):
            raise UserError(
                f"{where}: a translation should be text, not {type(value).__name__} ({value!r:.40})"
            )
    return [one_line(value or "") for value in values]
