from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attnreplace.insight import attention_branch, sensitivity
from attnreplace.insight.sensitivity import ROWS
from attnreplace.students import FAMILIES, StudentConfig, build_student

N, D = 6, 4
FORMS = [(family, form) for family, forms in FAMILIES.items() for form in forms]


def make(family: str, form: str) -> nn.Module:
    torch.manual_seed(0)
    student = build_student(
        StudentConfig(family=family, d_model=D, d_out=D, positions=N, hidden=8, form=form)
    )
    for parameter in student.parameters():
        # Gates start near one, where no token sees another.
        if parameter.numel() > 1 and parameter.std() < 1e-3:
            nn.init.normal_(parameter)
    return student.double().requires_grad_(False)


def inputs(form: str) -> tuple[Tensor, ...]:
    torch.manual_seed(1)
    x, mask = torch.randn(2, 5, D, dtype=torch.float64), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    if form not in ("per-query", "paper"):
        return x, mask
    memory_mask = torch.ones(2, N, dtype=torch.bool)
    memory_mask[0, 4:] = False
    return x, mask, torch.randn(2, N, D, dtype=torch.float64), memory_mask


@pytest.mark.parametrize(("family", "form"), FORMS)
def test_it_is_the_norm_of_the_dense_jacobian(family: str, form: str) -> None:
    student, given = make(family, form), inputs(form)
    read = given[2] if len(given) > 2 else given[0]

    def run(tokens: Tensor) -> Tensor:
        return (
            student(*given[:2], tokens, given[3]) if len(given) > 2 else student(tokens, given[1])
        )

    jacobian = torch.autograd.functional.jacobian(run, read)  # (2, 5, D, 2, read, D)
    exact = torch.stack([jacobian[b, :, :, b] for b in range(2)]).square().sum((2, 4)).sqrt()
    found = sensitivity(student, *given)
    assert torch.allclose(found, exact, rtol=1e-9, atol=1e-12)
    assert exact[0].count_nonzero() > 5
    assert (found[1, 3:] == 0).all()
    if form == "prefix":
        assert (found.triu(1) == 0).all()


@pytest.mark.parametrize("width", [D, 64])
def test_probes_have_the_exact_value_as_their_mean(width: int) -> None:
    torch.manual_seed(0)
    linear = torch.randn(3, 3, width, width, dtype=torch.float64)

    def student(x: Tensor, mask: Tensor, *memory: Tensor | None) -> Tensor:
        return torch.einsum("bjc,ijdc->bid", x, linear)

    x, mask = torch.zeros(1, 3, width, dtype=torch.float64), torch.ones(1, 3, dtype=torch.bool)
    exact = linear.square().sum((2, 3)).sqrt()
    assert torch.allclose(sensitivity(student, x, mask)[0], exact)
    drawn = [sensitivity(student, x, mask, probes=2, seed=seed).square() for seed in range(60)]
    assert torch.allclose(torch.stack(drawn).mean(0)[0].sqrt(), exact, rtol=0.06)
    assert torch.equal(drawn[0], sensitivity(student, x, mask, probes=2).square())


def test_more_rows_than_go_in_at_a_time() -> None:
    width = ROWS // 2
    x, mask = torch.randn(1, 5, width), torch.ones(1, 5, dtype=torch.bool)
    found = sensitivity(lambda x, mask, *memory: 2 * x, x, mask)
    assert torch.allclose(found[0], 2 * width**0.5 * torch.eye(5), atol=1e-5)


def test_softmax_attention_of_a_host(tiny_m2m: nn.Module) -> None:
    from attnreplace.hosts import Site, host_for

    model = tiny_m2m.double()
    host = host_for(model)
    torch.manual_seed(0)
    x, mask = torch.randn(1, 4, 16, dtype=torch.float64), torch.ones(1, 4, dtype=torch.bool)
    own = {}
    for site in host.sites(model):
        branch = attention_branch(host.locate(model, site))
        memory = torch.randn(1, 3, 16, dtype=torch.float64) if site.kind == "cross" else None
        own[site] = sensitivity(branch, x, mask, memory)[0]
    assert own[Site("decoder", "cross", 0)].shape == (4, 3)
    assert (own[Site("decoder", "self", 0)].triu(1) == 0).all()
    assert (own[Site("encoder", "self", 0)] > 0).all()
    branch = attention_branch(host.locate(model, Site("encoder", "self", 0)))
    jacobian = torch.autograd.functional.jacobian(partial(branch, mask=mask), x)
    assert torch.allclose(
        own[Site("encoder", "self", 0)], jacobian[0, :, :, 0].square().sum((1, 3)).sqrt()
    )
