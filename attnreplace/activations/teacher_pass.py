"""One pass of the teacher over a corpus, from what it reads to rows of the store."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.activations.inputs import Inputs
from attnreplace.activations.plan import Shard, longer_side
from attnreplace.activations.ragged import pack
from attnreplace.activations.schema import DTYPES, to_storage
from attnreplace.activations.writer import StoreWriter
from attnreplace.data.batching import token_batches
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of
from attnreplace.progress import Progress


def run_teacher(
    model: PreTrainedModel,
    capture: Capture,
    writer: StoreWriter,
    inputs: Inputs,
    batch_tokens: int,
    device: torch.device,
    progress: Progress,
) -> None:
    """Write the missing shards that are the writer's share.

    A decoder runs only where something of it is stored.

    Args:
        capture: open, on the sites of the store.
        writer: open.
        batch_tokens: padded tokens of a batch, on its longer side.

    Raises:
        UserError: a value that the store's type cannot hold, or a disk that cannot be written to.
    """
    model.eval().to(device)
    decoder = any(axis_of(name) == "target" for name in capture.widths)
    total = _sentences(writer.plan.shards) - _sentences(writer.missing) + _sentences(writer.share)
    done = total - _sentences(writer.share)
    with progress.task("extract", total, done) as task, torch.inference_mode():
        for shard, part in _batches(writer.share, batch_tokens):
            lines = shard.sentence_ids[part]
            rows = inputs.run(model, shard.split, lines, device, decoder=decoder)
            tensors = storable(capture.tensors, rows, writer.manifest.identity.dtype)
            writer.append(shard, tensors)
            task.advance(len(lines))


def _sentences(shards: Sequence[Shard]) -> int:
    return sum(len(shard.sentence_ids) for shard in shards)


def _batches(shards: Sequence[Shard], batch_tokens: int) -> Iterator[tuple[Shard, slice]]:
    # Lines of a shard are sorted by length already, so its batches are neighbours in it.
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
