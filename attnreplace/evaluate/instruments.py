"""Instruments: operations, time and memory of any call."""

import statistics
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import Cache, EncoderDecoderCache

from attnreplace.evaluate.record import Timing

MIN_RUNS, MAX_RUNS = 3, 20
"""A timing stops after the time it is given, once it has `MIN_RUNS`."""


def count_parameters(model: nn.Module) -> int:
    """Parameters of a module; those that are used twice count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_flops(call: Callable[[], object]) -> int:
    """Operations of the matrix products in `call`; a multiply-add is two.

    The CPU's fused attention kernel is unknown to the counter and would count as nothing: the
    plain one, made of matrix products, is used instead. What a module computes once and keeps is
    computed before.
    """
    with torch.no_grad():
        call()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def timing(call: Callable[[], object], device: torch.device, seconds: float) -> Timing:
    """Time `call` again and again for about `seconds`, after one call that is not counted."""
    taken: list[float] = []
    call()
    while len(taken) < MIN_RUNS or (len(taken) < MAX_RUNS and sum(taken) < seconds):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        taken.append(time.perf_counter() - start)
    return {
        "median_s": statistics.median(taken),
        "min_s": min(taken),
        "max_s": max(taken),
        "runs": len(taken),
    }


def cache_bytes(cache: Cache | None) -> int:
    """Bytes of all tensors that the layers of a cache hold, whatever kind of layers they are."""
    if isinstance(cache, EncoderDecoderCache):
        return cache_bytes(cache.self_attention_cache) + cache_bytes(cache.cross_attention_cache)
    layers = [] if cache is None else cache.layers
    held = dict(_storages([list(vars(layer).values()) for layer in layers]))
    return sum(storage.nbytes() for storage in held.values())


def peak_memory(call: Callable[[], object], device: torch.device) -> int:
    """Most bytes that `call` holds at a time: the allocator's on CUDA, of live tensors on CPU.

    What a module computes once and keeps is computed before.
    """
    with torch.no_grad():
        call()
        if device.type == "cuda":
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
            call()
            return torch.cuda.max_memory_allocated(device) - before
        with _LiveTensors() as live:
            call()
        return live.peak


class _LiveTensors(TorchDispatchMode):
    """Adds up the storages that operations allocate, until they are freed.

    It gives what the profiler's memory events give for models like these, without a trace. A
    buffer that a kernel allocates for itself is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._held: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = {id_ for id_, _ in _storages((args, kwargs))}
        out = func(*args, **(kwargs or {}))
        for id_, storage in _storages(out):
            if id_ not in given and id_ not in self._held:
                self._held[id_] = storage.nbytes()
                weakref.finalize(storage, self._held.pop, id_)
        self.peak = max(self.peak, sum(self._held.values()))
        return out


def _storages(tree: object) -> list[tuple[int, torch.UntypedStorage]]:
    """The storages under a tree of tensors, each with an identity that views share."""
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return [(storage._cdata, storage) for storage in storages]


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
