"""Small stores on disk, written by the real writer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from attnreplace.activations.manifest import Manifest
from attnreplace.activations.plan import Shard, plan_shards
from attnreplace.activations.schema import DTYPES, StoreIdentity, to_storage
from attnreplace.activations.store import ActivationStore
from attnreplace.activations.writer import StoreWriter
from attnreplace.hosts import axis_of

Lengths = Mapping[str, Mapping[str, Sequence[int]]]


class Samples:
    """Stores of random values that can be asked for again."""

    max_length = 8

    def __init__(self, folder: Path) -> None:
        self.path = folder / "activations.h5"
        self.widths = {
            "encoder.hidden_states.0": 4,
            "encoder.self.heads.0": 6,
            "decoder.self.heads.0": 5,
        }
        self.names = list(self.widths)
        # Line 7 is too long on the source's side, line 9 on the target's.
        self.lengths: Lengths = {
            "train": {
                "source": [3, 1, 7, 2, 5, 5, 4, 9, 1, 6, 2],
                "target": [2, 1, 5, 4, 3, 5, 8, 2, 1, 9, 2],
            },
            "validation": {"source": [2, 6, 4], "target": [3, 2, 4]},
        }

    def identity(self, dtype: str = "float16") -> StoreIdentity:
        sites = ("decoder.self.0", "encoder.self.0")
        return StoreIdentity("a" * 64, "b" * 64, "c" * 64, sites, dtype, 8)

    def kept(self, split: str) -> list[int]:
        """Lines of the pairs that are short enough on both sides."""
        pairs = zip(*self.lengths[split].values(), strict=True)
        return [line for line, pair in enumerate(pairs) if max(pair) <= self.max_length]

    def sentence(
        self, split: str, index: int, length: int, name: str, dtype: str = "float16"
    ) -> Tensor:
        """One tensor of the sentence on line `index`, `(length, width)`."""
        generator = torch.Generator().manual_seed(1000 * index + 10 * len(split) + len(name))
        return torch.randn(length, self.widths[name], generator=generator).to(DTYPES[dtype])

    def rows(self, shard: Shard, part: slice, name: str, dtype: str) -> Tensor:
        """One tensor of some sentences of a shard, `(tokens, width)`."""
        lengths = shard.lengths[axis_of(name)]
        pairs = zip(shard.sentence_ids[part], lengths[part], strict=True)
        return torch.cat(
            [self.sentence(shard.split, int(i), int(n), name, dtype) for i, n in pairs]
        )

    def writer(
        self,
        lengths: Lengths | None = None,
        dtype: str = "float16",
        shard_sentences: int = 4,
        resume: bool = False,
    ) -> StoreWriter:
        """A writer of a new store, or of the one that is there."""
        plan = plan_shards(lengths or self.lengths, self.max_length, shard_sentences)
        if resume:
            return StoreWriter(self.path, Manifest.load(self.path), plan)
        manifest = Manifest(
            identity=self.identity(dtype),
            widths=dict(self.widths),
            shard_sentences=shard_sentences,
            num_shards=len(plan.shards),
            dropped=plan.dropped,
            versions={"torch": torch.__version__},
            created="2025-01-01T00:00:00+00:00",
        )
        return StoreWriter(self.path, manifest, plan)

    def fill(self, writer: StoreWriter, shards: int | None = None, batch: int = 3) -> None:
        """Append the first `shards` of the missing shards (None: all) in small batches."""
        dtype = writer.manifest.identity.dtype
        for shard in writer.missing[:shards]:
            for start in range(0, len(shard.sentence_ids), batch):
                part = slice(start, start + batch)
                values = {name: self.rows(shard, part, name, dtype) for name in self.names}
                writer.append(shard, {name: to_storage(rows) for name, rows in values.items()})

    def store(
        self,
        lengths: Lengths | None = None,
        dtype: str = "float16",
        shard_sentences: int = 4,
    ) -> ActivationStore:
        """A finished store."""
        with self.writer(lengths, dtype, shard_sentences) as writer:
            self.fill(writer)
        return ActivationStore.open(self.path)


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    return Samples(tmp_path)
