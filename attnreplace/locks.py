"""Locks between commands, which end with the process that holds them, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attnreplace.errors import UserError


def try_lock(handle: int) -> bool:
    """Hold an open file or folder until the handle is closed; False where another holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # some network file systems have no locks: go without
    return True


@contextmanager
def lock_file(path: Path) -> Iterator[bool]:
    """Whether this is the one that holds the lock `path`, a file that is there only while held.

    One that a killed process left behind is free. Its folder has to be there.
    """
    with _held(path, _hold(path)) as held:
        yield held


@contextmanager
def _held(path: Path, handle: int | None) -> Iterator[bool]:
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextmanager
def only_one(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock `path`, and make its folder.

    Args:
        doing: what a second command is told that the first is doing.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _hold(path)
    except OSError as error:
        raise UserError(
            f"cannot write in {path.parent} ({error.strerror}); choose another --run"
        ) from error
    with _held(path, handle) as held:
        if not held:
            raise UserError(f"another process is {doing}; wait until it has finished")
        yield


def _hold(path: Path) -> int | None:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not try_lock(handle):
            os.close(handle)
            return None
        # A former holder may have removed the file between the two calls: no other process would
        # meet this lock then.
        try:
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                return handle
        except FileNotFoundError:
            pass
        os.close(handle)
