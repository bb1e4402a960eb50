"""The index file: one HDF5 file that shows all shards of a store as whole datasets."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from attnreplace.activations.failsafe import FailsafeFile
from attnreplace.activations.manifest import Manifest
from attnreplace.activations.plan import Plan, Shard
from attnreplace.activations.schema import (
    dataset_path,
    per_axis,
    shard_folder,
    storage_dtype,
)
from attnreplace.hosts import axis_of


def write_index(path: Path, manifest: Manifest, plan: Plan) -> None:
    """Write the index whole or not at all; its presence says that the store is finished.

    Datasets are virtual and name the shards relative to the index, so the two can be moved
    together and any HDF5 reader sees `<split>/encoder/hidden_states/0` as one `(tokens, d)` array.
    """
    temporary = path.with_name(path.name + ".tmp")
    file = FailsafeFile(temporary)
    try:
        _write(file.hdf5, path, manifest, plan)
        file.finish()
    except BaseException:
        file.abandon()
        temporary.unlink()
        raise
    os.replace(temporary, path)
    sync(path.parent)


def _write(file: h5py.File, path: Path, manifest: Manifest, plan: Plan) -> None:
    for key, value in manifest.identity.to_json().items():
        file.attrs[key] = json.dumps(value) if value is None else value
    file.attrs["versions"] = json.dumps(manifest.versions)
    file.attrs["created"] = manifest.created
    for split in plan.splits:
        group = file.create_group(split)
        group.attrs["dropped"] = plan.dropped[split]
        _write_split(group, path, manifest, plan.axes, plan.of(split))


def _write_split(
    group: h5py.Group,
    path: Path,
    manifest: Manifest,
    axes: Sequence[str],
    shards: list[Shard],
) -> None:
    none = np.zeros(0, dtype=np.int64)
    group["sentence_ids"] = np.concatenate([none, *(shard.sentence_ids for shard in shards)])
    tokens = {}
    for axis in axes:
        lengths = np.concatenate([none, *(shard.lengths[axis] for shard in shards)])
        group[per_axis("offsets", axis)] = np.concatenate([[0], np.cumsum(lengths)])
        tokens[axis] = int(lengths.sum())
    dtype = storage_dtype(manifest.identity.dtype)
    folder = shard_folder(path).name
    for name, width in manifest.widths.items():
        axis = axis_of(name)
        layout = h5py.VirtualLayout((tokens[axis], width), dtype)
        row = 0
        for shard in shards:
            rows = shard.tokens[axis]
            source = h5py.VirtualSource(
                f"{folder}/{shard.file}", dataset_path(name), (rows, width), dtype
            )
            layout[row : row + rows] = source
            row += rows
        dataset = group.create_virtual_dataset(dataset_path(name), layout)
        dataset.attrs["dtype"] = manifest.identity.dtype


def sync(path: Path) -> None:
    """Ask the disk to keep a file or folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
