"""What the page says of relative errors that seem to contradict the scores."""

from types import SimpleNamespace
from typing import Any

import pytest

from attnreplace.report.errors_section import errors_section, misleading
from attnreplace.report.markup import tag
from attnreplace.report.parsing import parse_records


def students(made: SimpleNamespace, *systems: tuple[str, float, float], **changes: Any) -> Any:
    """Results of (method, relative error, BLEU)."""
    return parse_records(
        made.record(method=method, bleu=bleu, **changes, relative_mse={"encoder.self.0": value})
        for method, value, bleu in systems
    )


def test_a_lower_error_with_a_far_lower_score_is_explained(made: SimpleNamespace) -> None:
    results = students(made, ("alr", 0.469, 83.6), ("aslr", 0.379, 85.4), ("elr", 0.286, 1.2))
    text = misleading(results)
    assert "ELR-M has 0.286 and 1.2 BLEU at beam 5, ASLR-M 0.379 and 85.4, because" in text
    page = errors_section({"ELR-M": {"encoder.self.0": 0.286}}, tag("figure"), results)
    assert tag("p", text, class_="small") in page


@pytest.mark.parametrize(
    "systems",
    [
        (("alr", 0.4, 30.0), ("elr", 0.3, 29.0)),
        (("alr", 0.4, 30.0), ("elr", 0.5, 1.0)),
        (("alr", 0.3, 1.0), ("elr", 0.5, 30.0)),
        (("alr", 0.5, 30.0), ("aslr", 0.3, 1.0)),
        (("elr", 0.3, 1.0),),
    ],
    ids=["near", "in order", "in order, residual ahead", "of one target", "alone"],
)
def test_where_nothing_is_odd_nothing_is_said(made: SimpleNamespace, systems: Any) -> None:
    assert misleading(students(made, *systems)) == ""


def test_only_like_is_compared(made: SimpleNamespace) -> None:
    odd = students(made, ("alr", 0.4, 30.0)), students(made, ("elr", 0.3, 1.0), beam=1)
    assert misleading([*odd[0], *odd[1]]) == ""
    other = students(made, ("elr", 0.3, 1.0), test_set="other")
    assert misleading([*odd[0], *other]) == ""
