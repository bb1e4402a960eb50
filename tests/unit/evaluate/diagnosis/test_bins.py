import torch

from attnreplace.evaluate.diagnosis.bins import Bins, length_bins, position_bins


def test_every_number_is_in_the_bin_that_says_so() -> None:
    for bins in (position_bins(50), length_bins([3, 9, 4, 12, 7, 7, 8, 30])):
        for value in range(1, 51):
            first, last = bins.ranges[bins.of(value)]
            assert first <= value and (last is None or value <= last)
        values = torch.arange(1, 51)
        assert bins.of_all(values).tolist() == [bins.of(value) for value in range(1, 51)]


def test_positions_reach_as_far_as_the_texts() -> None:
    assert position_bins(5).ranges == [(1, 1), (2, 3), (4, 5)]
    assert position_bins(50).ranges[-2:] == [(21, 30), (31, 50)]
    assert position_bins(400).ranges[-1] == (301, 400)


def test_lengths_are_cut_into_quarters() -> None:
    assert length_bins(range(1, 101)).ranges == [(1, 26), (27, 51), (52, 76), (77, None)]


def test_equal_lengths_share_a_bin() -> None:
    assert length_bins([4] * 9) == Bins((), None)
    assert length_bins([4] * 8 + [5]).ranges == [(1, 4), (5, None)]
