"""Write shards on a background thread, each whole or not at all."""

import errno
import os
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import numpy as np

from attnreplace.activations.failsafe import FailsafeFile
from attnreplace.activations.index import sync, write_index
from attnreplace.activations.manifest import Manifest, ShardRecord
from attnreplace.activations.plan import Plan, Shard
from attnreplace.activations.schema import (
    dataset_path,
    manifest_path,
    other_manifests,
    per_axis,
    readable_bytes,
    shard_folder,
    storage_dtype,
)
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of
from attnreplace.locks import try_lock

QUEUE = 2
"""Batches that may wait for the disk: enough to overlap, and their memory stays bounded."""


class StoreWriter:
    """Appends batches to the shards of a plan and, when all are there, writes the index.

    A context manager. Whole shards that the manifest records are left alone, so a killed run goes
    on after the last of them. Errors of the background thread surface in `append` or at the end.

    Several processes can write a store together, each its share of the shards. All make their
    writers before the first enters its own; the others enter theirs after it; and when all have
    written their shares (`flush`), the first takes up what they did (`take_up`).
    """

    def __init__(
        self, path: Path, manifest: Manifest, plan: Plan, *, rank: int = 0, ranks: int = 1
    ) -> None:
        self.path = path
        self.rank = rank
        self.manifest = manifest
        self.plan = plan
        for name in manifest.broken_shards(path):
            del manifest.shards[name]
        self.share = self.missing[rank::ranks]
        """The missing shards that this process is to write, in order."""
        self._folder = shard_folder(path)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="activations")
        self._pending: deque[Future[None]] = deque()
        self._open: _OpenShard | None = None
        self._failed = False
        self._lock = -1
        self._since = time.monotonic()

    @property
    def missing(self) -> list[Shard]:
        """Shards still to be written, in order."""
        return [shard for shard in self.plan.shards if shard.file not in self.manifest.shards]

    @property
    def bytes_missing(self) -> int:
        """Bytes of the shards still to be written."""
        return sum(self.manifest.nbytes(shard.tokens) for shard in self.missing)

    def __enter__(self) -> "StoreWriter":
        with self._explained():
            if self.rank > 0:
                return self
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(self._folder)
            try:
                self._start()
            except BaseException:
                os.close(self._lock)
                raise
        return self

    @property
    def strays(self) -> list[Path]:
        """Shard files to be removed or overwritten: broken, of a killed run, of an old store."""
        files = sorted(self._folder.glob("shard-*"))
        return [file for file in files if file.name not in self.manifest.shards]

    def _start(self) -> None:
        # In this order a kill at any point leaves the old store, whole or unfinished, or the new.
        self.path.unlink(missing_ok=True)
        self.manifest.save(self.path)
        for file in (*other_manifests(self.path), *self.strays):
            file.unlink()

    def append(self, shard: Shard, tensors: Mapping[str, np.ndarray]) -> None:
        """Add the next sentences of a shard.

        Args:
            shard: one of `share`; a shard's rows come in order and before the next shard's.
            tensors: `(tokens, d)` by name, all tensors of the store, in its type; the tokens are
                those of the tensor's axis.

        Raises:
            UserError: the disk is full or not writable; finished shards are kept.
        """
        self._pending.append(self._pool.submit(self._write, shard, tensors))
        while len(self._pending) > QUEUE:
            self._pending.popleft().result()

    def flush(self) -> None:
        """Wait until all that was appended is on the disk.

        Raises:
            UserError: as `append`.
        """
        while self._pending:
            self._pending.popleft().result()

    def take_up(self) -> None:
        """Learn which shards the other processes have written."""
        self.manifest.take_up(self.path)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            try:
                if kind is None:
                    self.flush()
            finally:
                self._pool.shutdown(cancel_futures=True)
                if self._open:
                    self._open.abandon()
            if kind is None and self.rank == 0 and not self.missing:
                with self._explained():
                    self._finish()
        finally:
            if self._lock >= 0:
                os.close(self._lock)

    def _finish(self) -> None:
        others = other_manifests(self.path)
        if others:
            self.manifest.save(self.path)
            sync(manifest_path(self.path))
        write_index(self.path, self.manifest, self.plan)
        for file in others:
            file.unlink()

    def _write(self, shard: Shard, tensors: Mapping[str, np.ndarray]) -> None:
        if self._failed:  # rows are missing before these; the error is on its way to the caller
            return
        try:
            with self._explained():
                if self._open is None:
                    self._open = _OpenShard(self._folder, shard, self.manifest)
                if self._open.append(tensors):
                    self.manifest.shards[shard.file] = self._open.finish()
                    self._open = None
                    before, self._since = self._since, time.monotonic()
                    self.manifest.seconds += self._since - before
                    self.manifest.save(self.path, self.rank)
                    sync(manifest_path(self.path, self.rank))
                    sync(self._folder)
        except BaseException:
            self._failed = True
            raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            again = "run `attnreplace extract` again: finished shards are kept"
            if error.errno == errno.ENOSPC:
                missing = self.bytes_missing
                # The index and the manifest are small.
                room = readable_bytes(missing) if missing else "some space"
                raise UserError(
                    f"the disk of {self.path} is full; free {room} and {again}"
                ) from error
            raise UserError(f"cannot write {self.path} ({error}); mend that and {again}") from error


class _OpenShard:
    """A shard on its way, under a temporary name."""

    def __init__(self, folder: Path, shard: Shard, manifest: Manifest) -> None:
        self.shard = shard
        self.path = folder / shard.file
        self.temporary = self.path.with_name(shard.file + ".tmp")
        axes = {axis_of(name) for name in manifest.widths}
        self.rows = dict.fromkeys(axes, 0)
        self.total = {axis: shard.tokens[axis] for axis in axes}
        self.checksums = dict.fromkeys(manifest.widths, 0)
        self.file = FailsafeFile(self.temporary)
        hdf5 = self.file.hdf5
        hdf5.attrs.update(
            schema=manifest.identity.schema, split=shard.split, dtype=manifest.identity.dtype
        )
        for axis, lengths in shard.lengths.items():
            hdf5[per_axis("lengths", axis)] = lengths
        hdf5["sentence_ids"] = shard.sentence_ids
        dtype = storage_dtype(manifest.identity.dtype)
        # Contiguous: a run of sentences is one run of bytes, which HDF5 reads without its chunk
        # cache. Each shard's size is known before it is written.
        self.datasets = {
            name: hdf5.create_dataset(
                dataset_path(name), (shard.tokens[axis_of(name)], width), dtype
            )
            for name, width in manifest.widths.items()
        }

    def append(self, tensors: Mapping[str, np.ndarray]) -> bool:
        """Write the next rows; True when the shard has all of them."""
        counts = {axis_of(name): len(rows) for name, rows in tensors.items()}
        for name, dataset in self.datasets.items():
            rows = np.ascontiguousarray(tensors[name])
            start, count = self.rows[axis_of(name)], counts[axis_of(name)]
            if rows.dtype != dataset.dtype or rows.shape != (count, dataset.shape[1]):
                raise ValueError(
                    f"{name}: {rows.dtype} {rows.shape} for {dataset.dtype} {dataset.shape}"
                )
            dataset.write_direct(rows, dest_sel=np.s_[start : start + count])
            self.checksums[name] = zlib.crc32(
                rows.reshape(-1).view(np.uint8).data, self.checksums[name]
            )
        self.file.check()
        self.rows = {axis: rows + counts[axis] for axis, rows in self.rows.items()}
        return self.rows == self.total

    def finish(self) -> ShardRecord:
        """Give the whole shard its name."""
        self.file.finish()
        os.replace(self.temporary, self.path)
        sync(self.path.parent)
        return ShardRecord(
            split=self.shard.split,
            sentences=len(self.shard.sentence_ids),
            tokens=self.shard.tokens,
            size=self.path.stat().st_size,
            checksums=self.checksums,
        )

    def abandon(self) -> None:
        """Drop an unfinished shard."""
        self.file.abandon()
        self.temporary.unlink(missing_ok=True)


def _lock(folder: Path) -> int:
    """Hold a folder until the returned handle is closed or the process dies."""
    handle = os.open(folder, os.O_RDONLY)
    if not try_lock(handle):
        os.close(handle)
        raise UserError(f"another process is extracting into {folder}; wait until it has finished")
    return handle
