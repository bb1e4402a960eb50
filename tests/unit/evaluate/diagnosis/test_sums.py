import pytest
import torch

from attnreplace.evaluate.diagnosis.bins import position_bins
from attnreplace.evaluate.diagnosis.sums import (
    Sums,
    compared,
    divergences,
    log_probabilities,
)

TOKENS, CLASSES = 12, 7


@pytest.fixture
def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    ours, theirs = log_probabilities(2 * torch.randn(2, TOKENS, CLASSES))
    return ours, theirs, torch.randint(CLASSES, (TOKENS,))


def test_what_is_compared_is_what_it_is_called(
    drawn: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    ours, theirs, labels = drawn
    ones, divergence, same, loss, teacher_loss = compared(ours, theirs, labels).unbind(-1)
    assert ones.tolist() == [1] * TOKENS
    p, q = theirs.double().softmax(-1), ours.double().softmax(-1)
    torch.testing.assert_close(divergence, (p * (p / q).log()).sum(-1), rtol=1e-5, atol=1e-6)
    assert same.tolist() == [float(a.argmax() == b.argmax()) for a, b in zip(p, q, strict=True)]
    rows = torch.arange(TOKENS)
    for found, shares in ((loss, q), (teacher_loss, p)):
        torch.testing.assert_close(found, -shares[rows, labels].log(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(divergences(ours, theirs), divergence)


def test_a_model_is_no_way_from_itself(
    drawn: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
) -> None:
    _, theirs, labels = drawn
    sums = Sums(position_bins(20))
    sums.add(torch.arange(1, TOKENS + 1), compared(theirs, theirs, labels))
    means = sums.overall()
    assert (means["tokens"], means["divergence"], means["agreement"]) == (TOKENS, 0.0, 1.0)
    assert means["loss"] == means["teacher_loss"]


def test_bins_add_up_to_all(drawn: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    sums, each = Sums(position_bins(30)), compared(*drawn)
    for half in (slice(0, 5), slice(5, TOKENS)):
        sums.add(torch.arange(1, TOKENS + 1)[half], each[half])
    binned, overall = sums.binned(), sums.overall()
    # None reaches beyond the twelfth.
    assert [one["first"] for one in binned] == [1, 2, 4, 7, 11]
    assert sum(one["tokens"] for one in binned) == overall["tokens"] == TOKENS
    for name in ("divergence", "agreement", "loss", "teacher_loss"):
        total = sum(one["tokens"] * one[name] for one in binned)  # type: ignore[literal-required]
        assert total / TOKENS == pytest.approx(overall[name])  # type: ignore[literal-required]
