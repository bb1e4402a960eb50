import io
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from attnreplace.report.numbers import count, difference, milliseconds, share
from attnreplace.report.records import load_records
from attnreplace.report.result import OverLong
from attnreplace.report.tables import (
    NOTHING,
    describe_over_long,
    describe_sites,
    markdown_table,
    results_table,
)
from attnreplace_cli import console

RESULTS = Path(__file__).parents[3] / "experiments" / "results"


def test_one_row_a_system_one_column_a_beam(made: SimpleNamespace) -> None:
    header, rows = results_table(made.records())
    assert header[:6] == [
        "System",
        "BLEU, beam 1",
        "BLEU, beam 5",
        "chrF, beam 1",
        "chrF, beam 5",
        "BLEU kept, beam 5",
    ]
    assert len(rows) == 1 + 1 + 4 + 20
    assert all(len(row) == len(header) for row in rows)
    assert rows[0][:6] == ["Teacher", "29.9", "30.6", "49.9", "50.6", "100.0 %"]
    cells = dict(zip(header, next(row for row in rows if row[0] == "ALRR-M"), strict=True))
    assert cells["BLEU, beam 1"] == "28.7"
    assert cells["BLEU kept, beam 5"] == "96.1 %"
    assert cells["Replaced"] == "297 k"
    assert cells["Replacement"] == "61.6 M"
    assert cells["Encode 1, ms"] == "5.55"
    assert cells["Relative error"] == "0.165"


def test_only_what_differs_gets_a_column(made: SimpleNamespace) -> None:
    records = made.records() + made.records(test_set="other", pair="fr-en")
    header, rows = results_table(records)
    assert header[:3] == ["System", "Pair", "Test set"]
    assert rows[0][:3] == ["Teacher", "de-en", "test"]
    assert len(rows) == 2 * 26
    novel = made.record()
    novel["system"] |= {"family": "sgu", "sites": ["decoder.cross.0"], "name": "sgu"}
    header, rows = results_table([made.record(), novel])
    assert header[:3] == ["System", "Family", "Attention"]
    assert [row[:3] for row in rows] == [
        ["ALRR-M", "shallow_ff", "encoder"],
        ["ALRR-M", "sgu", "cross"],
    ]
    fewer = made.record()
    fewer["system"] |= {"sites": ["encoder.self.0"], "name": "fewer"}
    header, rows = results_table([made.record(), fewer])
    assert header[:2] == ["System", "Sites"]
    assert ["ALRR-M", "1 layer of encoder self-attention"] in [row[:2] for row in rows]


def test_rows_are_grouped_by_what_is_replaced(made: SimpleNamespace) -> None:
    header, rows = results_table(made.all_scopes([5]))
    assert header[:2] == ["System", "Attention"]
    groups = [group for group, _ in itertools.groupby(row[1] for row in rows)]
    assert groups == [NOTHING, "encoder", "decoder", "cross", "all"]
    cross = [row[0] for row in rows if row[1] == "cross"]
    assert cross[:2] == ["Cross attention removed", "ALR-M cross, untrained"]
    assert cross[-2:] == ["ALRR-M cross", "ALR-M cross, paper's non-causal form"]


def test_operations_are_those_of_what_is_replaced(made: SimpleNamespace) -> None:
    def cells(records: list[dict[str, Any]]) -> dict[str, str]:
        header, rows = results_table(records)
        return dict(zip(header, rows[-1], strict=True))

    encoder = cells([made.record("teacher", None, None), made.record()])
    assert encoder["FLOPs/token"] == "126 M" and "State, kB" not in encoder
    decoder = cells([made.record("teacher", None, None), made.scoped("decoder", method="alrr")])
    # The decoder's 3.1 million are added.
    assert decoder["FLOPs/token, encoder + decoder"] == "129 M" and "FLOPs/token" not in decoder
    assert decoder["State, kB"] == "41.0"


@pytest.mark.parametrize("name", sorted(p.parent.name for p in RESULTS.glob("*/table.md")))
def test_published_records_give_the_published_table(name: str) -> None:
    records = load_records(RESULTS / name / "records")
    assert markdown_table(records) == (RESULTS / name / "table.md").read_text(encoding="utf-8")


def test_seeds_give_mean_and_spread(made: SimpleNamespace) -> None:
    records = [made.record(bleu=bleu, seed=seed) for seed, bleu in enumerate((28.0, 29.0, 30.0))]
    _, (row,) = results_table(records)
    assert row[1] == "29.0 ± 1.0"
    assert "±" not in "".join(row[4:])


def test_seeds_are_one_row_whatever_their_bundles_are_called(made: SimpleNamespace) -> None:
    records = []
    for seed, bleu in ((4, 28.0), (5, 29.0), (6, 30.0)):
        end = f"-seed{seed}" if seed > 4 else ""
        for beam in (1, 5):
            records.append(made.record(bleu=bleu + beam, beam=beam, seed=seed))
            records[-1]["system"]["name"] = f"alr-m{end}+alr-m-decoder{end}"
    _, (row,) = results_table(records)
    assert row[1:3] == ["30.0 ± 1.0", "34.0 ± 1.0"]
    # Another recipe is another system, and so are the seeds of different ones together.
    assert len(results_table([*records, made.record(recipe="modern", seed=7)])[1]) == 2
    mixed = made.record(seed=None)
    mixed["system"]["name"] = "alr-m-seed5+alr-m-decoder"
    assert len(results_table([*records, mixed])[1]) == 2


def test_what_is_missing_is_a_dash(made: SimpleNamespace) -> None:
    missing = made.record("student", "alr", cost=None, relative_mse=None)
    header, rows = results_table([missing, made.record()])
    assert rows[0][header.index("Replaced") :] == [NOTHING] * 9
    assert NOTHING not in rows[1]


def test_columns_that_no_row_has_a_value_for_are_left_out(made: SimpleNamespace) -> None:
    header, rows = results_table([made.record(cost=None, relative_mse=None)])
    assert header == ["System", "BLEU, beam 5", "chrF, beam 5"]
    assert rows == [["ALRR-M", "28.7", "48.7"]]
    header, _ = results_table([made.record(cost=None)])
    assert header[3:] == ["Relative error"]


def test_nothing_at_all() -> None:
    _, rows = results_table([])
    assert rows == []


def test_markdown(made: SimpleNamespace) -> None:
    record = made.record()
    record["system"]["label"] = "a|b\nc"
    lines = markdown_table([record]).splitlines()
    assert lines[0].startswith("| System | BLEU, beam 5 |")
    assert lines[1].startswith("| --- | ---: | ---: |")
    assert lines[2].startswith("| a\\|b c | 28.7 |")
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.44, "+0.4"), (-1.24, "\u22121.2"), (0.04, "0.0"), (-0.04, "0.0"), (0.0, "0.0")],
)
def test_difference(value: float, text: str) -> None:
    assert difference(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (49_536, "49.5 k"),
        (339_275, "339 k"),
        (999_600, "1.00 M"),
        (10_261_600, "10.3 M"),
        (9_996_000, "10.0 M"),
        (163_897_600, "164 M"),
        (1.97e9, "1.97 G"),
    ],
)
def test_count(value: float, text: str) -> None:
    assert count(value) == text


def test_other_figures() -> None:
    assert milliseconds(0.00512) == "5.12"
    assert milliseconds(0.0995) == "99.5"
    assert milliseconds(1.0151) == "1,015"
    assert share(0.9744) == "97.4 %"


def test_descriptions() -> None:
    sites = [f"encoder.self.{i}" for i in range(6)] + ["decoder.cross.0"]
    assert describe_sites(sites) == (
        "6 layers of encoder self-attention and 1 layer of decoder cross-attention"
    )
    assert describe_sites([]) == ""
    assert describe_over_long(OverLong("truncate", 50, 1)) == (
        "1 sentence over 50 tokens: cut off there"
    )
    assert describe_over_long(OverLong("truncate", 50, 0)) == "0 sentences over 50 tokens"
    assert describe_over_long(OverLong(None, None, None)) == "Not recorded"
    assert describe_over_long(OverLong("teacher", 50, 0, 40, 2)) == (
        "0 sentences over 50 tokens; 2 translations without an end after 40 tokens: "
        "translated by the teacher"
    )
    assert describe_over_long(OverLong("truncate", 50, 3, 50, 0)) == (
        "3 sentences over 50 tokens: cut off there; 0 translations without an end after 50 tokens"
    )


@pytest.mark.parametrize("width", [80, 100])
def test_costs_fit_a_terminal(monkeypatch: pytest.MonkeyPatch, made: SimpleNamespace, width: int):
    file = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=file, width=width, highlight=False))
    console.show_results(made.records(beams=[5]))
    quality, cost = (text.splitlines() for text in file.getvalue().split("\n\n")[:2])
    assert quality[0].startswith("System  ") and "BLEU, beam 5" in quality[0]
    headings = cost[: next(i for i, line in enumerate(cost) if set(line) == {"\u2500"})]
    assert len(headings) == (3 if width == 80 else 2)
    for line in quality + cost:
        assert len(line) <= width
    words = " ".join(headings).split()
    assert {word: words.count(word) for word in ("params", "batch", "error")} == {
        "params": 2,
        "batch": 2,
        "error": 1,
    }
    assert any(line.startswith("Attention removed  ") for line in cost)  # unbroken
