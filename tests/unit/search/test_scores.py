import math
from dataclasses import replace
from pathlib import Path

import pytest

from attnreplace.errors import UserError
from attnreplace.search.scores import Scores, StudentScore
from attnreplace.splice.bundle import BundleConfig
from attnreplace.students import StudentConfig

OF = {"teacher": "t", "sentences": 4}


@pytest.fixture
def bundle() -> BundleConfig:
    student = StudentConfig("shallow_ff", 8, 8, 6, 2)
    students = {f"encoder.self.{layer}": student for layer in range(2)}
    return BundleConfig("alr-m", "alr", "shallow_ff", "m", 6, students, "t", "k")


def test_what_is_known_comes_back(tmp_path: Path, bundle: BundleConfig) -> None:
    scores = Scores(tmp_path / "scores.9.json", OF)
    first, second = scores.of_bundles({"alr-m": bundle}, {"alr-m": "d"})
    first.total, first.batches, first.costs["params"] = 0.1 + 0.2, 3, -12
    second.divergence = 1 / 3
    scores.systems["key"] = 35.8
    scores.save()
    again = Scores(tmp_path / "scores.9.json", OF)
    assert again.of_bundles({"alr-m": bundle}, {"alr-m": "d"}) == [first, second]
    assert again.systems == {"key": 35.8}


def test_others_are_scored_anew(tmp_path: Path, bundle: BundleConfig) -> None:
    scores = Scores(tmp_path / "scores.9.json", OF)
    bundles = {"alr-m": bundle, "alr-s": replace(bundle, name="alr-s")}
    for entry in scores.of_bundles(bundles, {"alr-m": "d", "alr-s": "e"}):
        entry.divergence = 0.5
    scores.save()
    again = Scores(tmp_path / "scores.9.json", OF)
    found = again.of_bundles(bundles, {"alr-m": "d", "alr-s": "new students"})
    assert [entry.divergence for entry in found] == [0.5, 0.5, None, None]
    other = Scores(tmp_path / "scores.9.json", OF | {"sentences": 5})
    assert not other.students


def test_damage_is_one_line(tmp_path: Path, bundle: BundleConfig) -> None:
    scores = Scores(tmp_path / "scores.9.json", OF)
    scores.of_bundles({"alr-m": bundle}, {"alr-m": "d"})
    scores.save()
    text = scores.path.read_text()
    scores.path.write_text(text.replace('"total"', '"sum"'))
    with pytest.raises(UserError, match=r"is damaged .*; delete it and search again"):
        Scores(scores.path, OF)


def test_what_is_no_number_is_far_from_everything(tmp_path: Path, bundle: BundleConfig) -> None:
    """And not nearer than all others, as the greater of nothing and no number would be."""
    for total, mean in ((6.0, 2.0), (-1e-9, 0.0), (math.nan, math.inf), (math.inf, math.inf)):
        entry = StudentScore("alr-m", "encoder.self.0", "d", total=total)
        assert not entry.usable
        entry.finish(3)
        assert (entry.divergence, entry.usable) == (mean, mean < math.inf)
    scores = Scores(tmp_path / "scores.9.json", OF)
    first, _ = scores.of_bundles({"alr-m": bundle}, {"alr-m": "d"})
    first.divergence = math.inf
    scores.save()
    again = Scores(scores.path, OF).of_bundles({"alr-m": bundle}, {"alr-m": "d"})
    assert again[0].divergence == math.inf
