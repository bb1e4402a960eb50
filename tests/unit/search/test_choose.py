"""The choice, against a look at every assignment there is."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnreplace.search.choose import KEEP, Option, Point, frontier, walk

# Quarters add up exactly in whatever order.
OPTIONS = st.builds(
    Option,
    st.sampled_from(["one", "two", "three"]),
    st.integers(-6, 6),
    st.integers(0, 12).map(lambda quarters: quarters / 4),
)
SITES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.lists(OPTIONS, max_size=3), max_size=4
)


def every_assignment(sites: dict[str, list[Option]]) -> list[tuple[int, float]]:
    sums = []
    for chosen in itertools.product(*([None, *options] for options in sites.values())):
        students = [one for one in chosen if one is not None]
        sums.append((sum(s.cost for s in students), sum(s.divergence for s in students)))
    return sums


@settings(deadline=None)
@given(SITES)
def test_no_assignment_beats_the_frontier_and_all_unbeaten_are_on_it(sites):
    every = every_assignment(sites)
    unbeaten = {
        one
        for one in every
        if not any(o != one and o[0] <= one[0] and o[1] <= one[1] for o in every)
    }
    found = [(point.cost, point.divergence) for point in frontier(sites)]
    assert set(found) == unbeaten
    assert found == sorted(found)


@settings(deadline=None)
@given(SITES, st.integers(0, 40).map(lambda quarters: quarters / 4))
def test_it_answers_the_knapsack_of_every_bound(sites, bound):
    best = min(cost for cost, divergence in every_assignment(sites) if divergence <= bound)
    assert min(p.cost for p in frontier(sites) if p.divergence <= bound) == best


@settings(deadline=None)
@given(SITES)
def test_points_say_what_they_are_made_of(sites):
    for point in frontier(sites):
        options = {(s, o.bundle, o.cost, o.divergence) for s, own in sites.items() for o in own}
        named = [[o for o in options if o[:2] == pair] for pair in point.chosen]
        assert len({site for site, _ in point.chosen}) == len(point.chosen)
        # A bundle may be there twice in made-up options: some choice of them gives the sums.
        sums = {
            (sum(o[2] for o in chosen), sum(o[3] for o in chosen))
            for chosen in itertools.product(*named)
        }
        assert (point.cost, point.divergence) in sums


def test_what_costs_more_than_attention_is_never_chosen():
    dear = {"a": [Option("big", 10, 0.1)], "b": [Option("same", 0, 0.1)]}
    assert frontier(dear) == [KEEP]


def line(count: int) -> list[Point]:
    return [Point(cost, float(-cost), (("a", str(cost)),)) for cost in range(-count, 0)] + [KEEP]


@pytest.mark.parametrize("allowed", range(-40, 1))
def test_the_walk_finds_the_cheapest_that_is_allowed(allowed):
    looked = []

    def within(point: Point) -> bool:
        looked.append(point)
        return point.cost >= allowed

    assert walk(line(40), within, most=8).cost == allowed
    assert len(set(looked)) == len(looked) <= 7
    assert looked[0].cost == -40


def test_the_walk_stops_in_time_with_what_it_has():
    looked = []

    def within(point: Point) -> bool:
        looked.append(point.cost)
        return point.cost >= -10

    assert walk(line(40), within, most=3).cost == -10
    assert looked == [-40, -20, -10]
    looked.clear()
    assert walk(line(40), within, most=2) == KEEP
    assert walk([KEEP], within, most=5) == KEEP


@pytest.mark.parametrize("allowed", [True, False])
def test_what_was_measured_to_change_nothing_is_looked_at_as_well(allowed):
    points = frontier({"a": [Option("same", -5, 0.0)]})
    looked = []

    def within(point: Point) -> bool:
        looked.append(point)
        return allowed

    assert walk(points, within, most=8) == (points[0] if allowed else KEEP)
    assert looked == points
