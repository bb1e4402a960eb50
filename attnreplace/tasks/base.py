"""What a task is: how its teachers are described, trained and measured."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnreplace.teacher.config import BaseTraining
    from attnreplace.teacher.learners.base import Learner


@dataclass(frozen=True)
class Metric:
    """What systems of a task are compared by."""

    name: str
    """In records: "bleu", "accuracy", "perplexity"."""
    label: str
    """For people."""
    higher_is_better: bool

    def best(self, scores: list[float]) -> int:
        """Index of the best score, the earliest of equals."""
        return scores.index(max(scores) if self.higher_is_better else min(scores))


@dataclass(frozen=True)
class Sections:
    """The classes of a run's `[teacher]` and `[training]`, and fields filled in where not given.

    Those of `[distill]` suit the task's embedded data.
    """

    teacher: type
    shape: Mapping[str, Any]
    training: "type[BaseTraining]"
    recipe: Mapping[str, Any]
    distill: Mapping[str, Any] = field(default_factory=dict)


class Task(ABC):
    """A task. Importing one is cheap: its learner is imported when it is asked for."""

    name: str
    metric: Metric
    auto_class: str
    """The Auto class of the library for its models."""

    @abstractmethod
    def sections(self, teacher: Mapping[str, Any]) -> Sections:
        """What describes and trains a teacher.

        Args:
            teacher: what is given of `[teacher]`: names a model, a preset, or weights to start
                from.

        Raises:
            UserError: there is no such model or preset.
        """

    def complete(self, teacher: Any) -> Any:
        """A teacher's configuration with the fields spelt out that its name stands for."""
        return teacher

    @abstractmethod
    def learner(self, corpus: Any, teacher: Any, training: Any) -> "Learner":
        """What knows the batches, the loss and the validation of one training.

        Args:
            corpus: of this task.
            teacher: as `sections` says.
            training: as `sections` says.

        Raises:
            UserError: the corpus holds nothing that such a teacher can be trained on.
        """
