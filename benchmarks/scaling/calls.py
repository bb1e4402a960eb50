"""The three things whose cost is measured and counted: a training step, a forward pass, a step."""

from collections.abc import Callable
from typing import Any

import torch

from attnreplace.distill.optimizer import RowwiseAdamW
from benchmarks.scaling.shapes import Shape, build

TOKENS = 2048
"""In a batch of training and of the forward pass: sentences of N tokens, as many as fit."""
DECODED = 16
"""Sentences that are decoded at once."""
WHATS = {
    "train": f"a training step of {TOKENS:,} tokens",
    "forward": f"a forward pass of {TOKENS:,} tokens",
    "step": f"a decoding step of {DECODED} sentences, at the last of N positions",
}


class Subject:
    """A system in a shape, with random inputs, on torch's default device.

    No sentence has padding: all have N tokens, source and target alike.
    """

    def __init__(self, system: str, shape: Shape) -> None:
        self.shape = shape
        self.module: Any = build(system, shape)
        self.batch = max(1, TOKENS // shape.positions)
        self.x, self.target, memory = torch.randn(3, self.batch, shape.positions, shape.d_model)
        self.memory = memory if shape.form == "per-query" else None

    def gradients(self) -> None:
        """Forward and backward pass of the mean squared error."""
        (self.module.mix(self.x, self.memory) - self.target).square().mean().backward()

    def trainer(self) -> Callable[[], None]:
        """A training step, as `attnreplace distill` makes it."""
        self.module.requires_grad_(True)
        optimizer = RowwiseAdamW(self.module.parameters(), lr=1e-4, weight_decay=0.0)

        def step() -> None:
            with optimizer.during_backward():
                self.gradients()
            optimizer.step()
            optimizer.zero_grad()

        return step

    def user(self, what: str) -> Callable[[], object]:
        """A forward pass or a decoding step of the finished module, frozen as in a model."""
        self.module.requires_grad_(False).eval()
        if what == "forward":
            return torch.no_grad()(lambda: self.module.mix(self.x, self.memory))
        with torch.no_grad():
            state = self.state()
        last = self.shape.positions - 1
        new = torch.randn(DECODED, 1, self.shape.d_model)
        if self.shape.form == "per-query":
            return torch.no_grad()(lambda: self.module.answer(new, state, last))
        return torch.no_grad()(lambda: self.module.decode(new, state, last))

    def state(self, missing: int = 1) -> tuple[torch.Tensor, ...]:
        """What decoding keeps of `DECODED` sentences.

        Args:
            missing: tokens of N that have not been read yet, in self-attention.
        """
        shape = self.shape
        tokens = torch.randn(DECODED, shape.positions, shape.d_model)
        if shape.form == "per-query":
            real = torch.ones(DECODED, shape.positions, dtype=torch.bool)
            return tuple(self.module.read_memory(tokens, real))
        return tuple(self.module.decode(tokens[:, missing:], None, 0)[1])


def whats_of(shape: Shape) -> list[str]:
    """What can be measured: only the decoder's forms decode."""
    return [what for what in WHATS if what != "step" or shape.form != "sentence"]
