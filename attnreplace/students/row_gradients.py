"""Gradients of large weights, made and used some rows at a time.

A gradient of the size of its weight is written to memory, read again by the optimiser, and on a
CPU takes fresh pages from the system at every update: together as long as the products that it is
made of. So the written-out backward passes here make it block by block, each as large as a cache
holds, and whoever trains may take each block as it comes: then it is nowhere whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

CACHED_VALUES = 2**20
ROUND = 64

Take = Callable[[int, Tensor], None]
"""Is given the number of a block and the gradient of its rows, which it must not keep. The blocks
come in order, each once, when the values of its rows are no longer needed."""

_takers: dict[int, Take] = {}


@contextmanager
def taking(
    weights: Iterable[Tensor], take: Callable[[Tensor, int, Tensor], None]
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


class Blocks:
    """How a weight `(groups, rows, columns)` is cut into what is worked on at once.

    On a CPU that is what a cache holds, elsewhere all of it. All blocks of a group are cut in one
    go: every call of torch is one for which threads may have to wait for one another.
    """

    def __init__(self, weight: Tensor) -> None:
        groups, rows, columns = weight.shape
        self.groups = [slice(0, groups)]
        """Those whose rows are cut together, in order."""
        self.at_once = rows
        """Rows of a block; the last one of a group may have fewer."""
        if weight.device.type == "cpu" and weight.numel() > CACHED_VALUES:
            self.groups = [slice(group, group + 1) for group in range(groups)]
            # Products are slower where rows are left over from the vectors of a processor.
            self.at_once = min(rows, max(1, CACHED_VALUES // columns // ROUND) * ROUND)

    def rows(self, tensor: Tensor, dim: int = 1) -> tuple[Tensor, ...]:
        """Cut what a tensor has for some groups by its rows, which are in `dim`."""
        return tensor.split(self.at_once, dim)

    def all(self, tensor: Tensor) -> list[Tensor]:
        """A tensor of the weight's shape, cut into all blocks."""
        return [block for groups in self.groups for block in self.rows(tensor[groups])]


class RowGradient:
    """The gradient of a weight in the making: fill the rooms in order, and hand each over."""

    def __init__(self, weight: Tensor, take: Take | None) -> None:
        self.blocks, self._take, self._taken = Blocks(weight), take, 0
        self.whole = torch.empty_like(weight) if take is None else None
        """All of it; None where it is taken."""
        self._rooms: list[Tensor] = []
        if take is not None:
            together, rows, columns = weight[self.blocks.groups[0]].shape
            room = weight.new_empty(together, self.blocks.at_once, columns)
            count, last = divmod(rows, self.blocks.at_once)
            self._rooms = [room] * count + ([room[:, :last]] if last else [])

    def rooms(self, groups: slice) -> Sequence[Tensor]:
        """The memory that the blocks of some groups are to be written to.

        Where they are taken it is the same for all.
        """
        return self._rooms if self.whole is None else self.blocks.rows(self.whole[groups])

    def done(self, room: Tensor) -> None:
        """The next block has been written to this room."""
        if self._take is not None:
            self._take(self._taken, room)
        self._taken += 1


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
        narrow = self._room if self._room.shape == out.shape else self._room[:, : out.shape[1]]
        torch.bmm(left, right, out=narrow)
        out.copy_(narrow)
