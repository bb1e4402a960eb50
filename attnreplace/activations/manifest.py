"""The manifest: what a store is and which of its shards are whole."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from attnreplace.activations.schema import (
    SCHEMA,
    StoreIdentity,
    manifest_path,
    shard_folder,
    shard_index,
    storage_dtype,
)
from attnreplace.errors import UserError
from attnreplace.rundir import read_json, write_json


@dataclass(frozen=True)
class ShardRecord:
    """A shard that was written whole."""

    split: str
    sentences: int
    tokens: int
    size: int
    """Bytes of the file."""
    checksums: dict[str, str]
    """SHA-256 of each tensor's bytes, in row order."""


@dataclass
class Manifest:
    """`manifest.json`, replaced whole after each shard."""

    identity: StoreIdentity
    widths: dict[str, int]
    """Columns of each tensor; its keys are the tensors of the store, in order."""
    shard_sentences: int
    """Sentences in a shard, at most."""
    num_shards: int
    """Shards of the finished store."""
    dropped: dict[str, int]
    """Sentences over the length limit, by split."""
    versions: dict[str, str]
    """Versions of the libraries that computed the activations."""
    created: str
    """When extraction began, ISO 8601."""
    shards: dict[str, ShardRecord] = field(default_factory=dict)
    """Finished shards by file name."""

    @property
    def bytes_per_token(self) -> int:
        """Bytes of one row of all tensors."""
        return sum(self.widths.values()) * storage_dtype(self.identity.dtype).itemsize

    def broken_shards(self, path: Path) -> list[str]:
        """Recorded shards of the store `path` that are missing or of another size than written."""
        folder = shard_folder(path)

        def whole(file: Path, size: int) -> bool:
            return file.is_file() and file.stat().st_size == size

        return [name for name, shard in self.shards.items() if not whole(folder / name, shard.size)]

    def save(self, path: Path) -> None:
        """Write the manifest of the store `path`."""
        write_json(manifest_path(path), asdict(self) | {"identity": self.identity.to_json()})

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read the manifest of the store `path`.

        Raises:
            UserError: it is missing, damaged, or of another schema.
        """
        file = manifest_path(path)
        if not file.is_file():
            raise UserError(f"{file} is missing; run `attnreplace extract --overwrite`")
        value = read_json(file)
        try:
            return cls._parse(file, value)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{file} is damaged ({error!r}); run `attnreplace extract --overwrite`"
            ) from error

    @classmethod
    def _parse(cls, file: Path, value: dict[str, Any]) -> "Manifest":
        schema = value["identity"]["schema"]
        if schema != SCHEMA:
            raise UserError(
                f"{file} has schema {schema}, this version of attnreplace reads {SCHEMA}; "
                "run `attnreplace extract --overwrite`"
            )
        records = {name: ShardRecord(**record) for name, record in value["shards"].items()}
        # A shard that was written anew stands last in the file.
        shards = {name: records[name] for name in sorted(records, key=shard_index)}
        identity = StoreIdentity.from_json(value["identity"])
        return cls(**value | {"identity": identity, "shards": shards})
