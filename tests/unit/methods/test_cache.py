"""What a replaced layer keeps in the library's cache."""

import pytest
import torch
from transformers import DynamicCache
from transformers.cache_utils import EncoderDecoderCache, StaticLayer

from attnreplace.errors import UserError
from attnreplace.methods.cache import StateLayer, state_layer


@pytest.fixture
def layer() -> StateLayer:
    layer = StateLayer()
    layer.keep((torch.arange(6.0).view(3, 2), torch.arange(3.0)), 4)
    return layer


def rows(layer: StateLayer) -> list[float]:
    """Which sentences the state is of; all its tensors agree."""
    assert layer.state is not None
    first, second = layer.state
    assert torch.equal(first[:, 0], second * 2)
    return second.tolist()


def test_lengths(layer: StateLayer) -> None:
    assert StateLayer().get_seq_length() == 0
    assert layer.get_seq_length() == 4
    assert layer.get_mask_sizes(2) == (6, 0)
    assert layer.get_mask_sizes(torch.tensor([4, 5, 6])) == (7, 0)
    assert layer.get_max_length() == layer.get_max_cache_shape() == -1


def test_rows(layer: StateLayer) -> None:
    layer.reorder_cache(torch.tensor([2, 0, 0]))
    assert rows(layer) == [2, 0, 0]
    layer.batch_repeat_interleave(2)
    assert rows(layer) == [2, 2, 0, 0, 0, 0]
    layer.batch_select_indices(torch.tensor([0, 5]))
    assert rows(layer) == [2, 0]
    assert layer.get_seq_length() == 4


def test_nothing_is_kept_of_nothing() -> None:
    layer = StateLayer()
    layer.reorder_cache(torch.tensor([0]))
    layer.batch_repeat_interleave(2)
    layer.batch_select_indices(torch.tensor([0]))
    layer.crop(-3)
    assert layer.state is None
    assert not layer.is_initialized


def test_reset(layer: StateLayer) -> None:
    layer.padded = True
    layer.reset()
    assert (layer.state, layer.length, layer.padded) == (None, 0, False)


def test_offloading_leaves_it_where_it_is(layer: StateLayer) -> None:
    before = layer.state
    layer.offload()
    layer.prefetch()
    assert layer.state is before


@pytest.mark.parametrize(("tokens", "length"), [(0, 4), (4, 4), (9, 4), (-4, 0), (-9, 0)])
def test_crops_that_are_possible(layer: StateLayer, tokens: int, length: int) -> None:
    layer.crop(tokens)
    assert layer.get_seq_length() == length


@pytest.mark.parametrize("tokens", [-1, 3])
def test_crops_that_are_not(layer: StateLayer, tokens: int) -> None:
    with pytest.raises(UserError, match="does not take tokens back"):
        layer.crop(tokens)
    assert layer.get_seq_length() == 4


def test_no_keys_and_values(layer: StateLayer) -> None:
    x = torch.zeros(1, 1, 1, 1)
    with pytest.raises(UserError, match="in which the layer is replaced"):
        layer.update(x, x)
    with pytest.raises(TypeError):
        layer.lazy_initialization(x, x)


def test_it_takes_the_place_of_an_empty_layer() -> None:
    cache = DynamicCache()
    third = state_layer(cache, 2)
    assert [type(layer).__name__ for layer in cache.layers] == ["DynamicLayer"] * 2 + ["StateLayer"]
    assert state_layer(cache, 2) is third
    third.keep((), 3)
    assert EncoderDecoderCache(DynamicCache(), cache).is_updated == {0: False, 1: False, 2: True}


def test_it_takes_the_place_of_no_other() -> None:
    cache = DynamicCache()
    x = torch.zeros(1, 1, 2, 1)
    cache.update(x, x, 0)
    with pytest.raises(UserError, match="in which the layer is not replaced"):
        state_layer(cache, 0)
    cache.layers[0] = StaticLayer(max_cache_len=3)
    with pytest.raises(UserError, match="a cache that grows"):
        state_layer(cache, 0)
