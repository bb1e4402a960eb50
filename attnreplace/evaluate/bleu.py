"""BLEU and chrF on detokenised text, by sacreBLEU, each with its signature."""

from collections.abc import Sequence

from sacrebleu.metrics import BLEU, CHRF

from attnreplace.evaluate.record import Score


def score(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Score]:
    """Score hypotheses against one reference each.

    BLEU (Papineni et al. 2002) as Post (2018, arXiv 1804.08771) fixes it: tokenised by the
    metric (13a), mixed case, exponential smoothing. chrF is chrF2 (Popovic 2015).

    Raises:
        ValueError: nothing to score, or not one reference a hypothesis.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"{len(hypotheses)} hypotheses cannot be scored on {len(references)} references"
        )
    scores: list[Score] = []
    # force: text that ends in " ." is scored as it is, without a warning.
    for metric in (BLEU(force=True), CHRF()):
        result = metric.corpus_score(list(hypotheses), [list(references)])
        scores.append({"score": result.score, "signature": str(metric.get_signature())})
    return {"bleu": scores[0], "chrf": scores[1]}
