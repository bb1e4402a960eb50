"""The sets of text files in a folder or zip, or of a single file, found by their names.

    train.txt, wiki.valid.tokens, text_test.txt.xz   a line a row, for masked language modelling
    train.tsv, dev.tsv                               columns under a header, as in GLUE
    train.jsonl, train-00000-of-00002.parquet        rows with named fields

All of them packed by gzip or xz, too. A name tells its set by beginning with it, or by the word
train, validation, valid, val, dev or test; several files of one set are joined. Text of no set is
to train on where no file is named for that.
"""

import re
from functools import partial
from pathlib import Path

from attnreplace.data.naming import PACKED, ROWS, set_of
from attnreplace.data.reading import Entry, entries
from attnreplace.data.sets import TRAIN
from attnreplace.data.tables import (
    Table,
    TableReader,
    dataset_table,
    joined,
    read_json_lines,
    read_lines_of,
    read_parquet,
    read_tsv,
)
from attnreplace.errors import UserError

_PLAIN = re.compile(rf"(?P<stem>.+?)(?:(?:\.(?:txt|text|tokens|raw)){PACKED}|\.gz|\.xz)")


def find_text_sets(path: Path, task: str) -> dict[str, TableReader]:
    """Readers of the sets under `path`, or of the one file that it is, by their names, sorted.

    Args:
        path: folder, zip or file.
        task: "mlm" reads plain text, too.

    Raises:
        UserError: there is no such folder or file, or nothing in it is for the task.
    """
    if path.is_file() and path.suffix != ".zip":
        entry = Entry(path.name, str(path), path.read_bytes)
        kind = _kind(entry.name, task)
        if kind is None:
            raise UserError(f"{path} is not a file for {task}; give {_wanted(task)}")
        return {TRAIN: partial(_read, [(kind[1], entry)])}
    files = entries(path)
    found = _sets(files, task)
    if not found and (path / "data").is_dir():
        found = _sets(entries(path / "data"), task)
    if not found:
        names = ", ".join(file.name for file in files[:5]) or "nothing"
        raise UserError(
            f"{path} holds no files for {task} (but {names}{', ...' if files[5:] else ''}); give "
            f"{_wanted(task)}"
        )
    return {name: partial(_read, files) for name, files in sorted(found.items())}


def _sets(files: list[Entry], task: str) -> dict[str, list[tuple[str, Entry]]]:
    """The files of each set, each with its format."""
    found: dict[str, list[tuple[str, Entry]]] = {}
    nameless: list[tuple[str, Entry]] = []
    for file in files:
        kind = _kind(file.name, task)
        if kind is not None:
            stem, format_ = kind
            name = set_of(stem)
            place = nameless if name is None else found.setdefault(name, [])
            place.append((format_, file))
    if nameless and TRAIN not in found and task == "mlm":
        found[TRAIN] = nameless
    return found


def _kind(name: str, task: str) -> tuple[str, str] | None:
    """A file's name without its suffixes, and its format; None: not for the task."""
    if match := ROWS.fullmatch(name):
        return match["stem"], match["format"]
    if task == "mlm" and (match := _PLAIN.fullmatch(name)):
        return match["stem"], "txt"
    return None


def _read(files: list[tuple[str, Entry]]) -> Table:
    return joined([_READERS[format_](entry) for format_, entry in files])


def _read_parquet(entry: Entry) -> Table:
    return dataset_table(read_parquet(entry), entry.where)


_READERS = {
    "txt": read_lines_of,
    "tsv": read_tsv,
    "jsonl": read_json_lines,
    "parquet": _read_parquet,
}


def _wanted(task: str) -> str:
    rows = "train.tsv, train.jsonl or train.parquet with a text"
    if task == "mlm":
        return f"text files (train.txt, valid.txt, test.txt, or one file), or {rows}"
    return f"{rows} and a label"
