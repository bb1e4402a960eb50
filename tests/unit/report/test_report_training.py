from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.report.training import (
    bundle_trainings,
    labels_by_name,
    made_harder,
    teacher_history,
)
from attnreplace.rundir import RunDir, read_json, write_json


def test_teacher(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert teacher_history(run) == []
    made.teacher(run, epochs=3)
    assert [epoch.epoch for epoch in teacher_history(run)] == [1, 2, 3]
    write_json(run.teacher / "training.json", {"history": [{"step": 1}]})
    with pytest.raises(UserError, match=r"training\.json: epoch is missing"):
        teacher_history(run)


@pytest.mark.parametrize(
    "smoothing, dropout, text",
    [
        (0.1, 0.2, "label smoothing of 0.1 and dropout of 0.2"),
        (0.1, 0.0, "label smoothing of 0.1"),
        (0.0, 0.2, ""),
        (None, None, ""),
    ],
)
def test_what_makes_training_harder(
    tmp_path: Path, smoothing: float | None, dropout: float | None, text: str
) -> None:
    run = RunDir(tmp_path)
    assert made_harder(run) == ""
    config = {"training": {"label_smoothing": smoothing}, "teacher": {"dropout": dropout}}
    write_json(run.teacher / "training.json", {"config": config})
    assert made_harder(run) == text


def test_bundles_by_method_and_size(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert bundle_trainings(run) == []
    for method, size in [("elr", "xs"), ("alr", "m"), ("alr", "s"), ("aslr", "xl")]:
        made.bundle(run, method, size)
    trainings = bundle_trainings(run)
    assert [training.name for training in trainings] == ["alr-s", "alr-m", "aslr-xl", "elr-xs"]
    history = trainings[0].history
    assert len(history) == 21
    assert history[-1][1] == pytest.approx(sum(trainings[0].relative_mse.values()) / 6, rel=0.05)


def test_bundles_of_other_attention_come_later(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.bundle(run, "alr", "m", "alr-m-cross-paper-layers0.2", "cross", form="paper")
    made.bundle(run, "alr", "m", "alr-m-h2-decoder", "decoder", form="prefix", hidden_layers=2)
    made.bundle(run, "elr", "m")
    made.bundle(
        run, "elr", "m", "elr-m-amlp-dense", family="amlp", form="sentence", spatial="dense"
    )
    made.bundle(run, "alr", "m", "alr-m-decoder", "decoder", form="prefix", hidden_layers=1)
    assert [(t.scope.word, t.variant) for t in bundle_trainings(run)] == [
        ("encoder", ""),
        ("encoder", "dense, contains attention"),
        ("decoder", ""),
        ("decoder", "2 hidden layers"),
        ("cross", "layers 0,2, non-causal"),
    ]


def test_labels_come_from_the_configuration(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.bundle(run, "elr", "m")
    made.bundle(run, "alr", "m", "alr-m-h2-decoder", "decoder", form="prefix", hidden_layers=2)
    name, student = "alr-xs-pairwise-cross-layers0", {"form": "per-query"}
    made.bundle(run, "alr", "xs", name, "cross", "pairwise", **student)
    made.bundle(run, "alr", "xs", f"{name}-seed2", "cross", "pairwise", **student)
    path = run.students / f"{name}-seed2" / "config.json"
    write_json(path, read_json(path) | {"seed": 2})
    trainings = bundle_trainings(run)
    assert {t.label for t in trainings[2:]} == {"ALR-XS pairwise cross, layer 0, scores pairs"}
    assert list(labels_by_name(trainings).values()) == [
        "ELR-M",
        "ALR-M decoder, 2 hidden layers",
        "ALR-XS pairwise cross, layer 0, scores pairs, seed 1",
        "ALR-XS pairwise cross, layer 0, scores pairs, seed 2",
    ]


def test_a_bundle_without_history(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.bundle(run, "alr", "m")
    (run.students / "alr-m" / "history.json").unlink()
    (training,) = bundle_trainings(run)
    assert training.history == ()
    write_json(run.students / "alr-m" / "history.json", {})
    with pytest.raises(UserError, match=r"history\.json: not a list"):
        bundle_trainings(run)


def test_a_broken_bundle_is_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    write_json(run.students / "odd" / "config.json", {"method": "alr"})
    with pytest.raises(UserError, match=r"odd.config\.json: family is missing"):
        bundle_trainings(run)
