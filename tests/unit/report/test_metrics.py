"""Tables, figures and the page for scores other than BLEU."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attnreplace.errors import UserError
from attnreplace.report.canvas import WIDE
from attnreplace.report.curves import teacher_chart
from attnreplace.report.figures import latency_chart, parameters_chart
from attnreplace.report.headline import headline
from attnreplace.report.metrics import MEASURES
from attnreplace.report.numbers import percent
from attnreplace.report.palette import Styles, series_of
from attnreplace.report.parsing import parse_record, parse_records
from attnreplace.report.records import from_scratch
from attnreplace.report.report import write_report
from attnreplace.report.result import Result
from attnreplace.report.selection import best, headline_results, join_seeds, of_kind
from attnreplace.report.tables import results_table
from attnreplace.report.training import best_epoch, teacher_history, teacher_task
from attnreplace.rundir import RunDir, write_json
from attnreplace.teacher.pretrained_config import PretrainedConfig

every_metric = pytest.mark.parametrize("metric", ["accuracy", "perplexity", "similarity"])


def plain(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def few(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The systems that are needed; every point of a figure takes its time."""
    return [r for r in records if r["system"]["size"] in (None, "m")]


def styles_of(results: list[Result]) -> Styles:
    return Styles([series_of(result) for result in of_kind(results, "student")])


@pytest.mark.parametrize(
    ("metric", "columns", "alr_s"),
    [
        (
            "accuracy",
            ["Accuracy", "Cross-entropy", "Accuracy kept"],
            ["87.35 %", "0.100", "89.9 %"],
        ),
        (
            "perplexity",
            ["Perplexity", "Masked accuracy", "Cross-entropy", "Perplexity, relative"],
            ["11.6", "52.12 %", "2.454", "1.24 times"],
        ),
        ("similarity", ["Similarity"], ["0.899"]),
    ],
)
def test_columns(made: SimpleNamespace, metric: str, columns: list[str], alr_s: list[str]) -> None:
    header, rows = results_table(made.encoder_records(metric), cost=False)
    assert header == ["System", *columns]
    assert rows[0][0] == "Teacher" and len(rows) == 1 + 1 + 2 + 10
    assert next(row for row in rows if row[0] == "ALR-S")[1:] == alr_s


@every_metric
def test_costs_without_a_decoder(made: SimpleNamespace, metric: str) -> None:
    header, rows = results_table(made.encoder_records(metric), quality=False)
    flops = "FLOPs/image" if metric == "accuracy" else "FLOPs/token"
    assert header == [
        "System", "Replaced", "Replacement", "Whole", flops, "Encode 1, ms", "Encode 64, ms",
        "Relative error",
    ]  # fmt: skip
    # An image is 65 tokens of 2.9 million operations.
    assert rows[0][4] == ("188 M" if metric == "accuracy" else "2.90 M")


@every_metric
def test_the_best_is_the_highest_or_the_lowest(made: SimpleNamespace, metric: str) -> None:
    results = parse_records(made.encoder_records(metric))
    chosen = best(results)
    scores = [result.score for result in results]
    assert chosen is not None
    assert chosen.score == (min(scores) if metric == "perplexity" else max(scores))
    assert headline_results(results) == results
    assert {(r.beam, r.pair, r.setting) for r in results} == {(None, "", metric)}


@pytest.mark.parametrize(
    ("metric", "sentence", "fine_print"),
    [
        (
            "accuracy",
            "the teacher keeps 100.7 % of its accuracy: 97.84 % of 97.20 %. It keeps 10.1 % with "
            "the best untrained students and 39.2 % with the attention simply removed.",
            "Accuracy on “test” (1,014 images, none left out).",
        ),
        (
            "perplexity",
            "the teacher's masked perplexity goes from 9.40 to 9.28, 0.99 times what it was. It is "
            "97.4 times with the best untrained students and 6.50 times with the attention",
            "Masked perplexity on “test” (1,014 blocks of text, none left out).",
        ),
        (
            "similarity",
            "embeddings of sentences keep a cosine similarity of 1.000 to the teacher's. It is "
            "0.101 with the best untrained students and 0.392 with the attention simply",
            "(1,014 sentences, none left out). 7 sentences over 50 tokens: cut off there.",
        ),
    ],
)
def test_headline(made: SimpleNamespace, metric: str, sentence: str, fine_print: str) -> None:
    text = plain(headline(parse_records(made.encoder_records(metric)))).replace("&#x27;", "'")
    assert sentence in text
    assert fine_print in text
    alone = [r for r in made.encoder_records(metric) if r["system"]["name"] == "alr-s"]
    word = MEASURES[metric].word
    assert word in plain(headline(parse_records(alone)))


@every_metric
def test_bars_are_longest_for_the_best(made: SimpleNamespace, metric: str) -> None:
    text = headline(parse_records(made.encoder_records(metric)))
    teacher, student, untrained, removed = map(float, re.findall(r"width:([\d.]+)%", text))
    assert student == 100 >= teacher > removed > untrained > 0


def test_scores_of_zero_have_no_bar(made: SimpleNamespace) -> None:
    records = [made.record("teacher", None, None, 0.0), made.record(bleu=0.0)]
    text = headline(parse_records(records))
    assert re.findall(r"width:([\d.]+)%", text) == ["0.0", "0.0"]
    assert "reaches 0.0 BLEU" in plain(text)


@every_metric
def test_figures(made: SimpleNamespace, metric: str) -> None:
    results = parse_records(made.encoder_records(metric))
    for chart in (
        parameters_chart(results, styles_of(results)),
        latency_chart(results, styles_of(results)),
    ):
        assert chart is not None
        texts = re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg(WIDE))
        measure = MEASURES[metric]
        assert measure.label in texts and "BLEU" not in f"{texts}{chart.alt}{chart.caption}"
        assert ("lower is better" in chart.caption) == (metric == "perplexity")
        side = "above" if metric == "perplexity" else "below"
        (far,) = [text for text in texts if "the scale" in text]
        assert far.startswith(f"{side} the scale: ") and "untrained" in far
        assert ("attention removed" in far) == (metric == "perplexity")
        assert f"Teacher {measure.text(results[0].score)}" in texts
    assert f"one {'image' if metric == 'accuracy' else 'text'}" in chart.caption


def test_the_scale_of_a_perplexity_has_no_room_for_what_is_far_worse(
    made: SimpleNamespace,
) -> None:
    results = parse_records(made.encoder_records("perplexity"))
    chart = parameters_chart(results, styles_of(results))
    assert chart is not None
    low, high = chart.draw(WIDE).axes[0].get_ylim()
    students = [result.score for result in of_kind(results, "student")]
    assert 0 < low < min(students) and max(students) < high < 30


@every_metric
def test_page(made: SimpleNamespace, tmp_path: Path, metric: str) -> None:
    run = RunDir(tmp_path / "run")
    made.write_records(run, few(made.encoder_records(metric)))
    text = plain(write_report(run).read_text(encoding="utf-8"))
    assert "BLEU" not in text and "Translation" not in text and "beam" not in text
    assert "a greedy translation" not in text
    examples = "images" if metric == "accuracy" else "texts"
    assert f"for a batch of 1 and of 64 {examples}." in text
    if metric == "perplexity":
        assert "Perplexity, Masked accuracy, Cross-entropy perplexity|seed:0" in text
    limits = "7 sentences over 50 tokens: cut off there" in text
    assert limits == (metric == "similarity") and "Not recorded" not in text


def test_seeds_are_joined_by_every_score(made: SimpleNamespace) -> None:
    records = [r for r in made.encoder_records("perplexity") if r["system"]["name"] == "alr-s"]
    for seed, value in ((2, 10.0), (3, 20.0)):
        other = made.encoder_records("perplexity", seed=seed)[4]
        other["system"] |= records[0]["system"] | {"name": f"alr-s-seed{seed}"}
        other["scores"] = {"perplexity": {"score": value}, "cross_entropy": {"score": value}}
        records.append(other)
    (joined,) = join_seeds(parse_records(records[1:]))
    assert joined.scores["cross_entropy"].score == joined.score == 15
    (joined,) = join_seeds(parse_records(records))
    assert "masked_accuracy" not in joined.scores, "one of the three has none"


def test_an_unknown_or_missing_score_is_named(made: SimpleNamespace) -> None:
    record = made.encoder_records("accuracy")[0]
    with pytest.raises(UserError, match="here: metric 'guess' is none of bleu, chrf, accuracy"):
        parse_record(record | {"metric": "guess"}, "here")
    with pytest.raises(UserError, match=r"here: scores\.similarity\.score is missing"):
        parse_record(record | {"metric": "similarity"}, "here")
    assert percent(97.406) == "97.41 %"


def teacher_beside(made: SimpleNamespace, path: Path, metric: str, **digests: str) -> RunDir:
    """Another run, whose teacher was evaluated on the same test set."""
    run, (record, *_) = RunDir(path), made.encoder_records(metric)
    record["digests"] |= digests
    made.write_records(run, [record])
    return run


def test_models_from_scratch_stand_after_the_teacher(made: SimpleNamespace, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "vit")
    made.write_records(run, few(made.encoder_records("accuracy")))
    other = teacher_beside(made, tmp_path / "gmlp", "accuracy", tokenizer="another")
    (record,) = from_scratch(run, [other])
    assert record["system"]["name"] == "scratch-gmlp"
    results = parse_records([*few(made.encoder_records("accuracy")), record])
    assert [r.label for r in results[:3]] == [
        "Teacher", "gmlp, from scratch", "Attention removed"
    ]  # fmt: skip
    chart = parameters_chart(results, styles_of(results))
    assert chart is not None and "gmlp, from scratch 97.20 %" in chart.svg(WIDE)
    assert "gmlp, from scratch: 97.20 %." in plain(headline(results))
    text = write_report(run, [other]).read_text(encoding="utf-8")
    assert text.count("gmlp, from scratch") >= 4
    other.update_config(teacher=PretrainedConfig("gmlp-base"))
    (record,) = from_scratch(run, [other])
    assert record["system"]["label"] == "gmlp, fine-tuned"


@pytest.mark.parametrize(
    ("metric", "digests", "message"),
    [
        ("accuracy", {"test_set": "other"}, "the test set test of .*gmlp is another one"),
        ("perplexity", {"tokenizer": "other"}, "is another one, or is read otherwise"),
        ("similarity", {}, "gmlp has no result of its teacher on the test sets of this run"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    made: SimpleNamespace, tmp_path: Path, metric: str, digests: dict[str, str], message: str
) -> None:
    run = RunDir(tmp_path / "vit")
    own = "accuracy" if metric == "similarity" else metric
    made.write_records(run, made.encoder_records(own))
    other = teacher_beside(made, tmp_path / "gmlp", metric, **digests)
    with pytest.raises(UserError, match=message):
        from_scratch(run, [other])


def test_the_teachers_own_score(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert (teacher_task(run), teacher_history(run), best_epoch(run)) == ("translation", [], None)
    rows = [
        {"epoch": epoch, "validation_loss": 1.0, "validation_perplexity": value}
        for epoch, value in ((1, 30.0), (2, 12.5), (3, 13.0))
    ]
    record = {"history": rows, "best": rows[1], "corpus": {"task": "mlm"}}
    write_json(run.teacher / "training.json", record)
    assert teacher_task(run) == "mlm"
    chosen = best_epoch(run)
    assert chosen is not None and (chosen.score, chosen.measure.name) == (12.5, "perplexity")
    chart = teacher_chart(teacher_history(run))
    assert chart is not None and "best 12.5, epoch 2" in chart.svg(WIDE)
    assert "validation masked perplexity down to 12.5" in chart.alt
