import pytest

from attnreplace.errors import UserError
from attnreplace.schedule import check_schedule, learning_rate


def rate(step, schedule, total=100):
    return learning_rate(step, peak=1.0, warmup=10, total=total, schedule=schedule)


@pytest.mark.parametrize("schedule", ["constant", "inverse_sqrt", "cosine", "trapezoid"])
def test_warm_up_rises_in_a_line_to_the_peak(schedule):
    assert [rate(step, schedule) for step in range(10)] == pytest.approx(
        [(step + 1) / 10 for step in range(10)]
    )
    assert rate(10, schedule) == pytest.approx(1.0, rel=0.06)


def test_tails():
    assert rate(99, "constant") == 1.0
    assert rate(39, "inverse_sqrt") == pytest.approx(0.5)
    assert rate(55, "cosine") == pytest.approx(0.5)
    assert [rate(step, "trapezoid") for step in (50, 70, 85, 100)] == pytest.approx(
        [1.0, 1.0, 0.5, 0.0]
    )
    assert rate(100, "cosine") == pytest.approx(0.0, abs=1e-12)


def test_noam_peak_matches_the_formula_of_the_paper():
    d_model, warmup = 128, 4000
    for step in (1, 1000, 4000, 20000):
        noam = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        ours = learning_rate(
            step - 1,
            peak=(d_model * warmup) ** -0.5,
            warmup=warmup,
            total=10**6,
            schedule="inverse_sqrt",
        )
        assert ours == pytest.approx(noam)


def test_unknown_schedule_lists_the_valid_ones():
    with pytest.raises(UserError, match="constant, inverse_sqrt, cosine, trapezoid"):
        check_schedule("linear")
