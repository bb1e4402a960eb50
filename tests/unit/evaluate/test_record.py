"""Records on disk: complete or absent, unchanged or made again."""

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest

from attnreplace.evaluate.record import (
    Record,
    examples_path,
    finished,
    record_path,
    write_record,
)


def record(**fields: Any) -> Record:
    """As much of a record as these functions read."""
    value = {"schema": "attnreplace.result/1", "inputs_digest": "abc", "sentences": 1, **fields}
    return cast(Record, value)


def test_a_record_comes_back_and_its_text_lies_beside_it(tmp_path: Path) -> None:
    path = record_path(tmp_path / "results", "alrr-m", "test.2016", "beam5")
    assert path.name == "alrr-m.test.2016.beam5.json"
    lines = [
        {"source": "ä", "reference": "b", "hypothesis": 'c "d"'},
        {"source": "", "reference": "e", "hypothesis": ""},
    ]
    write_record(path, record(sentences=2), lines)
    assert finished(path, {"abc"}) == record(sentences=2)
    written = examples_path(path).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in written] == lines
    assert examples_path(path).name == "alrr-m.test.2016.beam5.translations.jsonl"
    # Nothing temporary is left, and records alone match *.json.
    assert sorted(p.name for p in path.parent.iterdir()) == [
        path.name, examples_path(path).name
    ]  # fmt: skip
    assert list(path.parent.glob("*.json")) == [path]


def test_names_of_files_suit_file_systems(tmp_path: Path) -> None:
    path = record_path(tmp_path, "alr-m:0-2,4+alr-m-decoder", "test", "beam1")
    assert path.name == "alr-m@0-2,4+alr-m-decoder.test.beam1.json"
    long = "+".join(f"alr-m-cross-layers{layer}" for layer in range(40))
    paths = {record_path(tmp_path, long + end, "test", "beam1") for end in ("", "+a", "+b")}
    assert len(paths) == 3
    assert all(len(examples_path(path).name) < 200 for path in paths)


def test_other_inputs_or_missing_files_are_not_finished(tmp_path: Path) -> None:
    path = record_path(tmp_path, "teacher", "test", "beam1")
    assert finished(path, {"abc"}) is None
    write_record(path, record(), [{"prediction": 1}])
    assert finished(path, {"abc"}) is not None
    assert finished(path, {"abd", "abe"}) is None
    assert finished(path, {"abd", "abc"}) is not None
    os.truncate(examples_path(path), 10)
    assert finished(path, {"abc"}) is None
    examples_path(path).unlink()
    assert finished(path, {"abc"}) is None


def test_two_processes_may_write_one_record(tmp_path: Path) -> None:
    path = record_path(tmp_path, "teacher", "test", "beam1")

    def lines() -> Any:
        yield {"hypothesis": "slow"}
        write_record(path, record(by="the quick one"), [{"hypothesis": "quick"}])

    write_record(path, record(by="the slow one"), lines())
    assert finished(path, {"abc"}) == record(by="the slow one")
    assert "slow" in examples_path(path).read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_write_leaves_no_record(tmp_path: Path) -> None:
    path = record_path(tmp_path, "teacher", "test", "beam1")

    def lines() -> Any:
        yield {"prediction": 1}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_record(path, record(), lines())
    assert list(tmp_path.iterdir()) == []
