"""The processes that train together."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import Tensor

from attnreplace.activations.ragged import ActivationBatch
from attnreplace.hosts import axis_of


@dataclass(frozen=True)
class Team:
    """This process among those that `accelerate launch` or `torchrun` started, or alone."""

    index: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    on_machine: int = 1
    """Processes on this machine."""

    @classmethod
    def launched(cls) -> "Team":
        """All processes, on the device that is this one's."""
        # Said outright: left to itself, accelerate takes several processes on CPUs for one each.
        state = PartialState(cpu=not torch.accelerator.is_available())
        return cls(
            index=state.process_index,
            count=state.num_processes,
            device=state.device if state.device.type == "cuda" else torch.device("cpu"),
            on_machine=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        )

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes."""
        return self.index == 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Sum tensors of one dtype over all processes, in place."""
        if self.count > 1:
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            torch.distributed.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in tensors])
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def share(self, batch: ActivationBatch) -> tuple[ActivationBatch, float]:
        """Every `count`-th sentence of a batch, and with what weight it counts.

        A process whose share is empty takes the first sentence, with weight 0: it has to be there
        when gradients are added up.
        """
        if self.count == 1:
            return batch, 1.0
        sentences = len(next(iter(batch.lengths.values())))
        empty = self.index >= sentences
        numbers = torch.arange(sentences)
        own = numbers == 0 if empty else numbers % self.count == self.index
        rows = {axis: own.repeat_interleave(n) for axis, n in batch.lengths.items()}
        tensors = {
            name: tensor[rows[axis_of(name)].to(tensor.device)]
            for name, tensor in batch.tensors.items()
        }
        lengths = {axis: n[own] for axis, n in batch.lengths.items()}
        return ActivationBatch(lengths, tensors), float(not empty)

    def meet(self) -> None:
        """Wait until all processes are here; only where none is far behind."""
        if self.count > 1:
            PartialState().wait_for_everyone()

    def agree(self, value: list[list[str]]) -> list[list[str]]:
        """What the first process holds."""
        if self.count == 1:
            return value
        shared = [value]
        broadcast_object_list(shared)
        return shared[0]


def wait_for(condition: Callable[[], bool], seconds: float = 0.5) -> None:
    """Wait for what other processes write.

    Shares may differ by hours, for which no collective operation waits; where a process fails, the
    launcher ends the others.
    """
    while not condition():
        time.sleep(seconds)
