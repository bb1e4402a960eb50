"""Which sentence goes to which shard; the lengths alone decide, so a resume finds it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attnreplace.activations.schema import shard_file


@dataclass(frozen=True)
class Shard:
    """One file of the store: sentences of one split, longest first."""

    file: str
    split: str
    sentence_ids: np.ndarray
    """Line of each sentence in its split, int64 `(sentences,)`."""
    lengths: np.ndarray
    """Tokens of each sentence, int64 `(sentences,)`."""

    @property
    def tokens(self) -> int:
        """Rows of each tensor."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Plan:
    """All shards of a store, in order; the splits follow one another."""

    splits: tuple[str, ...]
    shards: list[Shard]
    dropped: dict[str, int]
    """Sentences over the length limit, by split."""

    def of(self, split: str) -> list[Shard]:
        """The shards of one split."""
        return [shard for shard in self.shards if shard.split == split]


def plan_shards(
    lengths: Mapping[str, Sequence[int]], max_length: int, shard_sentences: int
) -> Plan:
    """Lay out a store.

    A shard holds consecutive sentences of the corpus, sorted by length inside: batches of similar
    length then lie in the file as they leave the model.

    Args:
        lengths: tokens of each sentence, by split.
        max_length: longer sentences are dropped and counted.
        shard_sentences: sentences in a shard, at most.
    """
    shards: list[Shard] = []
    dropped: dict[str, int] = {}
    for split, values in lengths.items():
        tokens = np.asarray(values, dtype=np.int64)
        kept = np.flatnonzero(tokens <= max_length)
        dropped[split] = len(tokens) - len(kept)
        for start in range(0, len(kept), shard_sentences):
            ids = kept[start : start + shard_sentences]
            ids = ids[np.argsort(-tokens[ids], kind="stable")]
            shards.append(Shard(shard_file(len(shards)), split, ids, tokens[ids]))
    return Plan(tuple(lengths), shards, dropped)
