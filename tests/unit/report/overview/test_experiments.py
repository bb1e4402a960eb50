from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.report.overview.experiments import by_corpus, describe_data, load_experiments
from attnreplace.rundir import write_json


def test_experiments_say_what_they_are(published: Path) -> None:
    experiments = load_experiments(published)
    assert [one.name for one in experiments][-1] == "multi30k-sizes"
    first, last = experiments[0], experiments[-1]
    assert first.title == "Kinds of students"
    assert first.source == published.parent / "multi30k-attentionless.toml"
    assert last.title == "multi30k-sizes" and last.source is None
    assert first.teacher == (
        "6+6 layers, d 128, 8 heads, 3.29 M parameters, 28,974 examples to train on"
    )
    assert describe_data(first) == (
        "Multi30k de-en; `test_2016_flickr` (1,000 sentences), `test_2017_flickr` (1,000 sentences)"
    )
    assert first.translates and first.compares and not last.compares


def test_students_have_a_weight_without_any_cost(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    parts = [publishing.part("encoder"), publishing.part("cross")]
    some = publishing.part("cross")
    some["sites"] = some["sites"][:2]
    systems = [
        publishing.system("student", "ALR-M cross, layers 0-1", [some]),
        publishing.system("student", "ALR-M + ALR-M cross", parts),
        publishing.system("student", "ALR-M decoder", [publishing.part("decoder")]),
    ]
    records = [publishing.record(one, 30.0, "de-en") | {"cost": None} for one in systems]
    publishing.publish(tmp_path / "free", records)
    for number, part in enumerate(parts, start=1):
        config = {"name": part["bundle"], "sites": part["sites"]}
        config["training"] = {"parameters": 1000 * number}
        write_json(tmp_path / "free" / "students" / f"{part['bundle']}.config.json", config)
    (experiment,) = load_experiments(tmp_path)
    weights = {result.label: result.replacement for result in experiment.results}
    # Of the bundle at some layers alone it is not known how many are used.
    assert weights == {
        "ALR-M + ALR-M cross": 3000,
        "ALR-M cross, layers 0-1": None,
        "ALR-M decoder": None,
    }


def test_corpora_with_most_results_come_first(tmp_path: Path, publishing: SimpleNamespace) -> None:
    publishing.publish(tmp_path / "a", publishing.grid("de-en", 30.0), "grammar")
    publishing.publish(tmp_path / "b", publishing.attentionless("de-en", 40.0), "")
    (tmp_path / "benchmarks").mkdir()
    groups = by_corpus(load_experiments(tmp_path))
    # Where no corpus was asked for, it is called as the teacher's record calls it.
    assert {corpus: [one.name for one in group] for corpus, group in groups.items()} == {
        "Files of a folder": ["b"],
        "Embedded corpus": ["a"],
    }
    assert list(groups) == ["Files of a folder", "Embedded corpus"]


def test_a_folder_without_experiments_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no published experiments in .*report --publish"):
        load_experiments(tmp_path)
