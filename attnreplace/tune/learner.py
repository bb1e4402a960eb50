"""Learning of a spliced model: what a task's learner learns, and from the teacher."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.hosts import host_for
from attnreplace.hosts.base import Axis
from attnreplace.precision import resolved_precision
from attnreplace.progress import Progress
from attnreplace.teacher.learners.base import Forward, Learner
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.lora import Adapters
from attnreplace.tune.losses import divergence, relative_error
from attnreplace.tune.watch import StackOutputs, StudentOutputs, methods_at, replacements

Real = dict[Axis, Tensor | None]
"""Which tokens are real, `(batch, seq)` bool, by axis; None for all."""


class TuningLearner(Learner):
    """The batches and the validation of a task's learner, with losses that ask the teacher."""

    def __init__(
        self,
        learner: Learner,
        teacher: PreTrainedModel,
        spliced: Callable[[], PreTrainedModel],
        config: TuneConfig,
    ) -> None:
        """Set up.

        Args:
            learner: of the task.
            teacher: what the students came from; its hooks are this learner's from now on.
            spliced: makes the model before tuning.
            config: what is learnt.
        """
        self.learner, self.teacher, self.config = learner, teacher, config
        self.reader, self.size = learner.reader, learner.size
        self._spliced = spliced
        self._adapters: Adapters | None = None
        self._asks_teacher = set(config.losses) != {"ce"}

    def build(self) -> PreTrainedModel:
        """The spliced model, of which only what is to change has gradients."""
        # An optimiser needs more digits than some weights come with.
        model = self._spliced().float()
        self.learner.meet(model)
        students = {site.group: list[nn.Module]() for site in replacements(model)}
        for site, replacement in replacements(model).items():
            students[site.group].append(replacement.student)
        self._watch(model)
        self._free(model, [student for modules in students.values() for student in modules])
        self._students = {
            group: [weight for student in modules for weight in student.parameters()]
            for group, modules in students.items()
        }
        return model

    def _free(self, model: PreTrainedModel, students: Sequence[nn.Module]) -> None:
        """Give gradients to what is to change."""
        config = self.config
        if config.train != "all":
            model.requires_grad_(False)
        if config.train == "lora":
            self._adapters = Adapters(model, students, config.lora_rank, config.lora_alpha)
        if config.train == "norms":
            for module in model.modules():
                if isinstance(module, nn.LayerNorm):
                    module.requires_grad_(True)
        for student in students:
            student.requires_grad_(True)

    def finish(self) -> None:
        """Make the trained model one that is saved and loaded like any spliced model."""
        if self._adapters is not None:
            self._adapters.merge()

    def _watch(self, model: PreTrainedModel) -> None:
        losses, teacher = self.config.losses, self.teacher
        if self._asks_teacher:
            teacher.requires_grad_(False).eval()
        if "hidden" in losses:
            self._ours, self._theirs = StackOutputs(model), StackOutputs(teacher)
        if "forced" in losses:
            self._outputs = StudentOutputs(model, apart=losses == ["forced"])
            self._methods, host = methods_at(model), host_for(teacher)
            self._places = {site: host.locate(teacher, site) for site in self._methods}
            self._capture = Capture(teacher, list(self._methods))
            self._capture.__enter__()

    def begin(self, network: nn.Module, epoch: int) -> None:
        """Dropout only where all weights learn: else it would be noise in what is fixed."""
        network.train(self.config.train == "all")

    def withheld(self, epoch: int) -> Iterable[nn.Parameter]:
        """Those of students that have not set out yet."""
        active = self.config.groups_in(epoch)
        waiting = (weights for group, weights in self._students.items() if group not in active)
        return chain.from_iterable(waiting)

    def batches(self, epoch: int) -> list[list[int]]:
        """Those of the task."""
        return self.learner.batches(epoch)

    def prepare(self, batch: Sequence[int], epoch: int) -> list[Any]:
        """As in the task."""
        return self.learner.prepare(batch, epoch)

    def weight(self, examples: Sequence[Any]) -> int:
        """As in the task."""
        return self.learner.weight(examples)

    def predicted(self, examples: Sequence[Any]) -> Tensor:
        """As in the task."""
        return self.learner.predicted(examples)

    def validate(
        self, model: PreTrainedModel, forward: Forward, progress: Progress
    ) -> dict[str, float]:
        """As in the task."""
        return self.learner.validate(model, forward, progress)

    def loss(self, forward: Forward, examples: Sequence[Any]) -> Tensor:
        """The weighted sum of the losses, those that are means counted once a prediction."""
        seen: dict[str, Any] = {}

        def watched(**inputs: Any) -> Any:
            seen["inputs"], seen["logits"] = inputs, (output := forward(**inputs)).logits
            return output

        ce = self.learner.loss(watched, examples)
        if not self._asks_teacher:
            return ce * self.config.weight_of["ce"]
        predicted = self.predicted(examples).to(ce.device)
        theirs = self._ask(seen["inputs"], ce.device)
        count = self.weight(examples)
        real: Real = {"source": None, "target": predicted}
        if (mask := seen["inputs"].get("attention_mask")) is not None:
            real["source"] = mask.bool().to(ce.device)
        losses: dict[str, Callable[[], Tensor]] = {
            "ce": lambda: ce,
            "kl": partial(divergence, seen["logits"], theirs, predicted, self.config.temperature),
            "hidden": lambda: count * self._hidden(real),
            "forced": lambda: count * self._forced(real),
        }
        asked = set(self.config.losses)
        parts = [weight * losses[name]() for name, weight in self.config.weight_of.items()]
        if "hidden" in asked and not {"ce", "kl"} & asked:
            # Several processes wait for the gradient of every weight, also of the head.
            parts.append(0 * seen["logits"].sum())
        return torch.stack(parts).sum()

    @torch.no_grad()
    def _ask(self, inputs: dict[str, Any], device: torch.device) -> Tensor:
        """The teacher's logits; what else it gives is caught on the way."""
        self.teacher.to(device)  # type: ignore[arg-type]
        moved = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
        bf16 = resolved_precision(self.config.precision, device) == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            logits: Tensor = self.teacher(**moved).logits
        return logits

    def _hidden(self, real: Real) -> Tensor:
        """Relative error of what leaves the stacks, their mean."""
        errors = [
            relative_error(ours, self._theirs.tensors[axis], real[axis])
            for axis, ours in self._ours.tensors.items()
        ]
        return torch.stack(errors).mean()

    def _forced(self, real: Real) -> Tensor:
        """Relative error of the students' outputs, the mean of all sites."""
        errors = []
        for site, output in self._outputs.tensors.items():
            location, method = self._places[site], self._methods[site]
            names = location.tensor_names
            found = {role: self._capture.tensors[names[role]] for role in method.roles}
            # Autocast, under which some were made, is not what they are read under.
            roles = {role: tensor.to(self.teacher.dtype) for role, tensor in found.items()}
            with torch.no_grad():
                _, target = method.cut(location, roles)
            errors.append(relative_error(output, target, real[location.axis]))
        return torch.stack(errors).mean()
