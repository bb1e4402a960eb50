"""What came out of a search: `search/<what was minimised>.json`, with all that was looked at."""

from pathlib import Path
from typing import NotRequired, TypedDict

from attnreplace.rundir import RunDir

SCHEMA = "attnreplace.search/1"
POINTS = 400
"""Assignments of the frontier that are kept, evenly spread, where there are more."""


class Assignment(TypedDict):
    """Which students take the place of which attention, and what that is expected to do."""

    system: str
    """As in `EvalConfig.systems`; empty: the teacher."""
    label: NotRequired[str]
    """For people."""
    replaced: int
    """How many sites."""
    cost: int
    """More than the teacher's: parameters, microseconds or bytes."""
    divergence: float
    """The sum of what its students do alone, in nats a prediction."""


class Verified(Assignment):
    """One that was built and scored."""

    score: float
    """On the validation data."""
    drop: float
    """How much worse than the teacher's."""
    within: bool
    """Whether that is allowed."""


class Outcome(TypedDict):
    """A search."""

    schema: str
    minimise: str
    max_drop: float
    metric: str
    sentences: int
    """Validation examples."""
    sites: int
    """All that the teacher has."""
    teacher: dict[str, float]
    """Its validation "score", and its "cost"."""
    frontier: list[tuple[int, float]]
    """Cost and divergence of the assignments that no other beats in both, the cheapest first."""
    verified: list[Verified]
    """In the order in which they were looked at."""
    alone: list[Assignment]
    """Every bundle at all of its sites, and those that belong together, for comparison."""
    chosen: Verified | None
    """None: nothing that is cheaper than the teacher is within what is allowed."""
    chosen_cost: float | None
    """What the chosen system costs as a whole, measured on it."""
    source_tokens: int
    new_tokens: int
    """Lengths at which time and state were measured."""
    device: str
    threads: int
    bundles: dict[str, str]
    """Digests of the bundles that were chosen from, by name."""
    teacher_digest: str
    versions: dict[str, str]
    created: str
    """ISO 8601, UTC."""


def outcome_path(run: RunDir, minimise: str) -> Path:
    """Where the outcome lies; the model and the configuration lie beside it."""
    return run.search / f"{minimise}.json"


def spread(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `POINTS` of them, the first and the last among them."""
    if len(points) <= POINTS:
        return points
    steps = (round(i * (len(points) - 1) / (POINTS - 1)) for i in range(POINTS))
    return [points[step] for step in steps]
