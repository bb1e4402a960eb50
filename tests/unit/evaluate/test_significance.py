"""Paired bootstrap resampling against the teacher."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from attnreplace.evaluate.record import Record, record_path, write_record
from attnreplace.evaluate.significance import compare_with_teacher, paired_bootstrap
from attnreplace.progress import NullProgress

LINE = "the old boat sails slowly under seven bridges while geese watch from the bank"
WORDS = LINE.split()
REFERENCES = [" ".join(WORDS[i % 5 : i % 5 + 6 + i % 3]) for i in range(40)]
GOOD = [r if i % 4 else r.replace("boat", "ship") for i, r in enumerate(REFERENCES)]
BAD = [" ".join(r.split()[::-1]) if i % 3 else r for i, r in enumerate(REFERENCES)]
SLIGHTLY = [r.replace("geese", "ducks") if i == 4 else r for i, r in enumerate(GOOD)]


def write(results: Path, name: str, hypotheses: list[str], digest: str, beam: int = 1) -> Record:
    kind = "teacher" if name == "teacher" else "student"
    record = cast(
        Record,
        {
            "system": {"kind": kind, "name": name},
            "test_set": "test",
            "decoding": {"beam": beam},
            "inputs_digest": digest,
        },
    )
    lines = [{"reference": r, "hypothesis": h} for r, h in zip(REFERENCES, hypotheses, strict=True)]
    write_record(record_path(results, name, "test", f"beam{beam}"), record, lines)
    return record


def test_a_clear_difference_is_not_chance_and_a_small_one_may_be() -> None:
    p, signature = paired_bootstrap(BAD, GOOD, REFERENCES)
    assert p < 0.01 and "bs:1000" in signature and "seed:" in signature
    assert paired_bootstrap(SLIGHTLY, GOOD, REFERENCES)[0] > 0.05
    assert paired_bootstrap(GOOD, GOOD, REFERENCES)[0] == 1


def test_what_tells_nothing_apart_is_chance() -> None:
    # Other hypotheses of the same BLEU; and one sentence, of which each sample is the same.
    blanks = [reference.replace(" ", "  ") for reference in GOOD]
    assert paired_bootstrap(blanks, GOOD, REFERENCES)[0] == 1
    assert paired_bootstrap(["x"] * 40, ["y", ""] * 20, REFERENCES)[0] == 1
    assert paired_bootstrap(BAD[:1], REFERENCES[:1], REFERENCES[:1])[0] == 1


def test_records_say_how_they_stand_to_the_teacher_of_the_same_beam(tmp_path: Path) -> None:
    records = [
        write(tmp_path, "teacher", GOOD, "t1"),
        write(tmp_path, "bad", BAD, "b1"),
        write(tmp_path, "teacher", BAD, "t5", beam=5),
        write(tmp_path, "bad", BAD, "b5", beam=5),
        write(tmp_path, "bad", BAD, "b9", beam=9),
    ]
    compare_with_teacher(tmp_path, records, NullProgress())
    assert [r.get("significance", {}).get("teacher") for r in records] == [
        None,
        "t1",
        None,
        "t5",
        None,
    ]
    there = json.loads((tmp_path / "bad.test.beam1.json").read_text())
    assert there == records[1] and there["significance"]["p"] < 0.01
    assert records[3]["significance"]["p"] == 1


def test_only_what_changed_is_tested_again(tmp_path: Path, monkeypatch: Any) -> None:
    records = [write(tmp_path, "teacher", GOOD, "t"), write(tmp_path, "bad", BAD, "b")]
    compare_with_teacher(tmp_path, records, NullProgress())
    before = records[1]["significance"]
    # Were the test made anew, it would find no translations.
    (tmp_path / "bad.test.beam1.translations.jsonl").unlink()
    compare_with_teacher(tmp_path, records, NullProgress())
    assert records[1]["significance"] is before
    records[0]["inputs_digest"] = "another"
    with pytest.raises(FileNotFoundError):
        compare_with_teacher(tmp_path, records, NullProgress())


def test_records_of_other_tasks_are_left_alone(tmp_path: Path) -> None:
    record = cast(Record, {"system": {"kind": "student", "name": "x"}, "test_set": "test"})
    compare_with_teacher(tmp_path, [record], NullProgress())
    assert "significance" not in record and not list(tmp_path.iterdir())
