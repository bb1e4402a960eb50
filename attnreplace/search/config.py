"""What is searched for."""

import math
from dataclasses import dataclass, field

from attnreplace.errors import UserError
from attnreplace.students import KINDS

MINIMISED = ("params", "latency", "state")
"""What an assignment can be as cheap as possible in: parameters; the time of a greedy translation,
or of the encoder where there is no decoder; the bytes that decoding keeps from step to step."""


@dataclass(frozen=True)
class SearchConfig:
    """Which students take the place of which attention: the cheapest that lose little enough."""

    max_drop: float = 0.5
    """How much worse than the teacher's the validation score may be, in its own points: BLEU,
    per cent of accuracy, perplexity."""
    minimise: str = "params"
    """"params", "latency" or "state"."""
    bundles: list[str] = field(default_factory=list)
    """Bundles to choose from; empty: all of the run."""
    kinds: list[str] = field(default_factory=list)
    """Kinds of students to choose from: "static", "gated", "pairwise", "attention"; empty: all."""
    verify: int = 8
    """Systems that are built and scored on validation data, at most."""
    sentences: int = 500
    """Validation examples that are read, the first ones."""

    def __post_init__(self) -> None:
        for what, chosen, valid in (
            ("minimise", [self.minimise], MINIMISED),
            ("kinds", self.kinds, tuple(KINDS)),
        ):
            for name in chosen:
                if name not in valid:
                    raise UserError(f"search.{what}: unknown {name!r}; valid: {', '.join(valid)}")
        if not 0 <= self.max_drop < math.inf:
            raise UserError(f"search.max_drop must be a number from 0 on; got {self.max_drop}")
        for what, count in (("verify", self.verify), ("sentences", self.sentences)):
            if count < 1:
                raise UserError(f"search.{what} must be at least 1; got {count}")
