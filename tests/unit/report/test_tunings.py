import itertools
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from attnreplace.errors import UserError
from attnreplace.report.canvas import NARROW, SETTINGS, WIDE, Chart
from attnreplace.report.metrics import MEASURES
from attnreplace.report.palette import LIGHT
from attnreplace.report.report import write_report
from attnreplace.report.training import Epoch
from attnreplace.report.tuning_chart import tuning_chart
from attnreplace.report.tunings import Tuning, load_tunings
from attnreplace.rundir import RunDir, read_json, write_json

TEACHER = Epoch(20, 1.0, 1.0, 36.3)
EVERYWHERE = ("encoder", "decoder", "cross")


def drawn(chart: Chart, width: int) -> Figure:
    with matplotlib.rc_context(SETTINGS):
        figure = chart.draw(width)
        FigureCanvasAgg(figure).draw()  # Which is when labels of axes find their places.
    return figure


def words(figure: Figure) -> list[tuple[Text, Bbox]]:
    """All that is written but ticks, and where; letters' own ascent reaches a little further."""
    labels = [axes.xaxis.label for axes in figure.axes]
    written = [text for text in figure.findobj(Annotation) if text.get_text()]
    return [(text, text.get_window_extent().padded(-1.5)) for text in [*written, *labels]]


def numbers(figure: Figure) -> list[tuple[int, Bbox]]:
    """The numbers beside lines and before names."""
    bold = [(t.get_text(), box) for t, box in words(figure) if t.get_fontweight() == "bold"]
    return [(int(text), box) for text, box in bold]


def flat(chart: Chart, width: int = WIDE) -> str:
    found = re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg(width))
    return " ".join(found).replace("\N{NO-BREAK SPACE}", " ").replace("&#x27;", "'")


def test_tuned_models_are_read(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert load_tunings(run) == []
    made.tuned(run, "late", [20.0, 31.0, 31.0, 29.5], EVERYWHERE, config={"seed": 3})
    made.tuned(run, "scratch", [2.0], config={"start": "scratch", "losses": ["ce"]})
    made.tuned(run, "own", [28.0], config={"name": "own"})
    made.tuned(run, "old", [28.0], teacher_digest="of another")
    assert [t.name for t in load_tunings(run)] == ["old", "own", "scratch", "late"]
    own, scratch, late = load_tunings(run, {"ab" * 32})
    assert own.label == "ALR-M, tuned kl+ce (own)"
    assert scratch.label == "ALR-M, ce, from scratch"
    assert (late.label, late.seed, late.scope.word) == ("ALR-M all, tuned kl+ce", 3, "all")
    assert (late.best, late.seconds) == ((2, 31.0), 280.0), "the earliest of equals"
    assert late.system == "alr-m+alr-m-decoder+alr-m-cross"


def test_less_is_more_of_perplexity(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.tuned(run, "one", [9.0, 4.0, 5.0], metric="perplexity")
    made.tuned(run, "two", [9.0, 3.0, 5.0], metric="perplexity", config={"seed": 1})
    tunings = load_tunings(run)
    assert [one.best for one in tunings] == [(2, 4.0), (2, 3.0)]
    chart = tuning_chart(tunings, replace(TEACHER, score=2.5, measure=MEASURES["perplexity"]))
    assert chart is not None and "(lower is better)" in chart.caption
    assert "1 ALR-M, tuned kl+ce, seed 1: 3.00, epoch 2 2 ALR-M" in flat(chart)
    assert "Teacher 2.50" in flat(chart)
    other = tuning_chart(tunings, TEACHER)
    assert other is not None and "eacher" not in flat(other) + other.caption + other.alt


def test_broken_records_are_named(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    for problem, changes in {
        "inputs_digest is missing": {"inputs_digest": None},
        "system is missing": {"system": None},
        "summary is missing": {"summary": None},
        "epoch is missing": {"history": [{}]},
        "seconds is 'x', not a number": {"seconds": "x"},
    }.items():
        made.tuned(run, "one", [28.0], **changes)
        with pytest.raises(UserError, match=rf"one.training\.json: {problem}"):
            load_tunings(run)


def test_one_tuned_model_needs_no_number(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.tuned(run, "one", [20.0, 31.04, 30.0])
    chart = tuning_chart(load_tunings(run), TEACHER)
    assert chart is not None
    for width in (WIDE, NARROW):
        assert numbers(drawn(chart, width)) == []
        text = flat(chart, width)
        assert "Validation BLEU" in text and "Teacher 36.3" in text
        assert text.endswith("ALR-M, tuned kl+ce: 31.0, epoch 2")
    assert "Numbers" not in chart.caption and "Dashed" in chart.caption
    assert chart.alt.endswith("31.0, epoch\N{NO-BREAK SPACE}2; the teacher 36.3.")


def test_without_scores_there_is_no_figure(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert tuning_chart([], TEACHER) is None
    made.tuned(run, "one", [None])
    assert tuning_chart(load_tunings(run), TEACHER) is None
    made.tuned(run, "two", [30.0])
    chart = tuning_chart(load_tunings(run), None)
    assert chart is not None and "eacher" not in flat(chart) + chart.caption + chart.alt


def lines(chart: Chart) -> list[list[tuple[float, float]]]:
    """Data of the lines of a figure that are as thick as those of models."""
    thick = SETTINGS["lines.linewidth"]
    return [
        [(float(x), float(y)) for x, y in zip(*line.get_data(), strict=True)]
        for axes in drawn(chart, WIDE).axes
        for line in axes.lines
        if line.get_linewidth() == thick and line.get_marker() == "None"
    ]


def test_lines_are_what_was_recorded(tmp_path: Path, made: SimpleNamespace) -> None:
    """An epoch 0, before any update, too, where it is recorded, and there alone."""
    run = RunDir(tmp_path)
    made.tuned(run, "one", [20.0, None, 31.0])
    made.tuned(run, "two", [12.0, 25.0, 26.0], first=0, config={"seed": 1})
    chart = tuning_chart(load_tunings(run), TEACHER)
    assert chart is not None
    assert lines(chart) == [[(1, 20.0), (3, 31.0)], [(0, 12.0), (1, 25.0), (2, 26.0)]]


def test_the_teacher_is_a_line_at_its_score(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.tuned(run, "one", [20.0, 31.0])
    chart = tuning_chart(load_tunings(run), TEACHER)
    assert chart is not None
    (axes,) = drawn(chart, WIDE).axes
    (level,) = [line for line in axes.lines if line.get_color() == LIGHT["muted"]]
    assert list(level.get_ydata()) == [36.3, 36.3]
    assert axes.get_ylim()[1] > 36.3


def test_panels_go_by_what_is_replaced_and_the_start(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.tuned(run, "a", [30.0, 31.0], EVERYWHERE)
    made.tuned(run, "b", [33.0, 34.0], ["cross"])
    made.tuned(run, "c", [2.0, 36.0], EVERYWHERE, config={"start": "scratch"})
    made.tuned(run, "d", [30.0, 35.0], EVERYWHERE, config={"train": "all"})
    chart = tuning_chart(load_tunings(run), TEACHER)
    assert chart is not None
    headings = ["Cross-attention", "All attention", "All attention, from scratch"]
    names = [
        "1 ALR-M cross, tuned kl+ce: 34.0, epoch 2",
        "2 ALR-M all, tuned kl+ce, all weights: 35.0, epoch 2 3 ALR-M all, tuned kl+ce: 31.0",
        "4 ALR-M all, kl+ce, from scratch: 36.0, epoch 2",
    ]
    text = flat(chart)
    places = [
        text.index(part)
        for pair in zip([f"{heading}: validation BLEU" for heading in headings], names, strict=True)
        for part in pair
    ]
    assert places == sorted(places)
    assert text.count("Teacher 36.3") == 3
    assert "from the best to the worst" in chart.caption


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory, made: SimpleNamespace) -> list[Tuning]:
    """Ten with long labels, most of them about as good, of two to twelve epochs."""
    run = RunDir(tmp_path_factory.mktemp("runs"))
    system = "ALR-L summaries + ALR-L summaries decoder + ALR-M pairwise cross, scores pairs"
    for i in range(10):
        scores = [30.0 + 0.1 * i + epoch for epoch in range((3, 3, 2, 12, 3)[i % 5])]
        made.tuned(run, f"n{i}", scores[:4] + scores[3:4] * (len(scores) - 4))
    return [
        replace(one, label=f"{system}, tuned kl+ce, teacher's translations (try number {i})")
        for i, one in enumerate(load_tunings(run))
    ]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_many_long_names_do_not_overlap(many: list[Tuning], width: int) -> None:
    chart = tuning_chart(many, TEACHER)
    assert chart is not None
    figure = drawn(chart, width)
    found, numbered = words(figure), numbers(figure)
    assert sorted(number for number, _ in numbered) == sorted([*range(1, 11)] * 2)
    assert not [
        (one.get_text(), other.get_text())
        for (one, a), (other, b) in itertools.combinations(found, 2)
        if Bbox.intersection(a, b)
    ]
    outside = [t for t, box in found if box.x0 < 0 or box.x1 > width or box.y0 < 0]
    assert not outside
    text = flat(chart, width)
    assert all(f"(try number {i}): " in text for i in range(10))
    # Beside the lines there is a column of numbers, which none of them reaches.
    (axes,) = figure.axes
    column = [box for _, box in numbered if box.y0 > axes.bbox.y0 - 1]
    assert len(column) == 10
    assert all(box.y1 < axes.bbox.y1 + 1 for box in column)
    solid = [line for line in axes.lines if line.get_linewidth() >= 1]
    ends = [axes.transData.transform(line.get_xydata())[:, 0].max() for line in solid]
    assert max(ends) < min(box.x0 for box in column)


def test_the_report_has_figure_and_file(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.teacher(run)
    made.tuned(run, "one", [20.0, 31.0])
    path = run.teacher / "training.json"
    best = read_json(path, dict)["best"]["validation_bleu"]
    page = write_report(run).read_text(encoding="utf-8")
    (training,) = re.findall(r'<section id="training".*?</section>', page, re.DOTALL)
    assert "<h3>Tuned models</h3>" in training and f"Teacher {best:.1f}" in training
    assert (run.path / "tuning.png").read_bytes().startswith(b"\x89PNG")
    write_json(path, {"history": [], "best": None})
    assert "Teacher" not in write_report(run).read_text(encoding="utf-8")
