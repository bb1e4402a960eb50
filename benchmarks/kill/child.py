"""Work in a forked process that is killed at some moment.

The parent has imported everything and started no thread, so that a child begins its work at once.
"""

import mmap
import os
import random
import re
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnreplace.progress import NullProgress

SHARED = 512
"""Bytes in which a child says what it is doing."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")
AFTER = 0.002
"""Seconds after a file operation within which an aimed kill strikes."""


@dataclass(frozen=True)
class Moment:
    """When to kill."""

    seconds: float | None = None
    """So long after the start."""
    operation: int | None = None
    """Or shortly after this operation on a file of the run, the first being 1."""

    @staticmethod
    def draw(
        generator: random.Random, *, aimed: bool, begun: float, seconds: float, operations: int
    ) -> "Moment":
        """A moment of a stage that writes from `begun` to `seconds`, in so many `operations`."""
        if aimed:
            return Moment(operation=generator.randint(1, operations))
        return Moment(seconds=generator.uniform(begun, seconds))

    def __str__(self) -> str:
        if self.operation is not None:
            return f"at file operation {self.operation}"
        return "never" if self.seconds is None else f"after {self.seconds:.3f} s"


@dataclass(frozen=True)
class Ending:
    """How a child ended."""

    finished: bool
    """It had done its work when the kill came, or no kill came."""
    seconds: float
    operations: int
    """Operations on files of the run, up to then."""
    begun: float | None
    """Seconds after which it began to write; None where it had not. To make the folder of the run
    and to take a lock is not to write."""
    task: str
    """What it was about."""
    operation: str
    """The last operation on a file; "open" is for writing."""
    error: str
    """Traceback of an exception; empty where there was none."""

    @property
    def effective(self) -> bool:
        """The kill came while there was something to lose: files begun, and work to do."""
        return not self.finished and not self.error and self.begun is not None


def moment_of(operation: str) -> str:
    """An operation, without what tells files of a kind apart.

    "open" of a temporary file is its writing, and its "rename" is followed by what comes next.
    """
    event, _, path = operation.partition(" ")
    if not event:
        return "before the first operation"
    # Names of bundles, and of students in them.
    path = re.sub(r"(?<=^/students/)[^/]*", "*", path)
    path = re.sub(r"(?<=^/distill.parts/).*(?=\.(safetensors|claim))", "*", path)
    return f"{event} {re.sub('(?<![a-z])[0-9]+', '#', path) or '/'}"


def work(
    call: Callable[[NullProgress], object],
    folder: Path,
    moment: Moment = Moment(),
    delay: float = 0.0,
) -> Ending:
    """Do some work in a child, and kill it at a moment.

    Args:
        call: the work, given where to report progress.
        folder: whose files count as operations.
        moment: when to kill.
        delay: seconds between the operation and the kill.
    """
    shared = mmap.mmap(-1, SHARED)
    end, signal_end = os.pipe()
    started = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.close(end)
        _be_child(call, _Diary(shared, folder, signal_end, moment.operation, started))
    os.close(signal_end)
    # Readable when the operation is reached (a byte) or the child has ended (no byte).
    readable, _, _ = select.select([end], [], [], moment.seconds)
    if readable and os.read(end, 1):
        time.sleep(delay)
    if not readable or moment.operation is not None:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    seconds = time.perf_counter() - started
    os.close(end)
    operations, begun, task, operation = _read(shared)
    error = (folder.parent / f"{pid}.error").read_text() if status and os.WIFEXITED(status) else ""
    return Ending(status == 0, seconds, operations, begun, task, operation, error)


def _be_child(call: Callable[[NullProgress], object], diary: "_Diary") -> None:
    status = 1
    try:
        # What libraries print would bury what the parent says.
        for output in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)
        sys.addaudithook(diary.hear)
        call(diary)
        status = 0
    except BaseException:
        (diary.folder.parent / f"{os.getpid()}.error").write_text(traceback.format_exc())
    finally:
        os._exit(status)


class _Diary(NullProgress):
    """Notes tasks and operations on files where the parent can read them after a kill."""

    def __init__(
        self, shared: mmap.mmap, folder: Path, pipe: int, operation: int | None, started: float
    ) -> None:
        self.shared, self.folder, self.pipe, self.operation = shared, folder, pipe, operation
        self.started = started
        self.count = 0
        self.begun = self.current = self.last = ""

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """An audit hook: it hears of an operation just before it is done."""
        writes = event == "open" and isinstance(args[2], int) and args[2] & WRITING
        if not (writes or event in CHANGES):
            return
        path = os.fsdecode(args[0]) if isinstance(args[0], str | bytes | os.PathLike) else ""
        if not path.startswith(str(self.folder)):
            return
        if event == "os.remove" and not os.path.lexists(path):
            return
        self.count += 1
        name = path.removeprefix(str(self.folder))
        if not (self.begun or name in ("", "/") or name.endswith(".lock")):
            self.begun = str(time.perf_counter() - self.started)
        self.last = f"{event.removeprefix('os.')} {name}"
        self._write()
        if self.count == self.operation:
            os.write(self.pipe, b".")

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator["_Diary"]:
        """Note the task."""
        self.current = description
        self._write()
        yield self

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Steps are not noted."""

    def _write(self) -> None:
        lines = (str(self.count), self.begun, self.current, self.last)
        text = "\n".join(lines).encode()[: SHARED - 1]
        self.shared[: len(text) + 1] = text + b"\0"


def _read(shared: mmap.mmap) -> tuple[int, float | None, str, str]:
    text = shared[:].split(b"\0")[0].decode(errors="replace")
    count, begun, task, operation = text.split("\n") if text else ("0", "", "", "")
    return int(count), float(begun) if begun else None, task, operation
