"""Causal mixers go on from where they stopped."""

import pytest
import torch

from attnreplace.errors import SequenceTooLong
from attnreplace.models.mixers import GATES, GatedMLP, SpatialGatingUnit, TokenMLP

N, D = 7, 6

STEPPED = {
    "token-mlp": lambda: TokenMLP(N, 3 * N, causal=True),
    "token-mlp-without-norm": lambda: TokenMLP(N, 3 * N, norm=False, causal=True),
    "amlp": lambda: GatedMLP(D, 8, 5, N, spatial="toeplitz", attention_size=3, causal=True),
    **{
        f"sgu-{gate}": lambda gate=gate: SpatialGatingUnit(D, N, gate=gate, causal=True)
        for gate in GATES
    },
}


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("split", [[7], [1] * 7, [2, 1, 4]], ids=str)
def test_steps_give_what_the_whole_gives(name, split):
    mixer = STEPPED[name]().double()
    for parameter in mixer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, N, D, dtype=torch.double)
    past, outputs, start = None, [], 0
    for new in split:
        out, past = mixer.decode(x[:, start : start + new], past, start)
        outputs.append(out)
        start += new
        assert all(kept.shape[:2] == (2, N) for kept in past)
    torch.testing.assert_close(torch.cat(outputs, 1), mixer(x), atol=1e-10, rtol=0)
    with pytest.raises(SequenceTooLong, match=r"8 tokens .* 7 positions"):
        mixer.decode(x[:, :1], past, N)
