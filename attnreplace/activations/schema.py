"""What an activation store is called, where its files lie and how its numbers are kept."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from attnreplace.digest import short
from attnreplace.errors import UserError

SCHEMA = "attnreplace.activations/2"
DTYPES: dict[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}


def dataset_path(name: str) -> str:
    """HDF5 path of a tensor: "encoder.self.heads.0" lies at `encoder/self/heads/0`."""
    return name.replace(".", "/")


def per_axis(name: str, axis: str) -> str:
    """Name of a dataset that every axis of tokens has: "offsets", "target_offsets"."""
    return name if axis == "source" else f"{axis}_{name}"


def shard_file(index: int) -> str:
    """File name of a shard."""
    return f"shard-{index:05d}.h5"


def shard_index(file: str) -> int:
    """The inverse of `shard_file`."""
    return int(file.removeprefix("shard-").removesuffix(".h5"))


def shard_folder(path: Path) -> Path:
    """The folder of shards beside the index file `path`."""
    return path.with_suffix("")


def manifest_path(path: Path, rank: int = 0) -> Path:
    """The manifest of the store whose index file is `path`.

    Args:
        rank: of several processes that write the store together, each has a file of its own for
            the shards that it has finished; that of the first is the store's.
    """
    return shard_folder(path) / (f"manifest-{rank}.json" if rank else "manifest.json")


def other_manifests(path: Path) -> list[Path]:
    """The manifests of all processes but the first."""
    return sorted(shard_folder(path).glob("manifest-*.json"))


def storage_dtype(dtype: str) -> np.dtype:
    """The NumPy type of a dataset; HDF5 knows no bfloat16, so its bits are kept as uint16."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype)


def to_storage(rows: Tensor) -> np.ndarray:
    """Rows on the CPU, already in the store's type, as what HDF5 takes; no copy."""
    return (rows.view(torch.uint16) if rows.dtype == torch.bfloat16 else rows).numpy()


def from_storage(rows: np.ndarray, dtype: str) -> Tensor:
    """The inverse of `to_storage`; no copy."""
    return torch.from_numpy(rows).view(DTYPES[dtype])


def readable_bytes(count: int) -> str:
    """A number of bytes for a person: "1.4 GB"."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB" if value < 1000 else f"{value:,.0f} GB"


@dataclass(frozen=True)
class StoreIdentity:
    """All that decides what a store holds: equal identities mean the same activations."""

    teacher_digest: str
    """Digest of the teacher's weights."""
    tokenizer_digest: str
    """Digest of the tokenizer."""
    data_digest: str
    """Digest of the corpus."""
    sites: tuple[str, ...]
    """Sites whose tensors are kept, as in "encoder.self.0"."""
    dtype: str
    """Type of the stored values."""
    max_length: int
    """Pairs with more tokens on either side were left out."""
    max_train: int | None = None
    """Only so many training pairs were looked at; None: all."""
    schema: str = SCHEMA
    """Version of the store's format."""

    def to_json(self) -> dict[str, Any]:
        """Fields as JSON values."""
        return asdict(self) | {"sites": list(self.sites)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "StoreIdentity":
        """The inverse of `to_json`."""
        return cls(**value | {"sites": tuple(value["sites"])})

    def require(self, path: Path, wanted: dict[str, Any]) -> None:
        """Check some fields of the identity of the store at `path`.

        Args:
            wanted: values by field name.

        Raises:
            UserError: names each field that differs, with both values.
        """
        wrong = [
            f"{field.name} {_show(getattr(self, field.name))} in the store, "
            f"{_show(wanted[field.name])} wanted"
            for field in fields(self)
            if field.name in wanted and getattr(self, field.name) != wanted[field.name]
        ]
        if wrong:
            raise UserError(
                f"the activation store {path} was made from something else: "
                f"{'; '.join(wrong)}; run `attnreplace extract --overwrite` to write it anew"
            )


def _show(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    is_digest = isinstance(value, str) and len(value) == 64
    return short(value) if is_digest else str(value)
