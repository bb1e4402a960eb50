import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attnreplace.activations.plan import plan_shards


def test_shards_hold_neighbouring_sentences_longest_first() -> None:
    plan = plan_shards(
        {
            "train": {"source": [3, 1, 6, 2, 7], "target": [2, 1, 7, 4, 3]},
            "validation": {"source": [4, 9, 1], "target": [5, 1, 9]},
        },
        8,
        3,
    )
    assert [shard.file for shard in plan.shards] == [f"shard-0000{i}.h5" for i in range(3)]
    assert [shard.split for shard in plan.shards] == ["train", "train", "validation"]
    assert [shard.sentence_ids.tolist() for shard in plan.shards] == [[2, 0, 1], [4, 3], [0]]
    assert [shard.lengths["target"].tolist() for shard in plan.shards] == [[7, 2, 1], [3, 4], [5]]
    assert [shard.tokens for shard in plan.shards] == [
        {"source": 10, "target": 10},
        {"source": 9, "target": 7},
        {"source": 4, "target": 5},
    ]
    assert plan.axes == ("source", "target")
    # One pair is too long on the source's side, the other on the target's.
    assert plan.dropped == {"train": 0, "validation": 2}


def test_a_split_without_sentences_has_no_shards() -> None:
    empty: list[int] = []
    plan = plan_shards({"train": {"source": [1]}, "validation": {"source": empty}}, 8, 3)
    assert plan.splits == ("train", "validation")
    assert plan.of("validation") == []


@given(pairs=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12))), size=st.integers(1, 5))
def test_every_short_pair_is_in_one_shard(pairs: list[tuple[int, int]], size: int) -> None:
    sides = {axis: [pair[i] for pair in pairs] for i, axis in enumerate(("source", "target"))}
    plan = plan_shards({"train": sides}, 8, size)
    ids = [index for shard in plan.shards for index in shard.sentence_ids.tolist()]
    assert sorted(ids) == [index for index, pair in enumerate(pairs) if max(pair) <= 8]
    assert plan.dropped["train"] == len(pairs) - len(ids)
    for shard in plan.shards:
        assert len(shard.sentence_ids) <= size
        for axis, lengths in shard.lengths.items():
            assert np.array_equal(lengths, np.array(sides[axis])[shard.sentence_ids])
