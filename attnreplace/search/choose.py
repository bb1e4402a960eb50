"""The choice itself: a student, or the attention as it was, for every site.

Costs and divergences add up over the sites, so that the cheapest assignment under a bound on the
divergence is a multiple-choice knapsack. All bounds are answered at once by the assignments that no
other one beats in both, found by dynamic programming: those of some sites are the unbeaten ones
among those of one site fewer with each option of the next. Costs are whole numbers, so that there
are no more such assignments than there are different costs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter


@dataclass(frozen=True)
class Option:
    """A student at one site."""

    bundle: str
    cost: int
    """What it costs more than the attention that it replaces."""
    divergence: float
    """Of the model in which it is alone, from the teacher."""


@dataclass(frozen=True)
class Point:
    """An assignment."""

    cost: int
    """The sum over the replaced sites."""
    divergence: float
    """The same: a prediction of the divergence of the model with all of them."""
    chosen: tuple[tuple[str, str], ...] = ()
    """Site and bundle, for the sites that are replaced."""


KEEP = Point(0, 0.0)
"""All attention stays."""


def frontier(options: Mapping[str, Sequence[Option]]) -> list[Point]:
    """The assignments that no other beats in both, the cheapest (and most divergent) first.

    Args:
        options: the students for each site; to keep its attention is always an option.
    """
    points = [KEEP]
    for site, students in options.items():
        # (cost, divergence, where it comes from, which student; -1: none)
        reached = [(p.cost, p.divergence, i, -1) for i, p in enumerate(points)]
        reached += [
            (p.cost + s.cost, p.divergence + s.divergence, i, j)
            for i, p in enumerate(points)
            for j, s in enumerate(students)
        ]
        points = [
            Point(cost, divergence, points[i].chosen + _at(site, students, j))
            for cost, divergence, i, j in _unbeaten(reached)
        ]
    return points


def walk(points: Sequence[Point], within: Callable[[Point], bool], most: int) -> Point:
    """The cheapest point found to be within what is allowed: bisection of the cost.

    The first look is at the cheapest of all; then each one halves the cost that can still be saved,
    as far as what is allowed is lost steadily along the way.

    Args:
        points: as from `frontier`; that all attention stays is allowed without a look.
        within: whether a point is allowed.
        most: how many are looked at, at most.
    """
    # Where students changed nothing that could be measured, they took its place.
    points = points if points[-1] == KEEP else [*points, KEEP]
    fails, passes, look = -1, len(points) - 1, 0
    for _ in range(most):
        if fails + 1 >= passes:
            break
        if within(points[look]):
            passes = look
        else:
            fails = look
        middle = (points[max(fails, 0)].cost + points[passes].cost) / 2
        between = range(fails + 1, passes)
        look = min(between, key=lambda i: abs(points[i].cost - middle), default=look)
    return points[passes]


Reached = tuple[int, float, int, int]


def _unbeaten(reached: list[Reached]) -> list[Reached]:
    kept: list[Reached] = []
    for one in sorted(reached, key=itemgetter(0, 1)):
        if not kept or one[1] < kept[-1][1]:
            kept.append(one)
    return kept


def _at(site: str, students: Sequence[Option], index: int) -> tuple[tuple[str, str], ...]:
    return () if index < 0 else ((site, students[index].bundle),)
