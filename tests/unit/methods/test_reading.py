"""What a student is given in place of an attention, and how often."""

import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import EncoderDecoderCache

from attnreplace.methods.reading import PerQuery, Prefix

D = 4


class Recorder(nn.Module):
    """Writes down its calls; its state is how many tokens there were."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, object]] = []

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        self.calls.append(("forward", mask.tolist()))
        return x

    def decode(
        self, x: Tensor, state: tuple[Tensor, ...] | None, start: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        self.calls.append(("decode", (start, None if state is None else state[0].tolist())))
        return x, (torch.full((len(x),), start + x.shape[1]),)

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, ...]:
        self.calls.append(("read", (memory[..., 0].tolist(), memory_mask.tolist())))
        return (memory.sum(1),)

    def answer(self, x: Tensor, share: tuple[Tensor, ...], start: int = 0) -> Tensor:
        self.calls.append(("answer", x.shape[1]))
        return x + share[0][:, None]


@pytest.fixture
def cache() -> EncoderDecoderCache:
    return EncoderDecoderCache(DynamicCache(), DynamicCache())


def causal(real: list[list[int]]) -> Tensor:
    """A mask as layers get it, `(batch, 1, seq, seq)`."""
    mask = torch.tensor(real, dtype=torch.bool)
    return (mask[:, None].expand(-1, mask.shape[1], -1)).tril()[:, None]


def test_a_prefix_goes_on_from_its_state(cache: EncoderDecoderCache) -> None:
    student, read = Recorder(), Prefix(1)
    read(student, torch.zeros(2, 3, D), causal([[1, 1, 1]] * 2), None, cache)
    read(student, torch.zeros(2, 1, D), None, None, cache)
    read(student, torch.zeros(2, 2, D), None, None, cache.self_attention_cache)
    assert student.calls == [
        ("decode", (0, None)),
        ("decode", (3, [3, 3])),
        ("decode", (4, [4, 4])),
    ]
    assert cache.get_seq_length(1) == 6


def test_a_prefix_without_a_cache_may_be_padded_anywhere() -> None:
    student = Recorder()
    x = torch.arange(8.0).view(2, 4, 1).expand(-1, -1, D)
    mask = causal([[0, 0, 1, 1], [1, 1, 1, 0]])
    out = Prefix(0)(student, x, mask, None, None)
    assert student.calls == [("forward", [[True, True, False], [True] * 3])]
    assert out[..., 0].tolist() == [[0, 0, 2, 3], [4, 5, 6, 0]]


@pytest.mark.parametrize("given", ["bool", "float", "flat"])
def test_the_memory_is_read_once(cache: EncoderDecoderCache, given: str) -> None:
    """Each row from its first real token on."""
    student, read = Recorder(), PerQuery(1)
    memory = torch.arange(1.0, 9.0).view(2, 4, 1).expand(-1, -1, D)
    real = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 0]], dtype=torch.bool)
    attended = real[:, None, None].expand(-1, 1, 2, -1)
    mask = {
        "bool": attended,
        "float": torch.zeros(2, 1, 2, 4).masked_fill(~attended, -1e30),
        "flat": real.long(),
    }[given]
    for new in (2, 1, 1):
        read(student, torch.zeros(2, new, D), mask, memory, cache)
    (name, (values, found)), *answers = student.calls
    assert (name, found) == ("read", [[True, True, False], [True] * 3])
    assert (values[0][:2], values[1]) == ([3, 4], [5, 6, 7])
    assert answers == [("answer", 2), ("answer", 1), ("answer", 1)]
    cache.reset()
    read(student, torch.zeros(2, 1, D), mask, memory, cache)
    assert [name for name, _ in student.calls].count("read") == 2
