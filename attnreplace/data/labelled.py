"""Texts with classes: which classes there are, and which of them each row has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from attnreplace.data.config import DataConfig
from attnreplace.data.sets import TRAIN
from attnreplace.data.strata import mixed
from attnreplace.data.tables import LABEL_COLUMNS, TableReader, labels, texts
from attnreplace.data.texts import Texts
from attnreplace.errors import UserError


@dataclass(frozen=True)
class _Rows:
    """The rows of one set, their classes by name."""

    lines: list[str]
    names: list[str | None]
    """The class of each row; None: not told."""
    classes: list[str] | None
    """All classes, where the set lists them."""


def label_sets(
    sets: Mapping[str, TableReader], config: DataConfig
) -> tuple[dict[str, Callable[[], Texts]], list[str]]:
    """Readers of the sets whose rows tell their classes, and the names of the classes.

    The classes are those that the training set lists or has, without one those of all sets. Sets
    that keep their classes to themselves, as some test sets do, are left out. The rows come in an
    order in which every beginning has all classes.

    Raises:
        UserError: a set lacks a column of text, or none tells at least two classes.
    """
    rows = {name: cache(partial(_rows, read)) for name, read in sets.items()}
    told = {name: read for name, read in rows.items() if None not in read().names}
    classes = _classes([told[TRAIN]()] if TRAIN in told else [read() for read in told.values()])
    if len(classes) < 2:
        raise UserError(
            f"the rows of {config.where} tell {len(classes) or 'no'} classes, where two or more "
            f"are needed; name the class of each in a column {' or '.join(LABEL_COLUMNS)}"
        )
    return {n: partial(_numbered, n, read, classes, config) for n, read in told.items()}, classes


def _rows(read: TableReader) -> _Rows:
    table = read()
    lines, found = texts(table), labels(table)
    if found is None:
        return _Rows(lines, [None] * len(lines), None)
    values, classes = found
    return _Rows(lines, [_class_name(value, classes) for value in values], classes)


def _class_name(value: Any, classes: list[str] | None) -> str | None:
    # -1 stands for a class that is kept secret.
    if value in (None, "", -1, "-1"):
        return None
    return str(value) if classes is None else classes[value]


def _classes(sets: list[_Rows]) -> list[str]:
    for rows in sets:
        if rows.classes is not None:
            return rows.classes
    names = {name for rows in sets for name in rows.names if name is not None}
    return sorted(names, key=lambda name: (int(name) if name.isdecimal() else -1, name))


def _numbered(
    name: str, read: Callable[[], _Rows], classes: list[str], config: DataConfig
) -> Texts:
    rows = read()
    index = {label: number for number, label in enumerate(classes)}
    unknown = next((label for label in rows.names if label not in index), None)
    if unknown is not None:
        raise UserError(
            f'the set "{name}" of {config.where} has the class "{unknown}", which the training set '
            "lacks; take such rows out, or add some to the training set"
        )
    numbers = [index[label] for label in rows.names if label is not None]
    return Texts(rows.lines, numbers).pick(mixed(numbers, config.seed))
