"""Which pairs of a corpus the teacher reads."""

import pytest

from attnreplace.activations.inputs import plan_corpus
from attnreplace.errors import UserError


@pytest.mark.parametrize("empty", ["train", "validation"])
@pytest.mark.parametrize("lengths", [[], [(3, 9), (9, 3)]])
def test_a_split_without_a_short_pair_is_refused(
    empty: str, lengths: list[tuple[int, int]]
) -> None:
    pairs = {"train": [(5, 5)], "validation": [(5, 4)]}
    ids = {
        split: {
            axis: [[1] * pair[side] for pair in (lengths if split == empty else held)]
            for side, axis in enumerate(("source", "target"))
        }
        for split, held in pairs.items()
    }
    with pytest.raises(UserError, match=f"no pair of the split {empty} has at most 5 tokens"):
        plan_corpus(ids, 5, 10)
