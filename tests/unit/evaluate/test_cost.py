"""Counts against formulae, memory against known tensors, timings by their bounds."""

import time
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from attnreplace.evaluate import cost as cost_module
from attnreplace.evaluate.cost import (
    decoder_flops,
    encoder_flops,
    encoder_memory,
    generation_state,
    measure_cost,
)
from attnreplace.evaluate.instruments import (
    MAX_RUNS,
    MIN_RUNS,
    cache_bytes,
    count_flops,
    count_parameters,
    peak_memory,
    timing,
)

CPU = torch.device("cpu")
LAYERS, D, FF = 2, 16, 32  # of the models in conftest.py


@pytest.mark.parametrize("tokens", [1, 7])
def test_flops_of_encoder_and_decoder_equal_the_formulae(
    model: PreTrainedModel, tokens: int
) -> None:
    projections, feed_forward = 8 * D * D, 4 * D * FF
    scores_and_mix = 4 * tokens * D
    encoder = LAYERS * (projections + scores_and_mix + feed_forward)
    decoder = LAYERS * (2 * (projections + scores_and_mix) + feed_forward)
    assert encoder_flops(model, tokens) == tokens * encoder
    assert decoder_flops(model, tokens) == tokens * decoder


def test_flops_of_every_product_in_use_are_counted() -> None:
    a, b, batched = torch.ones(3, 4), torch.ones(4, 5), torch.ones(2, 3, 4)
    weight, bias = torch.ones(5, 4), torch.ones(5)
    assert count_flops(lambda: a @ b) == 2 * 3 * 4 * 5
    assert count_flops(lambda: F.linear(a, weight, bias)) == 2 * 3 * 4 * 5
    assert count_flops(lambda: F.linear(batched, weight, bias)) == 2 * 2 * 3 * 4 * 5
    assert count_flops(lambda: torch.bmm(batched, batched.mT)) == 2 * 2 * 3 * 4 * 3
    assert count_flops(lambda: torch.einsum("bnd,hd->bnh", batched, weight)) == 2 * 2 * 3 * 4 * 5
    q = torch.ones(1, 2, 6, 8)
    assert count_flops(lambda: F.scaled_dot_product_attention(q, q, q)) == 2 * 2 * 2 * 6 * 6 * 8
    # Additions and multiplications by element do not count.
    assert count_flops(lambda: a * 2 + a) == 0


def test_shared_parameters_count_once(model: PreTrainedModel) -> None:
    first = nn.Linear(3, 4)
    second = nn.Linear(3, 4, bias=False)
    second.weight = first.weight
    assert count_parameters(nn.ModuleList([first, second])) == 3 * 4 + 4
    without_head = count_parameters(model.get_encoder()) + count_parameters(model.get_decoder())
    embedding = model.get_input_embeddings().weight.numel()
    assert count_parameters(model) == without_head - embedding


def test_peak_memory_follows_tensors_as_they_come_and_go() -> None:
    kilobyte = 256  # values of float32
    given = torch.ones(kilobyte)

    def three_at_a_time() -> None:
        first = given + 1
        second = first + 1
        view = second.view(2, -1)
        third = (view * 2).flatten()
        del first, second, view
        fourth = third + 1
        fourth += given

    assert peak_memory(three_at_a_time, CPU) == 3 * 1024

    def one_at_a_time() -> None:
        for _ in range(4):
            given.add(1)

    assert peak_memory(one_at_a_time, CPU) == 1024
    assert peak_memory(lambda: given.view(-1, 2).T, CPU) == 0


def test_encoder_memory_grows_with_the_batch(model: PreTrainedModel) -> None:
    one, many = encoder_memory(model, 1, 10), encoder_memory(model, 64, 10)
    hidden, inner = 10 * D * 4, 10 * FF * 4
    assert one >= hidden + inner
    assert 32 * one < many < 128 * one


def test_what_generation_keeps_from_step_to_step(
    other: PreTrainedModel, spliced: Callable[..., PreTrainedModel]
) -> None:
    tokens, source, kind = cost_module.NEW_TOKENS, 5, 4  # float32
    # Keys and values: of every token but the last, which is written and not read; of the source.
    keys_and_values = 2 * kind * D * LAYERS
    read = tokens * keys_and_values
    assert generation_state(other, 1, source) == read + source * keys_and_values
    assert generation_state(other, 64, source) == 64 * (read + source * keys_and_values)
    # What a student keeps does not grow with the sentence.
    decoder = spliced(other, "decoder", positions=64)
    state = generation_state(decoder, 1, source) - source * keys_and_values
    assert 0 < state < read
    assert generation_state(decoder, 1, 9) - 9 * keys_and_values == state
    cross = spliced(other, "cross", positions=64)
    assert generation_state(cross, 1, source) == generation_state(cross, 1, 9) < 2 * read
    # All tokens are read anew at every step: nothing is kept.
    assert generation_state(spliced(other, "cross", cross_form="paper"), 1, source) == 0


def test_cache_bytes_counts_shared_memory_once() -> None:
    layer, second = DynamicLayer(), DynamicLayer()
    keys = torch.zeros(1, 2, 5, 8)
    layer.update(keys, keys + 1)
    second.update(keys, keys + 1)
    second.keys = layer.keys
    cache = DynamicCache()
    cache.layers = [layer, second]
    assert cache_bytes(cache) == 3 * keys.nbytes
    assert cache_bytes(EncoderDecoderCache(cache, DynamicCache())) == 3 * keys.nbytes
    assert cache_bytes(None) == 0


@pytest.mark.parametrize("form", ["per-query", "paper"])
def test_cost_of_students_with_few_positions(
    other: PreTrainedModel,
    spliced: Callable[..., PreTrainedModel],
    form: str,
) -> None:
    model = spliced(spliced(other, "decoder", 7), "cross", 9, cross_form=form)
    cost = measure_cost(model, other, replacement=0, source_tokens=6)
    assert cost["new_tokens"] == 7
    assert (cost["memory"]["state_batch_64"] > 0) == (form == "per-query")
    assert cost["flops_per_token"] == encoder_flops(other, 6) / 6
    assert cost["decoder_flops_per_token"] != decoder_flops(other, 6) / 6


def test_timing_keeps_its_bounds() -> None:
    calls: list[float] = []

    def quick() -> None:
        calls.append(time.perf_counter())

    result = timing(quick, CPU, seconds=60)
    assert result["runs"] == MAX_RUNS == len(calls) - 1  # One call warms up.
    result = timing(lambda: time.sleep(0.02), CPU, seconds=0.01)
    assert result["runs"] == MIN_RUNS
    assert 0.02 <= result["min_s"] <= result["median_s"] <= result["max_s"]


def test_a_system_that_lost_some_parameters_and_gained_others(model: PreTrainedModel) -> None:
    own = model.generation_config
    # The teacher has a linear layer that the system has not; 7 parameters came in its place.
    teacher = nn.ModuleList([model, nn.Linear(3, 4)])
    cost = measure_cost(model, teacher, replacement=7, source_tokens=5)  # type: ignore[arg-type]
    assert cost["parameters"] == {
        "model": count_parameters(model),
        "replaced": 3 * 4 + 4 + 7,
        "replacement": 7,
    }
    assert cost["flops_per_token"] == encoder_flops(model, 5) / 5
    assert cost["decoder_flops_per_token"] == decoder_flops(model, 5) / 5
    for batch in (cost["latency"]["batch_1"], cost["latency"]["batch_64"]):
        for part in (batch["encoder"], batch["generate"]):
            assert 0 < part["min_s"] <= part["median_s"] <= part["max_s"]
            assert part["runs"] == MIN_RUNS
        assert batch["encoder"]["median_s"] < batch["generate"]["median_s"]
    stored = sum(p.numel() for p in model.parameters()) + sum(b.numel() for b in model.buffers())
    assert cost["memory"]["parameters"] == 4 * stored  # All of it is float32.
    assert cost["device"] == "cpu" and cost["threads"] == torch.get_num_threads()
    assert model.generation_config is own


def test_what_a_module_keeps_from_its_first_call_counts_as_no_work() -> None:
    weight, kept = torch.ones(4, 4), []

    def call() -> None:
        if not kept:
            kept.append(weight @ weight)
        weight @ kept[0]

    assert count_flops(call) == 2 * 4 * 4 * 4
    kept.clear()
    assert peak_memory(call, CPU) == 4 * 4 * 4
