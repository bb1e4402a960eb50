from types import SimpleNamespace

import pytest

from attnreplace.report.records import OverLong
from attnreplace.report.tables import (
    NOTHING,
    count,
    describe_over_long,
    describe_sites,
    markdown_table,
    milliseconds,
    results_table,
    share,
)


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
    assert ["ALRR-M", "sgu", "1 layer of decoder cross-attention"] in [row[:3] for row in rows]


def test_seeds_give_mean_and_spread(made: SimpleNamespace) -> None:
    records = [made.record(bleu=bleu, seed=seed) for seed, bleu in enumerate((28.0, 29.0, 30.0))]
    _, (row,) = results_table(records)
    assert row[1] == "29.0 ± 1.0"
    assert "±" not in "".join(row[4:])


def test_what_is_missing_is_a_dash(made: SimpleNamespace) -> None:
    header, (row,) = results_table([made.record(cost=None, relative_mse=None)])
    assert row[header.index("BLEU kept, beam 5") :] == [NOTHING] * 10


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
