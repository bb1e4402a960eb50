"""Locks between processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from attnreplace.errors import UserError
from attnreplace.locks import lock_file, only_one

HOLD = """
import sys
from pathlib import Path
from attnreplace.locks import lock_file
with lock_file(Path(sys.argv[1])) as held:
    print(held, flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_there_while_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path) as first:
        with lock_file(path) as second:
            assert (first, second) == (True, False)
        assert path.exists()
    assert not path.exists()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout and other.stdout.readline() == "True\n"
        with lock_file(path) as held:
            assert not held
        other.kill()
        other.wait()
    assert path.exists()
    with lock_file(path) as held:
        assert held
    assert not path.exists()


def test_the_second_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    with only_one(path, "at work"):
        with (
            pytest.raises(UserError, match="is at work; wait until") as e,
            only_one(path, "at work"),
        ):
            pass
        assert "\n" not in str(e.value)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot write in .*choose another --run"),
        only_one(tmp_path / "file" / "run" / "lock", "training"),
    ):
        pytest.fail("the lock is nowhere")
