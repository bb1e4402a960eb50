"""Operations, bytes and memory of a call, counted without computing it.

The call runs on torch's meta device, whose tensors have shapes and no values: what is counted is
the program's own way, of any size. It is the way of a GPU, in which a gradient is there as a whole;
a CPU takes the gradients of large weights block by block.
"""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.scaling.calls import DECODED, Subject, whats_of
from benchmarks.scaling.shapes import Shape, parameters_of

UPDATE_BYTES = 28
"""Of a parameter: AdamW reads weight, gradient and two moments, and writes all but the gradient."""
KEPT_BYTES = 12
"""Of a parameter while it is trained, beside what a step holds: itself and two moments."""
EMPTY = ("aten::empty", "aten::new_empty", "aten::empty_like", "aten::empty_strided")


@dataclass(frozen=True)
class Count:
    """What a call does."""

    flops: int
    """Operations of its matrix products, a multiply-add being two."""
    moved: int
    """Bytes that its operations read and write; views move nothing."""
    held: int
    """Bytes that it allocates and holds at a time, at the most."""


def count(call: Callable[[], object]) -> Count:
    """Count a call whose tensors are on the meta device."""
    with FlopCounterMode(display=False) as flops, _Traffic() as traffic:
        call()
    return Count(flops.get_total_flops(), traffic.moved, traffic.peak)


def count_shape(system: str, shape: Shape) -> dict[str, dict[str, int]]:
    """For each thing that is measured, and "size": parameters, and bytes to train and decode."""
    parameters = parameters_of(system, shape)
    with torch.device("meta"):
        subject = Subject(system, shape)
        step = count(subject.gradients)
        counts = {"train": Count(step.flops, step.moved + UPDATE_BYTES * parameters, step.held)}
        for what in whats_of(shape)[1:]:
            call = subject.user(what)
            call()  # What a module computes once and keeps.
            counts[what] = count(call)
        state = 0
        if "step" in counts:
            with torch.no_grad():
                state = sum(tensor.nbytes for tensor in subject.state(missing=0)) // DECODED
    sizes = {
        "parameters": parameters,
        "training_bytes": KEPT_BYTES * parameters + step.held,
        "state_bytes": state,
    }
    figures = {what: {"flops": c.flops, "moved": c.moved} for what, c in counts.items()}
    return {"size": sizes} | figures


class _Traffic(TorchDispatchMode):
    """Adds up what operations read and write, and follows what they allocate."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = self.peak = self._now = 0
        self._held: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        given, made = list(_tensors((args, kwargs))), list(_tensors(out))
        known = {_storage(tensor) for tensor in given}
        view = not func._schema.is_mutable and all(_storage(tensor) in known for tensor in made)
        if not (view or func._schema.name in EMPTY):
            self.moved += sum(map(_bytes, given + made))
        for tensor in made:
            if _storage(tensor) not in known | self._held:
                self._hold(tensor.untyped_storage())
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        identity, size = storage._cdata, storage.nbytes()
        self._held.add(identity)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._free, identity, size)

    def _free(self, identity: int, size: int) -> None:
        self._held.discard(identity)
        self._now -= size


def _tensors(tree: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _bytes(tensor: Tensor) -> int:
    """Of its values; one that stands at many places counts once."""
    sizes = (n for n, step in zip(tensor.shape, tensor.stride(), strict=True) if step)
    values = 1
    for size in sizes:
        values *= size
    return values * tensor.element_size()
