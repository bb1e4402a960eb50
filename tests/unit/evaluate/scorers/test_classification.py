"""Accuracy and cross-entropy against a plain count, one example at a time."""

import math
from types import SimpleNamespace

import pytest
import torch

from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.scorers.classification import Classification, class_columns


def by_hand(logits: list[list[float]], labels: list[int]) -> tuple[float, float, list[int]]:
    """Accuracy in per cent, mean cross-entropy, and predictions."""
    predictions = [row.index(max(row)) for row in logits]
    losses = [
        math.log(sum(math.exp(value) for value in row)) - row[label]
        for row, label in zip(logits, labels, strict=True)
    ]
    right = sum(p == label for p, label in zip(predictions, labels, strict=True))
    return 100 * right / len(labels), sum(losses) / len(losses), predictions


@pytest.mark.parametrize("task", ["image", "classification"])
def test_scores_are_those_of_a_plain_count(
    tiny: SimpleNamespace, task: str, batch_of_one: EvalConfig
) -> None:
    setup = tiny.setup(task, task)
    teacher, split = setup.teacher, setup.corpus.tests["test"]
    with torch.no_grad():
        if task == "image":
            said = [
                teacher.model(pixel_values=teacher.pixels([split.array(i)])).logits[0].tolist()
                for i in range(len(split))
            ]
        else:
            said = [
                teacher.model(**teacher.tokenizer(line, return_tensors="pt")).logits[0].tolist()
                for line in split.lines
            ]
    accuracy, loss, predictions = by_hand(said, split.labels)
    assert len(set(predictions)) > 1, "a model that always says the same tests nothing"
    for config in (EvalConfig(), batch_of_one):
        outcome = tiny.score(Classification(tiny.setup(task, task, config)))
        assert outcome.scores["accuracy"] == {"score": pytest.approx(accuracy)}
        assert outcome.scores["cross_entropy"]["score"] == pytest.approx(loss, abs=1e-5)
        assert list(outcome.lines) == [
            {"label": label, "prediction": prediction}
            for label, prediction in zip(split.labels, predictions, strict=True)
        ]
        assert outcome.fields["task"] == task and outcome.fields["metric"] == "accuracy"


def test_images_have_no_limit_and_texts_count_what_is_cut_off(tiny: SimpleNamespace) -> None:
    assert "over_long" not in tiny.score(Classification(tiny.setup("image", "image"))).fields
    scorer = Classification(tiny.setup("classification", "classification"))
    lines = scorer.setup.corpus.tests["test"].lines
    long = sum(len(line.split()) + 2 > 6 for line in lines)
    assert 0 < long < len(lines)
    whole, cut = tiny.score(scorer), tiny.score(scorer, limit=6)
    assert whole.fields["over_long"] == {"policy": "truncate", "limit": 12, "count": 0}
    assert cut.fields["over_long"] == {"policy": "truncate", "limit": 6, "count": long}
    assert whole.scores["cross_entropy"] != cut.scores["cross_entropy"]
    for policy in ("error", "teacher"):
        setup = tiny.setup("classification", "classification", EvalConfig(over_long=policy))
        tiny.score(Classification(setup))
        with pytest.raises(UserError, match=rf"the limit is 6 \({long} such of {len(lines)}\)"):
            tiny.score(Classification(setup), limit=6)


def test_classes_in_another_order(tiny: SimpleNamespace) -> None:
    names = ["odd", "calm", "loud"]
    model = tiny.model("image", id2label=dict(enumerate(names)))
    assert class_columns(model, tiny.classes) == [1, 2, 0]
    # Names that say nothing stand in the order of the corpus.
    assert class_columns(tiny.model("image"), tiny.classes) == [0, 1, 2]
    setup = tiny.setup("image", "image")
    plain = tiny.score(Classification(setup))
    model = setup.teacher.model
    model.config.id2label = dict(enumerate(names))
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter.copy_(parameter[[2, 0, 1]])
    assert tiny.score(Classification(setup)).scores == plain.scores


def test_what_cannot_be_scored_is_said(tiny: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="tells 3 classes apart and the corpus has 2"):
        class_columns(tiny.model("image"), ["a", "b"])
    with pytest.raises(UserError, match="has no classifier"):
        Classification(tiny.setup("bare", "classification"))


def test_every_image_is_as_long(tiny: SimpleNamespace) -> None:
    assert Classification(tiny.setup("image", "image")).mean_tokens == 2 * 2 + 1
