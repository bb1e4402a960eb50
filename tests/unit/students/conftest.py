"""Students of every form, and their definition: torch's own layers, a pass for every position."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from attnreplace.students import CROSS_FORMS, ShallowFF, Student, StudentConfig, build_student
from attnreplace.students.sizes import HEADS

POSITIONS, D_MODEL = 7, 4

Make = Callable[..., ShallowFF]
Draw = Callable[..., dict[str, Tensor]]
Naive = Callable[..., Tensor]


@pytest.fixture(scope="session")
def make() -> Make:
    """A seeded student of 7 positions and width 4, in which no parameter has a special value."""

    def make(form: str, groups: int = 1, hidden_layers: int = 1, d_out: int = 4) -> ShallowFF:
        torch.manual_seed(0)
        student = build_student(
            StudentConfig("shallow_ff", D_MODEL, d_out, POSITIONS, 6, groups, form, hidden_layers)
        ).double()
        assert isinstance(student, ShallowFF)
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
        return student

    return make


@pytest.fixture(scope="session")
def draw() -> Draw:
    """Seeded arguments of a form's `forward`, with sentences and memories of the given lengths."""

    def draw(
        form: str, lengths: list[int], sources: list[int], means: tuple[float, float] = (0, 0)
    ) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(1)

        def tokens(lengths: list[int], mean: float) -> tuple[Tensor, Tensor]:
            mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
            shape = (*mask.shape, D_MODEL)
            x = torch.randn(shape, generator=generator, dtype=torch.float64)
            return x * 2 + 0.5 + mean, mask

        inputs = dict(zip(("x", "mask"), tokens(lengths, means[0]), strict=True))
        if form in CROSS_FORMS:
            memory = tokens(sources, means[1])
            inputs |= dict(zip(("memory", "memory_mask"), memory, strict=True))
        return inputs

    return draw


@pytest.fixture(scope="session")
def naive() -> Naive:
    """The definition of a student's `forward`."""
    return _naive


def _naive(
    student: ShallowFF,
    x: Tensor,
    mask: Tensor,
    memory: Tensor | None = None,
    memory_mask: Tensor | None = None,
) -> Tensor:
    config = student.config
    seq = x.shape[1]
    target = F.pad(x * mask[..., None], (0, 0, 0, config.positions - seq))
    source = torch.empty(len(x), 0, dtype=x.dtype)
    if memory is not None and memory_mask is not None:
        padding = (0, 0, 0, config.positions - memory.shape[1])
        source = F.pad(memory * memory_mask[..., None], padding).flatten(1)
    heads = []
    for group in range(config.groups):
        if config.form in ("sentence", "paper"):
            out = _network(student, group, torch.cat([source, target.flatten(1)], 1))
            heads.append(out.unflatten(1, (config.positions, -1))[:, :seq])
            continue
        rows = []
        for position in range(seq):
            read = torch.cat([source, target[:, position]], 1)
            if config.form == "prefix":
                read = (target * (torch.arange(config.positions) <= position)[:, None]).flatten(1)
            rows.append(_network(student, group, read))
        heads.append(torch.stack(rows, 1))
    return torch.cat(heads, -1) * mask[..., None]


def _network(student: ShallowFF, group: int, read: Tensor) -> Tensor:
    own = {name: parameter[group] for name, parameter in student.named_parameters()}

    def over_all(name: str) -> Tensor:
        """The first layer's parameter over the memory's columns and the input's."""
        names = [name.format(part) for part in ("memory", "in")]
        return torch.cat([own[name] for name in names if name in own], -1)

    def normed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[1:], weight, bias)

    hidden = normed(read, over_all("norm_{}_weight"), over_all("norm_{}_bias"))
    hidden = F.leaky_relu(F.linear(hidden, over_all("weight_{}"), own["bias_in"]), 0.01)
    hidden = normed(hidden, own["norm_hidden_weight"], own["norm_hidden_bias"])
    for layer in range(student.config.hidden_layers - 1):
        hidden = F.linear(hidden, own[f"weight_deep.{layer}"], own[f"bias_deep.{layer}"])
        hidden = F.leaky_relu(hidden, 0.01)
        weight, bias = own[f"norm_deep_weight.{layer}"], own[f"norm_deep_bias.{layer}"]
        hidden = normed(hidden, weight, bias)
    return F.linear(hidden, own["weight_out"], own["bias_out"])


@pytest.fixture(scope="session")
def make_mixer() -> Callable[..., Student]:
    """A seeded student of 7 positions and width 4, no parameter of a special value.

    Two heads a network in the families that have such.
    """

    def make_mixer(
        family: str,
        form: str,
        groups: int = 1,
        hidden_layers: int = 1,
        spatial: str = "toeplitz",
        dtype: torch.dtype = torch.float64,
        residual: bool = False,
    ) -> Student:
        torch.manual_seed(0)
        config = StudentConfig(
            family,
            D_MODEL,
            4,
            POSITIONS,
            6,
            groups,
            form,
            hidden_layers,
            spatial,
            heads=2 if family in HEADS else 1,
            residual=residual,
        )
        student = build_student(config).double()
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
        return student.to(dtype)

    return make_mixer
