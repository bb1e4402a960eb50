from pathlib import Path
from types import SimpleNamespace

from attnreplace.report.overview.choice import (
    REMOVED,
    STAGES,
    headline_of,
    nature_place,
    stage_of,
)
from attnreplace.report.overview.experiments import load_experiments
from attnreplace.tune.config import TuneConfig

ALONE, TUNED, SCRATCH = STAGES


def test_the_best_of_each_kind_and_stage(published: Path) -> None:
    headline = headline_of(load_experiments(published))
    assert headline is not None
    # Sizes of one kind of students are no comparison of kinds; the first test set stands for all.
    assert [trial.test_set for trial in headline.trials] == ["test_2016_flickr"] * 4
    found = {(c.system.scope.word, c.nature, c.stage): c for c in headline.choices}
    assert list(found) == [
        ("encoder", REMOVED, ""),
        ("encoder", "static", ALONE),
        ("decoder", "static", ALONE),
        ("cross", REMOVED, ""),
        ("cross", "static", ALONE),
        ("cross", "static, non-causal", ALONE),
        ("cross", "gated", ALONE),
        ("cross", "pairwise", ALONE),
        ("cross", "attention", ALONE),
        ("all", "static", ALONE),
        ("all", "static", TUNED),
        ("all", "static", SCRATCH),
        ("all", "pairwise", ALONE),
        ("all", "pairwise", TUNED),
    ]
    best = found["all", "static", TUNED]
    assert best.system.label == "ALR-M all, tuned kl+ce, all weights"
    assert [round(apart, 6) for apart in best.differences] == [-4.0] * 4
    foremost = {(c.system.scope.word, c.nature): c.stage for c in headline.foremost}
    assert foremost["all", "static"] == foremost["all", "pairwise"] == TUNED
    assert len(foremost) == len(found) - 3


def test_what_was_evaluated_for_more_pairs_goes_first(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    for pair in ("de-en", "en-de"):
        better = publishing.system("student", "ALR-M SGU cross", [publishing.part("cross", "sgu")])
        once = [publishing.record(better, 39.0, pair)] if pair == "de-en" else []
        publishing.publish(tmp_path / pair, publishing.attentionless(pair, 40.0) + once)
    headline = headline_of(load_experiments(tmp_path))
    assert headline is not None
    gated = [choice for choice in headline.choices if choice.nature == "gated"]
    assert [choice.system.label for choice in gated] == ["ALR-M gated cross"]


def test_a_stage_of_one_pair_does_not_stand_for_all(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    for pair in ("de-en", "en-de"):
        records = publishing.attentionless(pair, 40.0)
        cross = [publishing.part("cross", "gated")]
        tuned = publishing.system("student", "ALR-M gated cross", cross, "tuned kl+ce")
        once = [publishing.record(tuned, 39.0, pair)] if pair == "de-en" else []
        publishing.publish(tmp_path / pair, [*records, *once])
    headline = headline_of(load_experiments(tmp_path))
    assert headline is not None
    gated = [
        [c.stage for c in of if c.nature == "gated"] for of in (headline.choices, headline.foremost)
    ]
    assert gated == [[ALONE, TUNED], [ALONE]]


def test_what_replaces_only_some_layers_stands_for_nothing(
    tmp_path: Path, publishing: SimpleNamespace
) -> None:
    some = publishing.part("cross", "pairwise")
    some["sites"] = some["sites"][:2]
    better = publishing.system("student", "ALR-M pairwise cross, layers 0-1, scores pairs", [some])
    better["name"] += ":0-1"
    records = [*publishing.attentionless("de-en", 40.0), publishing.record(better, 41.0, "de-en")]
    publishing.publish(tmp_path / "some", records)
    headline = headline_of(load_experiments(tmp_path))
    assert headline is not None
    chosen = [c.system.label for c in headline.choices if c.system.scope.word == "cross"]
    assert "ALR-M pairwise cross, scores pairs" in chosen
    assert better["label"] not in chosen


def test_stages_are_told_by_the_words_of_the_tuned_model(published: Path) -> None:
    results = load_experiments(published)[0].results
    stages = {result.label: stage_of(result) for result in results}
    assert stages["Teacher"] == stages["Attention removed"] == ""
    assert stages["ALR-M all"] == ALONE
    assert stages["ALR-M all, tuned kl+ce"] == TUNED
    assert stages["ALR-M all, ce, from scratch"] == SCRATCH
    # These words are those of the configuration.
    assert SCRATCH in TuneConfig(system="alr-m", start="scratch").summary
    assert SCRATCH not in TuneConfig(system="alr-m", start="untrained").summary


def test_kinds_are_ordered_from_nothing_to_attention() -> None:
    natures = ["attention", "static, non-causal", "gated", REMOVED, "pairwise", "static"]
    ordered = [REMOVED, "static", "static, non-causal", "gated", "pairwise", "attention"]
    assert sorted(natures, key=nature_place) == ordered
