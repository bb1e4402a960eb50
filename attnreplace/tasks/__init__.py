"""Tasks: what a teacher is trained for.

To add one: one file here with a subclass of `Task`, its learner in `teacher/learners`, and its
instance in `TASKS` below; how its teachers' activations are captured and how systems are scored
stand in `activations/inputs.py` and `evaluate/scorers`.
"""

from attnreplace.errors import UserError
from attnreplace.tasks.base import Metric, Sections, Task
from attnreplace.tasks.classification import Classification
from attnreplace.tasks.image import Image
from attnreplace.tasks.mlm import MaskedLM
from attnreplace.tasks.translation import Translation

TASKS: dict[str, Task] = {
    task.name: task for task in (Translation(), MaskedLM(), Classification(), Image())
}

__all__ = ["TASKS", "Metric", "Sections", "Task", "get_task"]


def get_task(name: str) -> Task:
    """The task of this name.

    Raises:
        UserError: there is none; lists those that there are.
    """
    if name not in TASKS:
        raise UserError(f"unknown task {name!r}; valid: {', '.join(TASKS)}")
    return TASKS[name]
