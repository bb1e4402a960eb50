"""Which results stand for the others: the headline's, one a system, the best."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from statistics import fmean
from typing import Any

from attnreplace.report.metrics import MEASURES
from attnreplace.report.result import Result, any_seed


def first_test_set(results: Sequence[Result]) -> str:
    """The test set that headline, figures and samples use: the first by name."""
    return min(result.test_set for result in results)


def join_seeds(results: Iterable[Result]) -> list[Result]:
    """One result for those that differ in their seed only, with their mean scores and errors.

    Args:
        results: in reading order.
    """

    def key(result: Result) -> tuple[Any, ...]:
        return result.pair, result.test_set, result.rank, result.setting

    joined = []
    for _, group in groupby(results, key):
        first, *others = members = list(group)
        if others:
            errors = [result.relative_mse for result in members]
            first = replace(
                first,
                scores={
                    name: replace(score, score=fmean(r.scores[name].score for r in members))
                    for name, score in first.scores.items()
                    if all(name in r.scores for r in members)
                },
                relative_mse={
                    site: fmean(by_site[site] for by_site in errors)
                    for site in first.relative_mse
                    if all(site in by_site for by_site in errors)
                },
            )
        joined.append(first)
    return joined


def headline_beam(results: Iterable[Result]) -> int | None:
    """The beam width that headline, figures and samples use: 5, else the widest; None without."""
    beams = {result.beam for result in results} - {None}
    return 5 if 5 in beams else max(beams, default=None)  # type: ignore[type-var]


def headline_results(results: Sequence[Result]) -> list[Result]:
    """The results on the first test set by the first measure and at the headline beam, in order."""
    test_set = first_test_set(results)
    chosen = [result for result in results if result.test_set == test_set]
    found = {result.measure.name for result in chosen}
    measure = next(name for name in MEASURES if name in found)
    chosen = [result for result in chosen if result.measure.name == measure]
    beam = headline_beam(chosen)
    return [result for result in chosen if result.beam == beam]


def beyond_headline(results: Sequence[Result]) -> list[str]:
    """Short labels of the students that have results, but none among the headline's."""
    shown = {any_seed(result.name) for result in headline_results(results)}
    others = (r for r in of_kind(results, "student") if any_seed(r.name) not in shown)
    return list(dict.fromkeys(result.short_label for result in others))


def of_kind(results: Iterable[Result], kind: str) -> list[Result]:
    """The results of one kind of system."""
    return [result for result in results if result.kind == kind]


def best(results: Sequence[Result]) -> Result | None:
    """The result with the best score; the first of equals."""
    return max(results, key=lambda result: result.measure.sign * result.score, default=None)
