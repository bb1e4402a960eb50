"""The killing, and the comparison that finds what it broke."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from benchmarks.kill.contents import contents, differences, litter
from benchmarks.kill.trial import TRIES, summary, until_effective

CHILD = """
import json, os, sys, time
from pathlib import Path
from benchmarks.kill.child import Moment, work

folder = Path(sys.argv[1]) / "run"
folder.mkdir()

def call(progress):
    if sys.argv[2] == "wait":
        (folder / "stage.lock").touch()
        time.sleep(60)
    for number in range(5):
        with progress.task(f"task {number}", 1):
            (folder / "new.tmp").write_text(str(number))
            os.replace(folder / "new.tmp", folder / "file")
    if sys.argv[2] == "sleep":
        time.sleep(60)
    if sys.argv[2] == "fail":
        raise ValueError("broken")

moment = Moment(**json.loads(sys.argv[3]))
ending = work(call, folder, moment)
doing = f"{ending.task}; {ending.operation}"
effective = (ending.begun is not None, ending.effective)
print(json.dumps([ending.finished, ending.operations, doing, ending.error[-30:], effective]))
"""


def work(folder, how: str, **moment) -> list:
    """In a process of its own, since this one has threads already."""
    arguments = [str(folder), how, json.dumps(moment)]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_a_child_left_alone_finishes(tmp_path):
    finished, operations, doing, error, effective = work(tmp_path, "end")
    assert finished and not error
    assert effective == [True, False]
    assert operations == 10
    assert doing == "task 4; rename /new.tmp"
    assert (tmp_path / "run" / "file").read_text() == "4"


def test_a_child_is_killed_in_time(tmp_path):
    finished, operations, _, error, effective = work(tmp_path, "sleep", seconds=0.5)
    assert not finished and not error
    assert operations == 10
    assert effective == [True, True]


def test_a_kill_before_the_first_write_is_not_effective(tmp_path):
    finished, operations, _, _, effective = work(tmp_path, "wait", seconds=0.5)
    assert not finished
    assert operations == 1
    assert effective == [False, False]


def test_a_child_is_killed_at_an_operation(tmp_path):
    # The sixty seconds of the sleep are what it would take to miss.
    finished, operations, _, error, _ = work(tmp_path, "sleep", operation=3)
    assert not finished and not error
    assert operations >= 3


def test_a_failure_is_told(tmp_path):
    finished, _, _, error, effective = work(tmp_path, "fail")
    assert not finished
    assert error.endswith("ValueError: broken\n")
    assert effective == [True, False]


def point(number: int, aimed: bool, kills: list[bool]) -> dict:
    """What a trial says of a point whose kills were effective, or not."""
    moments = [{"operation": "open /file", "effective": effective} for effective in kills]
    return {
        "stage": "train",
        "point": number,
        "aimed": aimed,
        "kills": moments,
        "different": [],
        "litter": [],
        "error": "",
    }


def test_points_go_on_until_enough_kills_were_effective():
    def kills(number, aimed):
        # All aimed kills are effective, and of the timed points every third has one.
        return point(number, aimed, [True, True] if aimed else [False, number % 3 == 2])

    results = list(until_effective(kills, 4))
    assert [result["aimed"] for result in results] == [False, True] * 4 + [False] * 8
    counts = summary(results)["train"]
    assert (counts["points"], counts["effective_points"]) == (16, 8)
    assert (counts["kills"], counts["effective_kills"]) == (32, 12)
    assert counts["survived"] == 16


def test_points_end_where_no_kill_is_effective():
    results = list(until_effective(lambda number, aimed: point(number, aimed, [aimed]), 2))
    assert sum(result["aimed"] for result in results) == 2
    assert len(results) == 2 + 2 * TRIES


@pytest.fixture
def finished(tmp_path):
    """Files such as stages leave."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "config.json").write_text(
        '{"a": {"seconds": 1, "b": [1, {"created": 2}]}, "update_seconds": 3}'
    )
    (tmp_path / "weights.safetensors").write_bytes(b"12345")
    with h5py.File(tmp_path / "activations.h5", "w") as file:
        file.attrs["created"] = "now"
        file.attrs["dtype"] = "float16"
        file["train/x"] = np.arange(6.0).reshape(2, 3)
    return tmp_path


def test_times_are_left_out(finished):
    before = contents(finished)
    (finished / "sub" / "config.json").write_text(
        '{"update_seconds":9,"a":{"b":[1,{"created":9}],"seconds":9}}'
    )
    with h5py.File(finished / "activations.h5", "a") as file:
        file.attrs["created"] = "later"
    assert differences(before, contents(finished)) == litter(before, contents(finished)) == []


def test_everything_else_is_seen(finished):
    before = contents(finished)
    (finished / "sub" / "config.json").write_text('{"a": {"seconds": 1, "b": [2, {"created": 2}]}}')
    (finished / "weights.safetensors").unlink()
    (finished / "left.tmp").touch()
    with h5py.File(finished / "activations.h5", "a") as file:
        file["train/x"][1, 2] = -5.0
    found = contents(finished)
    expected = ["activations.h5", "sub/config.json", "weights.safetensors"]
    assert differences(before, found) == expected
    assert litter(before, found) == ["left.tmp"]


def test_an_attribute_is_seen(finished):
    before = contents(finished)
    with h5py.File(finished / "activations.h5", "a") as file:
        file.attrs["dtype"] = "float32"
    assert differences(before, contents(finished)) == ["activations.h5"]
