"""Files that are there whole or not at all, whenever the process is killed."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when all is written.

    Until then it lies beside `path`, always under the same name, so that what a killed process left
    there goes with the next writing of the same file, or with `discard`.

    Raises:
        OSError: it cannot be written; what stood at `path` before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = _open_beside(path)
        with os.fdopen(handle, "wb") as file:
            # The name is given and taken back while the lock is held: then it is another's.
            try:
                yield file
                file.flush()
                os.replace(temporary, path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        # A full disk does not say which file was too much for it.
        raise OSError(error.errno, error.strerror, str(path)) from error


def discard(path: Path) -> None:
    """Remove a file, and what a process killed in writing it left; nobody may be writing it."""
    path.unlink(missing_ok=True)
    _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _open_beside(path: Path) -> tuple[int, Path]:
    """An empty file beside `path` that is this call's alone, open and locked."""
    usual = _beside(path)
    handle = os.open(usual, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another process may have put the file in place between the two calls.
        if os.path.samestat(os.fstat(handle), os.stat(usual)):
            os.truncate(handle, 0)
            return handle, usual
    except OSError:
        pass  # another is writing the same, or the file system has no locks
    os.close(handle)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    os.fchmod(handle, 0o644)
    return handle, Path(name)
