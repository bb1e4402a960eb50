"""Scores: what they are called, how they are written, and how two of them compare."""

from collections.abc import Callable
from dataclasses import dataclass

from attnreplace.report.numbers import error, percent, points, share, three_digits


@dataclass(frozen=True)
class Measure:
    """A kind of score."""

    name: str
    """In records."""
    label: str
    """As a heading."""
    word: str
    """In a sentence."""
    text: Callable[[float], str]
    """A score as text."""
    higher_is_better: bool = True
    step: float = 1.0
    """A small difference, for which charts leave room."""
    has_share: bool = True
    """Whether a share of the teacher's says anything: not of similarities to the teacher."""

    @property
    def sign(self) -> int:
        """1, or -1 where lower is better: signed scores are the greater the better."""
        return 1 if self.higher_is_better else -1

    @property
    def relative(self) -> str:
        """The heading of the scores relative to the teacher's."""
        return f"{self.label} kept" if self.higher_is_better else f"{self.label}, relative"

    def relative_text(self, ratio: float) -> str:
        """A score relative to the teacher's: `97.4 %` of it, or `1.07 times` as high."""
        return share(ratio) if self.higher_is_better else f"{three_digits(ratio)} times"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("bleu", "BLEU", "BLEU", points),
        Measure("chrf", "chrF", "chrF", points),
        Measure("accuracy", "Accuracy", "accuracy", percent),
        Measure("perplexity", "Perplexity", "masked perplexity", three_digits, False),
        Measure("masked_accuracy", "Masked accuracy", "masked accuracy", percent),
        Measure("similarity", "Similarity", "cosine similarity", error, step=0.01, has_share=False),
        Measure("cross_entropy", "Cross-entropy", "cross-entropy", error, False, step=0.01),
    )
}
"""By name, in the order of their columns."""
