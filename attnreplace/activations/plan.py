"""Which pair goes to which shard; the lengths alone decide, so a resume finds it again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attnreplace.activations.schema import shard_file


@dataclass(frozen=True)
class Shard:
    """One file of the store: pairs of one split, longest first."""

    file: str
    split: str
    sentence_ids: np.ndarray
    """Line of each pair in its split, int64 `(sentences,)`."""
    lengths: dict[str, np.ndarray]
    """Tokens of each pair by axis ("source", "target"), int64 `(sentences,)`."""

    @property
    def tokens(self) -> dict[str, int]:
        """Rows of each tensor, by the tensor's axis."""
        return {axis: int(lengths.sum()) for axis, lengths in self.lengths.items()}


@dataclass(frozen=True)
class Plan:
    """All shards of a store, in order; the splits follow one another."""

    splits: tuple[str, ...]
    axes: tuple[str, ...]
    """Axes of tokens: "source" and "target"."""
    shards: list[Shard]
    dropped: dict[str, int]
    """Pairs with a side over the length limit, by split."""

    def of(self, split: str) -> list[Shard]:
        """The shards of one split."""
        return [shard for shard in self.shards if shard.split == split]


def longer_side(lengths: Mapping[str, np.ndarray]) -> np.ndarray:
    """The length of each pair, `(sentences,)`, from the lengths of its sides.

    Shards, batches and the length limit all go by it, whatever sites are stored: an encoder's
    student then sees the same batches in a store of the encoder and in one of everything.
    """
    return np.maximum.reduce(list(lengths.values()))


def plan_shards(
    lengths: Mapping[str, Mapping[str, Sequence[int]]], max_length: int, shard_sentences: int
) -> Plan:
    """Lay out a store.

    A shard holds consecutive pairs of the corpus, sorted by length inside: batches of similar
    length then lie in the file as they leave the model.

    Args:
        lengths: tokens of each pair, by split and axis.
        max_length: pairs with a longer side are dropped and counted.
        shard_sentences: pairs in a shard, at most.
    """
    shards: list[Shard] = []
    dropped: dict[str, int] = {}
    for split, by_axis in lengths.items():
        sides = {axis: np.asarray(values, dtype=np.int64) for axis, values in by_axis.items()}
        pairs = longer_side(sides)
        kept = np.flatnonzero(pairs <= max_length)
        dropped[split] = len(pairs) - len(kept)
        for start in range(0, len(kept), shard_sentences):
            ids = kept[start : start + shard_sentences]
            ids = ids[np.argsort(-pairs[ids], kind="stable")]
            held = {axis: values[ids] for axis, values in sides.items()}
            shards.append(Shard(shard_file(len(shards)), split, ids, held))
    axes = dict.fromkeys(axis for by_axis in lengths.values() for axis in by_axis)
    return Plan(tuple(lengths), tuple(axes), shards, dropped)
