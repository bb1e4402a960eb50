"""Open a finished store: what it holds, whether it is whole, its batches."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from attnreplace.activations.manifest import Manifest
from attnreplace.activations.order import Buffer, read_order
from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.reader import SplitFiles, damaged, read_batches
from attnreplace.activations.schema import (
    StoreIdentity,
    dataset_path,
    manifest_path,
    shard_folder,
)
from attnreplace.errors import UserError
from attnreplace.progress import NullProgress, Progress

BUFFER_SENTENCES = 16384
"""Sentences mixed in memory, at most."""
BUFFER_BYTES = 2**30
"""Bytes of a buffer of all tensors, at most; fewer tensors take their share of it."""


class ActivationStore:
    """A finished activation store; holds no open files, so it can be sent to other processes."""

    def __init__(self, path: Path, manifest: Manifest, offsets: dict[str, np.ndarray]) -> None:
        self.path = path
        self.manifest = manifest
        self._offsets = offsets

    @classmethod
    def open(cls, path: Path, expect: StoreIdentity | None = None) -> "ActivationStore":
        """Open the store whose index file is `path`.

        Args:
            expect: what it should have been made from.

        Raises:
            UserError: no store there, unfinished, damaged, or made from something else.
        """
        if not path.is_file():
            if manifest_path(path).is_file():
                manifest = Manifest.load(path)
                raise UserError(
                    f"the activation store {path} is unfinished ({len(manifest.shards)} of "
                    f"{manifest.num_shards} shards); run `attnreplace extract` again to finish it"
                )
            raise UserError(f"no activation store at {path}; run `attnreplace extract` first")
        manifest = Manifest.load(path)
        if broken := manifest.broken_shards(path):
            raise damaged(shard_folder(path) / broken[0], "missing or not of the size written")
        store = cls(path, manifest, _read_offsets(path))
        if expect:
            store.require(**expect.to_json() | {"sites": expect.sites})
        return store

    def require(self, **wanted: Any) -> None:
        """Check some fields of the identity: `store.require(teacher_digest=teacher.digest)`.

        Raises:
            UserError: names each field that differs, with both values.
        """
        self.identity.require(self.path, wanted)

    @property
    def identity(self) -> StoreIdentity:
        """What the store was made from."""
        return self.manifest.identity

    @property
    def splits(self) -> list[str]:
        """Names of the splits."""
        return list(self._offsets)

    @property
    def names(self) -> list[str]:
        """Names of the tensors."""
        return list(self.manifest.widths)

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors of all splits."""
        return self.manifest.bytes_per_token * sum(self.tokens(split) for split in self.splits)

    def sentences(self, split: str) -> int:
        """Sentences of a split."""
        return len(self._rows(split)) - 1

    def tokens(self, split: str) -> int:
        """Tokens of a split: rows of each of its tensors."""
        return int(self._rows(split)[-1])

    def lengths(self, split: str) -> Tensor:
        """Tokens of each sentence in stored order, int64 `(sentences,)`."""
        return torch.from_numpy(np.diff(self._rows(split)))

    def sentence_ids(self, split: str) -> Tensor:
        """Line in the corpus of each sentence in stored order, int64 `(sentences,)`."""
        self._rows(split)
        with h5py.File(self.path, "r") as file:
            return torch.from_numpy(file[split]["sentence_ids"][:])

    def batches(
        self,
        split: str,
        names: list[str],
        *,
        batch_tokens: int,
        seed: int | None,
        epoch: int = 0,
        skip: int = 0,
    ) -> Iterator[ActivationBatch]:
        """One epoch of batches, the same for the same store, seed and epoch.

        Args:
            names: tensors to read.
            batch_tokens: bound on the sum of the lengths in a batch.
            seed: mixes the sentences, anew in each epoch; None keeps the stored order.
            skip: batches at the start to pass over, which costs next to nothing.

        Raises:
            UserError: unknown split or tensor, a sentence over `batch_tokens`, a damaged file.
        """
        unknown = [name for name in names if name not in self.manifest.widths]
        if unknown:
            raise UserError(
                f"the store {self.path} has no {', '.join(unknown)}; it has: "
                f"{', '.join(self.names)}"
            )
        order = self._order(split, batch_tokens, seed, epoch)
        widths = {name: self.manifest.widths[name] for name in names}
        return read_batches(self._files(split), widths, order, skip)

    def num_batches(
        self, split: str, *, batch_tokens: int, seed: int | None, epoch: int = 0
    ) -> int:
        """How many batches `batches` yields; reads no data."""
        order = self._order(split, batch_tokens, seed, epoch)
        return sum(len(buffer.batches) for buffer in order)

    def verify(self, progress: Progress = NullProgress()) -> None:  # noqa: B008
        """Compare every tensor of every shard with its checksum.

        Raises:
            UserError: names the file that is damaged.
        """
        with progress.task("verify", len(self.manifest.shards)) as task:
            for name, record in self.manifest.shards.items():
                path = shard_folder(self.path) / name
                for tensor, checksum in record.checksums.items():
                    if _checksum(path, tensor) != checksum:
                        raise damaged(path, f"the checksum of {tensor} is wrong")
                task.advance()

    def describe(self) -> dict[str, Any]:
        """All there is to know about the store, as JSON values."""
        return {
            "path": str(self.path),
            "identity": self.identity.to_json(),
            "splits": {
                split: {
                    "sentences": self.sentences(split),
                    "tokens": self.tokens(split),
                    "longest": int(self.lengths(split).max()) if self.sentences(split) else 0,
                    "dropped": self.manifest.dropped[split],
                }
                for split in self.splits
            },
            "tensors": {
                name: {split: [self.tokens(split), width] for split in self.splits}
                for name, width in self.manifest.widths.items()
            },
            "bytes": self.nbytes,
            "shards": self.manifest.num_shards,
            "versions": self.manifest.versions,
            "created": self.manifest.created,
        }

    def _rows(self, split: str) -> np.ndarray:
        if split not in self._offsets:
            raise UserError(
                f"the store {self.path} has no split {split!r}; it has: {', '.join(self.splits)}"
            )
        return self._offsets[split]

    def _files(self, split: str) -> SplitFiles:
        shards = [(n, r) for n, r in self.manifest.shards.items() if r.split == split]
        folder = shard_folder(self.path)
        return SplitFiles(
            shards=[folder / name for name, _ in shards],
            shard_starts=np.cumsum([0, *(record.tokens for _, record in shards)]),
            offsets=self._rows(split),
            dtype=self.identity.dtype,
        )

    def _order(
        self, split: str, batch_tokens: int, seed: int | None, epoch: int
    ) -> Iterator[Buffer]:
        shards = [r.sentences for r in self.manifest.shards.values() if r.split == split]
        mean = self.tokens(split) * self.manifest.bytes_per_token / max(1, self.sentences(split))
        return read_order(
            np.diff(self._rows(split)),
            shards,
            batch_tokens=batch_tokens,
            buffer_sentences=min(BUFFER_SENTENCES, max(1, int(BUFFER_BYTES / max(1, mean)))),
            seed=seed,
            epoch=epoch,
        )


def _read_offsets(path: Path) -> dict[str, np.ndarray]:
    try:
        with h5py.File(path, "r") as file:
            return {split: file[split]["offsets"][:] for split in file}
    except (OSError, KeyError, TypeError) as error:
        raise damaged(path, error) from error


def _checksum(path: Path, tensor: str, rows: int = 65536) -> str:
    digest = hashlib.sha256()
    try:
        with h5py.File(path, "r") as file:
            dataset = file[dataset_path(tensor)]
            for start in range(0, len(dataset), rows):
                digest.update(dataset[start : start + rows].reshape(-1).view(np.uint8))
    except (OSError, KeyError) as error:
        raise damaged(path, error) from error
    return digest.hexdigest()
