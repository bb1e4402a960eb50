"""A team that shares batches shares out the reading of checksums, too."""

from pathlib import Path
from typing import Any, cast

import pytest

from attnreplace.distill.config import DistillConfig
from attnreplace.distill.parts import Parts
from attnreplace.distill.team import Team
from attnreplace.distill.training import Training
from attnreplace.progress import NullProgress


class Agreed(Team):
    """A process that is told that there is one student to train."""

    def agree(self, value: list[list[str]]) -> list[list[str]]:
        return [["alr-m/encoder.self.0"]]


class Reached(Exception):
    """What comes after the checksums."""


class Source:
    """Notes who verifies what."""

    def __init__(self) -> None:
        self.verified: list[tuple[int, int]] = []

    def verify(self, progress: Any, names: Any, rank: int, ranks: int) -> None:
        self.verified.append((rank, ranks))
        raise Reached


def test_every_process_verifies_its_share(tmp_path: Path) -> None:
    source, config = Source(), DistillConfig()
    for rank in range(3):
        team, parts = Agreed(rank, 3), Parts(tmp_path)
        training = Training(
            cast(Any, source), config, team, parts, tmp_path / "checkpoint", NullProgress()
        )
        with pytest.raises(Reached):
            training.train([])
    assert source.verified == [(0, 3), (1, 3), (2, 3)]
