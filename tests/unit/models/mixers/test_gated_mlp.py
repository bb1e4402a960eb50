import math

import pytest
import torch

from attnreplace.models.mixers import GATES, GatedMLP, TinyAttention

N, D, HIDDEN, OUT = 5, 4, 6, 3


def _attention(x, module, size):
    query, key, value = module.qkv(x).split(size, dim=-1)
    weights = (query @ key.mT / math.sqrt(size)).softmax(-1)
    return module.out(weights @ value)


def test_tiny_attention_against_its_formula():
    attention = TinyAttention(D, 2, OUT).double()
    x = torch.randn(2, N, D, dtype=torch.double)
    torch.testing.assert_close(attention(x), _attention(x, attention, 2), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [0, 2])
def test_equation_1(size):
    mixer = GatedMLP(D, HIDDEN, OUT, N, attention_size=size).double()
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, N, D, dtype=torch.double)
    z = mixer.expand(x)
    z = 0.5 * z * (1 + torch.erf(z / math.sqrt(2)))
    kept, gated = z.split(HIDDEN // 2, dim=-1)
    spatial = mixer.gate.spatial
    gate = torch.einsum("ij,bjd->bid", spatial.weight, mixer.gate.norm(gated))
    gate = gate + spatial.bias[:, None]
    if size:
        gate = gate + _attention(x, mixer.attention, size)
    torch.testing.assert_close(mixer(x), mixer.project(kept * gate), rtol=0, atol=1e-10)


@pytest.mark.parametrize("gate", GATES)
def test_every_gate_takes_an_attention(gate):
    mixer = GatedMLP(D, HIDDEN, OUT, N, gate=gate, spatial="toeplitz", attention_size=2)
    assert mixer(torch.randn(1, N, D)).shape == (1, N, OUT)
