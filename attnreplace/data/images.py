"""Images with a class each: in memory, or in files that are read when they are asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np

from attnreplace.data.reading import Entry
from attnreplace.digest import digest_bytes, digest_json
from attnreplace.errors import UserError

Item = np.ndarray | Path | Entry
"""An image: its pixels, uint8 `(height, width, 3)`, or where they are to be read."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images and the class of each."""

    items: Sequence[Item] | np.ndarray
    """One uint8 array `(images, height, width, 3)` where all are of one size and in memory."""
    labels: list[int]
    """Indices into the classes of the corpus."""

    def __post_init__(self) -> None:
        if len(self.items) != len(self.labels):
            raise ValueError(f"{len(self.items)} images, but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.items)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of every image, where they are one array in memory."""
        return self.items.shape[1:3] if isinstance(self.items, np.ndarray) else None

    def array(self, index: int) -> np.ndarray:
        """The pixels of one image, uint8 `(height, width, 3)`.

        Raises:
            UserError: its file cannot be read or is no image.
        """
        item = self.items[index]
        return item if isinstance(item, np.ndarray) else decode(read_item(item), _where(item))

    def batch(self, indices: Sequence[int]) -> np.ndarray | list[np.ndarray]:
        """The pixels of some images: one array `(batch, height, width, 3)` where `size` is known.

        Raises:
            UserError: a file cannot be read or is no image.
        """
        if isinstance(self.items, np.ndarray):
            return self.items[np.asarray(indices, dtype=np.int64)]
        return [self.array(index) for index in indices]

    def head(self, count: int | None) -> "Images":
        """The first `count` images (None: all of them)."""
        return Images(self.items[:count], self.labels[:count])

    def pick(self, indices: Sequence[int]) -> "Images":
        """These images, in this order."""
        items = (
            self.items[np.asarray(indices, dtype=np.int64)]
            if isinstance(self.items, np.ndarray)
            else [self.items[i] for i in indices]
        )
        return Images(items, [self.labels[i] for i in indices])

    def __add__(self, other: "Images") -> "Images":
        labels = self.labels + other.labels
        if self.size is not None and self.size == other.size:
            return Images(np.concatenate([self.items, other.items]), labels)
        return Images([*self.items, *other.items], labels)


@dataclass(frozen=True, eq=False)
class ImageCorpus:
    """A corpus of images in classes."""

    task: ClassVar[str] = "image"

    name: str
    classes: list[str]
    """Names of the classes."""
    train: Images
    validation: Images
    tests: dict[str, Images] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Digest of what is trained on: every training and validation image and its class."""
        return self.digest_of({"train": self.train, "validation": self.validation})

    def test_digest(self, name: str) -> str:
        """Digest of one test set."""
        return self.digest_of({"test": self.tests[name]})

    def digest_of(self, splits: dict[str, Images]) -> str:
        """Digest of some splits: of pixels in memory, else of the bytes of the files."""
        return digest_json(
            {
                "classes": self.classes,
                **{n: [[*map(_digest, s.items)], s.labels] for n, s in splits.items()},
            }
        )


def decode(data: bytes, where: str) -> np.ndarray:
    """The pixels of an image file, uint8 `(height, width, 3)`.

    Args:
        data: the file's bytes, of any format that Pillow reads.
        where: how a message names the file.

    Raises:
        UserError: it is no image, damaged, or beyond what Pillow takes for safe.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(data)) as image:
            ImageOps.exif_transpose(image, in_place=True)
            return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"cannot read {where} as an image ({error}); mend it or take it out of the folder"
        ) from error


def read_item(item: Path | Entry) -> bytes:
    """The bytes of an image file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return item.read_bytes() if isinstance(item, Path) else item.read()
    except OSError as error:
        raise UserError(f"cannot read {_where(item)}: {error.strerror or error}") from error


def _where(item: Path | Entry) -> str:
    return str(item) if isinstance(item, Path) else item.where


def _digest(item: Item) -> str:
    if isinstance(item, np.ndarray):
        return digest_bytes(str(item.shape).encode() + item.tobytes())
    return digest_bytes(read_item(item))
