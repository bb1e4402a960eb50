import pytest

from attnreplace.errors import UserError
from attnreplace.search.config import SearchConfig


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minimise": "bleu"}, "valid: params, latency, state"),
        ({"kinds": ["static", "fast"]}, "'fast'; valid: static, gated, pairwise, attention"),
        ({"max_drop": -0.1}, "a number from 0 on"),
        ({"max_drop": float("nan")}, "a number from 0 on"),
        # No outcome with it could be read back.
        ({"max_drop": float("inf")}, "a number from 0 on"),
        ({"verify": 0}, "search.verify must be at least 1"),
        ({"sentences": 0}, "search.sentences must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, words):
    with pytest.raises(UserError, match=words):
        SearchConfig(**fields)
