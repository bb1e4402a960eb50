"""What finished files hold, as digests that two runs can be compared by."""

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py

TIMES = ("created", "seconds", "update_seconds", "students_in_pass")
"""Fields of JSON files and attributes of HDF5 files that say how a run went, not what came out."""


def contents(folder: Path) -> dict[str, str]:
    """A digest of every file in a folder, by path; times are left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Files that are missing or hold something else."""
    return sorted(name for name, digest in expected.items() if found.get(name) != digest)


def litter(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """Files that should not be there."""
    return sorted(found.keys() - expected.keys())


def _digest(path: Path) -> str:
    if path.suffix == ".json":
        value = json.loads(path.read_text(encoding="utf-8"))
        return _hash(json.dumps(_without_times(value), sort_keys=True).encode())
    if path.suffix == ".h5":
        return _hdf5(path)
    return _hash(path.read_bytes())


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _hdf5(path: Path) -> str:
    total = hashlib.sha256()

    def add(name: str, item: h5py.Dataset | h5py.Group) -> None:
        attributes = {key: str(value) for key, value in item.attrs.items() if key not in TIMES}
        total.update(json.dumps([name, attributes], sort_keys=True).encode())
        if isinstance(item, h5py.Dataset):
            total.update(f"{item.dtype} {item.shape}".encode())
            total.update(item[...].tobytes())

    with h5py.File(path, "r") as file:
        add("/", file)
        file.visititems(add)
    return total.hexdigest()
