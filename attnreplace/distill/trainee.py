"""One student in training: a method and size at one site, with an optimiser of its own."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attnreplace.checkpoint import optimizer_tensors, restore_optimizer
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.cuts import Cut, Example
from attnreplace.distill.objectives import get_objective, squared_error
from attnreplace.distill.optimizer import RowwiseAdamW
from attnreplace.distill.team import Team
from attnreplace.schedule import learning_rate
from attnreplace.students import Student, StudentConfig

PAPER_RATES = {"alr": 1e-4}
"""Rates of the recipe `paper`; 1e-3 for the other methods."""
MODERN_RATE = 2e-3
"""Of the recipe `modern`, but for `shallow_ff`."""
WARMUP = 0.05
"""Share of all updates, recipe `modern`."""


def peak_rate(config: DistillConfig, method: str, student: StudentConfig) -> float:
    """The highest rate of a training: what is set, or the recipe's own.

    Recipe `modern`: the wider a flattened network, the lower its rate, by 1/h where an example is a
    whole sentence, by less where it is a token. From trials that `experiments/LOG.md` tells of.
    """
    if config.learning_rate is not None:
        return config.learning_rate
    if config.recipe == "paper":
        return PAPER_RATES.get(method, 1e-3)
    if student.family != "shallow_ff":
        return MODERN_RATE
    if student.form in ("prefix", "per-query"):
        return min(4e-3, MODERN_RATE * (800 / student.hidden) ** 0.5)
    return min(4e-3, MODERN_RATE * 400 / student.hidden)


@dataclass(frozen=True)
class TraineeKey:
    """Which student: a bundle and a site in it."""

    bundle: str
    site: str

    def __str__(self) -> str:
        return f"{self.bundle}/{self.site}"

    @classmethod
    def parse(cls, text: str) -> "TraineeKey":
        """Read what `str` gives."""
        return cls(*text.split("/"))


class Trainee:
    """Trains on batches that the loop hands it; knows nothing of files."""

    def __init__(
        self,
        key: TraineeKey,
        cut: Cut,
        student: Student,
        config: DistillConfig,
        variance: float,
        digest: str,
    ) -> None:
        """Set up the optimiser.

        Args:
            key: which student this is.
            cut: what it reads and predicts.
            student: freshly initialised, on its device.
            config: recipe, rates and objective.
            variance: of the target, which some objectives measure in.
            digest: of everything that its training depends on.
        """
        self.key, self.cut, self.config, self.digest = key, cut, config, digest
        self.student = student
        self.modern = config.recipe == "modern"
        self.variance = variance
        self.objective = get_objective(config.objective, config.recipe)
        self.peak = peak_rate(config, cut.method.name, student.config)
        decay = config.weight_decay if self.modern else 0.0
        self.optimizer = RowwiseAdamW(student.parameters(), lr=self.peak, weight_decay=decay)
        self.weights: dict[str, Tensor] = dict(student.named_parameters())
        self.parameters = sum(weight.numel() for weight in self.weights.values())
        self.best: dict[str, Tensor] = {}
        if self.modern:
            self.best = {n: weight.detach().clone() for n, weight in self.weights.items()}
        self.errors: list[float] = []
        """Relative error on the validation split after each epoch."""
        self.train_losses: list[float] = []
        # On the student's device: reading a figure would wait for a GPU at every update.
        self._device = next(student.parameters()).device
        self._loss_sum = self._zero()
        self._loss_terms = 0

    def _zero(self) -> Tensor:
        return torch.zeros((), dtype=torch.float64, device=self._device)

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

    def update(self, example: Example, step: int, total: int, autocast: bool, team: Team) -> None:
        """One update.

        Args:
            example: what the batch has for this student's cut.
            step: number of this update, from 0.
            total: updates in the whole training.
            autocast: whether matrix products run in bfloat16.
            team: the processes that share the batch.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(step, total)
        # A gradient that is added up over processes has to be there as a whole.
        alone = team.count == 1
        with self.optimizer.during_backward() if alone else nullcontext():
            output = self._output(example, autocast)
            loss = self.objective.total(output, example.target, self.variance) * example.weight
            terms = self.objective.terms(example.tokens, output.shape[-1])
            (loss / terms).backward()
        loss = loss.detach()
        team.add_up([loss, *(w.grad for w in self.weights.values() if w.grad is not None)])
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._loss_sum += loss
        self._loss_terms += terms

    def _rate(self, step: int, total: int) -> float:
        if not self.modern:
            return self.peak
        return learning_rate(
            step,
            peak=self.peak,
            warmup=max(1, round(WARMUP * total)),
            total=total,
            schedule=self.config.schedule,
        )

    @torch.no_grad()
    def error(self, example: Example, autocast: bool) -> Tensor:
        """Squared error on one batch, summed; a float64 scalar on the student's device."""
        return squared_error(self._output(example, autocast), example.target).double()

    def _output(self, example: Example, autocast: bool) -> Tensor:
        """What the student gives at the real tokens, `(tokens, d_out)`."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=autocast):
            return example.real.take(self.student.mix(example.x, example.memory))

    @property
    def loss(self) -> float:
        """Mean loss since the epoch began; on a GPU, reading it waits for what is under way."""
        return float(self._loss_sum) / max(1, self._loss_terms)

    @torch.no_grad()
    def end_epoch(self, relative_error: float) -> None:
        """Note the validation error, and keep the weights if they are the best so far."""
        self.errors.append(relative_error)
        self.train_losses.append(self.loss)
        self._loss_sum, self._loss_terms = self._zero(), 0
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
            "digest": self.digest,
            "errors": self.errors,
            "train_losses": self.train_losses,
            "loss_sum": float(self._loss_sum),
            "loss_terms": self._loss_terms,
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
        self._loss_sum = self._zero() + state["loss_sum"]
        self._loss_terms = state["loss_terms"]
