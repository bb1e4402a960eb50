"""Text of one language in memory: to fill in masked tokens of, or to tell classes of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from attnreplace.digest import digest_json


@dataclass(frozen=True)
class Texts:
    """Lines of text and, where there are classes, the class of each."""

    lines: list[str]
    labels: list[int] | None = None
    """Indices into the classes of the corpus; None: there are no classes."""

    def __post_init__(self) -> None:
        if self.labels is not None and len(self.labels) != len(self.lines):
            raise ValueError(f"{len(self.lines)} lines, but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.lines)

    def head(self, count: int | None) -> "Texts":
        """The first `count` lines (None: all of them)."""
        return Texts(self.lines[:count], None if self.labels is None else self.labels[:count])

    def pick(self, indices: Sequence[int]) -> "Texts":
        """These lines, in this order."""
        labels = None if self.labels is None else [self.labels[i] for i in indices]
        return Texts([self.lines[i] for i in indices], labels)

    def __add__(self, other: "Texts") -> "Texts":
        if self.labels is None or other.labels is None:
            return Texts(self.lines + other.lines)
        return Texts(self.lines + other.lines, self.labels + other.labels)


@dataclass(frozen=True)
class TextCorpus:
    """A corpus of text; `task` is "mlm" or "classification"."""

    name: str
    task: str
    train: Texts
    validation: Texts
    tests: dict[str, Texts] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    """Names of the classes; none where the task is "mlm"."""

    @cached_property
    def digest(self) -> str:
        """Digest of what is trained on: every training and validation line and its class."""
        return self.digest_of({"train": self.train, "validation": self.validation})

    def test_digest(self, name: str) -> str:
        """Digest of one test set."""
        return self.digest_of({"test": self.tests[name]})

    def digest_of(self, splits: dict[str, Texts]) -> str:
        """Digest of every line of some splits, their classes by name."""
        return digest_json(
            {
                "task": self.task,
                "classes": self.classes,
                **{name: [split.lines, split.labels] for name, split in splits.items()},
            }
        )
