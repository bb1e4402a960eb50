import re
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from attnreplace.report.canvas import NARROW, SETTINGS, WIDE, Chart, log_ticks
from attnreplace.report.curves import students_chart, teacher_chart
from attnreplace.report.figures import latency_chart, parameters_chart
from attnreplace.report.heatmap import errors_chart
from attnreplace.report.palette import LIGHT, Styles, series_of
from attnreplace.report.parsing import parse_records
from attnreplace.report.result import Result
from attnreplace.report.scopes import Scope
from attnreplace.report.selection import of_kind
from attnreplace.report.training import BundleTraining, Epoch

PNG = b"\x89PNG\r\n\x1a\n"


def styles_of(results: list[Result]) -> Styles:
    return Styles([series_of(result) for result in of_kind(results, "student")])


@pytest.fixture
def results(made: SimpleNamespace) -> list[Result]:
    return parse_records(made.records(beams=[5]))


def texts(chart: Chart, width: int = WIDE) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg(width))


def test_quality_names_series_sizes_and_baselines(results: list[Result]) -> None:
    chart = parameters_chart(results, styles_of(results))
    assert chart is not None
    for width in (WIDE, NARROW):
        found = texts(chart, width)
        assert {"ALR-XL", "ASLR-L", "ALRR-L", "ELR-XL"} <= set(found)
        assert found.count("XS") == 4
        assert "Teacher 30.6" in found
        assert "below the scale: attention removed 2.0, best untrained 1.1" in found
        assert {"1 M", "10 M", "100 M", "1 G"} <= set(found)
    assert "ALRR-M 29.4 at 61.6 M" in chart.alt


def test_baselines_within_reach_are_lines(made: SimpleNamespace) -> None:
    records = [
        made.record("teacher", None, None, 30.0),
        made.record("removed", None, None, 12.0),
        made.record("untrained", "alr", "m", 9.0),
        made.record("student", "alr", "xs", 15.0),
        made.record("student", "alr", "m", 28.0),
    ]
    results = parse_records(records)
    chart = latency_chart(results, styles_of(results))
    assert chart is not None
    assert {"Teacher 30.0", "Attention removed 12.0", "Untrained 9.0"} <= set(texts(chart))
    assert "on a logarithmic scale" in chart.caption


@pytest.mark.parametrize(
    ("high", "ticks"), [(16, [5, 7, 10, 15]), (60, [5, 10, 20, 50]), (4000, [10, 100, 1000])]
)
def test_a_narrow_logarithmic_scale_has_more_ticks(high: int, ticks: list[int]) -> None:
    found = log_ticks(4, high).tick_values(4, high)
    assert [value for value in found if 4 <= value <= high] == pytest.approx(ticks)


def test_one_student_alone(made: SimpleNamespace) -> None:
    results = parse_records([made.record()])
    for chart in (parameters_chart, latency_chart):
        drawn = chart(results, styles_of(results))
        assert drawn is not None
        assert "ALRR-M" in texts(drawn)


def test_no_students_no_figure(made: SimpleNamespace) -> None:
    results = parse_records([made.record("teacher", None, None), made.record(cost=None)])
    styles = styles_of(results)
    assert parameters_chart(results, styles) is None
    assert latency_chart(results, styles) is None
    assert errors_chart({}) is None
    assert errors_chart({"x": {}}) is None
    assert teacher_chart([]) is None
    assert students_chart([], styles) is None


def test_svg_fits_into_a_page(results: list[Result]) -> None:
    chart = parameters_chart(results, styles_of(results))
    assert chart is not None
    svg = chart.svg(WIDE)
    assert svg.startswith('<svg viewBox="0 0 520 380" role="img" aria-label="Chart of BLEU')
    assert "var(--font)" in svg
    assert "var(--series-2)" in svg
    assert "http" not in svg
    assert "<style" not in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg), "a colour that ignores the scheme"
    ids = re.findall(r'\bid="([^"]*)"', svg)
    assert len(ids) == len(set(ids))
    targets = re.findall(r'(?:href="|url\()#([^")]*)', svg)
    assert targets
    assert set(targets) <= set(ids)
    assert not set(ids) & set(re.findall(r'\bid="([^"]*)"', chart.svg(NARROW)))


def test_drawing_is_deterministic(results: list[Result]) -> None:
    chart = latency_chart(results, styles_of(results))
    assert chart is not None
    assert chart.svg(NARROW) == chart.svg(NARROW)


def test_png(results: list[Result], tmp_path: Path) -> None:
    chart = parameters_chart(results, styles_of(results))
    assert chart is not None
    chart.save_png(tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    assert data.startswith(PNG)
    assert int.from_bytes(data[16:20]) == 2 * WIDE
    assert int.from_bytes(data[20:24]) == 2 * 380


def test_heat_map_has_every_value(results: list[Result]) -> None:
    errors = {r.label: r.relative_mse for r in of_kind(results, "student")}
    chart = errors_chart(errors)
    assert chart is not None
    found = texts(chart)
    assert "encoder self-attention, layer" in found
    for label, by_site in errors.items():
        assert label in found
        assert {f"{value:.3f}" for value in by_site.values()} <= set(found)


def test_heat_map_of_all_stacks() -> None:
    stacks = ("encoder.self", "decoder.self", "decoder.cross")
    row = {f"{stack}.{i}": 0.1 * i for stack in stacks for i in range(12)}
    chart = errors_chart({"ALR-M": row, "partial": {"decoder.cross.11": 3.0}})
    assert chart is not None
    for width in (chart.wide, NARROW):
        found = texts(chart, width)
        assert {f"{stack.replace('.', ' ')}-attention, layer" for stack in stacks} <= set(found)
        assert found.count("11") == 3
        assert "3.00" in found


def test_heat_map_of_bundles_of_different_attention() -> None:
    one = {f"encoder.self.{i}": 0.1 for i in range(6)}
    other = {f"decoder.cross.{i}": 0.2 for i in range(6)}
    chart = errors_chart({"ALR-M": one, "ALR-S": one, "ALR-M cross": other})
    assert chart is not None
    for width in (chart.wide, NARROW):
        found = texts(chart, width)
        # Each has its row where it has students, and nowhere else.
        assert [found.count(name) for name in ("ALR-M", "ALR-S", "ALR-M cross")] == [1, 1, 1]
        assert (found.count("0.100"), found.count("0.200")) == (12, 6)


def test_long_labels_of_the_heat_map_stay_inside() -> None:
    label = "ALR-XS pairwise cross, layer 0, scores pairs, seed 1"
    chart = errors_chart({label: {"decoder.cross.0": 0.5}, "ALR-M cross": {"decoder.cross.0": 0.4}})
    assert chart is not None
    for width in (chart.wide, NARROW):
        with matplotlib.rc_context(SETTINGS):
            figure = chart.draw(width)
            renderer = FigureCanvasAgg(figure).get_renderer()
            names = figure.axes[0].get_yticklabels()
            boxes = [name.get_window_extent(renderer) for name in names]
        assert " ".join(names[0].get_text().split()) == label
        assert min(box.x0 for box in boxes) >= 0
        assert not boxes[0].overlaps(boxes[1])


def test_charts_of_what_is_replaced_in_the_decoder(made: SimpleNamespace) -> None:
    results = [r for r in parse_records(made.all_scopes([5])) if r.scope.word in ("", "cross")]
    styles = styles_of(results)
    weights = parameters_chart(results, styles, "Cross-attention")
    latency = latency_chart(results, styles, "Cross-attention")
    assert weights is not None and latency is not None
    assert weights.title == "Cross-attention: quality against parameters"
    assert (weights.name, latency.name) == ("quality_parameters_cross", "quality_latency_cross")
    assert {"ALR-M", "ALR-M, non-causal", "Attention removed 6.1"} <= set(texts(weights))
    # The encoder is the teacher's: what takes another time is a translation.
    student = next(r for r in results if r.label == "ALR-M cross")
    assert student.latency[1].generate is not None
    shown = f"{1000 * student.latency[1].generate:.0f}"
    assert "milliseconds to translate one sentence" in texts(latency)
    assert f"ALR-M cross 21.7 at {shown}" in latency.alt


def test_names_may_hold_anything(tmp_path: Path) -> None:
    chart = errors_chart({"<script> $x^ & 名": {"encoder.self.0": 0.5}})
    assert chart is not None
    assert "&lt;script&gt; $x^ &amp; 名" in texts(chart)
    chart.save_png(tmp_path / "x.png")


def test_teacher_curves() -> None:
    history = [Epoch(e, 5.0 - e, 5.5 - e, [10.0, 31.4, 30.0][e - 1]) for e in (1, 2, 3)]
    chart = teacher_chart(history)
    assert chart is not None
    assert {"Loss", "Validation BLEU", "training", "best 31.4, epoch 2"} <= set(texts(chart))
    assert "label smoothing" not in chart.caption
    harder = teacher_chart(history, "label smoothing of 0.1")
    assert harder is not None
    assert "The training loss is with label smoothing of 0.1" in harder.caption
    partial = teacher_chart([Epoch(1, 5.0, None, None)], "label smoothing of 0.1")
    assert partial is not None and "smoothing" not in partial.caption
    assert "Validation BLEU" not in texts(partial)


def test_student_curves() -> None:
    def training(method: str, size: str, *errors: float, scope: str = "encoder") -> BundleTraining:
        history = tuple((epoch, error) for epoch, error in enumerate(errors, start=1))
        return BundleTraining(
            name=f"{method}-{size}",
            method=method,
            family="shallow_ff",
            size=size,
            variant="",
            scope=Scope((scope,)),
            recipe="paper",
            seed=1,
            digests={},
            versions={},
            relative_mse={},
            history=history,
            settings={},
            rate=None,
            best_epochs=(),
            digest="12" * 32,
        )

    trainings = [
        training("alr", "xs", 0.9, 0.5, 0.4),
        training("alr", "m", 0.7, 0.2, 0.0),
        training("elr", "m", 1.5),
        training("elr", "l"),
        training("alr", "m", 0.9, 0.8, scope="cross"),
    ]
    styles = Styles([training.series for training in trainings])
    chart = students_chart(trainings, styles)
    assert chart is not None
    found = texts(chart)
    assert {"ALR", "ELR", "ALR cross", "XS"} <= set(found)
    assert found.count("M") == 3
    assert found.count("Relative error on the validation split") == 1
    with matplotlib.rc_context(SETTINGS):
        axes = chart.draw(WIDE).axes
    assert min(one.bbox.y0 for one in axes) == pytest.approx(44)  # room for "epoch", no more
    assert "L" not in found
    assert LIGHT["series-0"] not in chart.svg(NARROW)
