import math

import pytest
import torch
from torch import Tensor, nn

from attnreplace.insight import (
    random_toeplitz_share,
    spatial_weights,
    toeplitz_profile,
    toeplitz_share,
)
from attnreplace.models.mixers import DenseSpatial, ToeplitzSpatial, TokenMLP
from attnreplace.students import StudentConfig, build_student

N = 6


def toeplitz(n: int = N) -> Tensor:
    mixer = ToeplitzSpatial(n).double()
    nn.init.normal_(mixer.weight)
    return mixer.matrix(n).detach()


def student(**changes: object) -> nn.Module:
    values = {"family": "sgu", "d_model": 8, "d_out": 8, "positions": N, "hidden": 10}
    return build_student(StudentConfig(**{**values, **changes}))


def test_a_toeplitz_matrix_has_all_its_energy_there() -> None:
    assert toeplitz_share(toeplitz()) == pytest.approx(1, abs=1e-12)
    assert toeplitz_share(toeplitz(), causal=True) == pytest.approx(1, abs=1e-12)


def test_share_is_that_of_the_nearest_toeplitz_matrix() -> None:
    w = torch.randn(N, N, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # Least squares over a basis of the Toeplitz matrices.
    basis = torch.stack([torch.ones(N - abs(k)).diag(k).flatten() for k in range(1 - N, N)], 1)
    basis = basis.double()
    nearest = basis @ torch.linalg.lstsq(basis, w.flatten()).solution
    share = float(nearest.square().sum() / w.square().sum())
    assert toeplitz_share(w) == pytest.approx(share, abs=1e-12)
    assert torch.allclose(basis @ toeplitz_profile(w), nearest)


@pytest.mark.parametrize("causal", [False, True])
def test_share_of_random_matrices(causal: bool) -> None:
    drawn = torch.randn(400, 12, 12, generator=torch.Generator().manual_seed(1))
    mean = sum(toeplitz_share(w, causal=causal) for w in drawn) / len(drawn)
    assert mean == pytest.approx(random_toeplitz_share(12, causal=causal), abs=0.01)


def test_zero_has_no_share() -> None:
    assert math.isnan(toeplitz_share(torch.zeros(3, 3)))


def test_profile_is_the_weight_of_a_toeplitz_map() -> None:
    mixer = ToeplitzSpatial(N)
    nn.init.normal_(mixer.weight)
    assert torch.allclose(toeplitz_profile(mixer.matrix(N)).float(), mixer.weight)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", [ToeplitzSpatial, DenseSpatial])
def test_weights_of_a_gate_are_what_it_mixes_with(
    kind: type[ToeplitzSpatial] | type[DenseSpatial], causal: bool
) -> None:
    mixer = kind(N, causal=causal)
    nn.init.normal_(mixer.weight)
    (weights,) = spatial_weights(mixer)
    mixed = mixer(torch.eye(N)[None])[0] - mixer.bias[:, None]
    assert torch.allclose(weights.matrix, mixed)
    assert weights.causal is causal
    assert weights.square


@pytest.mark.parametrize("causal", [False, True])
def test_weights_of_a_token_mlp_are_its_small_signal_gain(causal: bool) -> None:
    mixer = TokenMLP(N, 4 * N, norm=False, causal=causal).double()
    with torch.no_grad():
        mixer.fc1.bias.zero_()
    (weights,) = spatial_weights(mixer)

    # GELU has slope 1/2 at zero.
    def run(tokens: Tensor) -> Tensor:
        return mixer(tokens[None, :, None])[0, :, 0]

    jacobian = torch.autograd.functional.jacobian(run, torch.zeros(N, dtype=torch.float64))
    assert torch.allclose(weights.matrix / 2, jacobian)


def test_a_norm_over_the_tokens_scales_the_columns() -> None:
    mixer = TokenMLP(N, 4 * N)
    assert mixer.norm is not None
    before = spatial_weights(mixer)[0].matrix
    with torch.no_grad():
        mixer.norm.weight[2] = 3
    after = spatial_weights(mixer)[0].matrix
    assert torch.allclose(after[:, 2], 3 * before[:, 2])
    assert torch.equal(after[:, 0], before[:, 0])


def test_every_mixer_of_a_student_by_its_path() -> None:
    found = spatial_weights(student(hidden_layers=2, spatial="dense"))
    assert [w.name for w in found] == [
        "networks.0.0.branch.gate.spatial",
        "networks.0.1.branch.gate.spatial",
    ]
    assert {w.kind for w in found} == {"dense"}
    (memory,) = spatial_weights(student(form="per-query"))
    assert (memory.kind, memory.square) == ("memory", False)
    assert memory.matrix.shape[1] == N
    assert [w.kind for w in spatial_weights(student(family="token_mlp"))] == ["token_mlp"]
    assert spatial_weights(student(family="shallow_ff")) == []
