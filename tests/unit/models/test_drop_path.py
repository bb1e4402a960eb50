import torch

from attnreplace.models.drop_path import DropPath, drop_path_rates


def test_samples_are_dropped_whole_and_the_mean_is_kept():
    torch.manual_seed(0)
    drop = DropPath(0.25)
    out = drop(torch.ones(2000, 2, 3)).flatten(1)
    assert (out == out[:, :1]).all()
    assert set(out.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(out.mean() - 1) < 0.05


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero():
    x = torch.randn(4, 2, 3)
    assert DropPath(0.9).eval()(x) is x
    assert DropPath(0.0)(x) is x


def test_rates_rise_linearly():
    assert drop_path_rates(0.4, 5) == [0.0, 0.1, 0.2, 0.30000000000000004, 0.4]
    assert drop_path_rates(0.4, 1) == [0.0]
