"""AdamW within the backward pass: the same updates as torch's own after it."""

import pytest
import torch
from torch import Tensor

from attnreplace.checkpoint import optimizer_tensors, restore_optimizer
from attnreplace.distill.optimizer import RowwiseAdamW
from attnreplace.students import Student, StudentConfig, build_student, row_gradients

CONFIG = StudentConfig("shallow_ff", d_model=4, d_out=4, positions=6, hidden=7, groups=2)


@pytest.fixture(autouse=True)
def small_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that tiny weights are cut into blocks."""
    monkeypatch.setattr(row_gradients, "CACHED_VALUES", 70)
    monkeypatch.setattr(row_gradients, "ROUND", 2)


def student() -> Student:
    torch.manual_seed(0)
    return build_student(CONFIG)


def loss(student: Student, step: int) -> Tensor:
    # At 20 sentences of a token there are more rows than outputs, and another way to the gradient.
    batch, length = [(3, 5), (20, 1), (2, 6)][step % 3]
    generator = torch.Generator().manual_seed(step)
    return student.mix(torch.randn(batch, length, 4, generator=generator), None).square().sum()


def update(student: Student, optimizer: RowwiseAdamW, step: int) -> None:
    optimizer.param_groups[0]["lr"] = 1e-2 / (1 + step)
    with optimizer.during_backward():
        loss(student, step).backward()
    optimizer.step()
    optimizer.zero_grad()


def test_as_torch_does() -> None:
    ours, theirs = student(), student()
    mine = RowwiseAdamW(ours.parameters(), lr=1e-2, weight_decay=0.1)
    other = torch.optim.AdamW(theirs.parameters(), lr=1e-2, weight_decay=0.1)
    for step in range(6):
        update(ours, mine, step)
        loss(theirs, step).backward()
        other.param_groups[0]["lr"] = 1e-2 / (1 + step)
        other.step()
        other.zero_grad()
    for found, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
        assert mine.state[found]["step"] == 6


def test_its_state_is_taken_up_again() -> None:
    whole, half = student(), student()
    one = RowwiseAdamW(whole.parameters(), lr=1e-2, weight_decay=0)
    for step in range(4):
        update(whole, one, step)
    two = RowwiseAdamW(half.parameters(), lr=1e-2, weight_decay=0)
    for step in range(2):
        update(half, two, step)
    saved = {name: tensor.clone() for name, tensor in optimizer_tensors(two, "").items()}
    three = RowwiseAdamW(half.parameters(), lr=1e-2, weight_decay=0)
    restore_optimizer(three, saved, "")
    for step in range(2, 4):
        update(half, three, step)
    for found, wanted in zip(half.parameters(), whole.parameters(), strict=True):
        assert torch.equal(found, wanted)
