"""Token mixers against their formulae: one sentence at a time, one position after another."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attnreplace.students import FAMILIES, Student

POSITIONS = 7
ROWS = [
    (family, form, spatial)
    for family in ("token_mlp", "sgu", "amlp")
    for form in FAMILIES[family]
    for spatial in ("toeplitz", "dense")
    if spatial == "toeplitz" or (family != "token_mlp" and form != "per-query")
]


def norm_tokens(tokens: Tensor, norm: nn.LayerNorm) -> Tensor:
    """LayerNorm down the columns of `(seq, d)`."""
    seq = len(tokens)
    weight, bias = norm.weight[:seq], norm.bias[:seq]
    return F.layer_norm(tokens.T, (seq,), weight, bias, norm.eps).T


def token_block(block: Any, x: Tensor, memory: Tensor, form: str) -> Tensor:
    tokens, seq, share = block.tokens, len(x), 4
    first, second = tokens.fc1, tokens.fc2
    if form == "sentence":
        hidden = first.weight[:, :seq] @ norm_tokens(x, tokens.norm) + first.bias[:, None]
        mixed = second.weight[:seq] @ F.gelu(hidden) + second.bias[:seq, None]
    else:
        units, rows, normed = [], [], block.norm_prefix(x)
        for i in range(seq):
            own = slice(i * share, (i + 1) * share)
            read = first.weight[own, : i + 1] @ normed[: i + 1]
            units.append(F.gelu(read + first.bias[own, None]))
            so_far = torch.cat(units)
            rows.append(second.weight[i, : len(so_far)] @ so_far + second.bias[i])
        mixed = torch.stack(rows)
    return block.project(F.gelu(block.expand(block.norm(x + mixed))))


def attention(module: Any, x: Tensor, memory: Tensor, causal: bool) -> Tensor:
    size = module.out.in_features
    query = module.qkv(x)[:, :size]
    key, value = module.qkv(memory)[:, size:].chunk(2, 1)
    rows = []
    for i, own in enumerate(query):
        end = i + 1 if causal else len(memory)
        rows.append(torch.softmax(key[:end] @ own / size**0.5, 0) @ value[:end])
    return module.out(torch.stack(rows))


def gated_block(block: Any, x: Tensor, memory: Tensor, form: str) -> Tensor:
    branch, read = block.branch, block.norm(x)
    z1, z2 = F.gelu(branch.expand(read)).chunk(2, 1)
    z2, spatial = branch.gate.norm(z2), branch.gate.spatial
    rows = []
    for i in range(len(x)):
        gate = spatial.bias[i].expand(z2.shape[1])
        for j in range(i + 1 if form == "prefix" else len(x)):
            toeplitz = spatial.weight.ndim == 1
            weight = spatial.weight[POSITIONS - 1 + j - i] if toeplitz else spatial.weight[i, j]
            gate = gate + weight * z2[j]
        rows.append(gate)
    gates = torch.stack(rows)
    if branch.attention is not None:
        gates = gates + attention(branch.attention, read, read, form == "prefix")
    return branch.project(z1 * gates)


def query_block(block: Any, x: Tensor, memory: Tensor, form: str) -> Tensor:
    read, own = block.norm_memory(memory), block.norm(x)
    gated = block.norm_gate(F.gelu(block.expand_memory(read)))
    rows = []
    for query in own:
        factors = block.choose(query)
        weights = factors @ block.rows.weight[:, : len(memory)]  # one a token of the memory
        rows.append(weights @ gated + factors @ block.rows.bias)
    gates = torch.stack(rows)
    if block.attention is not None:
        gates = gates + attention(block.attention, own, read, causal=False)
    return block.project(F.gelu(block.expand(own)) * gates)


def definition(student: Any, x: Tensor, memory: Tensor) -> Tensor:
    """The student's output for one sentence `(seq, d)` and one memory, without padding."""
    config = student.config
    run = query_block if config.form == "per-query" else gated_block
    if config.family == "token_mlp":
        run = token_block
    outputs = []
    for *first, last in student.networks:
        hidden = x
        for block in first:
            hidden = hidden + run(block, hidden, memory, config.form)
        outputs.append(run(last, hidden, memory, config.form))
    return torch.cat(outputs, 1)


def rows_of(student: Student, inputs: dict[str, Tensor]) -> Iterable[Tensor]:
    for row, mask in enumerate(inputs["mask"]):
        memory = inputs.get("memory", inputs["x"])[row]
        memory = memory[inputs["memory_mask"][row]] if "memory" in inputs else memory
        yield definition(student, inputs["x"][row, mask], memory)


@pytest.mark.parametrize(("family", "form", "spatial"), ROWS)
@pytest.mark.parametrize(("groups", "hidden_layers"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("mean", [0, 1e3])
def test_equals_the_formulae(
    family: str,
    form: str,
    spatial: str,
    groups: int,
    hidden_layers: int,
    mean: float,
    make_mixer: Callable[..., Student],
    draw: Callable[..., dict[str, Tensor]],
) -> None:
    student = make_mixer(family, form, groups, hidden_layers, spatial)
    inputs = draw(form, [7, 4, 1], [2, 7, 3], (mean, mean))
    inputs["x"].requires_grad_()
    got, want = student(**inputs), list(rows_of(student, inputs))
    for row, expected in enumerate(want):
        assert (got[row, len(expected) :] == 0).all()
        torch.testing.assert_close(got[row, : len(expected)], expected, atol=1e-9, rtol=1e-9)
    assert torch.cat(want).abs().max() > 0.1

    sources = [inputs["x"], *student.parameters()]
    gradients = [
        torch.autograd.grad(total, sources, allow_unused=True)
        for total in (got.square().sum(), sum(rows.square().sum() for rows in want))
    ]
    for one, other in zip(*gradients, strict=True):
        other = torch.zeros_like(one) if other is None else other
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-7)
