"""What a spliced model minimises: plain functions of tensors."""

import torch
from torch import Tensor
from torch.nn import functional as F


def divergence(logits: Tensor, teacher: Tensor, predicted: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from the teacher's predictions, summed (Hinton et al. 2015).

    Times the square of the temperature, so that gradients keep their size.

    Args:
        logits: `(..., classes)`.
        teacher: the same of the teacher.
        predicted: which of them count, `(...)` bool.
        temperature: divides both logits.
    """
    ours, theirs = (
        F.log_softmax(values[predicted].float() / temperature, -1) for values in (logits, teacher)
    )
    return temperature**2 * F.kl_div(ours, theirs, log_target=True, reduction="sum")


def relative_error(output: Tensor, target: Tensor, real: Tensor | None) -> Tensor:
    """Squared error over that of predicting the mean of each feature; 0 where nothing varies.

    Args:
        output: `(batch, seq, d)`.
        target: the same.
        real: which tokens count, `(batch, seq)` bool; None: all.
    """
    if real is not None:
        output, target = output[real], target[real]
    output, target = output.flatten(0, -2).float(), target.flatten(0, -2).float()
    spread = (target - target.mean(0)).square().sum()
    error = (output - target).square().sum()
    return torch.where(spread > 0, error / spread.clamp_min(torch.finfo(spread.dtype).tiny), 0)
