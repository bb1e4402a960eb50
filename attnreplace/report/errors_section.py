"""The page's relative errors: layer by layer, and what they do not say."""

from collections.abc import Mapping, Sequence

from attnreplace.methods import METHODS
from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.numbers import error
from attnreplace.report.provenance import simple_table
from attnreplace.report.result import Result
from attnreplace.report.selection import best, of_kind
from attnreplace.report.tables import NOTHING

FAR = 0.8
"""Less than this share of a score is far below it."""


def errors_section(
    errors: Mapping[str, Mapping[str, float]], figure: Markup, results: Sequence[Result]
) -> Markup:
    """The figure, the same as a table, and a word on errors that seem to contradict the scores.

    Args:
        errors: by bundle (its label) and site.
        figure: of these.
        results: all results.
    """
    sites = dict.fromkeys(site for row in errors.values() for site in row)
    rows = [
        [label, *(error(row[site]) if site in row else NOTHING for site in sites)]
        for label, row in errors.items()
    ]
    table = simple_table(["System", *sites], rows, "Relative error by layer", texts=1)
    details = tag("details", tag("summary", "The same as a table"), table)
    note = misleading(results)
    return join([figure, tag("p", note, class_="small") if note else None, details])


def misleading(results: Sequence[Result]) -> str:
    """Why a lower relative error goes with a far worse score; empty where it does not.

    A target that holds the sub-layer's input has more variance, and an error of the same share of
    it is also an error in what the residual passes on unharmed beside the other methods' students.
    """
    known = [r for r in of_kind(results, "student") if r.method in METHODS and r.relative_error]
    whole = [result for result in known if METHODS[result.method or ""].residual]
    added = [result for result in known if result not in whole]
    for one in sorted(whole, key=lambda result: result.relative_error or 0):
        other = best([result for result in added if _better_despite_error(result, one)])
        if other is None:
            continue
        text, word = one.measure.text, one.measure.word
        beam = "" if one.beam is None else f" at beam {one.beam}"
        return (
            "Relative errors of different methods cannot be compared, as each is relative to a "
            f"target of its own: {one.label} has {error(one.relative_error or 0)} and "
            f"{text(one.score)} {word}{beam}, {other.label} {error(other.relative_error or 0)} and "
            f"{text(other.score)}, because the target of ALRR and ELR holds the sub-layer's input, "
            "too, and their error falls on it, while the students of ALR and ASLR predict the "
            "attention's heads alone and the residual passes the input on as it is."
        )
    return ""


def _better_despite_error(result: Result, other: Result) -> bool:
    """Whether a result of the same kind has the greater error and by far the better score."""
    low, high = sorted((result.score, other.score))
    return (
        (result.test_set, result.setting, result.scope)
        == (other.test_set, other.setting, other.scope)
        and (result.relative_error or 0) > (other.relative_error or 0)
        and result.measure.sign * (result.score - other.score) > 0
        and low < FAR * high
    )
