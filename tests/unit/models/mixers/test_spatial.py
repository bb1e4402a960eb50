import pytest
import torch
from torch.nn import functional as F

from attnreplace.errors import UserError
from attnreplace.models.mixers import DenseSpatial, ToeplitzSpatial

N = 5


def _tiled(weight, n):
    """The Toeplitz matrix as the paper builds it: padded, tiled, cut, folded, cropped."""
    tiled = F.pad(weight, (0, n)).repeat(n)[:-n]
    rows = tiled.view(n, 3 * n - 2)
    return rows[:, n - 1 : 2 * n - 1]


def test_toeplitz_matrix_is_the_papers():
    spatial = ToeplitzSpatial(N)
    spatial.weight.data = torch.arange(2.0 * N - 1)
    assert torch.equal(spatial.matrix(N), _tiled(spatial.weight, N))
    assert spatial.matrix(N)[0].tolist() == [4, 5, 6, 7, 8]
    assert spatial.matrix(N)[:, 0].tolist() == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("length", range(1, N + 1))
def test_toeplitz_is_cropped_around_its_centre(length):
    spatial = ToeplitzSpatial(N)
    torch.nn.init.normal_(spatial.weight)
    drop = N - length
    cropped = spatial.weight[drop : len(spatial.weight) - drop]
    assert torch.equal(spatial.matrix(length), _tiled(cropped, length))
    assert torch.equal(spatial.matrix(length), spatial.matrix(N)[:length, :length])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [DenseSpatial, ToeplitzSpatial])
def test_against_plain_sums(kind, causal):
    spatial = kind(N, causal=causal).double()
    for parameter in spatial.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 4, 3, dtype=torch.double)
    out = spatial(x)
    for i in range(4):
        seen = range(i + 1) if causal else range(4)
        if kind is DenseSpatial:
            expected = sum(spatial.weight[i, j] * x[:, j] for j in seen)
        else:
            expected = sum(spatial.weight[N - 1 + j - i] * x[:, j] for j in seen)
        torch.testing.assert_close(out[:, i], expected + spatial.bias[i], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "count"), [(DenseSpatial, N * N + N), (ToeplitzSpatial, 3 * N - 1)]
)
def test_parameters(kind, count):
    spatial = kind(N)
    assert sum(p.numel() for p in spatial.parameters()) == count
    assert 0 < spatial.weight.abs().max() < 1e-5
    assert torch.equal(spatial.bias, torch.ones(N))


def test_no_positions_are_refused():
    with pytest.raises(UserError, match="at least 1 position"):
        DenseSpatial(0)
