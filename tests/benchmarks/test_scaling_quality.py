"""How well students learn by length: the lines, and a whole small run."""

from dataclasses import replace

from attnreplace.data.corpus import Pairs
from attnreplace.rundir import read_json
from benchmarks.scaling.corpus import pack
from benchmarks.scaling.quality import CELLS, Budget, Cell, Quality

TINY = Budget(
    sentences=150,
    validation=60,
    vocabulary=400,
    teacher_tokens=2000,
    teacher={"epochs": 1, "validation_sentences": 2, "warmup_steps": 2},
    tokens=1500,
    batch_tokens=200,
)


def test_lines_are_as_long_as_they_may_be():
    pairs = Pairs([f"a{i}" for i in range(7)], [f"b{i}" for i in range(7)])
    lengths = [(4, 3), (4, 5), (9, 4), (3, 3), (20, 3), (2, 9), (5, 5)]
    # 4 + 4 - 1 = 7 and 9 more would be 15; 20 is too long on its own, and ends a line.
    packed = pack(pairs, lengths, [12], tokens=1000)
    assert packed.source == ["a0 a1", "a2 a3", "a5"]
    assert packed.target == ["b0 b1", "b2 b3", "b5"]
    assert pack(pairs, lengths, [12], tokens=1).source == ["a0 a1"]
    assert pack(pairs, lengths, [12, 10], tokens=1000).source == ["a0 a1", "a2", "a3", "a5"]
    assert len(pack(pairs, lengths, [2], tokens=1000)) == 0


def test_students_are_recorded_as_they_come(tmp_path):
    path, notes = tmp_path / "quality.json", []
    cells = [Cell(16, 25, "pairwise", ("xs",)), Cell(16, 50, "shallow_ff", ("xs",), 2)]
    Quality(path, tmp_path / "runs", TINY, notes.append).run(cells[:1])
    first = read_json(path)
    assert list(first["students"]) == ["d16 N25 x1 pairwise xs"]
    Quality(path, tmp_path / "runs", TINY, notes.append).run(cells, minutes=1)
    record = read_json(path)
    assert (
        record["students"]["d16 N25 x1 pairwise xs"] == first["students"]["d16 N25 x1 pairwise xs"]
    )
    rows = record["students"]["d16 N50 x2 shallow_ff xs"]["bundles"]
    assert [row["group"] for row in rows] == ["encoder", "cross"]
    for row in rows:
        assert row["relative_mse"] > 0
        assert row["tokens"] > 1300
        assert row["lines"] * 50 >= row["tokens"] * 0.8
        assert set(row["relative_mse_by_site"]) == {
            site for site in row["relative_mse_by_site"] if site.startswith(("encoder", "decoder"))
        }
    assert record["teachers"]["16"]["epochs"] == 1
    # One teacher for all lengths.
    assert sum("the teacher" in note for note in notes) == 2
    done = len(notes)
    Quality(path, tmp_path / "runs", TINY, notes.append).run(cells)
    assert len(notes) == done


def test_no_cell_is_begun_when_the_time_is_spent(tmp_path):
    path, notes = tmp_path / "quality.json", []
    Quality(path, tmp_path / "runs", TINY, notes.append).run(CELLS, minutes=0)
    assert not path.exists()
    assert notes == ["the time is spent: the rest is left out"]


def test_cells_are_told_apart():
    assert len({cell.key for cell in CELLS}) == len(CELLS) == 47
    longer = replace(CELLS[0], longer=4, passes=2)
    assert longer.key == f"{CELLS[0].key} t4 p2"


def test_what_is_trained_longer_has_runs_of_its_own(tmp_path):
    path, notes = tmp_path / "quality.json", []
    cell = Cell(16, 25, "summaries", ("xs",))
    cells = [cell, replace(cell, longer=2), replace(cell, passes=2)]
    Quality(path, tmp_path / "runs", TINY, notes.append).run(cells)
    record = read_json(path)
    assert {name: t["epochs"] for name, t in record["teachers"].items()} == {"16": 1, "16-t2": 2}
    usual, taught, passed = (record["students"][cell.key]["bundles"] for cell in cells)
    # Of the same text; a second pass over it counts no token twice.
    assert [row["tokens"] for row in usual] == [row["tokens"] for row in taught]
    assert [row["tokens"] for row in usual] == [row["tokens"] for row in passed]
    for one, two in zip(usual, passed, strict=True):
        assert two["relative_mse"] < one["relative_mse"]
    runs = {path.name for path in (tmp_path / "runs").glob("d16-*")}
    assert runs == {"d16-N25", "d16-N25-t2", "d16-N25-p2"}
