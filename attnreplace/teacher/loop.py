"""The training loop: any task, any number of processes, resumed exactly."""

import dataclasses
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from attnreplace.checkpoint import (
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
)
from attnreplace.interruption import Interruption, held_back
from attnreplace.precision import resolved_precision
from attnreplace.progress import Progress
from attnreplace.schedule import learning_rate
from attnreplace.tasks.base import Metric
from attnreplace.teacher.config import BaseTraining
from attnreplace.teacher.learners.base import Learner


@dataclass
class _Counters:
    """Where a training stands; with the tensors, all that a checkpoint holds."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_tokens: int = 0
    rate: float = 0.0
    """Learning rate of the last update."""
    seconds: float = 0.0
    update_seconds: float = 0.0
    """Of these, without the validation."""
    history: list[dict[str, Any]] = field(default_factory=list)


class TrainingLoop:
    """One training, from its checkpoint if there is one of the same inputs.

    Args:
        learner: what is learnt.
        metric: which epoch is the best.
        config: how it is optimised.
        checkpoint: the file to go on from, and to write to.
        inputs: digest of all that the training depends on.
        progress: shows it.
        what: is trained, for people.
    """

    def __init__(
        self,
        learner: Learner,
        metric: Metric,
        config: BaseTraining,
        checkpoint: Path,
        inputs: str,
        progress: Progress,
        what: str = "teacher",
    ) -> None:
        self.what = what
        self.learner, self.metric, self.config = learner, metric, config
        self.inputs, self.progress = inputs, progress
        self.accelerator = Accelerator(cpu=not torch.accelerator.is_available())
        self.bf16 = resolved_precision(config.precision, self.accelerator.device) == "bf16"
        torch.manual_seed(config.seed)
        self.model = learner.build()
        self.weights: dict[str, Tensor] = {
            name: weight for name, weight in self.model.named_parameters() if weight.requires_grad
        }
        self.best = {name: weight.detach().clone() for name, weight in self.weights.items()}
        optimizer = torch.optim.AdamW(
            learner.parameter_groups(self.model, config.weight_decay),
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            eps=config.epsilon_of_adam,
            fused=True,
        )
        self.parallel, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.counters = _Counters()
        self._interruption = Interruption()
        self.checkpoint_path = checkpoint
        self._resume()

    def execute(self) -> None:
        """Train to the end; the model then has the weights of the best epoch."""
        with held_back(self.progress, self.accelerator.num_processes == 1) as self._interruption:
            self._train()
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(self.best[name])

    def _train(self) -> None:
        config, counters = self.config, self.counters
        while counters.epoch < config.epochs and not self._exhausted():
            self._train_epoch()
            if self.accelerator.is_main_process:
                self._validate()
            # The other processes need only the history, which decides when to stop.
            shared = [counters.history]
            broadcast_object_list(shared)
            counters.history = shared[0]
            counters.epoch, counters.batch = counters.epoch + 1, 0
            counters.loss_sum, counters.loss_tokens = 0.0, 0
            self._save_checkpoint()
            self._interruption.heed(self._save_checkpoint)

    def record(self) -> dict[str, Any]:
        """The part of the record that says how it went."""
        history = self.counters.history
        return {
            "history": history,
            "best": history[self._best_epoch()],
            "seconds": self.counters.seconds,
            "update_seconds": self.counters.update_seconds,
            "device": str(self.accelerator.device),
            "processes": self.accelerator.num_processes,
        }

    def _train_epoch(self) -> None:
        config, counters = self.config, self.counters
        batches = self.learner.batches(counters.epoch)
        total_steps = config.epochs * len(batches)
        if config.most_steps is not None:
            total_steps = min(total_steps, config.most_steps)
            batches = batches[: total_steps - counters.epoch * len(batches)]
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        before = saved = time.monotonic()
        self.learner.begin(self.parallel, counters.epoch)
        description = f"{self.what}, epoch {counters.epoch + 1}/{config.epochs}"
        with self.progress.task(description, len(batches), counters.batch) as task:
            for batch in batches[counters.batch :]:
                counters.rate = learning_rate(
                    counters.step,
                    peak=config.learning_rate,
                    warmup=config.warmup_steps,
                    total=total_steps,
                    schedule=config.schedule,
                )
                for group in self.optimizer.param_groups:
                    group["lr"] = counters.rate
                # What is drawn follows from the step: resuming needs no generator's state.
                torch.manual_seed((config.seed * 1_000_003 + counters.step) * world + rank)
                examples = self.learner.prepare(batch, counters.epoch)
                weight = self.learner.weight(examples)
                # An empty share still takes part in the exchange of gradients, as nothing.
                share, counts = examples[rank::world], 1
                if not share:
                    share, counts = examples[:1], 0
                loss = self.learner.loss(self._forward, share) * counts
                self.accelerator.backward(loss * (world / max(1, weight)))
                for parameter in self.learner.withheld(counters.epoch):
                    parameter.grad = None
                self.accelerator.clip_grad_norm_(self.model.parameters(), config.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
                total = self.accelerator.reduce(loss.detach())
                counters.loss_sum += float(total)
                counters.loss_tokens += weight
                counters.step += 1
                counters.batch += 1
                task.advance(1, loss=counters.loss_sum / max(1, counters.loss_tokens))
                now = time.monotonic()
                counters.seconds += now - before
                counters.update_seconds += now - before
                before = now
                if now - saved > config.checkpoint_minutes * 60:
                    self._save_checkpoint()
                    saved = now
                self._interruption.heed(self._save_checkpoint)

    def _forward(self, **inputs: Any) -> Any:
        device = self.accelerator.device
        # Validation is the first process's alone: there nothing may wait for the others.
        network = self.parallel if torch.is_grad_enabled() else self.model
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            return network(**moved)

    @torch.no_grad()
    def _validate(self) -> None:
        """Append this epoch to the history, and keep its weights if it is the best so far."""
        counters = self.counters
        started = time.monotonic()
        self.parallel.eval()
        scores = self.learner.validate(self.model, self._forward, self.progress)
        counters.seconds += time.monotonic() - started
        row = {
            "epoch": counters.epoch + 1,
            "step": counters.step,
            "train_loss": counters.loss_sum / max(1, counters.loss_tokens),
            **scores,
            "learning_rate": counters.rate,
            "seconds": counters.seconds,
        }
        counters.history.append(row)
        self.progress.note(
            f"epoch {row['epoch']}: training loss {row['train_loss']:.3f}, validation loss "
            f"{row['validation_loss']:.3f}, {self.metric.label} {row[self._score]:.2f}"
        )
        if self._best_epoch() == len(counters.history) - 1:
            for name, weight in self.weights.items():
                self.best[name].copy_(weight)

    @property
    def _score(self) -> str:
        return f"validation_{self.metric.name}"

    def _best_epoch(self) -> int:
        """Index into the history; the earliest of equals."""
        return self._best(self.counters.history)

    def _best(self, rows: list[dict[str, Any]]) -> int:
        return self.metric.best([row[self._score] for row in rows])

    def _exhausted(self) -> bool:
        history, most = self.counters.history, self.config.most_steps
        # Within an epoch, its validation is still to come.
        if most is not None and self.counters.step >= most and not self.counters.batch:
            return True
        counted = history[self.config.patient_from :]
        return bool(counted) and len(counted) - 1 - self._best(counted) >= self.config.patience

    def _save_checkpoint(self) -> None:
        if self.accelerator.is_main_process:
            tensors = {f"model.{name}": weight for name, weight in self.weights.items()}
            tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
            tensors |= optimizer_tensors(self.optimizer, "optimizer.")
            state = {"inputs_digest": self.inputs, **dataclasses.asdict(self.counters)}
            save_tensors(self.checkpoint_path, tensors, state)
        self.accelerator.wait_for_everyone()

    @torch.no_grad()
    def _resume(self) -> None:
        if not self.checkpoint_path.exists():
            return
        tensors, state = load_tensors(self.checkpoint_path)
        if state.pop("inputs_digest") != self.inputs:
            return  # the next one takes its place, as was asked for
        for name, weight in self.weights.items():
            weight.copy_(tensors[f"model.{name}"])
            self.best[name].copy_(tensors[f"best.{name}"])
        restore_optimizer(self.optimizer, tensors, "optimizer.")
        self.counters = _Counters(**state)
        self.progress.note(
            f"going on from epoch {self.counters.epoch + 1}, update {self.counters.step}"
        )
