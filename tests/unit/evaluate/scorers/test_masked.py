"""Masked perplexity against a plain sum over the tokens, one block at a time."""

import math
from types import SimpleNamespace

import pytest
import torch

from attnreplace.data.blocks import encode_texts
from attnreplace.data.masking import mask_blocks
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.scorers.masked import MaskedLanguageModelling


@torch.no_grad()
def by_hand(setup: SimpleNamespace, model: torch.nn.Module) -> tuple[list[float], int, list[int]]:
    """The losses of all masked tokens, how many were right, and how many there are by block."""
    tokenizer = setup.teacher.tokenizer
    blocks = encode_texts(tokenizer, setup.corpus.tests["test"], 12, "mlm")
    losses, right, counts = [], 0, []
    for read, answers in zip(*mask_blocks(blocks, tokenizer, 0), strict=True):
        logits = model(input_ids=torch.tensor([read])).logits[0].double()
        places = [place for place, answer in enumerate(answers) if answer != -100]
        counts.append(len(places))
        for place in places:
            values = [math.exp(value) for value in logits[place].tolist()]
            losses.append(-math.log(values[answers[place]] / sum(values)))
            right += values.index(max(values)) == answers[place]
    return losses, right, counts


def test_scores_are_those_of_a_plain_sum_whatever_the_batches(
    tiny: SimpleNamespace, batch_of_one: EvalConfig
) -> None:
    setup = tiny.setup("mlm", "mlm", count=25)
    losses, right, counts = by_hand(setup, setup.teacher.model)
    mean = sum(losses) / len(losses)
    assert len(set(counts)) > 1, "the last block is shorter"
    for config in (EvalConfig(), EvalConfig(batch_tokens=30), batch_of_one):
        outcome = tiny.score(MaskedLanguageModelling(tiny.setup("mlm", "mlm", config, count=25)))
        assert outcome.scores["perplexity"]["score"] == pytest.approx(math.exp(mean), rel=1e-5)
        assert outcome.scores["cross_entropy"]["score"] == pytest.approx(mean, abs=1e-5)
        assert outcome.scores["masked_accuracy"]["score"] == pytest.approx(
            100 * right / len(losses)
        )
        signature = f"masked:15%|seed:0|block:12|tokens:{len(losses)}"
        assert {score["signature"] for score in outcome.scores.values()} == {signature}
        lines = list(outcome.lines)
        assert [line["masked"] for line in lines] == counts
        each = [line["masked"] * line["cross_entropy"] for line in lines]
        assert sum(each) == pytest.approx(sum(losses), rel=1e-5)
        assert outcome.fields == {"task": "mlm", "metric": "perplexity"}


def test_all_systems_fill_in_the_same_masks(tiny: SimpleNamespace) -> None:
    scorer = MaskedLanguageModelling(tiny.setup("mlm", "mlm"))
    other = tiny.model("mlm", seed=1)
    first, second = tiny.score(scorer), tiny.score(scorer, other)
    assert first.scores["perplexity"]["score"] != second.scores["perplexity"]["score"]
    assert first.scores["perplexity"]["signature"] == second.scores["perplexity"]["signature"]
    losses, _, _ = by_hand(scorer.setup, other)
    mean = sum(losses) / len(losses)
    assert second.scores["cross_entropy"]["score"] == pytest.approx(mean, abs=1e-5)


def test_what_cannot_be_scored_is_said(tiny: SimpleNamespace) -> None:
    with pytest.raises(UserError, match=r"does not predict tokens; .* --similarity"):
        MaskedLanguageModelling(tiny.setup("bare", "mlm"))
    scorer = MaskedLanguageModelling(tiny.setup("mlm", "mlm"))
    with pytest.raises(UserError, match=r"students of it read at most 8 tokens and blocks .* 12"):
        tiny.score(scorer, limit=8)
    with pytest.raises(UserError, match="no token to mask"):
        tiny.score(MaskedLanguageModelling(tiny.setup("mlm", "mlm", count=0)))


def test_a_model_that_knows_nothing_stays_finite(tiny: SimpleNamespace) -> None:
    scorer = MaskedLanguageModelling(tiny.setup("mlm", "mlm"))
    model = tiny.model("mlm")
    with torch.no_grad():
        model.cls.predictions.bias.copy_(1e6 * torch.randn_like(model.cls.predictions.bias))
    assert math.isfinite(tiny.score(scorer, model).scores["perplexity"]["score"])
