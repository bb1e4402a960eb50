"""The rate of a student: what is set, or what the recipe has for its shape."""

import pytest

from attnreplace.distill.config import DistillConfig
from attnreplace.distill.trainee import MODERN_RATE, peak_rate
from attnreplace.students import StudentConfig

MODERN, PAPER = DistillConfig(), DistillConfig(recipe="paper")


def shape(hidden: int, form: str = "sentence", family: str = "shallow_ff") -> StudentConfig:
    return StudentConfig(
        family=family, form=form, positions=50, d_model=128, d_out=128, hidden=hidden
    )


@pytest.mark.parametrize("form", ["sentence", "prefix", "per-query", "paper"])
def test_wider_students_learn_at_lower_rates(form: str) -> None:
    rates = [peak_rate(MODERN, "alr", shape(hidden, form)) for hidden in (1, 50, 800, 3200)]
    # None is higher than what was tried.
    assert rates[0] == rates[1] == 4e-3 and rates[1] > rates[2] > rates[3]


def test_one_example_a_sentence_takes_a_lower_rate_than_one_a_token() -> None:
    sentence, paper, prefix, query = (
        peak_rate(MODERN, "alr", shape(3200, form))
        for form in ("sentence", "paper", "prefix", "per-query")
    )
    assert sentence == paper == pytest.approx(2.5e-4)
    assert prefix == query == pytest.approx(1e-3)


def test_other_families_and_the_paper_have_one_rate_for_all_widths() -> None:
    assert peak_rate(MODERN, "alr", shape(64, family="pairwise")) == MODERN_RATE
    assert peak_rate(PAPER, "alr", shape(3200)) == 1e-4
    assert peak_rate(PAPER, "elr", shape(3200)) == 1e-3


@pytest.mark.parametrize("recipe", ["modern", "paper"])
def test_what_is_set_holds(recipe: str) -> None:
    config = DistillConfig(recipe=recipe, learning_rate=0.5)
    assert peak_rate(config, "alr", shape(3200)) == 0.5
