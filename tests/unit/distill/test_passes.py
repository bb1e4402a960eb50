import pytest
import torch

from attnreplace.distill.optimizer import RowwiseAdamW
from attnreplace.distill.passes import (
    BYTES_PER_PARAMETER,
    BYTES_WITHOUT_GRADIENT,
    MEMORY_SHARE,
    bytes_per_parameter,
    plan_passes,
)
from attnreplace.students import FAMILIES, StudentConfig, build_student

STUDENTS = {"a": 10, "b": 20, "c": 30}


def free(parameters: int) -> float:
    return parameters * BYTES_PER_PARAMETER / MEMORY_SHARE + 1


def test_all_in_one_pass_where_they_fit() -> None:
    plan = plan_passes(STUDENTS, free(60))
    assert plan.groups == [["a", "b", "c"]]
    assert str(plan).startswith("3 students to train, 60 parameters, 0.00 GiB of 0.00 GiB")
    assert str(plan).endswith("may be used: 1 pass")


def test_memory_makes_passes() -> None:
    plan = plan_passes(STUDENTS, free(59))
    assert plan.groups == [["a", "b"], ["c"]]
    assert str(plan).endswith("2 passes, for the memory")
    # What does not fit at all is tried alone.
    assert plan_passes(STUDENTS, 0).groups == [["a"], ["b"], ["c"]]


def test_max_students_makes_passes() -> None:
    plan = plan_passes(STUDENTS, free(60), most=2)
    assert plan.groups == [["a", "b"], ["c"]]
    assert str(plan).endswith("2 passes, for max_students")


def test_nobody_joins_an_interrupted_pass() -> None:
    plan = plan_passes(STUDENTS, free(60), interrupted={"b"})
    assert plan.groups == [["b"], ["a", "c"]]
    assert str(plan).endswith("2 passes, one is taken up where it was interrupted")
    assert str(plan_passes(STUDENTS, free(60), interrupted=set(STUDENTS))).endswith("1 pass")


def test_nothing_to_do() -> None:
    assert plan_passes({}, free(1)).groups == []


def test_a_parameter_takes_what_is_said_of_its_student():
    plan = plan_passes(STUDENTS, free(60), each=lambda key: 2 * BYTES_PER_PARAMETER)
    assert len(plan.groups) > 1 and plan.size == 120 * BYTES_PER_PARAMETER


@pytest.mark.parametrize("form", FAMILIES["shallow_ff"])
def test_gradients_are_counted_where_they_are_whole(form):
    config = StudentConfig(
        family="shallow_ff", d_model=4, d_out=4, positions=3, hidden=2, hidden_layers=2, form=form
    )
    student = build_student(config).train()
    optimizer = RowwiseAdamW(student.parameters(), lr=1e-3, weight_decay=0.0)
    x, mask = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    given = () if form in ("sentence", "prefix") else (x, mask)
    with optimizer.during_backward():
        student(x, mask, *given).square().sum().backward()
    large = [weight for weight in student.parameters() if weight.dim() == 3]
    free = all(weight.grad is None for weight in large)
    each = bytes_per_parameter(config, within=True)
    assert each == (BYTES_WITHOUT_GRADIENT if free else BYTES_PER_PARAMETER)
    assert bytes_per_parameter(config, within=False) == BYTES_PER_PARAMETER
