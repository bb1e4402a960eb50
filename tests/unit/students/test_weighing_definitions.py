"""Gates, pairs and yardsticks against their formulae: one sentence, one position after another."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from attnreplace.students import SITE_FORMS, Student

FAMILIES = (
    "gated", "summaries", "pairwise", "tiny", "gaussian", "synthesizer", "random_synthesizer",
    "linear_attention",
)  # fmt: skip


def gate(block: Any, x: Tensor, memory: Tensor, i: int) -> Tensor:
    read = block.norm_memory(memory)
    sums = block.bias + sum(token @ block.weight[j] for j, token in enumerate(read))
    hidden = F.leaky_relu(sums * block.query(block.norm(x[i])), 0.01)
    return block.project(block.norm_hidden(hidden))


def pair_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    both = torch.cat([block.first_memory.weight, block.first_query.weight], 1)
    rows = []
    for token in read:
        hidden = both @ torch.cat([token, query]) + block.first_query.bias
        rows.append(F.softplus(block.score(F.leaky_relu(hidden, 0.01))))
    return torch.stack(rows, 1)  # (heads, seq)


def head_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    size = block.attention.out.in_features
    asked = block.attention.qkv(query)[:size]
    keys = block.attention.qkv(read)[:, size : 2 * size]
    return torch.exp(keys @ asked / size**0.5)[None]


def gaussian_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    centre = i if block.ratio is None else i * block.ratio
    distances = [torch.arange(len(read)) - (centre + offset) for offset in block.offsets]
    return torch.exp(-0.5 * torch.stack(distances).double() ** 2)


def dense_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    logits = block.second(F.relu(block.first(query))).view(block.heads, -1)
    return torch.exp(logits[:, : len(read)])


def random_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    return torch.exp(
        torch.stack(
            [columns[: len(read)] @ rows[i]
             for rows, columns in zip(block.rows, block.columns, strict=True)]
        )
    )  # fmt: skip


def feature_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    def phi(logits: Tensor) -> Tensor:
        return torch.cat([torch.softmax(logits, 0), torch.softmax(-logits, 0)])

    rows = []
    width = block.query_features.out_features // block.heads
    for head in range(block.heads):
        own = slice(head * width, (head + 1) * width)
        asked = phi(block.query_features(query)[own])
        rows.append(torch.stack([asked @ phi(block.key_features(token)[own]) for token in read]))
    return torch.stack(rows)


def summary_scores(block: Any, query: Tensor, read: Tensor, i: int) -> Tensor:
    """As weights of pairs, multiplied out, which is not how the student has them."""

    def gates(logits: Tensor) -> Tensor:
        return (F.softplus(logits) ** 4 + 1e-6).unflatten(-1, (block.heads, -1))

    asked, told = gates(block.query_gates(query)), gates(block.token_gates(read))
    return torch.einsum("hk,shk->hs", asked, told / told.sum(0))


SCORES = {
    "summaries": summary_scores,
    "pairwise": pair_scores,
    "tiny": head_scores,
    "gaussian": gaussian_scores,
    "synthesizer": dense_scores,
    "random_synthesizer": random_scores,
    "linear_attention": feature_scores,
}


def weighed(family: str, block: Any, x: Tensor, memory: Tensor, i: int) -> Tensor:
    query = block.norm(x[i])
    read = (getattr(block, "norm_memory", None) or block.norm)(memory)
    scores = SCORES[family](block, query, read, i)
    weights = scores / scores.sum(1, keepdim=True)
    if family == "tiny":
        values = block.attention.qkv(read).chunk(3, 1)[2]
        return block.attention.out(weights[0] @ values)
    if family == "gaussian":
        return block.project(torch.cat([row @ block.values(read) for row in weights]))
    values = block.values(read).chunk(block.heads, 1)
    out = torch.cat([row @ value for row, value in zip(weights, values, strict=True)])
    return out if block.project is None else block.project(out)


def definition(student: Any, x: Tensor, memory: Tensor | None) -> Tensor:
    """The student's output for one sentence `(seq, d)` and one memory, without padding."""
    config = student.config
    outputs = []
    for *first, last in student.networks:
        hidden = x
        for block in (*first, last):
            rows = []
            for i in range(len(x)):
                read = hidden if memory is None else memory
                read = read[: i + 1] if config.form == "prefix" else read
                if config.family == "gated":
                    rows.append(gate(block, hidden, read, i))
                else:
                    rows.append(weighed(config.family, block, hidden, read, i))
            added = torch.stack(rows)
            hidden = added if block is last and not config.residual else hidden + added
        outputs.append(hidden)
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", SITE_FORMS)
@pytest.mark.parametrize(
    ("groups", "hidden_layers", "residual"), [(1, 1, False), (2, 2, False), (1, 2, True)]
)
def test_equals_the_formulae(
    family: str,
    form: str,
    groups: int,
    hidden_layers: int,
    residual: bool,
    make_mixer: Callable[..., Student],
    draw: Callable[..., dict[str, Tensor]],
) -> None:
    residual = residual and family != "gated"
    student = make_mixer(family, form, groups, hidden_layers, residual=residual)
    inputs = draw(form, [7, 4, 1], [2, 7, 3], (100, 100))
    inputs["x"].requires_grad_()
    got, want = student(**inputs), []
    for row, mask in enumerate(inputs["mask"]):
        memory = inputs["memory"][row, inputs["memory_mask"][row]] if "memory" in inputs else None
        want.append(definition(student, inputs["x"][row, mask], memory))
        torch.testing.assert_close(got[row, : len(want[-1])], want[-1], atol=1e-9, rtol=1e-9)
        assert (got[row, len(want[-1]) :] == 0).all()
    assert torch.cat(want).abs().max() > 0.1
    sources = [inputs["x"], *student.parameters()]
    gradients = [
        torch.autograd.grad(total, sources, allow_unused=True, materialize_grads=True)
        for total in (got.square().sum(), sum(rows.square().sum() for rows in want))
    ]
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-7)
