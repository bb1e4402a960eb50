import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attnreplace.activations.plan import plan_shards


def test_shards_hold_neighbouring_sentences_longest_first() -> None:
    plan = plan_shards({"train": [3, 1, 7, 2, 7], "validation": [4, 9]}, 8, 3)
    assert [shard.file for shard in plan.shards] == [f"shard-0000{i}.h5" for i in range(3)]
    assert [shard.split for shard in plan.shards] == ["train", "train", "validation"]
    assert [shard.sentence_ids.tolist() for shard in plan.shards] == [[2, 0, 1], [4, 3], [0]]
    assert [shard.tokens for shard in plan.shards] == [11, 9, 4]
    assert plan.dropped == {"train": 0, "validation": 1}


def test_a_split_without_sentences_has_no_shards() -> None:
    plan = plan_shards({"train": [1], "validation": []}, 8, 3)
    assert plan.splits == ("train", "validation")
    assert plan.of("validation") == []


@given(lengths=st.lists(st.integers(1, 12)), size=st.integers(1, 5))
def test_every_short_sentence_is_in_one_shard(lengths: list[int], size: int) -> None:
    plan = plan_shards({"train": lengths}, 8, size)
    ids = [index for shard in plan.shards for index in shard.sentence_ids.tolist()]
    assert sorted(ids) == [index for index, length in enumerate(lengths) if length <= 8]
    assert plan.dropped["train"] == len(lengths) - len(ids)
    for shard in plan.shards:
        assert len(shard.lengths) <= size
        assert np.array_equal(shard.lengths, np.array(lengths)[shard.sentence_ids])
