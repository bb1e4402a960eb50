"""Training students side by side: every batch is read once and feeds all of them."""

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnreplace.activations.store import ActivationStore
from attnreplace.checkpoint import load_state, load_tensors, save_tensors
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.cuts import Cut, padded_cuts, tensor_names
from attnreplace.distill.objectives import TargetSpread
from attnreplace.distill.trainee import Trainee
from attnreplace.progress import Progress


@dataclass
class _Counters:
    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0


class Loop:
    """One pass over the activations for some students, resumable to the bit."""

    def __init__(
        self,
        store: ActivationStore,
        trainees: list[Trainee],
        spreads: dict[str, TargetSpread],
        config: DistillConfig,
        device: torch.device,
        checkpoint: Path,
        inputs: str,
        progress: Progress,
    ) -> None:
        """Set up, or take up from the checkpoint.

        Args:
            store: where the activations come from.
            trainees: the students; each batch feeds all that are not resting.
            spreads: moments of each cut's target on the validation split, by the cut's name.
            config: epochs, batches, seed.
            device: where the students are.
            checkpoint: file to resume from, and to write to.
            inputs: digest of everything the training depends on.
            progress: one task an epoch.
        """
        self.store, self.trainees, self.spreads = store, trainees, spreads
        self.config, self.device, self.progress = config, device, progress
        self.checkpoint, self.inputs = checkpoint, inputs
        self.autocast = config.precision == "bf16" or (
            config.precision == "auto" and device.type == "cuda"
        )
        self.counters = _Counters()
        self._saved = time.monotonic()
        self._resume()

    def run(self) -> float:
        """Train to the end; returns the seconds it took, those before an interruption included."""
        counters, config = self.counters, self.config
        while counters.epoch < config.epochs and self._active():
            self._train_epoch()
            self._validate()
            counters.epoch, counters.batch = counters.epoch + 1, 0
            if counters.epoch < config.epochs and self._due():
                self._save()
        for trainee in self.trainees:
            trainee.restore_best()
        return counters.seconds

    def _active(self) -> list[Trainee]:
        return [trainee for trainee in self.trainees if not trainee.resting]

    def _num_batches(self, epoch: int) -> int:
        return self.store.num_batches(
            "train", batch_tokens=self.config.batch_tokens, seed=self.config.seed, epoch=epoch
        )

    def _train_epoch(self) -> None:
        config, counters = self.config, self.counters
        trainees = self._active()
        cuts = {cut.name: cut for cut in map(_cut, trainees)}
        total = config.epochs * self._num_batches(0)
        for trainee in trainees:
            trainee.student.train()
        batches = self.store.batches(
            "train",
            tensor_names(cuts.values()),
            batch_tokens=config.batch_tokens,
            seed=config.seed,
            epoch=counters.epoch,
            skip=counters.batch,
        )
        description = f"{self._describe()}, epoch {counters.epoch + 1}/{config.epochs}"
        with self.progress.task(
            description, self._num_batches(counters.epoch), counters.batch
        ) as task:
            started = time.monotonic()
            for batch in batches:
                for name, x, target, mask in padded_cuts(batch, cuts, self.device):
                    for trainee in trainees:
                        if _cut(trainee).name == name:
                            trainee.update(x, target, mask, counters.step, total, self.autocast)
                counters.step += 1
                counters.batch += 1
                task.advance(1)
                now = time.monotonic()
                counters.seconds += now - started
                started = now
                if self._due():
                    self._save()

    @torch.no_grad()
    def _validate(self) -> None:
        started = time.monotonic()
        trainees = self._active()
        cuts = {cut.name: cut for cut in map(_cut, trainees)}
        errors = {trainee.key: 0.0 for trainee in trainees}
        for trainee in trainees:
            trainee.student.eval()
        for batch in self.store.batches(
            "validation",
            tensor_names(cuts.values()),
            batch_tokens=self.config.batch_tokens,
            # Mixed by length, so that batches hold little padding; the order is of no account.
            seed=0,
        ):
            for name, x, target, mask in padded_cuts(batch, cuts, self.device):
                for trainee in trainees:
                    if _cut(trainee).name == name:
                        errors[trainee.key] += trainee.error(x, target, mask, self.autocast)
        for trainee in trainees:
            trainee.end_epoch(errors[trainee.key] / self.spreads[_cut(trainee).name].total)
        self.counters.seconds += time.monotonic() - started
        self.progress.note(f"epoch {self.counters.epoch + 1}: relative error {self._summary()}")

    def _summary(self) -> str:
        """Mean relative error of each bundle over its sites."""
        bundles: dict[str, list[float]] = {}
        for trainee in self.trainees:
            bundles.setdefault(trainee.key.bundle, []).append(trainee.errors[trainee.best_epoch])
        means = {name: sum(values) / len(values) for name, values in bundles.items()}
        return ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())

    def _describe(self) -> str:
        return "distill " + " ".join(sorted({trainee.key.bundle for trainee in self.trainees}))

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._saved < self.config.checkpoint_minutes * 60:
            return False
        self._saved = now
        return True

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {}
        states: dict[str, Any] = {}
        for trainee in self.trainees:
            more, states[str(trainee.key)] = trainee.state()
            tensors |= more
        state = {"inputs_digest": self.inputs, **asdict(self.counters), "trainees": states}
        save_tensors(self.checkpoint, tensors, state)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        tensors, state = load_tensors(self.checkpoint)
        states = state.pop("trainees")
        held = all(str(trainee.key) in states for trainee in self.trainees)
        if state.pop("inputs_digest") != self.inputs or not held:
            return
        for trainee in self.trainees:
            trainee.restore(tensors, states[str(trainee.key)])
        self.counters = _Counters(**state)
        self.progress.note(
            f"going on from epoch {self.counters.epoch + 1}, update {self.counters.step}"
        )


def checkpointed_trainees(checkpoint: Path, inputs: str) -> list[str]:
    """Which students a checkpoint holds; none if it belongs to another training."""
    if not checkpoint.exists():
        return []
    state = load_state(checkpoint)
    return list(state["trainees"]) if state["inputs_digest"] == inputs else []


def _cut(trainee: Trainee) -> Cut:
    return Cut(trainee.method, trainee.location)
