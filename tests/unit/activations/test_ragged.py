import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnreplace.activations.ragged import (
    ActivationBatch,
    Padding,
    length_mask,
    pack,
    real_rows,
)


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12), d=st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_pack_is_the_inverse_of_pad(lengths: list[int], d: int) -> None:
    counts = torch.tensor(lengths)
    values = torch.randn(sum(lengths), d)
    padding = Padding(counts)
    padded, mask = padding.pad(values), padding.mask
    assert padded.shape == (len(lengths), max(lengths), d)
    assert mask.sum(dim=1).tolist() == lengths
    assert torch.equal(pack(padded, real_rows(mask)), values)
    assert not padded[~mask].any()
    for row, part in zip(padded, values.split(lengths), strict=True):
        assert torch.equal(row[: len(part)], part)


def test_mask_is_true_at_the_left() -> None:
    assert length_mask(torch.tensor([1, 3])).tolist() == [[True, False, False], [True] * 3]


def test_no_rows_to_choose_when_nothing_is_padded() -> None:
    assert real_rows(torch.ones(2, 3, dtype=torch.bool)) is None


def test_batch_pads_one_tensor_by_name_along_its_own_axis() -> None:
    lengths = {"source": torch.tensor([2, 1]), "target": torch.tensor([1, 1])}
    rows = torch.arange(6.0).view(3, 2)
    batch = ActivationBatch(lengths, {"encoder.x": rows, "decoder.x": rows[:2]})
    values, mask = batch.padded("encoder.x")
    assert values.tolist() == [[[0, 1], [2, 3]], [[4, 5], [0, 0]]]
    assert mask.tolist() == [[True, True], [True, False]]
    values, mask = batch.padded("decoder.x")
    assert values.tolist() == [[[0, 1]], [[2, 3]]]
    assert mask.tolist() == [[True], [True]]
