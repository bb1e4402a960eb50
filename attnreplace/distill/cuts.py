"""From a batch of stored activations to inputs and targets, each cut computed once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from attnreplace.activations.ragged import ActivationBatch
from attnreplace.distill.objectives import TargetSpread
from attnreplace.distill.real_tokens import RealTokens
from attnreplace.distill.team import Team
from attnreplace.hosts import Location, axis_of
from attnreplace.methods import Method


@dataclass(frozen=True)
class Example:
    """What the students of a cut learn from a batch, or from a process' share of it."""

    x: Tensor
    """Input, `(batch, seq, d_model)`, zero at padding."""
    target: Tensor
    """Of the real tokens, `(tokens, d_out)`."""
    real: RealTokens
    """Where these are in x."""
    tokens: int
    """How many the whole batch has."""
    weight: float = 1.0
    """How much the share counts: 0 where the batch has fewer sentences than there are processes."""
    memory: Tensor | None = None
    """At cross-attention what the encoder gave, `(batch, source, d_model)`, zero at padding."""


class BatchOnDevice:
    """One batch on the device of the students; each tensor is moved and padded once."""

    def __init__(self, batch: ActivationBatch, device: torch.device) -> None:
        self._batch, self._device = batch, device
        self._real = {axis: RealTokens(n, device) for axis, n in batch.lengths.items()}
        self._rows: dict[str, Tensor] = {}
        self._padded: dict[int, Tensor] = {}

    def rows(self, name: str) -> Tensor:
        """A stored tensor, `(tokens, d)`."""
        if name not in self._rows:
            self._rows[name] = self._batch.tensors[name].to(self._device)
        return self._rows[name]

    def real(self, axis: str) -> RealTokens:
        """Where the real tokens of an axis are."""
        return self._real[axis]

    def padded(self, rows: Tensor, axis: str) -> Tensor:
        """Rows `(tokens, d)` as `(batch, seq, d)`, zero at padding."""
        # A method may give back a stored tensor as it is, which others read as well. Only such
        # tensors are alive for as long as the batch, so that their ids are theirs alone.
        if not any(rows is held for held in self._rows.values()):
            return self._real[axis].pad(rows)
        if id(rows) not in self._padded:
            self._padded[id(rows)] = self._real[axis].pad(rows)
        return self._padded[id(rows)]


@dataclass(frozen=True)
class Cut:
    """A method's cut at a site. Methods that share it (ALR and ASLR) have equal names."""

    method: Method
    location: Location

    @cached_property
    def name(self) -> str:
        """Equal for cuts that give the same input and target."""
        return f"{type(self.method).cut.__qualname__}@{self.location.site}"

    @property
    def tensor_names(self) -> list[str]:
        """What it reads from the store."""
        names = self.location.tensor_names
        return [names[role] for role in (*self.method.roles, "memory") if role in names]

    def rows(self, batch: BatchOnDevice) -> tuple[Tensor, Tensor]:
        """Input and target of the batch's real tokens, both `(tokens, d)`."""
        names = self.location.tensor_names
        roles = {role: batch.rows(names[role]) for role in self.method.roles}
        return self.method.cut(self.location, roles)

    def example(self, batch: BatchOnDevice, tokens: int, weight: float = 1.0) -> Example:
        """Input, target and, at cross-attention, memory of the batch.

        Args:
            batch: the batch, or a share of it.
            tokens: how many the whole batch has on the site's axis.
            weight: how much the share counts.
        """
        axis = self.location.axis
        x, target = self.rows(batch)
        name = self.location.tensor_names.get("memory")
        return Example(
            x=batch.padded(x, axis),
            target=target,
            real=batch.real(axis),
            tokens=tokens,
            weight=weight,
            memory=batch.padded(batch.rows(name), axis_of(name)) if name else None,
        )


def tensor_names(cuts: Iterable[Cut]) -> list[str]:
    """Every tensor that some of the cuts read, once."""
    return sorted({name for cut in cuts for name in cut.tensor_names})


@torch.no_grad()
def examples(
    batch: ActivationBatch, cuts: Iterable[Cut], team: Team
) -> Iterator[tuple[Cut, Example]]:
    """What the students of each cut learn from this process' share of a batch, cut by cut."""
    tokens = {axis: int(lengths.sum()) for axis, lengths in batch.lengths.items()}
    share, weight = team.share(batch)
    held = BatchOnDevice(share, team.device)
    for cut in cuts:
        yield cut, cut.example(held, tokens[cut.location.axis], weight)


@torch.no_grad()
def target_spreads(
    batches: Iterable[ActivationBatch], cuts: dict[str, Cut], device: torch.device
) -> dict[str, TargetSpread]:
    """Moments of every cut's target."""
    spreads = {name: TargetSpread() for name in cuts}
    for batch in batches:
        held = BatchOnDevice(batch, device)
        for name, cut in cuts.items():
            spreads[name].add(cut.rows(held)[1])
    return spreads
