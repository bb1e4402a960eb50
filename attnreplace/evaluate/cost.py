"""What a model costs: parameters, operations, time and memory, on examples of one length."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from attnreplace.evaluate.instruments import (
    cache_bytes,
    count_flops,
    count_parameters,
    peak_memory,
    timing,
)
from attnreplace.evaluate.record import BatchLatency, Cost, Memory
from attnreplace.evaluate.translate import decodes_by, decoding
from attnreplace.hosts import base_model
from attnreplace.splice import target_positions

NEW_TOKENS = 20
"""Tokens of every translation that is timed: all systems do the same work, unless the students in
a decoder have fewer positions."""
ENCODER_SECONDS, GENERATE_SECONDS = 0.3, 1.0
"""For how long a call is repeated to be timed."""

Inputs = dict[str, Tensor]


def measure_cost(
    model: PreTrainedModel, teacher: PreTrainedModel, replacement: int, source_tokens: int
) -> Cost:
    """Measure a system on the device where it lies; what decodes, on translations too.

    Args:
        model: the system, in eval mode.
        teacher: what it was made from.
        replacement: parameters that were put into it.
        source_tokens: length of the texts to measure on; of images, how many tokens one is.
    """
    parameters, decodes = count_parameters(model), model.config.is_encoder_decoder
    stored = [*model.parameters(), *model.buffers()]
    memory: Memory = {
        "parameters": sum(tensor.numel() * tensor.element_size() for tensor in stored),
        "batch_1": encoder_memory(model, 1, source_tokens),
        "batch_64": encoder_memory(model, 64, source_tokens),
    }
    cost: Cost = {
        "parameters": {
            "model": parameters,
            "replaced": count_parameters(teacher) + replacement - parameters,
            "replacement": replacement,
        },
        "flops_per_token": encoder_flops(model, source_tokens) / source_tokens,
        "source_tokens": source_tokens,
        "latency": {
            "batch_1": batch_latency(model, 1, source_tokens),
            "batch_64": batch_latency(model, 64, source_tokens),
        },
        "memory": memory,
        "device": device_name(model.device),
        "threads": torch.get_num_threads(),
    }
    if decodes:
        cost["decoder_flops_per_token"] = decoder_flops(model, source_tokens) / source_tokens
        cost["new_tokens"] = _new_tokens(model)
        memory["state_batch_1"] = generation_state(model, 1, source_tokens)
        memory["state_batch_64"] = generation_state(model, 64, source_tokens)
    return cost


def encoder_flops(model: PreTrainedModel, source_tokens: int) -> int:
    """Operations of the encoder on one example of `source_tokens` tokens."""
    inputs = _examples(model, 1, source_tokens)
    return count_flops(lambda: _encoder(model)(**inputs))


def decoder_flops(model: PreTrainedModel, tokens: int) -> int:
    """Operations of the decoder on `tokens` tokens at once, for a source as long."""
    inputs = _examples(model, 1, tokens)
    memory = torch.zeros(1, tokens, model.config.d_model, dtype=model.dtype, device=model.device)
    return count_flops(
        lambda: model.get_decoder()(
            input_ids=inputs["input_ids"],
            encoder_hidden_states=memory,
            encoder_attention_mask=inputs["attention_mask"],
            use_cache=False,
        )
    )


def batch_latency(model: PreTrainedModel, batch: int, source_tokens: int) -> BatchLatency:
    """Time one batch through the encoder; where there is a decoder, through a greedy translation
    of `NEW_TOKENS` tokens too.
    """
    inputs = _examples(model, batch, source_tokens)
    with torch.no_grad():
        taken: BatchLatency = {
            "encoder": timing(lambda: _encoder(model)(**inputs), model.device, ENCODER_SECONDS)
        }
        if model.config.is_encoder_decoder:
            taken["generate"] = timing(
                lambda: _generate(model, inputs), model.device, GENERATE_SECONDS
            )
    return taken


def workload(model: PreTrainedModel, source_tokens: int, new_tokens: int) -> Callable[[], object]:
    """One example's work, to be timed or watched: a greedy translation of so many new tokens; where
    there is no decoder, a pass through the encoder.
    """
    inputs = _examples(model, 1, source_tokens)
    if model.config.is_encoder_decoder:
        return lambda: _generate(model, inputs, new_tokens)
    return lambda: _encoder(model)(**inputs)


def encoder_memory(model: PreTrainedModel, batch: int, source_tokens: int) -> int:
    """Most bytes that an encoder forward pass holds at a time, beyond what stood before it."""
    inputs = _examples(model, batch, source_tokens)
    return peak_memory(lambda: _encoder(model)(**inputs), model.device)


def generation_state(
    model: PreTrainedModel, batch: int, source_tokens: int, new_tokens: int | None = None
) -> int:
    """Bytes that a greedy translation keeps from step to step, of `NEW_TOKENS` tokens by default.

    For attention these are its keys and values, for students what they keep in their place. Zero
    for a model that cannot decode with a cache, and reads all tokens anew at every step.
    """
    output = _generate(model, _examples(model, batch, source_tokens), new_tokens)
    return cache_bytes(output.past_key_values)


def _new_tokens(model: PreTrainedModel) -> int:
    """How many tokens a timed translation has."""
    positions = target_positions(model)
    return NEW_TOKENS if positions is None else min(NEW_TOKENS, positions)


@torch.no_grad()
def _generate(model: PreTrainedModel, inputs: Inputs, new_tokens: int | None = None) -> Any:
    """A greedy translation of a fixed number of tokens, with the cache it leaves."""
    count = new_tokens or _new_tokens(model)
    config = decoding(model, beam=1, max_new_tokens=count, min_new_tokens=count)
    config.return_dict_in_generate = True
    with decodes_by(model, config):
        return model.generate(**inputs, generation_config=config)  # type: ignore[operator]


def _encoder(model: PreTrainedModel) -> nn.Module:
    """The stack of layers that read: a model without a decoder is one, its head left aside."""
    return model.get_encoder() if model.config.is_encoder_decoder else base_model(model)


def _examples(model: PreTrainedModel, batch: int, tokens: int) -> Inputs:
    """Texts `(batch, tokens)` without padding, or images; what is in them costs nothing."""
    config, device = model.config, model.device
    if model.main_input_name == "pixel_values":
        size = config.image_size
        height, width = (size, size) if isinstance(size, int) else size
        shape = batch, config.num_channels, height, width
        return {"pixel_values": torch.zeros(shape, dtype=model.dtype, device=device)}
    # Some models take the padding's token for padding whatever the mask says.
    token = 1 if config.pad_token_id == 0 else 0
    if config.is_encoder_decoder:
        end = model.generation_config.eos_token_id
        token = end[0] if isinstance(end, list) else end
    ids = torch.full((batch, tokens), token, device=device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def device_name(device: torch.device) -> str:
    """The device's kind, with the model of a GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
