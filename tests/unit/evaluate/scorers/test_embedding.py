"""Similarities against the cosines of means taken by hand."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.scorers.embedding import Embedding
from attnreplace.hosts import host_for
from attnreplace.splice.removed import remove_attention


@torch.no_grad()
def embed(model: PreTrainedModel, tokenizer: object, line: str) -> Tensor:
    """The mean of the last states of one sentence, alone."""
    ids = tokenizer(line, return_tensors="pt")["input_ids"]  # type: ignore[operator]
    return model.base_model(input_ids=ids).last_hidden_state[0].double().mean(0)


def without_attention(model: PreTrainedModel) -> PreTrainedModel:
    """A copy with all attention removed."""
    model = copy.deepcopy(model)
    host = host_for(model)
    for site in host.sites(model):
        remove_attention(host.locate(model, site))
    return model


@pytest.mark.parametrize("name", ["bare", "mlm"])
def test_similarities_are_those_of_sentences_alone(
    tiny: SimpleNamespace, name: str, batch_of_one: EvalConfig
) -> None:
    setup = tiny.setup(name, "mlm")
    teacher, lines = setup.teacher, setup.corpus.tests["test"].lines
    removed = without_attention(teacher.model)
    expected = []
    for line in lines:
        ours, theirs = (embed(model, teacher.tokenizer, line) for model in (removed, teacher.model))
        expected.append(float(ours @ theirs / (ours.norm() * theirs.norm())))
    mean = sum(expected) / len(expected)
    assert mean < 0.99
    for config in (EvalConfig(), batch_of_one):
        scorer = Embedding(tiny.setup(name, "mlm", config))
        outcome = tiny.score(scorer, removed)
        found = [line["similarity"] for line in outcome.lines]
        assert found == pytest.approx(expected, abs=1e-5)
        assert outcome.scores["similarity"]["score"] == pytest.approx(mean, abs=1e-5)
        assert tiny.score(scorer).scores["similarity"]["score"] == pytest.approx(1)


def test_what_is_cut_off_is_counted_and_still_held_against_the_whole(
    tiny: SimpleNamespace,
) -> None:
    scorer = Embedding(tiny.setup("bare", "mlm"))
    outcome = tiny.score(scorer, limit=5)
    long = [len(line.split()) + 2 > 5 for line in scorer.setup.corpus.tests["test"].lines]
    assert outcome.fields["over_long"] == {"policy": "truncate", "limit": 5, "count": sum(long)}
    same = [line["similarity"] > 1 - 1e-6 for line in outcome.lines]
    assert same == [not over for over in long]
