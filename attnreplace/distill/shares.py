"""Dividing students between jobs or processes that need not know of each other."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from attnreplace.errors import UserError

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Share:
    """One of `count` shares, counted from 1."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise UserError(
                f"there is no part {self.index}/{self.count}; "
                f"with {self.count} parts they are 1/{self.count} to {self.count}/{self.count}"
            )

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read "2/8".

        Raises:
            UserError: it is not of that form, or there is no such share.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.strip().isdigit() and count.strip().isdigit() and int(count)):
            raise UserError(f"a part is written as 2/8, the second of eight; got {text!r}")
        return cls(int(index), int(count))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, sizes: Mapping[K, int]) -> list[K]:
        """This share's keys, in their order; the shares are disjoint and hold all of them.

        The largest first, each goes where the least is: no two shares differ by more than one
        student's size.

        Args:
            sizes: the work that each key is; every share has to be given the same.
        """
        loads = [0] * self.count
        owner = {}
        for key in sorted(sizes, key=lambda key: -sizes[key]):
            owner[key] = loads.index(min(loads))
            loads[owner[key]] += sizes[key]
        return [key for key in sizes if owner[key] == self.index - 1]
