"""Which scorer a run has."""

from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.evaluate.scorers import scorers_for


@pytest.mark.parametrize(
    ("model", "task", "metric", "setting"),
    [
        ("image", "image", None, "accuracy"),
        ("classification", "classification", None, "accuracy"),
        ("classification", "classification", "similarity", "similarity"),
        ("mlm", "mlm", None, "perplexity"),
        ("mlm", "mlm", "similarity", "similarity"),
        ("bare", "mlm", None, "similarity"),
        ("bare", "classification", None, "similarity"),
    ],
)
def test_a_task_has_its_own(
    tiny: SimpleNamespace, model: str, task: str, metric: str | None, setting: str
) -> None:
    (scorer,) = scorers_for(tiny.setup(model, task), metric)
    assert (scorer.setting, scorer.words, scorer.beside) == (setting, setting, "predictions")


@pytest.mark.parametrize(
    ("task", "metric", "message"),
    [
        ("image", "bleu", "the task image have no bleu; use --accuracy$"),
        ("image", "similarity", "the task image have no similarity; use --accuracy$"),
        ("mlm", "accuracy", "the task mlm have no accuracy; use --perplexity or --similarity$"),
        ("classification", "perplexity", "no perplexity; use --accuracy or --similarity$"),
    ],
)
def test_another_metric_is_refused(
    tiny: SimpleNamespace, task: str, metric: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        scorers_for(tiny.setup(task, task), metric)
