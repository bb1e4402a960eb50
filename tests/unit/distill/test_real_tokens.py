import torch
from hypothesis import given
from hypothesis import strategies as st

from attnreplace.distill.real_tokens import RealTokens


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_take_undoes_pad_and_its_gradient_is_pad(lengths):
    real = RealTokens(torch.tensor(lengths))
    rows = torch.randn(sum(lengths), 3, dtype=torch.float64)
    padded = real.pad(rows)
    assert torch.equal(real.take(padded), rows)
    assert torch.equal(real.take(padded), padded[real.mask])
    assert torch.autograd.gradcheck(real.take, padded.requires_grad_())
