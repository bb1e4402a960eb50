"""Progress reports. The library announces; whoever calls decides how to show it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Task(Protocol):
    """One running piece of work."""

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Count `steps` more as done; `figures` are shown beside the bar (`loss=0.12`)."""


class Progress(Protocol):
    """Where a long function says what it is doing."""

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        """Open a task of `total` steps (None: unknown), of which `done` are done already."""
        ...

    def note(self, message: str) -> None:
        """Say a line, or a small table, that should stay readable after the bars are gone."""


class _NullTask:
    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Nothing to show."""


class NullProgress:
    """Shows nothing; the default of every library function."""

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        """A task nobody watches."""
        yield _NullTask()

    def note(self, message: str) -> None:
        """Nobody listens."""
