"""Sums over the tokens up to each, chunk by chunk, against sums that are written out."""

import pytest
import torch

from attnreplace.students.running_sums import CHUNK, mix_running, running_totals, sum_up


@pytest.mark.parametrize("seq", [1, CHUNK, CHUNK + 1, 3 * CHUNK - 5])
@pytest.mark.parametrize("started", [False, True])
def test_equals_the_sum_for_every_position(seq: int, started: bool) -> None:
    torch.manual_seed(0)
    a, b = torch.rand(2, 2, 3, seq, 5, dtype=torch.float64)
    v, before = torch.randn(2, 3, seq, 4).double(), torch.randn(2, 3, 5, 4).double()
    sources = [tensor.requires_grad_() for tensor in (a, b, v, before)]
    start = before if started else None
    sums = (b.unsqueeze(-1) * v.unsqueeze(-2)).cumsum(2) + (before[:, :, None] if started else 0)
    want = (a.unsqueeze(-1) * sums).sum(-2)
    got = mix_running(a, b, v, start)
    torch.testing.assert_close(got, want, atol=1e-10, rtol=0)
    torch.testing.assert_close(sum_up(b, v, start), sums[:, :, -1], atol=1e-10, rtol=0)
    gradients = [
        torch.autograd.grad(y.square().sum(), sources, allow_unused=True, materialize_grads=True)
        for y in (got, want)
    ]
    torch.testing.assert_close(*gradients, atol=1e-8, rtol=0)


def test_no_bit_depends_on_a_later_token_of_whatever_size() -> None:
    torch.manual_seed(0)
    a, b, v = torch.rand(3, 1, 2, CHUNK + 8, 4)
    want = mix_running(a, b, v, None)
    for end in (3, CHUNK + 3):
        later = [rows.clone() for rows in (b, v)]
        for rows in later:
            rows[:, :, end:] = 1e30
        assert torch.equal(mix_running(a, *later, None)[:, :, :end], want[:, :, :end])


def test_totals_run_on() -> None:
    rows = torch.rand(2, 3, 7, 4, dtype=torch.float64)
    first = running_totals(rows[:, :, :3], None)
    rest = running_totals(rows[:, :, 3:], first[:, :, -1])
    torch.testing.assert_close(torch.cat([first, rest], 2), rows.cumsum(2))
