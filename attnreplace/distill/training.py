"""One process training the students that are its to train, in as many passes as they need."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from attnreplace.activations.source import ActivationSource
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.cuts import Cut, target_spreads, tensor_names
from attnreplace.distill.loop import Loop, checkpointed_trainees
from attnreplace.distill.objectives import TargetSpread
from attnreplace.distill.parts import Parts
from attnreplace.distill.passes import bytes_per_parameter, plan_passes
from attnreplace.distill.team import Team
from attnreplace.distill.trainee import Trainee, TraineeKey
from attnreplace.errors import UserError
from attnreplace.files import discard
from attnreplace.progress import Progress
from attnreplace.splice.bundle import BundleConfig, build_students
from attnreplace.students import StudentConfig


@dataclass(frozen=True)
class Order:
    """A student to be trained."""

    key: TraineeKey
    bundle: BundleConfig
    """The bundle it goes into."""
    cut: Cut
    """What it reads and predicts."""
    digest: str
    """Of all that its training depends on."""

    @property
    def shape(self) -> StudentConfig:
        """What it is built of."""
        return self.bundle.students[self.key.site]


class Training:
    """Fills orders; finished students go into a folder of parts."""

    def __init__(
        self,
        source: ActivationSource,
        config: DistillConfig,
        team: Team,
        parts: Parts,
        checkpoint: Path,
        progress: Progress,
    ) -> None:
        """Set up.

        Args:
            source: where the activations come from.
            config: how to train.
            team: the processes that train the same students, sharing batches.
            parts: where finished students go.
            checkpoint: file of the pass under way.
            progress: is told the plan, and how it goes.
        """
        self.source, self.config, self.team = source, config, team
        self.parts, self.checkpoint, self.progress = parts, checkpoint, progress

    def check_checkpoint(self, orders: list[Order]) -> None:
        """Refuse to lose students of an interrupted pass that are not among these orders.

        Raises:
            UserError: there are some.
        """
        wanted = {str(order.key): order.digest for order in orders}
        held = self._interrupted()
        lost = sorted(key for key, digest in held.items() if wanted.get(key) != digest)
        if len(lost) == len(held) > 0:
            raise UserError(
                f"{self.checkpoint} is of unfinished students of other settings; repeat the "
                "command with the former ones to go on, or add --overwrite to throw it away"
            )
        if lost:
            raise UserError(
                f"{self.checkpoint} is also of unfinished students that are not asked for, as "
                f"{lost[0]}; ask for all of them to go on, or add --overwrite to throw the others "
                "away"
            )

    def train(self, orders: list[Order]) -> None:
        """Train those that are not among the parts yet, an interrupted pass first."""
        passes = self.team.agree(self._passes(orders) if self.team.leads else [])
        left = {str(order.key): order for order in orders}
        if passes:
            # Shared out: for one that did it all, the others would wait in a collective operation.
            names = tensor_names(order.cut for order in orders)
            self.source.verify(self.progress, names, self.team.index, self.team.count)
        spreads = self._spreads([left[name] for names in passes for name in names])
        for names in passes:
            self._train_pass([left[name] for name in names], spreads)

    def _passes(self, orders: list[Order]) -> list[list[str]]:
        """Keys of the students that train side by side."""
        held = self._interrupted()
        if not held:
            discard(self.checkpoint)
        missing = [order for order in orders if not self.parts.done(order.key, order.digest)]
        if not missing:
            return []
        shapes = {str(order.key): order.shape for order in missing}
        within = self.team.count == 1 and self.team.device.type == "cpu"
        plan = plan_passes(
            {key: shape.num_parameters() for key, shape in shapes.items()},
            self._memory(),
            most=self.config.max_students,
            interrupted={str(o.key) for o in missing if held.get(str(o.key)) == o.digest},
            each=lambda key: bytes_per_parameter(shapes[key], within),
        )
        self.progress.note(f"{plan} over {self.source.sentences('train'):,} examples, each epoch")
        return plan.groups

    def _interrupted(self) -> dict[str, str]:
        """The checkpoint's students, without those that were finished before a process died."""
        return {
            key: digest
            for key, digest in checkpointed_trainees(self.checkpoint).items()
            if not self.parts.done(TraineeKey.parse(key), digest)
        }

    def _memory(self) -> float:
        """Free bytes, as far as they are this process'."""
        if self.team.device.type == "cuda":
            return torch.cuda.mem_get_info(self.team.device)[0]
        return psutil.virtual_memory().available / self.team.on_machine

    def _spreads(self, orders: list[Order]) -> dict[str, TargetSpread]:
        cuts = {order.cut.name: order.cut for order in orders}
        if not cuts:
            return {}
        batches = self.source.batches(
            "validation",
            tensor_names(cuts.values()),
            batch_tokens=self.config.batch_tokens,
            seed=None,
        )
        return target_spreads(batches, cuts, self.team.device)

    def _train_pass(self, orders: list[Order], spreads: dict[str, TargetSpread]) -> None:
        trainees = [self._trainee(order, spreads[order.cut.name]) for order in orders]
        loop = Loop(
            self.source,
            trainees,
            spreads,
            self.config,
            self.team,
            self.checkpoint,
            self.progress,
        )
        seconds = loop.run()
        if self.team.leads:
            for trainee in trainees:
                self.parts.save(trainee, seconds, len(trainees))
            discard(self.checkpoint)

    def _trainee(self, order: Order, spread: TargetSpread) -> Trainee:
        shape, bundle = order.shape, order.bundle
        one_site = dataclasses.replace(bundle, students={order.key.site: shape})
        (student,) = build_students(one_site, bundle.seed).values()
        student.to(self.team.device)
        variance = max(spread.total / max(1, spread.count * shape.d_out), 1e-12)
        return Trainee(order.key, order.cut, student, self.config, variance, order.digest)
