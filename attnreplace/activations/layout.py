"""Which pairs a source of activations has, and in which order it gives them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from attnreplace.activations.order import Buffer, read_order
from attnreplace.activations.plan import Plan, longer_side
from attnreplace.activations.schema import storage_dtype
from attnreplace.errors import UserError
from attnreplace.hosts.base import Axis

BUFFER_SENTENCES = 16384
"""Pairs mixed with one another, at most."""
BUFFER_BYTES = 2**25
"""Bytes of one tensor of the pairs mixed, at most. It bounds the mixing, not the memory: a bound
on all tensors together would let the order depend on which of them are wanted."""


class PairLayout:
    """All that a source knows before it has any activations: the lengths of its pairs.

    Base of the sources, so that two of them with the same pairs have the same order.
    """

    def __init__(
        self,
        offsets: dict[str, dict[str, np.ndarray]],
        shards: Mapping[str, Sequence[int]],
        widths: dict[str, int],
        dtype: str,
    ) -> None:
        """Lay out.

        Args:
            offsets: first row of each pair, and the number of rows: int64 `(sentences + 1,)`, by
                split and axis.
            shards: sentences of each shard, by split.
            widths: columns of each tensor.
            dtype: type of the values.
        """
        self._offsets = offsets
        self._shards = {split: list(counts) for split, counts in shards.items()}
        self._widths = widths
        self._row_bytes = max(widths.values()) * storage_dtype(dtype).itemsize

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self._offsets)

    @property
    def names(self) -> list[str]:
        """Names of the tensors."""
        return list(self._widths)

    @property
    def axes(self) -> list[Axis]:
        """Axes of tokens: the source and, where there is a decoder, the target."""
        return [axis for axis in get_args(Axis) if axis in self._lengths(self.splits[0])]

    @property
    def longest(self) -> int:
        """Tokens of the longest sentence of any split, on either side."""
        return max(int(longer_side(self._lengths(split)).max(initial=0)) for split in self.splits)

    def sentences(self, split: str) -> int:
        """Pairs of a split."""
        return len(self._rows(split)["source"]) - 1

    def tokens(self, split: str, axis: Axis = "source") -> int:
        """Tokens of a split: rows of each of the axis' tensors."""
        return self._tokens(split)[axis]

    def lengths(self, split: str, axis: Axis = "source") -> Tensor:
        """Tokens of each pair in stored order, int64 `(sentences,)`."""
        return torch.from_numpy(self._lengths(split)[axis])

    def num_batches(
        self, split: str, *, batch_tokens: int, seed: int | None, epoch: int = 0
    ) -> int:
        """How many batches `batches` yields; reads no data."""
        order = self._order(split, batch_tokens, seed, epoch)
        return sum(len(buffer.batches) for buffer in order)

    def _tokens(self, split: str) -> dict[str, int]:
        return {axis: int(offsets[-1]) for axis, offsets in self._rows(split).items()}

    def _lengths(self, split: str) -> dict[str, np.ndarray]:
        return {axis: np.diff(offsets) for axis, offsets in self._rows(split).items()}

    def _rows(self, split: str) -> dict[str, np.ndarray]:
        if split not in self._offsets:
            raise UserError(f"{self} has no split {split!r}; it has: {', '.join(self.splits)}")
        return self._offsets[split]

    def _chosen(self, names: Sequence[str]) -> dict[str, int]:
        """The widths of some tensors, which must be there."""
        unknown = [name for name in names if name not in self._widths]
        if unknown:
            raise UserError(f"{self} has no {', '.join(unknown)}; it has: {', '.join(self.names)}")
        return {name: self._widths[name] for name in names}

    def _order(
        self, split: str, batch_tokens: int, seed: int | None, epoch: int
    ) -> Iterator[Buffer]:
        lengths = longer_side(self._lengths(split))
        mean = self._row_bytes * lengths.sum() / max(1, len(lengths))
        return read_order(
            lengths,
            self._shards[split],
            batch_tokens=batch_tokens,
            buffer_sentences=min(BUFFER_SENTENCES, max(1, int(BUFFER_BYTES / max(1, mean)))),
            seed=seed,
            epoch=epoch,
        )


def plan_offsets(plan: Plan) -> dict[str, dict[str, np.ndarray]]:
    """Where each pair of a plan starts: int64 `(sentences + 1,)` by split and axis."""
    return {
        split: {
            axis: np.cumsum(
                np.concatenate([[0], *(shard.lengths[axis] for shard in plan.of(split))]),
                dtype=np.int64,
            )
            for axis in plan.axes
        }
        for split in plan.splits
    }
