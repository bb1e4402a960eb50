"""Write shards on a background thread, each whole or not at all."""

import errno
import fcntl
import hashlib
import os
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
    readable_bytes,
    shard_folder,
    storage_dtype,
)
from attnreplace.errors import UserError

QUEUE = 2
"""Batches that may wait for the disk: enough to overlap, and their memory stays bounded."""


class StoreWriter:
    """Appends batches to the shards of a plan and, when all are there, writes the index.

    A context manager. Whole shards that the manifest records are left alone, so a killed run goes
    on after the last of them. Errors of the background thread surface in `append` or at the end.
    """

    def __init__(self, path: Path, manifest: Manifest, plan: Plan) -> None:
        self.path = path
        self.manifest = manifest
        self.plan = plan
        for name in manifest.broken_shards(path):
            del manifest.shards[name]
        self._folder = shard_folder(path)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="activations")
        self._pending: deque[Future[None]] = deque()
        self._open: _OpenShard | None = None
        self._failed = False
        self._lock = -1

    @property
    def missing(self) -> list[Shard]:
        """Shards still to be written, in order."""
        return [shard for shard in self.plan.shards if shard.file not in self.manifest.shards]

    @property
    def bytes_missing(self) -> int:
        """Bytes of the shards still to be written."""
        tokens = sum(shard.tokens for shard in self.missing)
        return tokens * self.manifest.bytes_per_token

    def __enter__(self) -> "StoreWriter":
        with self._explained():
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
        for file in self.strays:
            file.unlink()

    def append(self, shard: Shard, tensors: Mapping[str, np.ndarray]) -> None:
        """Add the next sentences of a shard.

        Args:
            shard: one of `missing`; a shard's rows come in order and before the next shard's.
            tensors: `(tokens, d)` by name, all tensors of the store, in its type.

        Raises:
            UserError: the disk is full or not writable; finished shards are kept.
        """
        self._pending.append(self._pool.submit(self._write, shard, tensors))
        while len(self._pending) > QUEUE:
            self._pending.popleft().result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            try:
                if kind is None:
                    for future in self._pending:
                        future.result()
            finally:
                self._pool.shutdown(cancel_futures=True)
                if self._open:
                    self._open.abandon()
            if kind is None and not self.missing:
                with self._explained():
                    write_index(self.path, self.manifest, self.plan)
        finally:
            os.close(self._lock)

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
                    self.manifest.save(self.path)
                    sync(manifest_path(self.path))
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
                raise UserError(
                    f"the disk of {self.path} is full; free "
                    f"{readable_bytes(self.bytes_missing)} and {again}"
                ) from error
            raise UserError(f"cannot write {self.path} ({error}); mend that and {again}") from error


class _OpenShard:
    """A shard on its way, under a temporary name."""

    def __init__(self, folder: Path, shard: Shard, manifest: Manifest) -> None:
        self.shard = shard
        self.path = folder / shard.file
        self.temporary = self.path.with_name(shard.file + ".tmp")
        self.rows = 0
        self.checksums = {name: hashlib.sha256() for name in manifest.widths}
        self.file = FailsafeFile(self.temporary)
        hdf5 = self.file.hdf5
        hdf5.attrs.update(
            schema=manifest.identity.schema, split=shard.split, dtype=manifest.identity.dtype
        )
        hdf5["lengths"] = shard.lengths
        hdf5["sentence_ids"] = shard.sentence_ids
        dtype = storage_dtype(manifest.identity.dtype)
        # Contiguous: a run of sentences is one run of bytes, which HDF5 reads without its chunk
        # cache. Each shard's size is known before it is written.
        self.datasets = {
            name: hdf5.create_dataset(dataset_path(name), (shard.tokens, width), dtype)
            for name, width in manifest.widths.items()
        }

    def append(self, tensors: Mapping[str, np.ndarray]) -> bool:
        """Write the next rows; True when the shard has all of them."""
        count = {len(rows) for rows in tensors.values()}.pop()
        for name, dataset in self.datasets.items():
            rows = np.ascontiguousarray(tensors[name])
            if rows.dtype != dataset.dtype or rows.shape != (count, dataset.shape[1]):
                raise ValueError(
                    f"{name}: {rows.dtype} {rows.shape} for {dataset.dtype} {dataset.shape}"
                )
            dataset.write_direct(rows, dest_sel=np.s_[self.rows : self.rows + count])
            self.checksums[name].update(rows.reshape(-1).view(np.uint8).data)
        self.file.check()
        self.rows += count
        return self.rows == self.shard.tokens

    def finish(self) -> ShardRecord:
        """Give the whole shard its name."""
        self.file.finish()
        os.replace(self.temporary, self.path)
        sync(self.path.parent)
        return ShardRecord(
            split=self.shard.split,
            sentences=len(self.shard.lengths),
            tokens=self.shard.tokens,
            size=self.path.stat().st_size,
            checksums={name: digest.hexdigest() for name, digest in self.checksums.items()},
        )

    def abandon(self) -> None:
        """Drop an unfinished shard."""
        self.file.abandon()
        self.temporary.unlink(missing_ok=True)


def _lock(folder: Path) -> int:
    """Hold a folder until the returned handle is closed or the process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(
            f"another process is extracting into {folder}; wait until it has finished"
        ) from error
    except OSError:
        pass  # some network file systems have no locks: go without
    return handle
