"""What a scorer is: one way to score systems on the test sets of a task."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from transformers import PreTrainedModel

from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.record import PREDICTIONS, Record, Score
from attnreplace.evaluate.systems import Candidate
from attnreplace.progress import Progress, Task
from attnreplace.teacher.load import Teacher


@dataclass(frozen=True)
class Setup:
    """What the evaluations of one call have in common."""

    teacher: Teacher
    corpus: Any
    """Of the kind that the task has."""
    config: EvalConfig


@dataclass(frozen=True)
class Outcome:
    """How a system did on a test set."""

    scores: dict[str, Score]
    fields: Mapping[str, Any]
    """What the record says besides: of translation its languages and decoding, else the task, the
    metric and where there is a limit what became of texts over it."""
    lines: Iterable[Mapping[str, Any]]
    """What the system made of each example."""


class Scorer(ABC):
    """Scores systems in one way. It may keep what all systems read alike."""

    metric: ClassVar[str]
    """The score that systems are compared by, as in `Outcome.scores` and on the command line."""
    tasks: ClassVar[tuple[str, ...]]
    """The tasks it is for."""
    beside: ClassVar[str] = PREDICTIONS
    """What lies beside its records."""

    def __init__(self, setup: Setup) -> None:
        """Check that the teacher can be scored in this way.

        Raises:
            UserError: it cannot.
        """
        self.setup = setup

    @classmethod
    def all(cls, setup: Setup) -> list["Scorer"]:
        """The scorers that the configuration asks for."""
        return [cls(setup)]

    @property
    def setting(self) -> str:
        """How it scores, in names of files."""
        return self.metric

    @property
    def words(self) -> str:
        """How it scores, for people."""
        return self.metric.replace("_", " ")

    @abstractmethod
    def inputs(self, candidate: Candidate) -> dict[str, Any]:
        """What decides the scores besides the system and the data."""

    def examples(self, test_set: str) -> int:
        """How many examples a test set has."""
        return len(self.setup.corpus.tests[test_set])

    @abstractmethod
    def score(
        self,
        candidate: Candidate,
        model: PreTrainedModel,
        test_set: str,
        task: Task,
        progress: Progress,
    ) -> Outcome:
        """Score a system on a test set.

        Args:
            candidate: the system.
            model: it, built, on the device where it is to run.
            test_set: its name.
            task: counts the examples, and shows the score at the end.
            progress: for notes.

        Raises:
            UserError: what the model reads or says is not of this task.
        """

    @property
    @abstractmethod
    def mean_tokens(self) -> int:
        """Mean length in the corpus's first test set: what cost is measured on."""

    def limit(self, candidate: Candidate, model: PreTrainedModel) -> int:
        """Most tokens that the cost of a system can be measured on."""
        return candidate.limit

    def recorded_limit(self, record: Record) -> int:
        """The same of the system of a record, which need not be built for it."""
        over_long = record.get("over_long")
        return over_long["limit"] if over_long else self.mean_tokens
