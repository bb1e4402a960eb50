"""Gradients of large weights, made and used some rows at a time.

A gradient of the size of its weight is written to memory, read again by the optimiser, and on a
CPU takes fresh pages from the system at every update: together as long as the products that it is
made of. So the written-out backward passes here make it block by block, each as large as a cache
holds, and whoever trains may take each block as it comes: then it is nowhere whole.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

CACHED_VALUES = 2**20
ROUND = 64

Block = tuple[slice, slice]
"""Groups and rows of a weight `(groups, rows, columns)`."""
Take = Callable[[Block, Tensor], None]
"""Is given a block of a weight's rows and their gradient, which it must not keep. The blocks come
in order, each once, when the values of its rows are no longer needed."""

_takers: dict[int, Take] = {}


@contextmanager
def taking(
    weights: Iterable[Tensor], take: Callable[[Tensor, Block, Tensor], None]
) -> Iterator[None]:
    """Within it, forward passes let `take` have the gradients of the weights where they can.

    What was taken is not in the weight's `grad`. The forward pass uses each weight but once.

    Args:
        take: as `Take`, with the weight before the rest.
    """
    takers = {id(weight): partial(take, weight) for weight in weights}
    _takers.update(takers)
    try:
        yield
    finally:
        for key in takers:
            del _takers[key]


def taker(weight: Tensor) -> Take | None:
    """Who takes the gradient of a weight, as things stand; for a forward pass to keep."""
    return _takers.get(id(weight))


def blocks(weight: Tensor) -> Iterator[Block]:
    """Cut a weight `(groups, rows, columns)` into what is worked on at once.

    On a CPU that is what a cache holds, elsewhere all of it.
    """
    groups, rows, columns = weight.shape
    if weight.device.type != "cpu" or weight.numel() <= CACHED_VALUES:
        yield slice(0, groups), slice(0, rows)
        return
    # Products are slower where rows are left over from the vectors of a processor.
    step = max(1, CACHED_VALUES // columns // ROUND) * ROUND
    for group in range(groups):
        for first in range(0, rows, step):
            yield slice(group, group + 1), slice(first, min(first + step, rows))


class RowGradient:
    """The gradient of a weight in the making: iterate, and fill what comes with each block."""

    def __init__(self, weight: Tensor, take: Take | None) -> None:
        self._weight, self._take = weight, take
        self.whole = torch.empty_like(weight) if take is None else None
        """All of it; None where it is taken."""

    def __iter__(self) -> Iterator[tuple[Block, Tensor]]:
        """Every block, and the memory that its gradient is to be written to."""
        if self.whole is not None:
            yield from ((at, self.whole[at]) for at in blocks(self.whole))
            return
        assert self._take is not None
        room = None
        for at in blocks(self._weight):
            shape = self._weight[at].shape
            # Only the last block of a group has fewer rows.
            room = self._weight.new_empty(shape) if room is None else room
            part = room[:, : shape[1]]
            yield at, part
            self._take(at, part)


class Products:
    """Matrix products into memory that is there; where they are narrower, through a room kept."""

    def __init__(self) -> None:
        self._room: Tensor | None = None

    def write(self, left: Tensor, right: Tensor, out: Tensor) -> None:
        """Fill `out` with `torch.bmm(left, right)`, in its own dtype.

        Args:
            left: `(groups, rows, inner)`; on the first call as many rows as ever.
            right: `(groups, inner, columns)`.
            out: `(groups, rows, columns)`.
        """
        if left.dtype == out.dtype:
            torch.bmm(left, right, out=out)
            return
        if self._room is None:
            self._room = torch.empty(out.shape, dtype=left.dtype, device=out.device)
        narrow = self._room[:, : out.shape[1]]
        torch.bmm(left, right, out=narrow)
        out.copy_(narrow)
