from pathlib import Path
from types import SimpleNamespace

from attnreplace.report.overview.experiments import load_experiments
from attnreplace.report.overview.trials import (
    KIND,
    SCOPE,
    SYSTEM,
    TEACHER,
    System,
    joint_table,
    trials_of,
)
from attnreplace.report.tables import NOTHING


def rows_of(table: str) -> list[list[str]]:
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [lines[0], *lines[2:]]


def test_a_column_is_an_experiment_on_a_test_set(published: Path) -> None:
    trials = trials_of(load_experiments(published))
    assert len(trials) == 4 * 2 + 1
    header, *rows = rows_of(joint_table(trials, [SYSTEM], differs=True))
    assert header[3] == (
        "[en-de](#multi30k-attentionless-en-de)<br>test_<wbr>2016_<wbr>flickr<br>beam 1"
    )
    # Where two are of the same data, they are named.
    assert header[1].endswith("<br>beam 1<br>multi30k-attentionless-de-en")
    assert header[-1].endswith("<br>beam 5<br>multi30k-sizes")
    cells = {row[0]: row[1:] for row in rows}
    # The teachers of four pairs, the second test set four points below, then the sizes.
    teachers = ["40.0", "36.0", "41.0", "37.0", "42.0", "38.0", "43.0", "39.0", "44.0"]
    assert cells["Teacher"] == teachers
    assert cells["ALR-M gated cross"][:3] == [
        "23.0 (\u221217.0)",
        "19.0 (\u221217.0)",
        "24.0 (\u221217.0)",
    ]
    assert cells["ALR-M gated cross"][-1] == NOTHING
    tuned = cells["ALR-M + ALR-M decoder + ALR-M pairwise cross, scores pairs, tuned kl+ce"]
    assert tuned[:2] == ["40.3 ± 0.1 (+0.3)", "36.2 (+0.2)"]  # Two seeds, and one.


def test_a_cell_of_another_beam_says_so_and_is_held_against_that_beam(published: Path) -> None:
    sizes = trials_of(load_experiments(published)[-1:])
    _, *rows = rows_of(joint_table(sizes, [SYSTEM], differs=True))
    assert rows == [
        ["Teacher", "44.0"],
        ["ALR-M cross", "24.0 (\u221220.0)"],
        ["ALR-M cross, paper's non-causal form", "16.0 (\u221224.0), beam 1"],
    ]


def test_the_beam_is_one_that_half_of_the_systems_have(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    records = publishing.attentionless("de-en", 40.0)
    wide = publishing.record(publishing.system("teacher", "Teacher"), 41.0, "de-en", beam=5)
    publishing.publish(tmp_path / "one", [*records, wide])
    (trial, _) = trials_of(load_experiments(tmp_path))
    assert trial.beam == 1
    assert trial.cell(TEACHER, differs=True) == "40.0"


def test_kinds_are_said_and_empty_columns_left_out(published: Path) -> None:
    trials = trials_of(load_experiments(published))
    header, *rows = rows_of(joint_table(trials[:1], [SCOPE, SYSTEM, KIND]))
    assert header[:3] == ["Attention", "System", "Kind"]
    kinds = {row[1]: row[2] for row in rows}
    assert kinds["Teacher"] == kinds["Attention removed"] == NOTHING
    assert kinds["ALR-M cross"] == kinds["ALR-M all, ce, from scratch"] == "static"
    assert kinds["ALR-M cross, paper's non-causal form"] == "static, non-causal"
    assert kinds["ALR-M gated cross"] == "gated"
    # What is replaced by several kinds is called by the one that is nearest to attention.
    mixed = "ALR-M + ALR-M decoder + ALR-M pairwise cross, scores pairs"
    assert kinds[mixed] == kinds[f"{mixed}, tuned kl+ce"] == "pairwise"
    only = joint_table(trials[:1], [SCOPE, SYSTEM], lambda result: System.of(result) == TEACHER)
    assert rows_of(only)[0][0] == "System"


def test_runs_that_differ_in_their_seed_are_one_system(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    systems = [publishing.system("teacher", "Teacher")]
    records = [publishing.record(one, 30.0, "de-en") for one in systems]
    for seed, bleu in ((0, 20.0), (1, 22.0)):
        scratch = publishing.system("scratch", f"gmlp-seed{seed}, from scratch")
        scratch["name"] = f"scratch-gmlp-seed{seed}"
        records.append(publishing.record(scratch, bleu, "de-en"))
    publishing.publish(tmp_path / "seeds", records)
    _, *rows = rows_of(joint_table(trials_of(load_experiments(tmp_path)), [SYSTEM]))
    assert rows == [["Teacher", "30.0"], ["gmlp, from scratch", "21.0 ± 1.4"]]


def test_systems_of_one_label_and_other_names_are_no_seeds(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    records = [publishing.record(publishing.system("teacher", "Teacher"), 30.0, "de-en")]
    for name, bleu in (("alr-m", 20.0), ("alr-m-seed1", 22.0), ("a-copy", 24.0)):
        student = publishing.system("student", "ALR-M", [publishing.part("encoder")])
        records.append(publishing.record(student | {"name": name}, bleu, "de-en"))
    publishing.publish(tmp_path / "names", records)
    _, *rows = rows_of(joint_table(trials_of(load_experiments(tmp_path)), [SYSTEM]))
    assert sorted(rows[1:]) == [["ALR-M (a-copy)", "24.0"], ["ALR-M (alr-m)", "21.0 ± 1.4"]]
