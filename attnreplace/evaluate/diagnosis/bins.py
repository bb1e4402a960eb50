"""Ranges of positions and of lengths, over which errors are averaged."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = (1, 3, 6, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000)
"""Last positions of bins: wider where fewer sentences reach."""
QUARTERS = 4


@dataclass(frozen=True)
class Bins:
    """Ranges of whole numbers, without gaps."""

    ends: tuple[int, ...]
    """The last number of each but the last bin, ascending."""
    last: int | None
    """The last number of the last bin; None: it is open."""

    @property
    def ranges(self) -> list[tuple[int, int | None]]:
        """The first and the last number of each bin; numbers are counted from 1."""
        ends: list[int | None] = [*self.ends, self.last]
        return list(zip([1, *(end + 1 for end in self.ends)], ends, strict=True))

    def of(self, value: int) -> int:
        """The index of the bin that a number is in."""
        return bisect_left(self.ends, value)

    def of_all(self, values: Tensor) -> Tensor:
        """The same of whole numbers, in their shape."""
        return torch.bucketize(values, torch.tensor(self.ends, dtype=torch.long))


def position_bins(longest: int) -> Bins:
    """Bins of the positions in texts of at most `longest` tokens: narrow ones first."""
    return Bins(tuple(step for step in STEPS if step < longest), longest)


def length_bins(lengths: Sequence[int]) -> Bins:
    """Bins that as near as can be hold a quarter of the texts each, the last one open."""
    ordered = sorted(lengths)
    ends = {ordered[len(ordered) * part // QUARTERS] for part in range(1, QUARTERS)}
    return Bins(tuple(sorted(end for end in ends if end < ordered[-1])), None)
