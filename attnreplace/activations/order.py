"""The order in which a store is read: which chunks together, which sentences in which batch.

It follows from the lengths, the seed and the epoch alone: no data is read to count the batches or
to skip some, and the same arguments give the same batches whatever tensors are asked for. A
sentence is a pair here, and its length that of the longer side.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attnreplace.errors import UserError

CHUNK_SENTENCES = 512
"""Neighbouring sentences read in one go, at most."""
CHUNKS_IN_BUFFER = 32
"""Chunks mixed with one another, at least."""
JITTER = 2.0
"""Tokens by which a sentence may be out of order when a buffer is sorted by length."""


@dataclass(frozen=True)
class Chunk:
    """Neighbouring sentences of one shard."""

    shard: int
    """Place of the shard in its split."""
    first: int
    """First sentence, counted from the start of the split."""
    count: int


@dataclass(frozen=True)
class Buffer:
    """Chunks whose sentences are mixed with one another, and the batches made of them."""

    chunks: list[Chunk]
    batches: list[np.ndarray]
    """Sentences of each batch, counted from the start of the buffer."""

    @property
    def sentences(self) -> np.ndarray:
        """Its sentences, counted from the start of the split: int64 `(sentences,)`, ascending."""
        return np.concatenate(
            [np.arange(chunk.first, chunk.first + chunk.count) for chunk in self.chunks]
        )


def make_chunks(shard_sentences: list[int], size: int) -> list[Chunk]:
    """Cut shards into chunks of `size` sentences; no chunk spans two shards."""
    starts = np.cumsum([0, *shard_sentences])
    return [
        Chunk(shard, int(starts[shard]) + begin, min(size, count - begin))
        for shard, count in enumerate(shard_sentences)
        for begin in range(0, count, size)
    ]


def read_order(
    lengths: np.ndarray,
    shard_sentences: list[int],
    *,
    batch_tokens: int,
    buffer_sentences: int,
    seed: int | None,
    epoch: int,
) -> Iterator[Buffer]:
    """Plan an epoch.

    With a seed, chunks come in random order; those of a buffer are mixed, sorted by length with a
    little noise, cut into batches, and the batches shuffled. Without one, all is in stored order.

    Args:
        lengths: tokens of each sentence of the split, `(sentences,)`.
        shard_sentences: sentences of each shard of the split.
        batch_tokens: bound on the sum of the lengths in a batch.
        buffer_sentences: sentences mixed with one another, at most.

    Raises:
        UserError: a sentence is longer than `batch_tokens`.
    """
    longest = int(lengths.max(initial=0))
    if longest > batch_tokens:
        raise UserError(
            f"batch_tokens is {batch_tokens}, but the longest stored sentence has {longest} "
            f"tokens; set it to {longest} or more"
        )
    return _buffers(lengths, shard_sentences, batch_tokens, buffer_sentences, seed, epoch)


def _buffers(
    lengths: np.ndarray,
    shard_sentences: list[int],
    batch_tokens: int,
    buffer_sentences: int,
    seed: int | None,
    epoch: int,
) -> Iterator[Buffer]:
    size = max(1, min(CHUNK_SENTENCES, buffer_sentences // CHUNKS_IN_BUFFER))
    chunks = make_chunks(shard_sentences, size)
    generator = None if seed is None else np.random.default_rng([seed, epoch])
    if generator:
        chunks = [chunks[index] for index in generator.permutation(len(chunks))]
    for group in _fill(chunks, buffer_sentences):
        # Read in the order of the files; the sentences are mixed below.
        group.sort(key=lambda chunk: chunk.first)
        inside = np.concatenate(
            [lengths[chunk.first : chunk.first + chunk.count] for chunk in group]
        )
        order = np.arange(len(inside))
        if generator:
            noise = generator.random(len(inside)) * JITTER
            order = np.argsort(inside + noise, kind="stable")
        batches = [order[part] for part in _cut(inside[order], batch_tokens)]
        if generator:
            batches = [batches[index] for index in generator.permutation(len(batches))]
        yield Buffer(group, batches)


def _fill(chunks: list[Chunk], buffer_sentences: int) -> Iterator[list[Chunk]]:
    group: list[Chunk] = []
    held = 0
    for chunk in chunks:
        if group and held + chunk.count > buffer_sentences:
            yield group
            group, held = [], 0
        group.append(chunk)
        held += chunk.count
    if group:
        yield group


def _cut(lengths: np.ndarray, batch_tokens: int) -> Iterator[slice]:
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, before + batch_tokens, side="right"))
        yield slice(start, stop)
        start = stop
