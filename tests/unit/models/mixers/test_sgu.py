import pytest
import torch

from attnreplace.errors import UserError
from attnreplace.models.mixers import GATES, SpatialGatingUnit

N, WIDTH, EPS = 5, 6, 1e-6


def _norm(z, norm):
    centred = z - z.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + EPS).sqrt()
    return centred / deviation * norm.weight + norm.bias


@pytest.mark.parametrize("gate", GATES)
def test_formulae_of_table_3(gate):
    unit = SpatialGatingUnit(WIDTH, N, gate=gate).double()
    for parameter in unit.parameters():
        torch.nn.init.normal_(parameter)
    z = torch.randn(2, N, WIDTH, dtype=torch.double)

    def f(part):
        weight, bias = unit.spatial.weight, unit.spatial.bias
        return torch.einsum("ij,bjd->bid", weight, _norm(part, unit.norm)) + bias[:, None]

    half = WIDTH // 2
    expected = {
        "split": lambda: z[..., :half] * f(z[..., half:]),
        "multiplicative": lambda: z * f(z),
        "additive": lambda: z + f(z),
        "linear": lambda: f(z),
    }[gate]()
    torch.testing.assert_close(unit(z), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("spatial", ["dense", "toeplitz"])
def test_the_gate_starts_near_the_identity(spatial):
    z = torch.randn(2, N, WIDTH)
    split = SpatialGatingUnit(WIDTH, N, spatial=spatial)
    torch.testing.assert_close(split(z), z[..., : WIDTH // 2], rtol=0, atol=1e-4)
    whole = SpatialGatingUnit(WIDTH, N, gate="multiplicative", spatial=spatial)
    torch.testing.assert_close(whole(z), z, rtol=0, atol=1e-4)


def test_what_is_added_joins_the_gate():
    unit = SpatialGatingUnit(WIDTH, N)
    z, added = torch.randn(1, N, WIDTH), torch.randn(1, N, WIDTH // 2)
    torch.testing.assert_close(unit(z, None, added), unit(z) + z[..., : WIDTH // 2] * added)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gate": "tanh"}, "no gate 'tanh'; valid gates: split, multiplicative, additive, linear"),
        ({"spatial": "sparse"}, "no spatial weights 'sparse'; valid ones: toeplitz, dense"),
        ({"width": 5}, "even width, not 5"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(UserError, match=message):
        SpatialGatingUnit(**{"width": WIDTH, "positions": N, **settings})
