"""The page of the documentation and what stands behind it."""

import copy
import re
from pathlib import Path

import pytest

from attnreplace.errors import UserError
from benchmarks.scaling.cost_tables import duration, seconds_table
from benchmarks.scaling.figure import chart
from benchmarks.scaling.page import BLOCKS, all_tables, fill
from benchmarks.scaling.results import Results
from benchmarks.scaling.shapes import ATTENTION, Shape, all_shapes

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "experiments/results/scaling"


@pytest.fixture(scope="module", name="results")
def _results():
    return Results(RECORDS)


def test_the_page_is_as_the_records_say(results):
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    assert fill(page, results) == page
    tables = (RECORDS / "costs.md").read_text(encoding="utf-8")
    assert all_tables(results) == tables


def test_outside_its_blocks_the_page_has_no_measured_figure():
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    prose = re.sub(r"<!-- begin ([^>]+) -->.*?<!-- end \1 -->", "", page, flags=re.DOTALL)
    assert not re.search(r"\d\s?(ms|%|GB|MB|M|G)\b", prose)


def test_a_page_with_other_blocks_is_refused(results):
    with pytest.raises(UserError, match="depth"):
        fill("<!-- begin depth -->\n<!-- end depth -->", results, {})
    with pytest.raises(UserError, match="findings"):
        fill("nothing", results, {"findings": BLOCKS["findings"]})
    filled = fill("a <!-- begin x -->\nold\n<!-- end x --> b", results, {"x": lambda _: "new"})
    assert filled == "a <!-- begin x -->\n\nnew\n\n<!-- end x --> b"


def test_every_shape_is_counted_and_what_was_measured_is_marked(results):
    assert {shape.key for shape in all_shapes()} == set(results.counts)
    shape = Shape("sentence", 50, 128)
    cost = results.cost("shallow_ff-m", shape, "train")
    assert cost.measured
    text = f"| {duration(cost.seconds)} ("
    assert text in all_tables(results)
    cut = copy.deepcopy(results)
    del cut.records["seconds"]["seconds"][shape.key]
    assert not cut.cost("shallow_ff-m", shape, "train").measured
    cells = [row for row in seconds_table(cut, "sentence", "train")[1] if row[:2] == ["50", "128"]]
    assert all(cell.startswith("*") for cell in cells[0][2:])


def test_without_a_fit_there_is_no_figure(results):
    bare = copy.deepcopy(results)
    bare.records["seconds"]["seconds"] = {}
    bare.__dict__.pop("fits", None)
    assert bare.cost(ATTENTION, Shape("sentence", 50, 128), "train") is None


def test_the_figure_is_drawn(results, tmp_path):
    chart(results).save_png(tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_durations():
    seconds = (0.000321, 0.00321, 0.5, 1.07, 90, 750, 9000)
    texts = ["321 µs", "3.21 ms", "500 ms", "1.07 s", "90.0 s", "12.5 min", "2.50 h"]
    assert [duration(value) for value in seconds] == texts
