import pytest
import torch
from torch.nn import functional as F

from attnreplace.errors import UserError
from attnreplace.models.mixers import TokenMLP

N, SHARE, EPS = 5, 2, 1e-6


def _build(**settings):
    mixer = TokenMLP(N, SHARE * N, **settings).double()
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter)
    return mixer


def _norm(tokens, mixer):
    """LayerNorm of the tokens of one channel, `(seq,)`."""
    seq = len(tokens)
    deviation = (tokens.var(correction=0) + EPS).sqrt()
    normed = (tokens - tokens.mean()) / deviation
    return normed * mixer.norm.weight[:seq] + mixer.norm.bias[:seq]


def _channel(tokens, mixer):
    hidden = F.gelu(mixer.fc1.weight[:, : len(tokens)] @ _norm(tokens, mixer) + mixer.fc1.bias)
    return (mixer.fc2.weight @ hidden + mixer.fc2.bias)[: len(tokens)]


def _causal_channel(tokens, mixer):
    """Every position's hidden units from its own prefix, one after the other."""
    hidden = []
    for position in range(len(tokens)):
        prefix = _norm(tokens[: position + 1], mixer)
        units = slice(position * SHARE, (position + 1) * SHARE)
        weight, bias = mixer.fc1.weight[units, : position + 1], mixer.fc1.bias[units]
        hidden.append(F.gelu(weight @ prefix + bias))
    return torch.stack(
        [
            mixer.fc2.weight[i, : (i + 1) * SHARE] @ torch.cat(hidden[: i + 1]) + mixer.fc2.bias[i]
            for i in range(len(tokens))
        ]
    )


@pytest.mark.parametrize("seq", [1, 3, N])
@pytest.mark.parametrize("causal", [False, True])
def test_against_one_channel_at_a_time(causal, seq):
    mixer = _build(causal=causal)
    x = torch.randn(2, seq, 3, dtype=torch.double)
    out = mixer(x)
    reference = _causal_channel if causal else _channel
    for row in range(2):
        for channel in range(3):
            expected = reference(x[row, :, channel], mixer)
            torch.testing.assert_close(out[row, :, channel], expected, rtol=0, atol=1e-10)


def test_at_full_length_it_is_a_plain_network():
    mixer = _build()
    x = torch.randn(2, N, 3, dtype=torch.double)
    plain = mixer.fc2(F.gelu(mixer.fc1(mixer.norm(x.mT)))).mT
    torch.testing.assert_close(mixer(x), plain, rtol=0, atol=1e-12)
    everything = torch.ones(2, N, dtype=torch.bool)
    torch.testing.assert_close(mixer(x, everything), plain, rtol=0, atol=1e-10)


@pytest.mark.parametrize("causal", [False, True])
def test_moments_survive_a_large_mean(causal):
    mixer = _build(causal=causal)
    x = torch.randn(2, N, 3) + 1024
    mask = torch.ones(2, N, dtype=torch.bool)
    exact = mixer(x.double(), mask)
    # Rounding the input alone costs 6e-5 a value, moments by a difference far more than this.
    torch.testing.assert_close(mixer.float()(x, mask).double(), exact, rtol=1e-4, atol=1e-2)


def test_hidden_units_that_cannot_be_shared_out():
    with pytest.raises(UserError, match=r"a causal token MLP of 5 positions .* not 7"):
        TokenMLP(N, 7, causal=True)
