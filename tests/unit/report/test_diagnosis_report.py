"""Diagnoses on the page, the console and in Markdown, from made-up records."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.evaluate.diagnosis.record import SCHEMA, diagnosis_path
from attnreplace.report.canvas import NARROW
from attnreplace.report.diagnosis import (
    diagnosis_sentence,
    in_order,
    load_diagnoses,
    parse_diagnosis,
)
from attnreplace.report.diagnosis_chart import SYSTEMS, diagnosis_chart
from attnreplace.report.diagnosis_section import diagnosis_section
from attnreplace.report.diagnosis_tables import (
    brief_table,
    detail_tables,
    diagnosis_markdown,
    overview_table,
    remarks,
)
from attnreplace.report.markup import Markup
from attnreplace.report.publish import publish
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir, read_json, write_json

SITES = ["encoder.self.0", "encoder.self.1"]


def means(tokens: int, divergence: float) -> dict[str, Any]:
    return {
        "tokens": tokens, "divergence": divergence, "agreement": 0.9, "loss": 1.8 + divergence,
        "teacher_loss": 1.8,
    }  # fmt: skip


def make(name: str = "alr-m", times: float = 1.0, **changes: Any) -> dict[str, Any]:
    """A record of 1,000 tokens and a divergence of 0.05, or so many times that."""
    ranges = [((1, 1), 100, 0.01), ((2, 3), 190, 0.03), ((4, 6), 700, 0.06), ((7, 9), 10, 0.13)]
    positions = [
        {"first": first, "last": last, **means(tokens, times * value)}
        for (first, last), tokens, value in ranges
    ]
    lengths = [
        {"first": 1, "last": 8, **means(400, times * 0.02)},
        {"first": 9, "last": None, **means(600, times * 0.07)},
    ]
    bleu = [
        {"first": 1, "last": 8, "sentences": 60, "score": 39.0, "teacher_score": 40.2},
        {"first": 9, "last": None, "sentences": 41, "score": 27.5, "teacher_score": 30.0},
    ]
    alone, without = [0.01, 0.03], [0.04, 0.02]
    sites = [
        {"site": site, "alone": times * a, "given_back": times * b}
        for site, a, b in zip(SITES, alone, without, strict=True)
    ]
    return {
        "schema": SCHEMA,
        "system": {
            "kind": "student", "name": name, "label": name.upper(), "sites": SITES,
        },
        "pair": "de-en", "test_set": "test", "sentences": 101, "limit": 50, "left_out": 1,
        "overall": means(1000, times * 0.05), "positions": positions, "lengths": lengths,
        "sites": sites, "sites_missing": "", "bleu": [{"beam": 5, "lengths": bleu}],
        "bleu_missing": "", "digests": {"teacher": "ab" * 32}, **changes,
    }  # fmt: skip


def parsed(*records: dict[str, Any]) -> list[Any]:
    return in_order(parse_diagnosis(record, "here") for record in records)


def write(made: SimpleNamespace, run: RunDir, record: dict[str, Any]) -> None:
    """The record, and the bundle that it is of."""
    name = record["system"]["name"]
    made.bundle(run, *name.split("-"))
    digest = digest_json(read_json(run.students / name / "config.json"))
    record["system"]["parts"] = [{"bundle": name, "digest": digest}]
    write_json(diagnosis_path(run.diagnoses, name, record["test_set"]), record)


def texts(drawing: str) -> set[str]:
    return set(re.findall(r"<text[^>]*>([^<]*)</text>", drawing))


def test_the_worst_are_named_and_bins_of_few_tokens_are_not() -> None:
    (one,) = parsed(make())
    sentence = diagnosis_sentence(one)
    assert sentence == (
        "ALR-M on test: 0.0500 nats a token from the teacher, with which it agrees at 90.0 % of "
        "1,000 tokens. Worst: encoder 1 (60.0 % less with its attention back); tokens 4-6 "
        "(0.0600, 84.0 % of all); sources of 9+ tokens (0.0700, 84.0 %)."
    )
    (row,) = overview_table([one]).rows
    assert row[-3:] == ["encoder 1 (0.0300)", "4-6 (0.0600)", "9+ (0.0700)"]
    assert brief_table([one]).rows == [["ALR-M", "0.0500", "90.0 %", "encoder 1", "4-6", "9+"]]


def test_details_by_layer_position_and_length() -> None:
    layers, positions, lengths, bleu = detail_tables(parsed(make()))
    assert layers.header == ["System", "encoder 0", "encoder 1", "Sum", "Together"]
    assert layers.rows == [
        ["ALR-M", "0.0100 / 0.0100", "0.0300 / 0.0300", "0.0400 / 0.0400", "0.0500"]
    ]
    assert positions.header == ["System", "1", "2-3", "4-6", "7-9"]
    assert positions.rows[0] == ["Tokens", "100", "190", "700", "10"]
    assert lengths.rows[1] == ["ALR-M", "0.0200 (16.0 %)", "0.0700 (84.0 %)"]
    assert bleu.rows[:2] == [["Sentences", "60", "41"], ["Teacher", "40.2", "30.0"]]
    assert bleu.rows[2] == ["ALR-M", "39.0 (−1.2)", "27.5 (−2.5)"]  # noqa: RUF001


def test_what_is_missing_is_said() -> None:
    missing = {"sites": [], "sites_missing": "more than its students was tuned", "bleu": []}
    found = parsed(make(**missing))
    assert [table.title.partition(":")[0] for table in detail_tables(found)] == [
        "By position of the token", "By tokens of the source",
    ]  # fmt: skip
    assert remarks(found) == [
        "ALR-M: without figures by layer, as more than its students was tuned.",
        "No saved translations to score by length: ALR-M.",
        "1 sentence over 50 tokens left out but for BLEU.",
    ]
    assert "Worst: tokens 4-6" in diagnosis_sentence(found[0])
    numberless = {"sites": [{"site": SITES[0], "alone": None, "given_back": None}]}
    assert detail_tables(parsed(make(**numberless)))[0].rows[0][1] == "– / –"  # noqa: RUF001


def test_systems_that_read_less_have_a_table_of_their_own() -> None:
    shorter = make("alr-s", limit=6, positions=make()["positions"][:3])
    titles = [table.title for table in detail_tables(parsed(make(), shorter))]
    assert sum(title.startswith("By position") for title in titles) == 2


def test_seeds_are_told_apart() -> None:
    records = [make("alr-m"), make("alr-m-seed1")]
    for record in records:
        record["system"]["label"] = "ALR-M"
    assert [one.label for one in parsed(*records)] == ["ALR-M (alr-m)", "ALR-M (alr-m-seed1)"]


def test_the_nearest_system_is_first_and_the_figure_shows_few() -> None:
    found = parsed(*(make(f"alr-{i}", times=9 - i) for i in range(SYSTEMS + 2)))
    assert [one.name for one in found] == [f"alr-{i}" for i in reversed(range(SYSTEMS + 2))]
    chart = diagnosis_chart(found)
    assert chart is not None and "Of 6 systems" in chart.caption
    for width in (chart.wide, NARROW):
        said = texts(chart.svg(width))
        assert {"ALR-5", "ALR-2", "encoder 0", "2-3", "9+"} <= said and "ALR-1" not in said
    assert diagnosis_chart([]) is None


def test_a_figure_of_what_was_tuned_whole_or_is_the_teacher() -> None:
    tuned, equal = make("tuned", sites=[]), make("equal", times=0.0)
    found = parsed(tuned, equal)
    chart = diagnosis_chart(found)
    assert chart is not None
    said = texts(chart.svg(NARROW))
    assert {"TUNED (lines only)", "EQUAL", "encoder 0"} <= said
    assert "Worst: encoder 0 (0.0 % less" in diagnosis_sentence(found[0])
    assert parsed(equal)[0].share(parsed(equal)[0].positions[0]) == 0.0


def test_the_section_has_all_test_sets() -> None:
    found = parsed(make(), make(test_set="other"))
    section = diagnosis_section(found, Markup("<figure></figure>"))
    assert section.count("<details>") == 8 and "On “other”" in section


def test_only_diagnoses_of_present_students_are_on_the_page(
    tmp_path: Path, made: SimpleNamespace
) -> None:
    run = RunDir(tmp_path / "run")
    made.write_records(run, [made.record("teacher", None, None, 30.0)], sentences=3)
    without = write_report(run).read_text(encoding="utf-8")
    assert "What the loss is made of" not in without and not (run.path / "diagnosis.png").exists()
    assert not (publish(run, tmp_path / "before").parent / "errors.md").exists()
    write(made, run, make())
    write(made, run, make("alr-s", digests={"teacher": "of another"}))
    write(made, run, make("alr-l"))
    config = run.students / "alr-l" / "config.json"
    write_json(config, read_json(config) | {"seed": 2})
    assert [one.name for one in load_diagnoses(run, {"ab" * 32})] == ["alr-m"]
    page = write_report(run).read_text(encoding="utf-8")
    assert '<section id="diagnosis"' in page and (run.path / "diagnosis.png").is_file()
    folder = publish(run, tmp_path / "published").parent
    assert [path.name for path in (folder / "diagnosis").iterdir()] == [
        diagnosis_path(run.diagnoses, "alr-m", "test").name
    ]
    text = (folder / "errors.md").read_text(encoding="utf-8")
    assert text == diagnosis_markdown(load_diagnoses(run, {"ab" * 32}), "diagnosis.png")
    assert "| ALR-M | 0.0500 | 90.0 % |" in text


def test_broken_records_are_named() -> None:
    for problem, changes in {
        "of schema 'other'": {"schema": "other"},
        "overall is missing": {"overall": None},
        r"digests\.teacher is missing": {"digests": {}},
        "divergence is missing": {"positions": [{"first": 1, "last": 1, "tokens": 3}]},
    }.items():
        with pytest.raises(UserError, match=f"here: {problem}"):
            parse_diagnosis(make(**changes), "here")
