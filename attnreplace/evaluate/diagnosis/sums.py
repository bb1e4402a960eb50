"""What two models predict of the same tokens, compared and summed over bins."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from attnreplace.evaluate.diagnosis.bins import Bins
from attnreplace.evaluate.diagnosis.record import Binned, Means


def log_probabilities(logits: Tensor) -> Tensor:
    """What a model predicts, in float32, of logits `(tokens, classes)`."""
    return F.log_softmax(logits.float(), -1)


def divergences(ours: Tensor, theirs: Tensor) -> Tensor:
    """Kullback-Leibler divergence from a teacher's predictions, token by token.

    Args:
        ours: log-probabilities, `(tokens, classes)`.
        theirs: the teacher's.

    Returns:
        `(tokens,)` in nats, float64.
    """
    return F.kl_div(ours, theirs, log_target=True, reduction="none").sum(-1).double()


def compared(ours: Tensor, theirs: Tensor, labels: Tensor) -> Tensor:
    """Two models' predictions token by token.

    Args:
        ours: log-probabilities, `(tokens, classes)`.
        theirs: the teacher's.
        labels: the tokens of the reference, `(tokens,)`.

    Returns:
        `(tokens, 5)`, float64: the fields of `Means`, with 1 for `tokens`.
    """
    same = ours.argmax(-1) == theirs.argmax(-1)
    losses = [-said.gather(-1, labels[:, None]).squeeze(-1) for said in (ours, theirs)]
    columns = [torch.ones_like(same), divergences(ours, theirs), same, *losses]
    return torch.stack([column.double() for column in columns], -1)


class Sums:
    """Sums of `compared` over the tokens in each of some bins."""

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.table = torch.zeros(len(bins.ranges), len(Means.__annotations__)).double()

    def add(self, values: Tensor, each: Tensor) -> None:
        """Add tokens.

        Args:
            values: what bins are of, `(tokens,)`, whole numbers on the CPU.
            each: what `compared` gave, `(tokens, 5)`.
        """
        self.table.index_add_(0, self.bins.of_all(values), each.cpu())

    def overall(self) -> Means:
        """The means over all tokens."""
        return _means(self.table.sum(0).tolist())

    def binned(self) -> list[Binned]:
        """The means over each bin; bins without tokens are left out."""
        return [
            {"first": first, "last": last, **_means(row)}
            for (first, last), row in zip(self.bins.ranges, self.table.tolist(), strict=True)
            if row[0]
        ]


def _means(sums: Sequence[float]) -> Means:
    tokens, divergence, *rest = sums
    agreement, loss, teacher_loss = (value / tokens for value in rest)
    return {
        "tokens": round(tokens),
        # Rounding may leave a divergence of nothing a little below it.
        "divergence": max(0.0, divergence / tokens),
        "agreement": agreement,
        "loss": loss,
        "teacher_loss": teacher_loss,
    }
