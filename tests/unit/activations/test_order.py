import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnreplace.activations.order import JITTER, Buffer, make_chunks, read_order
from attnreplace.errors import UserError

SHARDS = [40, 40, 23]
LENGTHS = np.random.default_rng(0).integers(1, 20, sum(SHARDS))


def epoch(
    seed: int | None = 1, number: int = 0, buffer: int = 64, tokens: int = 60
) -> list[Buffer]:
    order = read_order(
        LENGTHS, SHARDS, batch_tokens=tokens, buffer_sentences=buffer, seed=seed, epoch=number
    )
    return list(order)


def sentences(buffers: list[Buffer]) -> list[list[int]]:
    """Sentences of each batch, counted from the start of the split."""
    batches = []
    for buffer in buffers:
        held = [
            index
            for chunk in buffer.chunks
            for index in range(chunk.first, chunk.first + chunk.count)
        ]
        batches += [[held[position] for position in batch] for batch in buffer.batches]
    return batches


def test_chunks_do_not_span_shards() -> None:
    chunks = make_chunks([5, 2], 3)
    assert [(c.shard, c.first, c.count) for c in chunks] == [(0, 0, 3), (0, 3, 2), (1, 5, 2)]


@given(
    shards=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    buffer=st.integers(1, 100),
    tokens=st.integers(9, 60),
    seed=st.none() | st.integers(0, 5),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_an_epoch_has_each_sentence_once(
    shards: list[int], buffer: int, tokens: int, seed: int | None, data: st.DataObject
) -> None:
    count = sum(shards)
    values = st.lists(st.integers(1, 9), min_size=count, max_size=count)
    lengths = np.array(data.draw(values))
    order = list(
        read_order(
            lengths, shards, batch_tokens=tokens, buffer_sentences=buffer, seed=seed, epoch=0
        )
    )
    batches = sentences(order)
    assert sorted(index for batch in batches for index in batch) == list(range(count))
    assert all(0 < lengths[batch].sum() <= tokens for batch in batches)
    assert all(sum(c.count for c in b.chunks) <= max(1, buffer) for b in order)


def test_without_a_seed_the_stored_order_is_kept() -> None:
    flat = [index for batch in sentences(epoch(seed=None)) for index in batch]
    assert flat == list(range(len(LENGTHS)))


def test_same_seed_and_epoch_give_the_same_order() -> None:
    assert sentences(epoch(1, 2)) == sentences(epoch(1, 2))


@pytest.mark.parametrize(("seed", "number"), [(2, 0), (1, 1)])
def test_another_seed_or_epoch_gives_another_order(seed: int, number: int) -> None:
    assert sentences(epoch(1, 0)) != sentences(epoch(seed, number))


def test_batches_of_a_buffer_hold_similar_lengths() -> None:
    for batch in sentences(epoch(buffer=len(LENGTHS))):
        neighbours = np.diff(LENGTHS[batch])
        assert neighbours.min(initial=0) > -JITTER
    spans = [np.ptp(LENGTHS[batch]) for batch in sentences(epoch(buffer=len(LENGTHS)))]
    assert np.mean(spans) < np.mean([np.ptp(LENGTHS[batch]) for batch in sentences(epoch(None))])


def test_batches_are_not_in_order_of_length() -> None:
    means = [LENGTHS[batch].mean() for batch in sentences(epoch(buffer=len(LENGTHS)))]
    assert means != sorted(means)


def test_a_sentence_over_the_bound_is_an_error_at_once() -> None:
    longest = LENGTHS.max()
    with pytest.raises(UserError, match=f"longest stored sentence has {longest} tokens"):
        read_order(LENGTHS, SHARDS, batch_tokens=5, buffer_sentences=9, seed=None, epoch=0)
