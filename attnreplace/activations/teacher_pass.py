"""One pass of the teacher over encoded pairs, from token ids to rows of the store."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.activations.plan import Shard, longer_side
from attnreplace.activations.ragged import pack, real_rows
from attnreplace.activations.schema import DTYPES, to_storage
from attnreplace.activations.writer import StoreWriter
from attnreplace.data.batching import pad, token_batches
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of
from attnreplace.progress import Progress

Ids = Mapping[str, Mapping[str, Sequence[list[int]]]]
"""Token ids of each sentence, by split and axis."""


def run_teacher(
    model: PreTrainedModel,
    capture: Capture,
    writer: StoreWriter,
    ids: Ids,
    batch_tokens: int,
    device: torch.device,
    progress: Progress,
) -> None:
    """Write the missing shards that are the writer's share.

    The decoder reads the references: the start token and the target without its last token, so
    that it has as many positions as the target has tokens. It runs only where something of it is
    stored.

    Args:
        capture: open, on the sites of the store.
        writer: open.
        batch_tokens: padded tokens of a batch, on its longer side.

    Raises:
        UserError: a value that the store's type cannot hold, or a disk that cannot be written to.
    """
    model.eval().to(device)
    axes = sorted({axis_of(name) for name in capture.widths} | {"source"})
    total = _sentences(writer.plan.shards) - _sentences(writer.missing) + _sentences(writer.share)
    done = total - _sentences(writer.share)
    with progress.task("extract", total, done) as task, torch.inference_mode():
        for shard, part in _batches(writer.share, batch_tokens):
            lines = shard.sentence_ids[part]
            batch = {axis: [ids[shard.split][axis][line] for line in lines] for axis in axes}
            rows = run_stacks(model, batch, device)
            tensors = storable(capture.tensors, rows, writer.manifest.identity.dtype)
            writer.append(shard, tensors)
            task.advance(len(lines))


def run_stacks(
    model: PreTrainedModel, batch: Mapping[str, list[list[int]]], device: torch.device
) -> dict[str, Tensor | None]:
    """Run the encoder and, where the batch has targets, the decoder.

    Args:
        batch: token ids of each sentence, by axis.

    Returns:
        The `real_rows` of each axis.
    """
    pad_id = model.config.pad_token_id
    tokens, mask = pad(batch["source"], pad_id)
    # Counted before the masks leave for the device: no wait.
    rows = {"source": real_rows(mask.bool())}
    mask = mask.to(device)
    encoded = model.get_encoder()(input_ids=tokens.to(device), attention_mask=mask)
    if "target" in batch:
        start = model.config.decoder_start_token_id
        inputs, real = pad([[start, *sentence[:-1]] for sentence in batch["target"]], pad_id)
        rows["target"] = real_rows(real.bool())
        # No mask of its own: the decoder is causal, so padding on the right is never looked at.
        model.get_decoder()(
            input_ids=inputs.to(device),
            encoder_hidden_states=encoded.last_hidden_state,
            encoder_attention_mask=mask,
            use_cache=False,
        )
    return {axis: r if r is None else r.to(device) for axis, r in rows.items()}


def _sentences(shards: Sequence[Shard]) -> int:
    return sum(len(shard.sentence_ids) for shard in shards)


def _batches(shards: Sequence[Shard], batch_tokens: int) -> Iterator[tuple[Shard, slice]]:
    # Pairs of a shard are sorted by length already, so its batches are neighbours in it.
    for shard in shards:
        start = 0
        for batch in token_batches(longer_side(shard.lengths).tolist(), batch_tokens):
            yield shard, slice(start, start := start + len(batch))


def storable(
    tensors: Mapping[str, Tensor], rows: Mapping[str, Tensor | None], dtype: str
) -> dict[str, np.ndarray]:
    """Captured tensors `(batch, seq, d)` as what the store keeps, `(tokens, d)`.

    Args:
        rows: `real_rows` of each axis' padding mask, on the device of the tensors.

    Raises:
        UserError: a value is beyond the range of `dtype`.
    """
    packed = packed_as(tensors, rows, dtype)
    # On a GPU all copies are under way before one is waited for.
    host = {name: values.to("cpu", non_blocking=True) for name, values in packed.items()}
    if any(values.is_cuda for values in packed.values()):
        torch.cuda.synchronize()
    return {name: to_storage(values.contiguous()) for name, values in host.items()}


def packed_as(
    tensors: Mapping[str, Tensor], rows: Mapping[str, Tensor | None], dtype: str
) -> dict[str, Tensor]:
    """Captured tensors `(batch, seq, d)` as `(tokens, d)` in the store's type, where they are.

    Args:
        rows: `real_rows` of each axis' padding mask, on the device of the tensors.

    Raises:
        UserError: a value is beyond the range of `dtype`.
    """
    # Cast before choosing rows: half the memory to go through.
    packed = {
        name: pack(values.to(DTYPES[dtype]), rows[axis_of(name)])
        for name, values in tensors.items()
    }
    # What the type cannot hold is infinite now. One pass over the memory finds both ends, and
    # there is one wait for the device for all tensors.
    ends = torch.stack([torch.stack(torch.aminmax(values)) for values in packed.values()])
    for name, finite in zip(packed, ends.isfinite().all(dim=1).tolist(), strict=True):
        if not finite:
            real = pack(tensors[name], rows[axis_of(name)])
            _refuse(name, float(real.abs().max()), dtype)
    return packed


def _refuse(name: str, largest: float, dtype: str) -> None:
    if np.isfinite(largest):
        raise UserError(
            f"{name} reaches {largest:.3g}, beyond the range of {dtype}; "
            "use --dtype bfloat16 or float32"
        )
    raise UserError(f"{name} is not finite: the teacher is broken; train it anew")
