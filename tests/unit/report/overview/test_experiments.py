from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.report.overview.experiments import by_corpus, describe_data, load_experiments


def test_experiments_say_what_they_are(published: Path) -> None:
    experiments = load_experiments(published)
    assert [one.name for one in experiments][-1] == "multi30k-sizes"
    first, last = experiments[0], experiments[-1]
    assert first.title == "Kinds, German to English"
    assert last.title == "multi30k-sizes"  # There is no configuration of this name.
    assert first.teacher == (
        "6+6 layers, d 128, 8 heads, 3.29 M parameters, 28,974 examples to train on"
    )
    assert describe_data(first) == (
        "Multi30k de-en; `test_2016_flickr` (1,000 sentences), `test_2017_flickr` (1,000 sentences)"
    )
    assert first.translates and first.compares and not last.compares


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
