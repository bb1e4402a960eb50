"""One training step of a decoder student: prefix sums against a pass for every position.

Bozic et al., arXiv 2311.10642, train the decoder's students in a loop over the positions, each step
of it a forward pass of the whole width. Here all positions come out of one pass.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from attnreplace.students import StudentConfig, build_student, hidden_width
from benchmarks.measure import Row, in_turn
from benchmarks.plain.decoder import PlainDecoderStudent

GOAL = 15.0
"""Wanted at size M on one core."""
SIZES = ("s", "m", "l")


def run(
    folder: Path,
    seconds: float = 8.0,
    d_model: int = 128,
    positions: int = 50,
    batch: int = 64,
) -> list[Row]:
    """Compare at each of `SIZES`.

    Args:
        folder: where other benchmarks work; this one needs none.
        seconds: time for each size, about; three pairs are taken whatever they cost.
        d_model: width of the model.
        positions: N; sentences have from N/4 to N tokens.
        batch: sentences in the batch.
    """
    return [_compare(size, seconds, d_model, positions, batch) for size in SIZES]


def _compare(size: str, seconds: float, d_model: int, positions: int, batch: int) -> Row:
    torch.manual_seed(0)
    config = StudentConfig(
        family="shallow_ff",
        d_model=d_model,
        d_out=d_model,
        positions=positions,
        hidden=hidden_width(size, positions * d_model),
        form="prefix",
    )
    student, plain = build_student(config), PlainDecoderStudent(config)
    plain.copy_from(student)
    lengths = torch.randint(positions // 4, positions + 1, (batch,))
    lengths[0] = positions
    mask = torch.arange(positions) < lengths[:, None]
    x, target = torch.randn(2, batch, positions, d_model) * mask.unsqueeze(-1)
    with torch.no_grad():
        difference = float((student(x, mask) - plain(x, mask)).abs().max())
    baseline_seconds, our_seconds = in_turn(
        lambda: _step(plain, x, mask, target),
        lambda: _step(student, x, mask, target),
        seconds=seconds,
    )
    return Row(
        benchmark="decoder student, training step",
        case=f"size {size.upper()}",
        baseline="a forward pass for every position",
        ours="prefix sums",
        baseline_values=baseline_seconds,
        our_values=our_seconds,
        goal=GOAL if size == "m" else None,
        extra={
            "parameters": config.num_parameters(),
            "sentences": batch,
            "tokens": int(lengths.sum()),
            "largest_difference": difference,
        },
    )


def _step(student: nn.Module, x: Tensor, mask: Tensor, target: Tensor) -> None:
    """Forward and backward pass; the optimiser costs both the same and is left out."""
    student.zero_grad()
    (student(x, mask) - target).square().mean().backward()
