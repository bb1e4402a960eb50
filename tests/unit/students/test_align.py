"""Students see neither the side nor the amount of padding."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attnreplace.errors import SequenceTooLong
from attnreplace.students import StudentConfig, build_student, run_aligned

POSITIONS = 6


@pytest.fixture(scope="module")
def student() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_student(StudentConfig("shallow_ff", 3, 3, POSITIONS, 8)).double()


def place(tokens: list[Tensor], starts: list[int], width: int) -> tuple[Tensor, Tensor]:
    """Rows with their tokens from `starts` on, NaN elsewhere, and the mask."""
    x = torch.full((len(tokens), width, 3), float("nan"), dtype=torch.float64)
    mask = torch.zeros(len(tokens), width, dtype=torch.bool)
    for row, (sentence, start) in enumerate(zip(tokens, starts, strict=True)):
        x[row, start : start + len(sentence)] = sentence
        mask[row, start : start + len(sentence)] = True
    return x, mask


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, POSITIONS), st.integers(0, 5)), min_size=1, max_size=4),
    extra=st.integers(0, 4),
)
def test_any_padding(student: torch.nn.Module, rows: list[tuple[int, int]], extra: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randn(n, 3, generator=generator, dtype=torch.float64) for n, _ in rows]
    starts = [start for _, start in rows]
    width = max(length + start for length, start in rows) + extra
    if width == 0:
        return
    x, mask = place(tokens, starts, width)
    out = run_aligned(student, x, mask)
    assert out.shape == x.shape
    assert (out[~mask] == 0).all()
    for row, (sentence, start) in enumerate(zip(tokens, starts, strict=True)):
        if len(sentence):
            alone = student(sentence[None], torch.ones(1, len(sentence), dtype=torch.bool))[0]
            got = out[row, start : start + len(sentence)]
            torch.testing.assert_close(got, alone, atol=1e-12, rtol=0)


def test_gaps_keep_their_positions(student: torch.nn.Module) -> None:
    x = torch.randn(1, 5, 3, dtype=torch.float64)
    mask = torch.tensor([[True, False, True, True, False]])
    moved = torch.cat([torch.zeros(1, 2, 3), x], 1).double()
    moved_mask = torch.cat([torch.zeros(1, 2, dtype=torch.bool), mask], 1)
    got = run_aligned(student, moved, moved_mask)
    torch.testing.assert_close(got[:, 2:], student(x, mask))


def test_only_real_tokens_count_against_the_positions(student: torch.nn.Module) -> None:
    tokens = [torch.randn(POSITIONS + 1, 3, dtype=torch.float64)]
    with pytest.raises(SequenceTooLong):
        run_aligned(student, *place(tokens, [2], 20))
    run_aligned(student, *place([tokens[0][1:]], [2], 20))
