"""Open a finished store: what it holds, whether it is whole, its batches."""

import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

from attnreplace.activations.layout import PairLayout
from attnreplace.activations.manifest import Manifest
from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.reader import SplitFiles, damaged, read_batches, room_for_rows
from attnreplace.activations.schema import (
    StoreIdentity,
    dataset_path,
    manifest_path,
    per_axis,
    shard_folder,
)
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of
from attnreplace.progress import NullProgress, Progress

VERIFY_BYTES = 2**24
"""Bytes of a tensor that are in memory while its checksum is computed."""


class ActivationStore(PairLayout):
    """A finished activation store; holds no open files, so it can be sent to other processes."""

    def __init__(
        self,
        path: Path,
        manifest: Manifest,
        offsets: dict[str, dict[str, np.ndarray]],
        read_megabytes: int | None = None,
    ) -> None:
        shards: dict[str, list[int]] = {split: [] for split in offsets}
        for record in manifest.shards.values():
            shards.setdefault(record.split, []).append(record.sentences)
        super().__init__(offsets, shards, manifest.widths, manifest.identity.dtype)
        self.path = path
        self.manifest = manifest
        self.read_megabytes = read_megabytes

    def __str__(self) -> str:
        return f"the store {self.path}"

    @classmethod
    def open(
        cls,
        path: Path,
        expect: StoreIdentity | None = None,
        *,
        read_megabytes: int | None = None,
    ) -> "ActivationStore":
        """Open the store whose index file is `path`.

        Args:
            expect: what it should have been made from.
            read_megabytes: memory that an epoch of batches may take, in MB, however many tensors
                are read; None is `reader.READ_MEGABYTES`, or what a batch takes where that is
                more. The batches do not depend on it.

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
        store = cls(path, manifest, _read_offsets(path, manifest), read_megabytes)
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
    def shard_sentences(self) -> int:
        """Pairs in a shard, at most."""
        return self.manifest.shard_sentences

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors of all splits."""
        return sum(self.manifest.nbytes(self._tokens(split)) for split in self.splits)

    def sentence_ids(self, split: str) -> Tensor:
        """Line in the corpus of each pair in stored order, int64 `(sentences,)`."""
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

        They are the same as well for a store of other sites, made from the same pairs.

        Args:
            names: tensors to read.
            batch_tokens: bound on the sum of the lengths in a batch, each that of a pair's longer
                side.
            seed: mixes the sentences, anew in each epoch; None keeps the stored order.
            skip: batches at the start to pass over, which costs next to nothing.

        Raises:
            UserError: unknown split or tensor, a sentence over `batch_tokens`, a batch that is too
                large for `read_megabytes`, a damaged file.
        """
        widths = self._chosen(names)
        order = self._order(split, batch_tokens, seed, epoch)
        room = room_for_rows(self.read_megabytes, batch_tokens, widths, self.identity.dtype)
        return read_batches(self._files(split), widths, order, skip, room)

    def verify(
        self,
        progress: Progress = NullProgress(),  # noqa: B008
        names: Collection[str] | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Compare tensors of all shards with their checksums, and the index with the shards.

        Args:
            progress: a step a shard.
            names: which tensors; None is all.
            rank: of this process among those that share the shards out.
            ranks: how many these are.

        Raises:
            UserError: names the file that is damaged.
        """
        names = self.names if names is None else names
        own = set(list(self.manifest.shards)[rank::ranks])
        with progress.task("verify", len(own)) as task:
            for split in self.splits:
                files, lengths = self._files(split), self._lengths(split)
                ids = self.sentence_ids(split).numpy()
                for path, first in zip(files.shards, files.first_sentences, strict=False):
                    if path.name not in own:
                        continue
                    record = self.manifest.shards[path.name]
                    part = slice(first, first + record.sentences)
                    rows = {per_axis("lengths", a): all_of[part] for a, all_of in lengths.items()}
                    rows["sentence_ids"] = ids[part]
                    checksums = {name: record.checksums[name] for name in names}
                    _verify_shard(path, rows, checksums)
                    task.advance()

    def describe(self) -> dict[str, Any]:
        """All there is to know about the store, as JSON values."""
        return {
            "path": str(self.path),
            "identity": self.identity.to_json(),
            "splits": {
                split: {
                    "sentences": self.sentences(split),
                    "tokens": self._tokens(split),
                    "longest": {
                        axis: int(lengths.max(initial=0))
                        for axis, lengths in self._lengths(split).items()
                    },
                    "dropped": self.manifest.dropped[split],
                }
                for split in self.splits
            },
            "tensors": {
                name: {split: [self.tokens(split, axis_of(name)), width] for split in self.splits}
                for name, width in self.manifest.widths.items()
            },
            "bytes": self.nbytes,
            "shards": self.manifest.num_shards,
            "versions": self.manifest.versions,
            "created": self.manifest.created,
        }

    def _files(self, split: str) -> SplitFiles:
        folder = shard_folder(self.path)
        shards = [name for name, record in self.manifest.shards.items() if record.split == split]
        return SplitFiles(
            shards=[folder / name for name in shards],
            first_sentences=np.cumsum([0, *self._shards[split]]),
            offsets=self._rows(split),
            dtype=self.identity.dtype,
        )


def _read_offsets(path: Path, manifest: Manifest) -> dict[str, dict[str, np.ndarray]]:
    axes = next(iter(manifest.shards.values())).tokens
    try:
        with h5py.File(path, "r") as file:
            return {
                split: {axis: group[per_axis("offsets", axis)][:] for axis in axes}
                for split, group in file.items()
            }
    except (OSError, KeyError, TypeError) as error:
        raise damaged(path, error) from error


def _verify_shard(path: Path, rows: Mapping[str, np.ndarray], checksums: Mapping[str, int]) -> None:
    """Compare some datasets of a shard with what they should be, and tensors with checksums."""
    try:
        with h5py.File(path, "r") as file:
            for name, values in rows.items():
                if not np.array_equal(file[name], values):
                    # Writing the shard anew writes the index anew, too.
                    raise ValueError(f"its {name} are not those of the index")
            for name, checksum in checksums.items():
                if _checksum(file[dataset_path(name)]) != checksum:
                    raise ValueError(f"the checksum of {name} is wrong")
    except (OSError, KeyError, ValueError) as error:
        raise damaged(path, error) from error


def _checksum(dataset: h5py.Dataset) -> int:
    checksum = 0
    rows = max(1, VERIFY_BYTES // (dataset.shape[1] * dataset.dtype.itemsize))
    for start in range(0, len(dataset), rows):
        values = dataset[start : start + rows]
        checksum = zlib.crc32(values.reshape(-1).view(np.uint8).data, checksum)
    return checksum
