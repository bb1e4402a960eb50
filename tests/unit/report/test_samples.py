import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.evaluate.record import examples_path, record_path
from attnreplace.report.parsing import parse_record, parse_records
from attnreplace.report.result import Result
from attnreplace.report.samples import Sample, choose, departures, load_samples
from attnreplace.report.selection import headline_results
from attnreplace.rundir import RunDir


@pytest.fixture
def result(made: SimpleNamespace) -> Result:
    return parse_record(made.record(), "here")


def sample(result: Result, source: str, *hypotheses: str) -> Sample:
    return Sample(source, "reference", tuple((result, text) for text in hypotheses))


def test_lengths_are_spread_and_differences_shown(result: Result) -> None:
    samples = [sample(result, "x" * n, "a b", "a b") for n in range(1, 81)]
    samples[4] = sample(result, "y" * 5, "a b", "a c")
    chosen = choose(samples)
    assert len(chosen) == 8
    lengths = [len(one.source) for one in chosen]
    assert lengths[0] == 5
    assert [(length - 1) // 10 for length in lengths] == list(range(8))
    assert lengths[1::2] == [16, 36, 56, 76]
    assert choose(samples) == chosen


def test_more_departing_words_win(result: Result) -> None:
    few, many = sample(result, "x1", "a b c", "a b d"), sample(result, "x2", "a b c", "d e f")
    assert choose([few, many], n=1) == [many]


def test_equal_sources_count_once(result: Result) -> None:
    samples = [sample(result, "x", text) for text in "abc"] + [sample(result, "yy", "d")]
    assert choose(samples) == [samples[0], samples[3]]
    assert choose([]) == []


def test_departures() -> None:
    teacher = "a dog runs over the grass"
    assert departures(teacher, "a dog walks over grass") == [
        ("a dog", False),
        ("walks", True),
        ("over", False),
        ("grass", False),
    ]
    assert departures(teacher, teacher) == [(teacher, False)]
    assert departures(teacher, "") == []


def test_systems_shown(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = made.records(beams=[5])
    made.write_records(run, records, sentences=30)
    samples = load_samples(headline_results(parse_records(records)), run.results)
    assert len(samples) == 8
    names = [result.name for result, _ in samples[0].hypotheses]
    assert names == ["teacher", "alr-xl", "aslr-l", "alrr-l", "elr-xl", "removed"]


def test_one_student_of_everything_that_is_replaced(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = made.all_scopes([5])
    made.write_records(run, records, sentences=30)
    samples = load_samples(headline_results(parse_records(records)), run.results)
    labels = [result.label for result, _ in samples[0].hypotheses]
    students = ["ASLR-M", "ASLR-M decoder", "ASLR-M cross", "ASLR-M all"]
    assert labels == ["Teacher", *students, "All attention removed"]


def test_no_translations_no_samples(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = [made.record("teacher", None, None), made.record()]
    results = parse_records(records)
    assert load_samples([], run.results) == []
    assert load_samples(results, run.results) == []
    made.write_records(run, records[1:])
    assert load_samples(results, run.results) == [], "nothing to compare with"


def test_broken_translations_are_named(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = [made.record("teacher", None, None), made.record()]
    results = parse_records(records)
    made.write_records(run, records, sentences=4)
    path = examples_path(record_path(run.results, "alrr-m", "test", "beam5"))
    lines = path.read_text(encoding="utf-8").splitlines()

    path.write_text("\n".join(reversed(lines)), encoding="utf-8")
    with pytest.raises(UserError, match=r"alrr-m\.test\.beam5\.translations\.jsonl and .*teacher"):
        load_samples(results, run.results)
    path.write_text(lines[0] + "\n{", encoding="utf-8")
    with pytest.raises(UserError, match=r"jsonl, line 2 is not JSON"):
        load_samples(results, run.results)
    path.write_text(json.dumps({"source": "x", "reference": "y"}), encoding="utf-8")
    with pytest.raises(UserError, match=r"line 1: hypothesis is missing"):
        load_samples(results, run.results)


def test_separators_inside_a_sentence_break_no_line(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = [made.record("teacher", None, None)]
    made.write_records(run, records, sentences=1)
    path = examples_path(record_path(run.results, "teacher", "test", "beam5"))
    line = {"source": "a\u2028b", "reference": "c\x85d", "hypothesis": "e"}
    path.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    (found,) = load_samples(parse_records(records), run.results)
    assert found.source == "a\u2028b"
