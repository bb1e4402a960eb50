"""From a batch of stored activations to inputs and targets, each cut computed once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from attnreplace.activations.ragged import ActivationBatch, length_mask, pad_ragged
from attnreplace.distill.objectives import TargetSpread
from attnreplace.hosts import Location
from attnreplace.methods import Method


@dataclass(frozen=True)
class Cut:
    """A method's cut at a site. Methods that share it (ALR and ASLR) have equal names."""

    method: Method
    location: Location

    @property
    def name(self) -> str:
        """Equal for cuts that give the same input and target."""
        return f"{type(self.method).cut.__qualname__}@{self.location.site}"

    @property
    def tensor_names(self) -> list[str]:
        """What it reads from the store."""
        names = self.location.tensor_names
        return [names[role] for role in self.method.roles]

    def rows(self, batch: ActivationBatch, device: torch.device) -> tuple[Tensor, Tensor]:
        """Input and target of the batch's real tokens, both `(tokens, d)`."""
        names = self.location.tensor_names
        roles = {role: batch.tensors[names[role]].to(device) for role in self.method.roles}
        return self.method.cut(self.location, roles)


def tensor_names(cuts: Iterable[Cut]) -> list[str]:
    """Every tensor that some of the cuts read, once."""
    return sorted({name for cut in cuts for name in cut.tensor_names})


@torch.no_grad()
def padded_cuts(
    batch: ActivationBatch, cuts: dict[str, Cut], device: torch.device
) -> Iterator[tuple[str, Tensor, Tensor, Tensor]]:
    """Name, input and target `(batch, seq, d)`, and mask `(batch, seq)`, cut by cut."""
    lengths = batch.lengths.to(device)
    mask = length_mask(lengths)
    for name, cut in cuts.items():
        x, target = cut.rows(batch, device)
        yield name, pad_ragged(x, lengths)[0], pad_ragged(target, lengths)[0], mask


@torch.no_grad()
def target_spreads(
    batches: Iterable[ActivationBatch], cuts: dict[str, Cut], device: torch.device
) -> dict[str, TargetSpread]:
    """Moments of every cut's target."""
    spreads = {name: TargetSpread() for name in cuts}
    for batch in batches:
        for name, cut in cuts.items():
            spreads[name].add(cut.rows(batch, device)[1])
    return spreads
