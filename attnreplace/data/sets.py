"""Out of the sets that a source has: which one trains, which validates, which ones test."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from operator import add
from typing import Protocol, Self, TypeVar

from attnreplace.errors import UserError

TRAIN = "train"
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


def validation_set(names: Iterable[str]) -> str | None:
    """Which set is for validation: validation, valid, val, dev, or the first of dev2010, ..."""
    names = set(names)
    years = sorted(name for name in names if re.fullmatch(r"dev\d+", name))
    return next(
        (name for name in ("validation", "valid", "val", "dev", *years) if name in names), None
    )


def usual_tests(names: Iterable[str]) -> list[str]:
    """The test sets where none is asked for: all but other training and development sets."""
    return [name for name in names if not re.search(r"(^|\.)(train|val|dev)", name)]


def read_train(sets: Mapping[str, Callable[[], S]], where: str) -> S:
    """The training set.

    Raises:
        UserError: there is none.
    """
    if TRAIN not in sets:
        raise UserError(
            f"{where} has no training set (only {', '.join(sets)}); add one, or set train_size = 0 "
            "where none is needed"
        )
    return sets[TRAIN]()


def hold_out(train: S) -> tuple[S, S]:
    """The training rows, and the last of them as validation rows."""
    count = min(HELD_OUT_MOST, -(-len(train) // HELD_OUT_PART))  # rounded up: never none
    split = len(train) - count
    return train.head(split), train.pick(range(split, len(train)))


def read_tests(
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
    read = {part: not_empty(sets[part](), part, where) for part in wanted}
    return {name: reduce(add, [read[part] for part in names]) for name, names in parts.items()}


def not_empty(split: S, name: str, where: str) -> S:
    """The split itself.

    Raises:
        UserError: it is empty.
    """
    if not len(split):
        raise UserError(f'the set "{name}" of {where} is empty; give one with rows in it')
    return split
