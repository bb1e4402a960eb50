"""Read batches of a store: the sentences of some batches at a time, as many as memory allows."""

import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from attnreplace.activations.order import Buffer
from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.schema import dataset_path, from_storage, storage_dtype
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of

READ_MEGABYTES = 1024
"""What reading may hold by default, unless a single batch takes more."""
BATCHES_IN_USE = 3
"""Batches in float32 beside what was read: that of the caller, the next, and what it is made of."""
ALIGNMENT = 64
"""Bytes; where a tensor starts in memory."""


@dataclass(frozen=True)
class SplitFiles:
    """Where the rows of one split lie."""

    shards: list[Path]
    first_sentences: np.ndarray
    """First sentence of each shard, and their number: int64 `(shards + 1,)`."""
    offsets: dict[str, np.ndarray]
    """First row of each pair, and the number of rows: int64 `(sentences + 1,)`, by axis."""
    dtype: str


def room_for_rows(
    read_megabytes: int | None, batch_tokens: int, widths: Mapping[str, int], dtype: str
) -> int:
    """Bytes of rows to read at a time, so that with the batches made of them memory suffices.

    Args:
        read_megabytes: memory that reading may take, in MB; None for the default.
        batch_tokens: rows of a tensor in a batch, at most.
        widths: columns of each tensor to read.

    Raises:
        UserError: a batch does not fit.
    """
    values = batch_tokens * sum(widths.values())
    in_use = values * 4 * BATCHES_IN_USE
    batch = values * storage_dtype(dtype).itemsize + ALIGNMENT * len(widths)
    if read_megabytes is None:
        return max(READ_MEGABYTES * 10**6 - in_use, batch)
    if read_megabytes * 10**6 < in_use + batch:
        raise UserError(
            f"read_megabytes is {read_megabytes}, but to read batches of {batch_tokens} tokens of "
            f"{len(widths)} tensors takes {-(-(in_use + batch) // 10**6)}; raise it, or lower "
            "batch_tokens"
        )
    return read_megabytes * 10**6 - in_use


def read_batches(
    files: SplitFiles, widths: Mapping[str, int], order: Iterable[Buffer], skip: int, room: int
) -> Iterator[ActivationBatch]:
    """Yield the batches of an epoch.

    Files are opened to read from and closed again, so a reader can be made in one process and used
    in another. A buffer of the order is read at once where there is room, else a few batches at a
    time; the batches are the same.

    Args:
        widths: columns of each tensor to read.
        order: the epoch's plan.
        skip: batches to pass over; nothing is read for them.
        room: bytes of rows in memory, at most.

    Raises:
        UserError: a file is damaged or missing.
    """
    rows = _Rows(files, widths, room)
    for buffer in order:
        if skip >= len(buffer.batches):
            skip -= len(buffer.batches)
            continue
        sentences = buffer.sentences
        lengths = {axis: o[sentences + 1] - o[sentences] for axis, o in files.offsets.items()}
        for part in _parts(buffer.batches[skip:], rows.sizes(lengths), room):
            held = np.sort(np.concatenate(part))
            tensors = rows.read(sentences[held])
            starts = {axis: np.zeros_like(tokens) for axis, tokens in lengths.items()}
            for axis, tokens in lengths.items():
                starts[axis][held] = np.cumsum(tokens[held]) - tokens[held]
            for batch in part:
                chosen = {axis: tokens[batch] for axis, tokens in lengths.items()}
                numbers = {
                    axis: torch.from_numpy(row_numbers(starts[axis][batch], tokens))
                    for axis, tokens in chosen.items()
                }
                yield ActivationBatch(
                    {axis: torch.from_numpy(tokens) for axis, tokens in chosen.items()},
                    _take(tensors, numbers),
                )
        skip = 0


def _take(tensors: Mapping[str, Tensor], numbers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Some rows of each tensor in float32, given their numbers by axis."""
    counts = {name: len(numbers[axis_of(name)]) * rows.shape[1] for name, rows in tensors.items()}
    memory = _room(sum(counts.values()), torch.float32).split(list(counts.values()))
    stored = _room(max(counts.values()), next(iter(tensors.values())).dtype)
    taken = {}
    for (name, rows), part in zip(tensors.items(), memory, strict=True):
        chosen = stored[: counts[name]].view(-1, rows.shape[1])
        torch.index_select(rows, 0, numbers[axis_of(name)], out=chosen)
        taken[name] = part.view_as(chosen).copy_(chosen)
    return taken


def _room(values: int, dtype: torch.dtype) -> Tensor:
    """Memory that goes back to the system when it is let go, and takes none before it is used.

    Batches are of many sizes: an allocator would keep the gaps that they leave between them.
    """
    size = max(1, values) * dtype.itemsize
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # asked for one by one, small pages take longer than a copy
        pages.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(pages, dtype=dtype)[:values]


def row_numbers(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Rows of sentences that start at `starts`, one after another: int64 `(tokens,)`."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - ends + lengths, lengths) + np.arange(ends[-1])


def _parts(
    batches: Sequence[np.ndarray], sizes: np.ndarray, room: int
) -> Iterator[list[np.ndarray]]:
    """Cut batches into runs that fit into `room` bytes, given the size of each sentence."""
    part: list[np.ndarray] = []
    filled = 0
    for batch in batches:
        size = int(sizes[batch].sum())
        if part and filled + size > room:
            yield part
            part, filled = [], 0
        part.append(batch)
        filled += size
    yield part


class _Rows:
    """Rows of some tensors, read straight from the files.

    A dataset of a shard is one run of bytes, so that HDF5 is asked but once where it starts: a
    sentence read through HDF5 would cost more than its bytes.
    """

    def __init__(self, files: SplitFiles, widths: Mapping[str, int], room: int) -> None:
        self._files, self._widths = files, widths
        self._kind = storage_dtype(files.dtype)
        self._starts: dict[int, dict[str, int]] = {}
        # Kept from one reading to the next: fresh pages cost as much as the reading itself. It
        # takes no more memory than is read into it.
        rows = {axis: offsets[-1:] for axis, offsets in files.offsets.items()}
        size = min(room, int(self.sizes(rows).sum())) + ALIGNMENT * len(widths)
        self._memory = _room(size, torch.uint8).numpy()

    def sizes(self, lengths: Mapping[str, np.ndarray]) -> np.ndarray:
        """Bytes of each sentence, int64 `(sentences,)`, from its lengths by axis."""
        width = dict.fromkeys(lengths, 0)
        for name, columns in self._widths.items():
            width[axis_of(name)] += columns * self._kind.itemsize
        per_axis = [tokens * width[axis] for axis, tokens in lengths.items()]
        return np.sum(per_axis, axis=0)

    def read(self, sentences: np.ndarray) -> dict[str, Tensor]:
        """The rows of some sentences, ascending; they last until the next reading."""
        shard = np.searchsorted(self._files.first_sentences, sentences, side="right") - 1
        breaks = np.flatnonzero((np.diff(sentences) != 1) | (np.diff(shard) != 0)) + 1
        firsts = sentences[np.r_[0, breaks]]
        lasts = sentences[np.r_[breaks - 1, len(sentences) - 1]] + 1
        begin = {axis: offsets[firsts] for axis, offsets in self._files.offsets.items()}
        count = {axis: o[lasts] - begin[axis] for axis, o in self._files.offsets.items()}
        rows = self._divide({axis: int(counts.sum()) for axis, counts in count.items()})
        target = {axis: np.cumsum(counts) - counts for axis, counts in count.items()}
        of_run = shard[np.r_[0, breaks]]
        for index in np.unique(of_run):
            runs = of_run == index
            first = self._files.first_sentences[index]
            spans = {
                axis: np.stack(
                    [begin[axis][runs] - offsets[first], target[axis][runs], count[axis][runs]], 1
                ).tolist()
                for axis, offsets in self._files.offsets.items()
            }
            self._read_shard(int(index), rows, spans)
        return {name: from_storage(values, self._files.dtype) for name, values in rows.items()}

    def _divide(self, tokens: Mapping[str, int]) -> dict[str, np.ndarray]:
        sizes = {
            name: tokens[axis_of(name)] * width * self._kind.itemsize
            for name, width in self._widths.items()
        }
        rows, start = {}, 0
        for name, size in sizes.items():
            values = self._memory[start : start + size].view(self._kind)
            rows[name] = values.reshape(tokens[axis_of(name)], self._widths[name])
            start += -(-size // ALIGNMENT) * ALIGNMENT
        return rows

    def _read_shard(
        self, index: int, rows: Mapping[str, np.ndarray], spans: Mapping[str, list[list[int]]]
    ) -> None:
        """Fill `rows` with spans (first row in the shard, first row in memory, rows), by axis."""
        path = self._files.shards[index]
        try:
            if index not in self._starts:
                self._starts[index] = self._locate(path, index)
            handle = os.open(path, os.O_RDONLY)
            try:
                for name, values in rows.items():
                    step = values.shape[1] * values.itemsize
                    memory = values.reshape(-1).view(np.uint8).data
                    start = self._starts[index][name]
                    for source, target, count in spans[axis_of(name)]:
                        part = memory[target * step : (target + count) * step]
                        _read_at(handle, part, start + source * step)
            finally:
                os.close(handle)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise damaged(path, error) from error

    def _locate(self, path: Path, index: int) -> dict[str, int]:
        """Where the bytes of each tensor start in a shard."""
        ends = self._files.first_sentences[[index, index + 1]]
        starts = {}
        with h5py.File(path, "r") as file:
            for name, width in self._widths.items():
                dataset = file[dataset_path(name)]
                first, last = self._files.offsets[axis_of(name)][ends]
                start = dataset.id.get_offset()
                if (dataset.shape, dataset.dtype) != ((last - first, width), self._kind):
                    raise ValueError(f"{name} is {dataset.dtype} {dataset.shape}")
                if start is None:
                    raise ValueError(f"{name} is not in one piece")
                starts[name] = start
        return starts


def _read_at(handle: int, memory: memoryview, start: int) -> None:
    done = 0
    while done < len(memory):
        count = os.preadv(handle, [memory[done:]], start + done)
        if count == 0:
            raise ValueError("it ends early")
        done += count


def damaged(path: Path, reason: object) -> UserError:
    """The error for a file of the store that cannot be read."""
    text = " ".join(str(reason).split())
    return UserError(
        f"{path} is damaged ({text}); delete it and run `attnreplace extract` to write it again"
    )
