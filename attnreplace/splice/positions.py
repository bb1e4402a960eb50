"""How long the sentences may be that a spliced model can read and write."""

from collections.abc import Callable

from transformers import PreTrainedModel

from attnreplace.hosts import Site
from attnreplace.students import StudentConfig, student_class


def source_positions(model: PreTrainedModel) -> int | None:
    """Most source tokens that the students of a spliced model read; None where nothing limits them.

    The students of the encoder and of cross-attention read the source.
    """
    return _fewest(model, "encoder", "cross")


def target_positions(model: PreTrainedModel) -> int | None:
    """Most target tokens that the students of a spliced model read; None where nothing limits them.

    The students of the decoder read the target, its start token included; those of cross-attention
    only in the paper's form, and where they tell the positions of queries apart.
    """
    return _fewest(model, "decoder", "cross", limiting=_limits_target)


def _limits_target(site: Site, student: StudentConfig) -> bool:
    if site.group == "decoder" or student.form != "per-query":
        return True
    return student_class(student).bounds_queries


def _fewest(
    model: PreTrainedModel,
    *groups: str,
    limiting: Callable[[Site, StudentConfig], bool] = lambda site, student: True,
) -> int | None:
    """The fewest positions among the students at sites of these groups, of those that limit."""
    students = [
        (Site.parse(site), StudentConfig(**student))
        for bundle in getattr(model.config, "attnreplace", [])
        for site, student in bundle["students"].items()
    ]
    return min(
        (
            student.positions
            for site, student in students
            if site.group in groups and limiting(site, student)
        ),
        default=None,
    )
