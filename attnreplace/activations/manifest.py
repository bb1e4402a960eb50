"""The manifest: what a store is and which of its shards are whole."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from attnreplace.activations.schema import (
    SCHEMA,
    StoreIdentity,
    manifest_path,
    other_manifests,
    shard_folder,
    shard_index,
    storage_dtype,
)
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of
from attnreplace.rundir import read_json, write_json

REMEDY = "run `attnreplace extract --overwrite`"
"""Without a manifest, nobody knows what the shards hold."""


@dataclass(frozen=True)
class ShardRecord:
    """A shard that was written whole."""

    split: str
    sentences: int
    tokens: dict[str, int]
    """Rows of each tensor, by the tensor's axis."""
    size: int
    """Bytes of the file."""
    checksums: dict[str, int]
    """CRC-32 of each tensor's bytes, in row order: against disks, not against forgers."""


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
    """Pairs with a side over the length limit, by split."""
    versions: dict[str, str]
    """Versions of the libraries that computed the activations."""
    created: str
    """When extraction began, ISO 8601."""
    shards: dict[str, ShardRecord] = field(default_factory=dict)
    """Finished shards by file name."""
    seconds: float = 0.0
    """What the finished shards took, those of other processes left out."""

    def nbytes(self, tokens: Mapping[str, int]) -> int:
        """Bytes of all tensors of so many tokens, by axis."""
        values = sum(tokens[axis_of(name)] * width for name, width in self.widths.items())
        return values * storage_dtype(self.identity.dtype).itemsize

    def broken_shards(self, path: Path) -> list[str]:
        """Recorded shards of the store `path` that are missing or of another size than written."""
        folder = shard_folder(path)

        def whole(file: Path, size: int) -> bool:
            return file.is_file() and file.stat().st_size == size

        return [name for name, shard in self.shards.items() if not whole(folder / name, shard.size)]

    def save(self, path: Path, rank: int = 0) -> None:
        """Write the manifest of the store `path`, as process `rank` of those that extract it."""
        write_json(manifest_path(path, rank), asdict(self) | {"identity": self.identity.to_json()})

    def take_up(self, path: Path) -> None:
        """Add the shards of the store `path` that other processes have finished."""
        for file in other_manifests(path):
            other = self._read(file)
            # Of a store that was overwritten, it would speak of other files.
            if (other.identity, other.shard_sentences) == (self.identity, self.shard_sentences):
                self.shards = other.shards | self.shards
        # Shards that were written anew, or by others, stand last.
        self.shards = {name: self.shards[name] for name in sorted(self.shards, key=shard_index)}

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read the manifest of the store `path`, with all that several processes have finished.

        Raises:
            UserError: it is missing, damaged, or of another schema.
        """
        file = manifest_path(path)
        if not file.is_file():
            raise UserError(f"{file} is missing; {REMEDY}")
        manifest = cls._read(file)
        manifest.take_up(path)
        return manifest

    @classmethod
    def _read(cls, file: Path) -> "Manifest":
        value = read_json(file, dict, REMEDY)
        try:
            return cls._parse(file, value)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{file} is damaged ({error!r}); {REMEDY}") from error

    @classmethod
    def _parse(cls, file: Path, value: dict[str, Any]) -> "Manifest":
        schema = value["identity"]["schema"]
        if schema != SCHEMA:
            raise UserError(
                f"{file} has schema {schema}, this version of attnreplace reads {SCHEMA}; {REMEDY}"
            )
        shards = {name: ShardRecord(**record) for name, record in value["shards"].items()}
        identity = StoreIdentity.from_json(value["identity"])
        return cls(**value | {"identity": identity, "shards": shards})
