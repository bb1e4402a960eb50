"""Images in class folders, on disk or in a zip or tar: `train/<class>/*.{png,jpg,jpeg}`.

Beside train there may be a folder for validation (validation, valid, val, dev) and folders for
tests (test, test_a, ...), inside others or not. Class folders without any of these are one set.
Archives are read into memory, never unpacked to the disk; links are not followed.
"""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from attnreplace.data.images import Item
from attnreplace.data.naming import set_of
from attnreplace.data.reading import Entry
from attnreplace.data.sets import TRAIN
from attnreplace.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")
ARCHIVE_MOST = 4 * 2**30
"""Bytes of the images in an archive, which are all held in memory."""

Found = dict[str, list[tuple[str, Item]]]
"""By the names of the sets, the images of each: name of the class and file."""

_PACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zX": lzma.open,
}
"""By the first bytes of a packed tar, how to unpack it."""

_Member = tuple[str, int, Callable[[], bytes]]
"""Of a file in an archive: its path, its bytes' number, how to read them."""


def find_image_sets(path: Path) -> Found:
    """The images under a folder, or in an archive, sorted by their paths.

    Raises:
        UserError: there is no such folder or archive, it cannot be read, or it holds no images in
            class folders.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; data_dir wants a folder of images or an archive")
    files = sorted(_folder(path) if path.is_dir() else _archive(path), key=lambda file: file[0])
    named = cache(set_of)
    found: Found = {}
    loose: list[tuple[str, Item]] = []
    for name, item in files:
        *folders, _ = name.split("/")
        # From the inside: what lies around the sets may have such a name, too.
        for outer, inner in reversed(list(pairwise(folders))):
            if name_of_set := named(outer):
                found.setdefault(name_of_set, []).append((inner, item))
                break
        else:
            loose += [(folder, item) for folder in folders[-1:]]
    if not found and loose:
        found = {TRAIN: loose}
    if not found:
        raise UserError(
            f"{path} holds no images in class folders; put {', '.join(SUFFIXES)} files into "
            "train/<class>/ and, if you have them, validation/<class>/ and test/<class>/"
        )
    return found


def _folder(root: Path) -> Iterator[tuple[str, Item]]:
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".")]
        linked = [name for name in [*inner, *files] if os.path.islink(os.path.join(folder, name))]
        if linked:
            raise UserError(
                f"{os.path.join(folder, linked[0])} is a link, and links are not followed; put the "
                "images themselves there, or give the folder that has them as data_dir"
            )
        for name in files:
            if _is_image(name):
                path = Path(folder, name)
                yield path.relative_to(root).as_posix(), path


def _archive(path: Path) -> Iterator[tuple[str, Item]]:
    total = 0
    try:
        for name, size, read in _zip(path) if zipfile.is_zipfile(path) else _tar(path):
            total += size
            if total > ARCHIVE_MOST:
                raise UserError(
                    f"{path} holds more than {ARCHIVE_MOST >> 30} GiB of images, too much to keep "
                    "in memory; unpack it and give the folder as data_dir"
                )
            data = read()
            if len(data) != size:
                raise EOFError(f"it breaks off in {name}")
            yield name, Entry(name, f"{path}:{name}", partial(bytes, data))
    # RuntimeError: a zip with a password.
    except (
        OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
        tarfile.TarError,
    ) as error:  # fmt: skip
        raise UserError(
            f"cannot read {path} as a zip or tar ({error}); data_dir wants a folder of images or "
            "such an archive, so download it again or unpack it"
        ) from error


def _zip(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if _is_image(member.filename):
                yield member.filename, member.file_size, partial(archive.read, member)


def _tar(path: Path) -> Iterator[_Member]:
    with path.open("rb") as file:
        start = file.read(4)
    opener = next((how for magic, how in _PACKERS.items() if start.startswith(magic)), open)
    # As a stream: seeking in a packed file costs ten times as much. Unpacked by its own module:
    # left to tarfile, a stream that breaks off is taken for a whole one.
    with opener(path, "rb") as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None and _is_image(member.name):
                yield member.name, member.size, content.read
        packed.read()
        if packed.tell() % tarfile.BLOCKSIZE:
            raise EOFError("it breaks off")


def _is_image(path: str) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.split("/") if part != ".")
    return path.lower().endswith(SUFFIXES) and not hidden
