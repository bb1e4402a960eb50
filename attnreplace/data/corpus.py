"""Parallel text in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from attnreplace.digest import digest_json
from attnreplace.errors import UserError


@dataclass(frozen=True)
class Pairs:
    """Sentences and their translations, line by line."""

    source: list[str]
    target: list[str]

    def __post_init__(self) -> None:
        if len(self.source) != len(self.target):
            raise UserError(
                f"source and target are misaligned: {len(self.source)} against "
                f"{len(self.target)} lines; check that both files come from the same release"
            )

    def __len__(self) -> int:
        return len(self.source)

    def head(self, count: int | None) -> "Pairs":
        """The first `count` pairs (None: all of them)."""
        return Pairs(self.source[:count], self.target[:count])

    def pick(self, indices: Sequence[int]) -> "Pairs":
        """These pairs, in this order."""
        return Pairs([self.source[i] for i in indices], [self.target[i] for i in indices])

    def __add__(self, other: "Pairs") -> "Pairs":
        return Pairs(self.source + other.source, self.target + other.target)


@dataclass(frozen=True)
class Corpus:
    """A corpus for one translation direction; `pair` reads source-target, as in "de-en"."""

    task: ClassVar[str] = "translation"

    name: str
    pair: str
    train: Pairs
    validation: Pairs
    tests: dict[str, Pairs] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Digest of what is trained on: every training and validation sentence."""
        return self.digest_of({"train": self.train, "validation": self.validation})

    def test_digest(self, name: str) -> str:
        """Digest of one test set."""
        return self.digest_of({"test": self.tests[name]})

    def digest_of(self, splits: dict[str, Pairs]) -> str:
        """Digest of every sentence of some splits, in this direction."""
        return digest_json(
            {"pair": self.pair, **{name: [p.source, p.target] for name, p in splits.items()}}
        )
