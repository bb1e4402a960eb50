"""Files that are whole or not there, and nothing else beside them."""

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnreplace.files import discard, replacing

HALF = """
import os, sys, time
from pathlib import Path
from attnreplace.files import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half of a long text")
    file.flush()
    print("half", flush=True)
    sys.stdin.read()
    file.write(b", and the rest")
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has written half of the file `a`."""
    command = [sys.executable, "-c", HALF, str(tmp_path / "a")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "half\n"
        yield process
        process.kill()


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a"
    for text in (b"old", b"new"):
        with replacing(path) as file:
            file.write(text)
            if text == b"new":
                assert path.read_bytes() == b"old"
        assert path.read_bytes() == text
    assert names(path.parent) == ["a"]


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    before = os.umask(0o022)
    with replacing(tmp_path / "a") as file:
        file.write(b"text")
    os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_what_fails_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), replacing(path) as file:
        file.write(b"new")
        raise KeyError
    assert names(tmp_path) == ["a"]
    assert path.read_bytes() == b"old"


def test_a_full_disk_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(OSError, match=r"a'$") as caught, replacing(path) as file:
            file.write(b"new" * 4000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert names(tmp_path) == ["a"]
    assert path.read_bytes() == b"old"


def test_the_next_writing_takes_over_what_a_kill_left(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert names(tmp_path) == ["a.tmp"]
    with replacing(tmp_path / "a") as file:
        file.write(b"short")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"short"


def test_two_that_write_the_same_do_not_mix(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    path = tmp_path / "a"
    with replacing(path) as file:
        file.write(b"short")
    assert path.read_bytes() == b"short"
    other.communicate("")
    assert path.read_bytes() == b"half of a long text, and the rest"
    assert names(tmp_path) == ["a"]


def test_what_is_discarded_is_gone_with_what_a_kill_left(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    other.kill()
    other.wait()
    (tmp_path / "b").touch()
    for _ in range(2):
        discard(tmp_path / "a")
        assert names(tmp_path) == ["b"]
