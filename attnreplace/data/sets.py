"""Which of the sets of a source train, validate and test."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial, reduce
from operator import add
from typing import Protocol, Self, TypeVar

from attnreplace.data.config import DataConfig
from attnreplace.errors import UserError

TRAIN = "train"
VALIDATION = ("validation", "valid", "val", "dev")
HELD_OUT_MOST = 1_000
HELD_OUT_PART = 20
"""Without a validation set, one row in so many is held out, at most `HELD_OUT_MOST`."""


class Split(Protocol):
    """Rows in memory: pairs, lines or images."""

    def __len__(self) -> int: ...

    def head(self, count: int | None) -> Self:
        """The first `count` rows (None: all of them)."""

    def pick(self, indices: range) -> Self:
        """These rows."""

    def __add__(self, other: Self) -> Self: ...


S = TypeVar("S", bound=Split)


def assemble(
    sets: Mapping[str, Callable[[], S]],
    config: DataConfig,
    nothing: S,
    *,
    shares: tuple[float, float] | None = None,
    usual: Collection[str] | None = None,
) -> tuple[S, S, dict[str, S]]:
    """Training, validation and test sets as the configuration asks for; no other is read.

    Without a validation set, the last of the training rows validate.

    Args:
        sets: their readers by name.
        config: the sizes and the test sets.
        nothing: an empty set.
        shares: of a lone training set, to train on and to validate on, the rest being for tests.
            With shares the validation set serves as the test set where there is none, and does
            not validate then: nothing is chosen by the rows that are reported on.
        usual: the test sets where none is asked for; None: all but those whose names begin with
            train, val or dev.

    Raises:
        UserError: a set that is needed is missing or empty.
    """
    where, wants_train = config.where, config.train_size != 0
    if shares is not None and set(sets) == {TRAIN}:
        parts = share_out(_not_empty(sets[TRAIN](), TRAIN, where), shares)
        sets = {name: partial(part.head, None) for name, part in parts.items()}
    validation_name = validation_set(sets)
    tests = {name: read for name, read in sets.items() if name not in (TRAIN, validation_name)}
    if usual is None:
        usual = [name for name in tests if not re.search(r"(^|\.)(train|val|dev)", name)]
    if shares is not None and validation_name is not None and not tests:
        tests, usual = {validation_name: sets[validation_name]}, [validation_name]
        validation_name = None if wants_train else validation_name
    train = _train(sets, where) if wants_train else nothing
    if validation_name is not None:
        validation = _not_empty(sets[validation_name](), validation_name, where)
    else:
        train, validation = _hold_out(train)
    if wants_train:
        _not_empty(train, TRAIN, where)
    return (
        train.head(config.train_size),
        validation.head(config.validation_size),
        choose_tests(tests, config.test_sets or usual, where),
    )


def validation_set(names: Iterable[str]) -> str | None:
    """Which set is for validation: validation, valid, val, dev, or the first of dev2010, ..."""
    names = set(names)
    years = sorted(name for name in names if re.fullmatch(r"dev\d+", name))
    return next((name for name in (*VALIDATION, *years) if name in names), None)


def share_out(rows: S, shares: tuple[float, float]) -> dict[str, S]:
    """Contiguous parts of the rows: train, validation and, of what the shares leave, test."""
    first, second = (round(sum(shares[:count]) * len(rows)) for count in (1, 2))
    return {
        TRAIN: rows.head(first),
        "validation": rows.pick(range(first, second)),
        "test": rows.pick(range(second, len(rows))),
    }


def choose_tests(
    sets: Mapping[str, Callable[[], S]], asked: Collection[str], where: str
) -> dict[str, S]:
    """The test sets asked for, each read once; "a+b" is two joined.

    Raises:
        UserError: one is unknown or empty.
    """
    parts = {name: [name] if name in sets else name.split("+") for name in asked}
    wanted = dict.fromkeys(part for names in parts.values() for part in names)
    unknown = [part for part in wanted if part not in sets]
    if unknown:
        raise UserError(
            f'{where} has no test set "{unknown[0]}"; choose of {", ".join(sets) or "none"}'
        )
    read = {part: _not_empty(sets[part](), part, where) for part in wanted}
    return {name: reduce(add, [read[part] for part in names]) for name, names in parts.items()}


def _train(sets: Mapping[str, Callable[[], S]], where: str) -> S:
    if TRAIN not in sets:
        raise UserError(
            f"{where} has no training set (only {', '.join(sets)}); add one, or set train_size = 0 "
            "where none is needed"
        )
    return sets[TRAIN]()


def _hold_out(train: S) -> tuple[S, S]:
    """The training rows, and the last of them as validation rows."""
    count = min(HELD_OUT_MOST, -(-len(train) // HELD_OUT_PART))  # rounded up: never none
    split = len(train) - count
    return train.head(split), train.pick(range(split, len(train)))


def _not_empty(split: S, name: str, where: str) -> S:
    if not len(split):
        raise UserError(f'the set "{name}" of {where} is empty; give one with rows in it')
    return split
