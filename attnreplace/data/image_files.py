"""Images in class folders, on disk or in a zip or tar: `train/<class>/*.{png,jpg,jpeg}`.

Beside train there may be a folder for validation (validation, valid, val, dev) and folders for
tests (test, test_a, ...), inside others or not. Class folders without any of these are one set.
Archives are read into memory, never unpacked to the disk; links are not followed.
"""

import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from attnreplace.data.images import Item
from attnreplace.data.reading import Entry
from attnreplace.data.sets import TRAIN
from attnreplace.data.text_files import set_of
from attnreplace.errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg")
ARCHIVE_MOST = 4 * 2**30
"""Bytes of the images in an archive, which are all held in memory."""

Found = dict[str, list[tuple[str, Item]]]
"""By the names of the sets, the images of each: name of the class and file."""


def find_image_sets(path: Path) -> Found:
    """The images under a folder, or in an archive, sorted by their paths.

    Raises:
        UserError: there is no such folder or archive, it cannot be read, or it holds no images in
            class folders.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; data_dir wants a folder of images or an archive")
    files = sorted(_folder(path) if path.is_dir() else _archive(path), key=lambda file: file[0])
    found: Found = {}
    loose: list[tuple[str, Item]] = []
    for name, item in files:
        folders = name.parts[:-1]
        depth = next((i for i, folder in enumerate(folders) if set_of(folder)), None)
        if depth is not None and depth + 1 < len(folders):
            name_of_set = set_of(folders[depth])
            assert name_of_set is not None
            found.setdefault(name_of_set, []).append((folders[depth + 1], item))
        elif depth is None and folders:
            loose.append((folders[-1], item))
    if not found and loose:
        found = {TRAIN: loose}
    if not found:
        raise UserError(
            f"{path} holds no images in class folders; put {', '.join(SUFFIXES)} files into "
            "train/<class>/ and, if you have them, validation/<class>/ and test/<class>/"
        )
    return found


def _folder(root: Path) -> Iterator[tuple[PurePosixPath, Item]]:
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
                yield PurePosixPath(path.relative_to(root).as_posix()), path


def _archive(path: Path) -> Iterator[tuple[PurePosixPath, Item]]:
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
            yield name, Entry(name.name, f"{path}:{name}", partial(bytes, data))
    # RuntimeError: a zip with a password.
    except (
        OSError, EOFError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile,
        tarfile.TarError,
    ) as error:  # fmt: skip
        raise UserError(
            f"cannot read {path} as a zip or tar ({error}); data_dir wants a folder of images or "
            "such an archive, so download it again or unpack it"
        ) from error


def _zip(path: Path):
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename)
            if not member.is_dir() and _is_image(name.name):
                yield name, member.file_size, partial(archive.read, member)


def _tar(path: Path):
    with tarfile.open(path) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if member.isreg() and _is_image(name.name):
                yield name, member.size, archive.extractfile(member).read


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")
