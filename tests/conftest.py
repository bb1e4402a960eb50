"""Fixtures of every test."""

import pytest

from attnreplace.progress import NullProgress


class Notes(NullProgress):
    """Progress that keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def notes() -> Notes:
    return Notes()
