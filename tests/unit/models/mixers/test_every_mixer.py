"""What holds for every mixer: padding, causality, lengths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnreplace.errors import SequenceTooLong
from attnreplace.models.mixers import (
    GATES,
    DenseSpatial,
    GatedMLP,
    SpatialGatingUnit,
    TinyAttention,
    ToeplitzSpatial,
    TokenMLP,
)

N, D = 7, 6

BOUNDED = {
    "dense": lambda causal: DenseSpatial(N, causal=causal),
    "toeplitz": lambda causal: ToeplitzSpatial(N, causal=causal),
    "token-mlp": lambda causal: TokenMLP(N, 2 * N, causal=causal),
    "token-mlp-without-norm": lambda causal: TokenMLP(N, 2 * N, norm=False, causal=causal),
    "amlp": lambda causal: GatedMLP(
        D, 8, 5, N, spatial="toeplitz", attention_size=3, causal=causal
    ),
    **{
        f"sgu-{gate}-{spatial}": lambda causal, gate=gate, spatial=spatial: SpatialGatingUnit(
            D, N, gate=gate, spatial=spatial, causal=causal
        )
        for gate in GATES
        for spatial in ("dense", "toeplitz")
    },
}
MIXERS = {**BOUNDED, "attention": lambda causal: TinyAttention(D, 4, D, causal=causal)}


def build(name, causal=False, dtype=torch.double):
    """A mixer whose weights are all far from zero and one."""
    mixer = MIXERS[name](causal)
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return mixer.to(dtype)


@pytest.mark.parametrize("causal", [False, True], ids=["both-ways", "causal"])
@pytest.mark.parametrize("name", MIXERS)
@settings(max_examples=5, deadline=None)
@given(
    lengths=st.lists(st.integers(1, N), min_size=1, max_size=3),
    extra=st.integers(0, N),
    junk=st.sampled_from([0.0, 1e3, float("nan")]),
)
def test_padding_changes_no_real_output(name, causal, lengths, extra, junk):
    if junk != junk and name not in ("dense", "toeplitz") and not name.startswith("token"):
        junk = 1e3  # the channel maps of the others are run at padding too
    mixer = build(name, causal)
    seq = min(N, max(lengths) + extra)
    mask = torch.arange(seq) < torch.tensor(lengths)[:, None]
    x = torch.randn(len(lengths), seq, D, dtype=torch.double)
    padded = mixer(x.masked_fill(~mask.unsqueeze(-1), junk), mask)
    for row, length in enumerate(lengths):
        alone = mixer(x[row : row + 1, :length])
        torch.testing.assert_close(padded[row, :length], alone[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("masked", [False, True], ids=["no-mask", "mask"])
@pytest.mark.parametrize("name", MIXERS)
def test_causal_mixers_see_nothing_later(name, masked):
    mixer = build(name, causal=True, dtype=torch.float)
    x = torch.randn(2, N, D)
    mask = torch.ones(2, N, dtype=torch.bool) if masked else None
    before = mixer(x, mask)
    for position in range(1, N):
        changed = x.clone()
        changed[:, position:] = 10 * torch.randn(2, N - position, D)
        after = mixer(changed, mask)
        assert torch.equal(after[:, :position], before[:, :position])
        assert not torch.allclose(after[:, position], before[:, position])


@pytest.mark.parametrize("name", MIXERS)
def test_mixers_see_everything_later_unless_causal(name):
    mixer = build(name)
    x = torch.randn(1, N, D, dtype=torch.double)
    changed = x.clone()
    changed[:, -1] += torch.randn(D, dtype=torch.double)
    assert (mixer(changed) - mixer(x))[0].abs().amax(-1).min() > 1e-6


@pytest.mark.parametrize("name", MIXERS)
def test_a_row_of_padding_gives_no_nan(name):
    mixer = build(name)
    x = torch.randn(2, 4, D, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, False, False], [False] * 4])
    out = mixer(x, mask)
    out.sum().backward()
    assert out.isfinite().all() and x.grad.isfinite().all()


@pytest.mark.parametrize("name", BOUNDED)
def test_too_many_tokens_are_refused(name):
    with pytest.raises(SequenceTooLong, match=r"8 tokens .* 7 positions"):
        build(name)(torch.zeros(1, N + 1, D, dtype=torch.double))
