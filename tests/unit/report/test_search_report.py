"""Searches on the page and on the console, from a made-up outcome."""

import re
from typing import Any

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path

from attnreplace.digest import digest_json
from attnreplace.errors import UserError
from attnreplace.report.canvas import NARROW, SETTINGS, WIDE
from attnreplace.report.search import load_searches, parse_search, search_sentence, search_table
from attnreplace.report.search_chart import search_chart
from attnreplace.report.search_section import search_section
from attnreplace.rundir import RunDir, write_json
from attnreplace.search.outcome import SCHEMA, outcome_path


def verified(count: int, cost: int, divergence: float, score: float) -> dict[str, Any]:
    system = f"alr-s:0-{count}"
    drop = 35.8 - score
    return {
        "system": system, "label": system.upper(), "replaced": count, "cost": cost,
        "divergence": divergence, "score": score, "drop": drop, "within": drop <= 0.5,
    }  # fmt: skip


@pytest.fixture
def outcome() -> dict[str, Any]:
    looked = [
        verified(5, -90_000, 0.9, 30.1),
        verified(2, -40_000, 0.02, 35.7),
        verified(3, -60_000, 0.07, 35.3),
        verified(4, -75_000, 0.2, 34.6),
    ]
    alone = [
        {"system": "alr-s", "label": "ALR-S", "replaced": 2, "cost": -30_000, "divergence": 0.1},
        {"system": "alr-xl", "label": "ALR-XL", "replaced": 2, "cost": 9e6, "divergence": 0.01},
    ]
    return {
        "schema": SCHEMA, "minimise": "params", "max_drop": 0.5, "metric": "bleu",
        "sentences": 500, "sites": 6, "teacher": {"score": 35.8, "cost": 1_200_000},
        "frontier": [[one["cost"], one["divergence"]] for one in looked] + [[0, 0.0]],
        "verified": looked, "alone": alone, "chosen": looked[2], "chosen_cost": 1_140_000,
        "source_tokens": 12, "new_tokens": 20, "device": "cpu", "bundles": {},
    }  # fmt: skip


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_what_was_built_is_marked_and_the_chosen_one_said(outcome: dict[str, Any]) -> None:
    search = parse_search(outcome, "here")
    chart = search_chart(search)
    assert chart is not None and chart.name == "search_params"
    for width in (WIDE, NARROW):
        found = set(texts(chart.svg(width)))
        # What stands at the edge of the scale says what it lost.
        shown = {"30.1, 5.7 lost", "34.6", "35.3", "35.7", "teacher 35.8", "allowed", "ALR-S"}
        assert shown <= found
        assert "ALR-XL" not in found
    assert "Beyond the scale: ALR-XL (+9.00 M)." in chart.caption
    assert "4 replaced, −75.0 k: 34.6, too much lost" in chart.alt  # noqa: RUF001


def test_few_of_those_beyond_the_scale_are_named(outcome: dict[str, Any]) -> None:
    far = [
        {"system": f"elr-{i}", "label": f"ELR-{i}", "replaced": 2, "cost": i * 1e6, "divergence": 1}
        for i in (5, 2, 3, 4, 1)
    ]
    chart = search_chart(parse_search(outcome | {"alone": far}, "here"))
    assert chart is not None
    assert chart.caption.endswith(
        "Beyond the scale: 5 systems, the cheapest of them ELR-1 (+1.00 M), ELR-2 (+2.00 M), "
        "ELR-3 (+3.00 M)."
    )


def test_a_scale_of_less_than_a_decade_has_several_ticks(outcome: dict[str, Any]) -> None:
    one = verified(2, -60, 5.0, 0.3)
    two = one | {"system": "elr-xs", "label": "ELR-XS", "cost": -30, "divergence": 10.2}
    changes = {"frontier": [[-60, 5.0], [0, 0.0]], "verified": [one], "alone": [one, two]}
    chart = search_chart(parse_search(outcome | changes | {"chosen": None}, "here"))
    assert chart is not None
    assert {"5", "10", "20"} <= set(texts(chart.svg(WIDE)))


def test_the_frontier_runs_through_no_label(outcome: dict[str, Any]) -> None:
    frontier = [
        (-32446, 3.218), (-28559, 2.644), (-24543, 2.626), (-24399, 0.525),
        (-20383, 0.506), (-16352, 0.175), (-12336, 0.157), (-8176, 0.041),
        (-4160, 0.022), (0, 0.0),
    ]  # fmt: skip
    alone = [
        {"system": label, "label": label, "replaced": 2, "cost": cost, "divergence": divergence}
        for label, cost, divergence in (
            ("ALR-S Gaussian", -16352, 0.175),
            ("ALR-S Gaussian cross", -16094, 3.042),
            ("ALR-S summaries", -8320, 0.179),
            ("ALR-S summaries cross", -8320, 2.474),
            ("ALR-S Gaussian encoder + cross", -32446, 3.218),
            ("ALR-S summaries encoder + cross", -16640, 2.652),
        )
    ]
    looked = [(-32446, 3.218, 0.9), (-16352, 0.175, 30.0), (-12336, 0.157, 31.0)]
    built = [verified(i, *one) for i, one in enumerate([(-8176, 0.041, 35.7), *looked])]
    changes = {"frontier": frontier, "verified": built, "alone": alone, "chosen": built[0]}
    chart = search_chart(parse_search(outcome | changes, "here"))
    assert chart is not None
    with matplotlib.rc_context(SETTINGS):
        figure = chart.draw(WIDE)
        above = figure.axes[0]
        renderer = FigureCanvasAgg(figure).get_renderer()
        labels = [text for text in above.texts if text.get_text().startswith("ALR-S")]
        boxes = [text.get_window_extent(renderer) for text in labels]
    line = Path(above.transData.transform([point for point in frontier if point[1]]))
    assert len(boxes) == len(alone)
    assert not any(line.intersects_bbox(box, filled=False) for box in boxes)


def test_the_table_has_the_teacher_first_and_the_cheapest_last(outcome: dict[str, Any]) -> None:
    header, rows = search_table(parse_search(outcome, "here"))
    assert header[2:5] == ["Parameters", "Divergence", "Validation BLEU"]
    assert rows[0] == ["teacher", "0 of 6", "1.20 M", "0", "35.8", "", ""]
    assert [row[-1] for row in rows[1:]] == ["allowed", "chosen", "too much", "too much"]
    assert [row[1][0] for row in rows] == ["0", "2", "3", "4", "5"]


def test_the_sentence_says_what_is_saved_and_lost(outcome: dict[str, Any]) -> None:
    sentence = search_sentence(parse_search(outcome, "here"))
    assert "replaced at 3 of 6 sites, parameters of the whole model 1.20 M → 1.14 M" in sentence
    assert "BLEU 35.8 → 35.3" in sentence
    none = outcome | {"chosen": None, "chosen_cost": None}
    sentence = search_sentence(parse_search(none, "here"))
    assert "to lose at most 0.5 points" in sentence and "lost is 0.10." in sentence


def test_where_nothing_is_cheaper_there_is_no_figure(outcome: dict[str, Any]) -> None:
    nothing = {"chosen": None, "chosen_cost": None, "verified": [], "frontier": [[0, 0.0]]}
    search = parse_search(outcome | nothing, "here")
    assert search_chart(search) is None
    assert "No student is cheaper in parameters" in search_section([search], None)


def test_a_figure_of_students_that_lose_nothing(outcome: dict[str, Any]) -> None:
    """In which there is neither a height above, nor below."""
    perfect = verified(2, -40, 0.0, 35.8)
    changes = {"max_drop": 0.0, "frontier": [[-40, 0.0]], "verified": [perfect], "alone": [perfect]}
    chart = search_chart(parse_search(outcome | changes | {"chosen": perfect}, "here"))
    assert chart is not None
    assert {"35.8", "teacher 35.8"} <= set(texts(chart.svg(WIDE)))


def test_what_searches_differ_in_is_said_of_each(outcome: dict[str, Any]) -> None:
    one = parse_search(outcome, "here")
    other = parse_search(outcome | {"minimise": "latency"}, "here")
    text = search_section([one, other], None)
    assert "Scored on 500 validation examples, greedily" in text
    assert "of one example of 12 tokens and 20 new ones, on cpu." in text
    fewer = parse_search(outcome | {"minimise": "latency", "sentences": 100}, "here")
    longer = parse_search(outcome | {"minimise": "state", "source_tokens": 30}, "here")
    text = search_section([one, fewer, longer], None)
    assert "500 validation examples (parameters); 100 validation examples (latency); 500" in text
    assert "12 tokens and 20 new ones, on cpu (latency); 30 tokens and 20" in text


def test_searches_among_former_students_are_left_out(
    outcome: dict[str, Any], tmp_path: Any
) -> None:
    run = RunDir(tmp_path)
    write_json(run.students / "alr-s" / "config.json", {"name": "alr-s"})
    outcome["bundles"] = {"alr-s": digest_json({"name": "alr-s"})}
    write_json(outcome_path(run, "params"), outcome)
    assert [one.minimise for one in load_searches(run)] == ["params"]
    # Of a teacher that results are of, where there are any.
    outcome["teacher_digest"] = "one"
    write_json(outcome_path(run, "params"), outcome)
    assert len(load_searches(run, {"one"})) == 1 and not load_searches(run, {"another"})
    write_json(run.students / "alr-s" / "config.json", {"name": "alr-s", "seed": 2})
    assert load_searches(run) == []


def test_broken_outcomes_are_named(outcome: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"here: teacher\.score is missing"):
        parse_search(outcome | {"teacher": {}}, "here")
    with pytest.raises(UserError, match="of schema 'other'"):
        parse_search(outcome | {"schema": "other"}, "here")
    with pytest.raises(UserError, match="metric 'speed' is none of bleu"):
        parse_search(outcome | {"metric": "speed"}, "here")
    with pytest.raises(UserError, match="minimise 'speed' is none of params"):
        parse_search(outcome | {"minimise": "speed"}, "here")
    with pytest.raises(UserError, match="here: divergence is missing"):
        parse_search(outcome | {"frontier": [[1]]}, "here")
