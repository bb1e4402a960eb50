"""What a model costs: parameters, operations, time and memory."""

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
from transformers import Cache, EncoderDecoderCache, PreTrainedModel

from attnreplace.evaluate.record import BatchLatency, Cost, Timing
from attnreplace.evaluate.translate import decodes_by, decoding
from attnreplace.splice import target_positions

NEW_TOKENS = 20
"""Tokens of every translation that is timed: all systems do the same work, unless the students in
a decoder have fewer positions."""
MIN_RUNS, MAX_RUNS = 3, 20
ENCODER_SECONDS, GENERATE_SECONDS = 0.3, 1.0
"""A timing stops after this long, once it has `MIN_RUNS`."""


def count_parameters(model: nn.Module) -> int:
    """Parameters of a module; those that are used twice count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def measure_cost(
    model: PreTrainedModel, teacher: PreTrainedModel, replacement: int, source_tokens: int
) -> Cost:
    """Measure a system on the device where it lies.

    Args:
        model: the system, in eval mode.
        teacher: what it was made from.
        replacement: parameters that were put into it.
        source_tokens: length of the sentences to measure on.
    """
    parameters = count_parameters(model)
    stored = [*model.parameters(), *model.buffers()]
    return {
        "parameters": {
            "model": parameters,
            "replaced": count_parameters(teacher) + replacement - parameters,
            "replacement": replacement,
        },
        "flops_per_token": encoder_flops(model, source_tokens) / source_tokens,
        "decoder_flops_per_token": decoder_flops(model, source_tokens) / source_tokens,
        "source_tokens": source_tokens,
        "new_tokens": _new_tokens(model),
        "latency": {
            "batch_1": batch_latency(model, 1, source_tokens),
            "batch_64": batch_latency(model, 64, source_tokens),
        },
        "memory": {
            "parameters": sum(tensor.numel() * tensor.element_size() for tensor in stored),
            "batch_1": encoder_memory(model, 1, source_tokens),
            "batch_64": encoder_memory(model, 64, source_tokens),
            "state_batch_1": generation_state(model, 1, source_tokens),
            "state_batch_64": generation_state(model, 64, source_tokens),
        },
        "device": _device_name(model.device),
        "threads": torch.get_num_threads(),
    }


def encoder_flops(model: PreTrainedModel, source_tokens: int) -> int:
    """Operations of the encoder on one sentence of `source_tokens` tokens."""
    ids, mask = _sentences(model, 1, source_tokens)
    return count_flops(lambda: model.get_encoder()(input_ids=ids, attention_mask=mask))


def decoder_flops(model: PreTrainedModel, tokens: int) -> int:
    """Operations of the decoder on `tokens` tokens at once, for a source as long."""
    ids, mask = _sentences(model, 1, tokens)
    memory = torch.zeros(1, tokens, model.config.d_model, dtype=model.dtype, device=model.device)
    return count_flops(
        lambda: model.get_decoder()(
            input_ids=ids,
            encoder_hidden_states=memory,
            encoder_attention_mask=mask,
            use_cache=False,
        )
    )


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


def batch_latency(model: PreTrainedModel, batch: int, source_tokens: int) -> BatchLatency:
    """Time the encoder, and a greedy translation of `NEW_TOKENS` tokens, on one batch."""
    ids, mask = _sentences(model, batch, source_tokens)
    with torch.no_grad():
        return {
            "encoder": timing(
                lambda: model.get_encoder()(input_ids=ids, attention_mask=mask),
                model.device,
                ENCODER_SECONDS,
            ),
            "generate": timing(lambda: _generate(model, ids, mask), model.device, GENERATE_SECONDS),
        }


def timing(call: Callable[[], object], device: torch.device, seconds: float) -> Timing:
    """Time `call` again and again for about `seconds`, after one call that is not counted."""
    taken: list[float] = []
    call()
    while len(taken) < MIN_RUNS or (len(taken) < MAX_RUNS and sum(taken) < seconds):
        _synchronize(device)
        start = time.perf_counter()
        call()
        _synchronize(device)
        taken.append(time.perf_counter() - start)
    return {
        "median_s": statistics.median(taken),
        "min_s": min(taken),
        "max_s": max(taken),
        "runs": len(taken),
    }


def encoder_memory(model: PreTrainedModel, batch: int, source_tokens: int) -> int:
    """Most bytes that an encoder forward pass holds at a time, beyond what stood before it."""
    ids, mask = _sentences(model, batch, source_tokens)
    return peak_memory(
        lambda: model.get_encoder()(input_ids=ids, attention_mask=mask), model.device
    )


def generation_state(model: PreTrainedModel, batch: int, source_tokens: int) -> int:
    """Bytes that a greedy translation of `NEW_TOKENS` tokens keeps from step to step.

    For attention these are its keys and values, for students what they keep in their place. Zero
    for a model that cannot decode with a cache, and reads all tokens anew at every step.
    """
    output = _generate(model, *_sentences(model, batch, source_tokens))
    return cache_bytes(output.past_key_values)


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


def _new_tokens(model: PreTrainedModel) -> int:
    """How many tokens a timed translation has."""
    positions = target_positions(model)
    return NEW_TOKENS if positions is None else min(NEW_TOKENS, positions)


@torch.no_grad()
def _generate(model: PreTrainedModel, ids: Tensor, mask: Tensor) -> Any:
    """A greedy translation of a fixed number of tokens, with the cache it leaves."""
    count = _new_tokens(model)
    config = decoding(model, beam=1, max_new_tokens=count, min_new_tokens=count)
    config.return_dict_in_generate = True
    with decodes_by(model, config):
        return model.generate(  # type: ignore[operator]
            input_ids=ids, attention_mask=mask, generation_config=config
        )


def _sentences(model: PreTrainedModel, batch: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Ids and mask `(batch, tokens)` without padding; which ids they are costs nothing."""
    end = model.generation_config.eos_token_id
    ids = torch.full((batch, tokens), end[0] if isinstance(end, list) else end)
    return ids.to(model.device), torch.ones_like(ids).to(model.device)


def _synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device_name(device: torch.device) -> str:
    """The device's kind, with the model of a GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
