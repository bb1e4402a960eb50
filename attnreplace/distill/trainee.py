"""One student in training: a method and size at one site, with an optimiser of its own."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnreplace.checkpoint import optimizer_tensors, restore_optimizer
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.objectives import squared_error
from attnreplace.hosts import Location
from attnreplace.methods import Method
from attnreplace.schedule import learning_rate
from attnreplace.students import Student

PAPER_RATES = {"alr": 1e-4}
"""Rates of the recipe `paper`; 1e-3 for the other methods."""
MODERN_RATE = 2e-3
WARMUP = 0.05
"""Share of all updates, recipe `modern`."""

BYTES_PER_PARAMETER = 24
"""Weight, gradient, two moments, best weights, and room for a temporary copy; float32."""


@dataclass(frozen=True)
class TraineeKey:
    """Which student: a bundle and a site in it."""

    bundle: str
    site: str

    def __str__(self) -> str:
        return f"{self.bundle}/{self.site}"


class Trainee:
    """Trains on batches that the loop hands it; knows nothing of files."""

    def __init__(
        self,
        key: TraineeKey,
        method: Method,
        location: Location,
        student: Student,
        config: DistillConfig,
        variance: float,
    ) -> None:
        """Set up the optimiser.

        Args:
            key: which student this is.
            method: its cut.
            location: its site in the teacher.
            student: freshly initialised, on its device.
            config: recipe and rates.
            variance: of the target; recipe `modern` divides the loss by it, so that losses of
                layers compare.
        """
        self.key, self.method, self.location, self.config = key, method, location, config
        self.student = student
        self.modern = config.recipe == "modern"
        self.variance = variance if self.modern else 1.0
        recipe_rate = MODERN_RATE if self.modern else PAPER_RATES.get(method.name, 1e-3)
        self.peak = config.learning_rate or recipe_rate
        self.optimizer = torch.optim.AdamW(
            student.parameters(),
            lr=self.peak,
            weight_decay=config.weight_decay if self.modern else 0.0,
            fused=True,
        )
        self.weights: dict[str, Tensor] = dict(student.named_parameters())
        self.best: dict[str, Tensor] = {}
        if self.modern:
            self.best = {n: weight.detach().clone() for n, weight in self.weights.items()}
        self.errors: list[float] = []
        """Relative error on the validation split after each epoch."""
        self.train_losses: list[float] = []
        self._loss_sum = torch.zeros((), dtype=torch.float64)
        self._loss_values = 0

    @property
    def resting(self) -> bool:
        """Whether early stopping has ended this student's training."""
        if not self.modern or not self.errors:
            return False
        return len(self.errors) - 1 - self.best_epoch >= self.config.patience

    @property
    def best_epoch(self) -> int:
        """Index of the epoch whose weights count: the best, or with the paper's recipe the last."""
        if not self.modern:
            return len(self.errors) - 1
        return self.errors.index(min(self.errors))

    def update(
        self, x: Tensor, target: Tensor, mask: Tensor, step: int, total: int, autocast: bool
    ) -> None:
        """One update.

        Args:
            x: input `(batch, seq, d_model)`.
            target: `(batch, seq, d_out)`, zero at padding.
            mask: `(batch, seq)` bool.
            step: number of this update, from 0.
            total: updates in the whole training.
            autocast: whether matrix products run in bfloat16.
        """
        rate = (
            self.peak
            if not self.modern
            else learning_rate(
                step,
                peak=self.peak,
                warmup=max(1, round(WARMUP * total)),
                total=total,
                schedule=self.config.schedule,
            )
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        error = self._error(x, target, mask, autocast)
        values = int(mask.sum()) * target.shape[-1]
        (error / (values * self.variance)).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._loss_sum += error.detach().double().cpu() / self.variance
        self._loss_values += values

    @torch.no_grad()
    def error(self, x: Tensor, target: Tensor, mask: Tensor, autocast: bool) -> float:
        """Squared error on one batch, summed."""
        return float(self._error(x, target, mask, autocast))

    def _error(self, x: Tensor, target: Tensor, mask: Tensor, autocast: bool) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast):
            output = self.student(x, mask)
        return squared_error(output, target)

    @torch.no_grad()
    def end_epoch(self, relative_error: float) -> None:
        """Note the validation error, and keep the weights if they are the best so far."""
        self.errors.append(relative_error)
        self.train_losses.append(float(self._loss_sum) / max(1, self._loss_values))
        self._loss_sum, self._loss_values = torch.zeros((), dtype=torch.float64), 0
        if self.modern and self.best_epoch == len(self.errors) - 1:
            for name, weight in self.weights.items():
                self.best[name].copy_(weight)

    @torch.no_grad()
    def restore_best(self) -> None:
        """Put the weights that count into the student."""
        for name, weight in self.best.items():
            self.weights[name].copy_(weight)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that a checkpoint needs: tensors, and figures as JSON."""
        prefix = f"{self.key}:"
        tensors = {f"{prefix}model.{n}": weight for n, weight in self.weights.items()}
        tensors |= {f"{prefix}best.{n}": weight for n, weight in self.best.items()}
        tensors |= optimizer_tensors(self.optimizer, f"{prefix}optimizer.")
        return tensors, {
            "errors": self.errors,
            "train_losses": self.train_losses,
            "loss_sum": float(self._loss_sum),
            "loss_values": self._loss_values,
        }

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Put back what `state` gave."""
        prefix = f"{self.key}:"
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"{prefix}model.{name}"])
        for name, weight in self.best.items():
            weight.copy_(tensors[f"{prefix}best.{name}"])
        restore_optimizer(self.optimizer, tensors, f"{prefix}optimizer.")
        self.errors, self.train_losses = state["errors"], state["train_losses"]
        self._loss_sum = torch.tensor(state["loss_sum"], dtype=torch.float64)
        self._loss_values = state["loss_values"]
