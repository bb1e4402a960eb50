"""Scores against sacreBLEU's published examples and hand-computed values."""

import math

import pytest
import sacrebleu

from attnreplace.evaluate.bleu import score


def test_perfect_text_scores_100_and_the_signature_says_how() -> None:
    text = ["Das ist ein kleiner Test.", "Und noch einer, etwas länger als der erste."]
    scores = score(text, text)
    assert scores["bleu"]["score"] == pytest.approx(100)
    assert scores["chrf"]["score"] == pytest.approx(100)
    version = sacrebleu.__version__
    assert scores["bleu"]["signature"] == (
        f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"
    )
    assert scores["chrf"]["signature"] == (
        f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"
    )


def test_a_score_computed_by_hand() -> None:
    # 7 tokens each, the full stop included; of the n-grams 6/7, 4/6, 2/5 and 1/4 match.
    scores = score(["a b c d e f."], ["a b c d x f."])
    by_hand = 100 * math.exp(sum(math.log(p) for p in (6 / 7, 4 / 6, 2 / 5, 1 / 4)) / 4)
    assert scores["bleu"]["score"] == pytest.approx(by_hand)


def test_case_counts_and_short_output_is_punished() -> None:
    reference = ["The cat sat on the mat near the door today."]
    assert score(["the cat sat on the mat near the door today."], reference)["bleu"]["score"] < 100
    # 5 of 11 tokens, all right: only the brevity penalty exp(1 - 11 / 5) is left.
    short = score(["The cat sat on the"], reference)["bleu"]["score"]
    assert short == pytest.approx(100 * math.exp(1 - 11 / 5))


def test_tokenised_looking_output_is_scored_without_a_warning(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    text = ["so ist das ."] * 150
    assert score(text, text)["bleu"]["score"] == pytest.approx(100)
    assert capfd.readouterr() == ("", "") and caplog.records == []


def test_empty_hypotheses_score_nothing() -> None:
    assert score(["", ""], ["a b c d", "e f g h"])["bleu"]["score"] == 0


@pytest.mark.parametrize(("hypotheses", "references"), [([], []), (["a"], ["a", "b"])])
def test_nothing_or_misaligned_text_is_refused(
    hypotheses: list[str], references: list[str]
) -> None:
    with pytest.raises(ValueError, match="cannot be scored"):
        score(hypotheses, references)
