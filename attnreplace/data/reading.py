"""Bytes, lines and pairs of corpus files: in a folder or in a zip, plain, gzip or xz."""

import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from attnreplace.data.corpus import Pairs
from attnreplace.errors import UserError

Reader = Callable[[], Pairs]
"""Reads one set of a corpus when it is called."""


@dataclass(frozen=True)
class Entry:
    """One file of a corpus, wherever it lies."""

    name: str
    """The file's name without its folders."""
    where: str
    """How a message names the file."""
    read: Callable[[], bytes]
    """The bytes as they are stored."""


def entries(path: Path) -> list[Entry]:
    """The files of a folder (not of its subfolders) or of a zip (whatever its inner folders).

    Raises:
        UserError: there is no such folder or zip, or it cannot be read.
    """
    if path.is_dir():
        return [
            Entry(file.name, str(file), file.read_bytes)
            for file in sorted(path.iterdir())
            if file.is_file() and not file.name.startswith(".")
        ]
    if not path.exists():
        raise UserError(f"{path} does not exist; data_dir wants a folder of corpus files or a zip")
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(archive.namelist())
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f"cannot read {path} as a zip ({error}); data_dir wants a folder of corpus files "
            "or a zip, so download it again or unpack it"
        ) from error
    files = [PurePosixPath(member) for member in members if not member.endswith("/")]
    return [
        Entry(file.name, f"{path}:{file}", partial(_read_member, path, str(file)))
        for file in files
        if not file.name.startswith(".")
    ]


def _read_member(path: Path, member: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(member)


def read_bytes(entry: Entry) -> bytes:
    """The unpacked bytes of a file.

    Raises:
        UserError: the file cannot be read or is damaged.
    """
    try:
        data = entry.read()
        if entry.name.endswith(".gz"):
            return gzip.decompress(data)
        if entry.name.endswith(".xz"):
            return lzma.decompress(data)
        return data
    # RuntimeError: a zip with a password; NotImplementedError: its subclass, a rare packing.
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as e:
        raise UserError(
            f"cannot read {entry.where} ({e}); it is damaged, protected or not what its name says, "
            "so download it again"
        ) from e


def read_text(entry: Entry) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    data = read_bytes(entry)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{entry.where} is not UTF-8 at line {line}; convert it to UTF-8 "
            "(iconv -f <its encoding> -t UTF-8)"
        ) from error


def read_lines(entry: Entry) -> list[str]:
    """The lines of a UTF-8 file, without the white space around them.

    Only a line feed ends a line: `str.splitlines` would also cut at the Unicode separators that
    subtitles hold, and put the two languages out of step.

    Raises:
        UserError: the file cannot be read, or is not UTF-8.
    """
    lines = read_text(entry).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


def paired(source: Entry, target: Entry, sources: list[str], targets: list[str]) -> Pairs:
    """Pairs of the sentences of two files.

    Raises:
        UserError: the numbers of sentences differ.
    """
    if len(sources) != len(targets):
        raise UserError(
            f"misaligned: {source.where} has {len(sources)} sentences, {target.where} has "
            f"{len(targets)}; take both files from the same release"
        )
    return Pairs(sources, targets)


def read_parallel(source: Entry, target: Entry) -> Pairs:
    """Pairs of two files that are aligned line by line.

    Raises:
        UserError: a file cannot be read, or the numbers of lines differ.
    """
    return paired(source, target, read_lines(source), read_lines(target))


def one_line(text: str) -> str:
    """A sentence without the white space around it, on one line."""
    return re.sub(r"\s*\n\s*", " ", text.strip())
