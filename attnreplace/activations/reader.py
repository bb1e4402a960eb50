"""Read batches of a store: whole chunks into a buffer, then rows of the buffer into batches."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np
import torch

from attnreplace.activations.order import Buffer
from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.schema import dataset_path, from_storage, storage_dtype
from attnreplace.errors import UserError


@dataclass(frozen=True)
class SplitFiles:
    """Where the rows of one split lie."""

    shards: list[Path]
    shard_starts: np.ndarray
    """First row of each shard, counted from the start of the split."""
    offsets: np.ndarray
    """First row of each sentence, and the number of rows: int64 `(sentences + 1,)`."""
    dtype: str


def read_batches(
    files: SplitFiles, widths: Mapping[str, int], order: Iterable[Buffer], skip: int
) -> Iterator[ActivationBatch]:
    """Yield the batches of an epoch.

    Files are opened when a buffer is filled and closed again, so a reader can be made in one
    process and used in another. At any time one buffer and one batch are in memory.

    Args:
        widths: columns of each tensor to read.
        order: the epoch's plan.
        skip: batches to pass over; nothing is read for buffers that are skipped whole.

    Raises:
        UserError: a file is damaged or missing.
    """
    memory: dict[str, np.ndarray] = {}
    for buffer in order:
        if skip >= len(buffer.batches):
            skip -= len(buffer.batches)
            continue
        starts, lengths = _sentences(files, buffer)
        memory = _room(memory, widths, int(lengths.sum()), files.dtype)
        _load(files, buffer, memory)
        tensors = {name: from_storage(rows, files.dtype) for name, rows in memory.items()}
        for batch in buffer.batches[skip:]:
            rows = torch.from_numpy(row_numbers(starts[batch], lengths[batch]))
            yield ActivationBatch(
                torch.from_numpy(lengths[batch]),
                {name: held.index_select(0, rows).float() for name, held in tensors.items()},
            )
        skip = 0


def row_numbers(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows of sentences that start at `starts`, one after another: int64 `(tokens,)`."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1])


def _sentences(files: SplitFiles, buffer: Buffer) -> tuple[np.ndarray, np.ndarray]:
    """First row in the buffer and length of each of its sentences, both `(sentences,)`."""
    lengths = np.concatenate(
        [np.diff(files.offsets[c.first : c.first + c.count + 1]) for c in buffer.chunks]
    )
    return np.cumsum(lengths) - lengths, lengths


def _room(
    memory: dict[str, np.ndarray], widths: Mapping[str, int], rows: int, dtype: str
) -> dict[str, np.ndarray]:
    # Kept from buffer to buffer: fresh pages cost as much as the read itself.
    if all(len(memory.get(name, ())) >= rows for name in widths):
        return memory
    memory.clear()
    return {name: np.empty((rows, width), storage_dtype(dtype)) for name, width in widths.items()}


def _load(files: SplitFiles, buffer: Buffer, memory: dict[str, np.ndarray]) -> None:
    filled = 0
    for shard, chunks in groupby(buffer.chunks, key=lambda chunk: chunk.shard):
        path = files.shards[shard]
        spans = []
        for chunk in chunks:
            first, last = files.offsets[[chunk.first, chunk.first + chunk.count]]
            spans.append((int(first - files.shard_starts[shard]), filled, int(last - first)))
            filled += int(last - first)
        try:
            with h5py.File(path, "r") as file:
                for name, rows in memory.items():
                    dataset = file[dataset_path(name)]
                    for source, target, count in spans:
                        dataset.read_direct(
                            rows,
                            np.s_[source : source + count],
                            np.s_[target : target + count],
                        )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise damaged(path, error) from error


def damaged(path: Path, reason: object) -> UserError:
    """The error for a file of the store that cannot be read."""
    text = " ".join(str(reason).split())
    return UserError(
        f"{path} is damaged ({text}); delete it and run `attnreplace extract` to write it again"
    )
