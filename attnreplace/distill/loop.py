"""Training students side by side: every batch is read once and feeds all of them."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.source import ActivationSource
from attnreplace.checkpoint import load_state, load_tensors, save_tensors
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.cuts import Example, examples, tensor_names
from attnreplace.distill.figures import FIGURES_SECONDS, describe, figures, summary
from attnreplace.distill.objectives import TargetSpread
from attnreplace.distill.team import Team
from attnreplace.distill.threads import Threads
from attnreplace.distill.trainee import Trainee
from attnreplace.interruption import Interruption, held_back
from attnreplace.precision import resolved_precision
from attnreplace.progress import Progress, Task


@dataclass
class _Counters:
    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0


class _Crews:
    """Students in training, by the cut they share."""

    def __init__(self, trainees: list[Trainee]) -> None:
        cuts = {trainee.cut.name: trainee.cut for trainee in trainees}
        self._cuts = list(cuts.values())
        self._of = {name: [t for t in trainees if t.cut.name == name] for name in cuts}
        self.tensor_names = tensor_names(self._cuts)
        """What they read."""

    def feed(self, batch: ActivationBatch, team: Team) -> Iterator[tuple[Trainee, Example]]:
        """Every student with what the batch has for it; each cut is computed once."""
        for cut, example in examples(batch, self._cuts, team):
            for trainee in self._of[cut.name]:
                yield trainee, example


class Loop:
    """One pass over the activations for some students, resumable to the bit."""

    def __init__(
        self,
        source: ActivationSource,
        trainees: list[Trainee],
        spreads: dict[str, TargetSpread],
        config: DistillConfig,
        team: Team,
        checkpoint: Path,
        progress: Progress,
    ) -> None:
        """Set up, or take up from the checkpoint.

        Args:
            source: where the activations come from.
            trainees: the students; each batch feeds all that are not resting.
            spreads: moments of each cut's target on the validation split, by the cut's name.
            config: epochs, batches, seed.
            team: the processes that share the batches; its device is where the students are.
            checkpoint: file to resume from, and to write to.
            progress: one task for the whole pass.
        """
        self.source, self.trainees, self.spreads = source, trainees, spreads
        self.config, self.team, self.progress = config, team, progress
        self.checkpoint = checkpoint
        self.autocast = resolved_precision(config.precision, team.device) == "bf16"
        self.counters = _Counters()
        self._interruption = Interruption()
        self._saved = time.monotonic()
        self._shown = float("-inf")
        self._resume()

    def run(self) -> float:
        """Train to the end; returns the seconds it took, those before an interruption included."""
        counters, config = self.counters, self.config
        batches = sum(self._num_batches(epoch) for epoch in range(config.epochs))
        with (
            self.progress.task(describe(self.trainees), batches, counters.step) as task,
            held_back(self.progress, self.team.count == 1) as self._interruption,
        ):
            while counters.epoch < config.epochs and self._active():
                self._train_epoch(task)
                self._validate()
                counters.epoch, counters.batch = counters.epoch + 1, 0
                if counters.epoch < config.epochs and self._due():
                    self._save()
                self._interruption.heed(self._save)
        for trainee in self.trainees:
            trainee.restore_best()
        return counters.seconds

    def _active(self) -> list[Trainee]:
        return [trainee for trainee in self.trainees if not trainee.resting]

    def _threads(self) -> Threads:
        """As many as there are students for, where this process alone trains them on a CPU."""
        if self.team.count > 1 or self.team.device.type != "cpu":
            return Threads(1)
        return Threads(min(torch.get_num_threads(), len(self._active())))

    def _crews(self) -> _Crews:
        return _Crews(self._active())

    def _num_batches(self, epoch: int) -> int:
        return self.source.num_batches(
            "train", batch_tokens=self.config.batch_tokens, seed=self.config.seed, epoch=epoch
        )

    def _train_epoch(self, task: Task) -> None:
        config, counters = self.config, self.counters
        crews = self._crews()
        total = config.epochs * self._num_batches(0)
        for trainee in self._active():
            trainee.student.train()
        batches = self.source.batches(
            "train",
            crews.tensor_names,
            batch_tokens=config.batch_tokens,
            seed=config.seed,
            epoch=counters.epoch,
            skip=counters.batch,
        )

        def update(trainee: Trainee, example: Example) -> None:
            trainee.update(example, counters.step, total, self.autocast, self.team)

        started = time.monotonic()
        with self._threads() as threads:
            for batch in batches:
                threads.each(update, crews.feed(batch, self.team))
                counters.step += 1
                counters.batch += 1
                task.advance(1, **self._figures())
                now = time.monotonic()
                counters.seconds += now - started
                started = now
                if self._due():
                    self._save()
                self._interruption.heed(self._save)

    @torch.no_grad()
    def _validate(self) -> None:
        started = time.monotonic()
        crews, trainees = self._crews(), self._active()
        errors: dict[Trainee, Tensor] = {}
        for trainee in trainees:
            trainee.student.eval()
        batches = self.source.batches(
            "validation",
            crews.tensor_names,
            batch_tokens=self.config.batch_tokens,
            # Mixed by length, so that batches hold little padding; the order is of no account.
            seed=0,
        )

        def weighed(trainee: Trainee, example: Example) -> Tensor:
            return trainee.error(example, self.autocast) * example.weight

        with self._threads() as threads:
            for batch in batches:
                for trainee, error in threads.each(weighed, crews.feed(batch, self.team)):
                    errors[trainee] = errors[trainee] + error if trainee in errors else error
                self._interruption.heed(self._save)
        self.team.add_up(list(errors.values()))
        for trainee in trainees:
            trainee.end_epoch(float(errors[trainee]) / self.spreads[trainee.cut.name].total)
        self.counters.seconds += time.monotonic() - started
        self.progress.note(
            f"epoch {self.counters.epoch + 1}/{self.config.epochs}: {summary(self.trainees)}"
        )

    def _figures(self) -> dict[str, str]:
        """Loss and error by group, every now and then: on a GPU a look at them has to wait."""
        now = time.monotonic()
        if now - self._shown < FIGURES_SECONDS:
            return {}
        self._shown = now
        return {"epoch": f"{self.counters.epoch + 1}/{self.config.epochs}"} | figures(
            self._active()
        )

    def _due(self) -> bool:
        now = time.monotonic()
        if now - self._saved < self.config.checkpoint_minutes * 60:
            return False
        self._saved = now
        return True

    def _save(self) -> None:
        if not self.team.leads:
            return
        tensors: dict[str, Tensor] = {}
        states: dict[str, Any] = {}
        for trainee in self.trainees:
            more, states[str(trainee.key)] = trainee.state()
            tensors |= more
        save_tensors(self.checkpoint, tensors, {**asdict(self.counters), "trainees": states})

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        tensors, state = load_tensors(self.checkpoint)
        states = state.pop("trainees")
        held = _digests(states)
        if any(held.get(str(trainee.key)) != trainee.digest for trainee in self.trainees):
            return  # of another pass: the next one takes its place
        for trainee in self.trainees:
            trainee.restore(tensors, states[str(trainee.key)])
        self.counters = _Counters(**state)
        self.progress.note(
            f"going on from epoch {self.counters.epoch + 1}, update {self.counters.step}"
        )


def checkpointed_trainees(checkpoint: Path) -> dict[str, str]:
    """Which students a checkpoint holds, with the digest of what each depends on."""
    if not checkpoint.exists():
        return {}
    return _digests(load_state(checkpoint)["trainees"])


def _digests(states: dict[str, Any]) -> dict[str, str]:
    return {key: figures.get("digest", "") for key, figures in states.items()}
