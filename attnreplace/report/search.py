"""Searches of a run, read and checked, as the page and the console show them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from attnreplace.report.fields import Fields
from attnreplace.report.metrics import MEASURES, Measure
from attnreplace.report.numbers import count, kilobytes, milliseconds
from attnreplace.rundir import RunDir, read_json
from attnreplace.search.config import MINIMISED
from attnreplace.search.outcome import SCHEMA, outcome_path
from attnreplace.splice.bundle import bundle_digest


@dataclass(frozen=True)
class Minimised:
    """What a search makes small, for people."""

    word: str
    """In a sentence."""
    unit: str
    amount: Callable[[float], str]
    """What is not negative, in this unit."""

    @property
    def heading(self) -> str:
        """Of a column."""
        return ", ".join(filter(None, [self.word[:1].upper() + self.word[1:], self.unit]))

    def text(self, value: float) -> str:
        """With its unit."""
        return f"{self.amount(value)} {self.unit}".rstrip()

    def change(self, value: float) -> str:
        """More or less of it, with its sign."""
        sign = "" if not value else "\N{MINUS SIGN}" if value < 0 else "+"
        return f"{sign}{self.amount(abs(value))}"


def _milliseconds(microseconds: float) -> str:
    return milliseconds(microseconds / 1e6)


COSTS: Mapping[str, Minimised] = {
    "params": Minimised("parameters", "", count),
    "latency": Minimised("latency", "ms", _milliseconds),
    "state": Minimised("state", "kB", kilobytes),
}


@dataclass(frozen=True)
class Assigned:
    """An assignment of students to sites."""

    system: str
    label: str
    replaced: int
    cost: float
    """More than the teacher's."""
    divergence: float
    score: float | None = None
    """None where it was not built."""
    drop: float = 0.0
    within: bool = False


@dataclass(frozen=True)
class Searched:
    """An outcome of `attnreplace search`."""

    minimise: str
    max_drop: float
    measure: Measure
    sentences: int
    sites: int
    teacher_score: float
    teacher_cost: float
    frontier: tuple[tuple[float, float], ...]
    verified: tuple[Assigned, ...]
    """The cheapest first."""
    alone: tuple[Assigned, ...]
    chosen: Assigned | None
    chosen_cost: float | None
    source_tokens: int
    new_tokens: int
    device: str

    @property
    def cost(self) -> Minimised:
        """What was made small."""
        return COSTS[self.minimise]


def load_searches(run: RunDir, teachers: Collection[str] = ()) -> list[Searched]:
    """The searches of a run whose students are still there, one a kind of cost.

    Args:
        run: holds them.
        teachers: digests of the teachers that count; empty: all.

    Raises:
        UserError: a file is broken.
    """
    paths = [path for name in MINIMISED if (path := outcome_path(run, name)).is_file()]
    bundles = run.bundles() if paths else []
    digests = {name: bundle_digest(run.students / name) for name in bundles}
    found = []
    for path in paths:
        value = read_json(path, dict)
        fields = Fields(value, str(path))
        known, teacher = fields.need(dict, "bundles"), fields.may(str, "teacher_digest")
        same = all(digests.get(name) == digest for name, digest in known.items())
        if same and (not teachers or teacher in teachers):
            found.append(parse_search(value, str(path)))
    return found


def parse_search(value: Mapping[str, Any], where: str) -> Searched:
    """An outcome as `search` returns it.

    Raises:
        UserError: of another schema, or broken.
    """
    fields = Fields(value, where)
    fields.need_schema(SCHEMA)
    for name, valid in (("minimise", COSTS), ("metric", MEASURES)):
        if (word := fields.need(str, name)) not in valid:
            raise fields.error(f"{name} {word!r} is none of {', '.join(valid)}")
    verified = [_assigned(one, where) for one in fields.need(list, "verified")]
    chosen = fields.may(dict, "chosen")
    return Searched(
        minimise=fields.need(str, "minimise"),
        max_drop=fields.number("max_drop"),
        measure=MEASURES[fields.need(str, "metric")],
        sentences=fields.need(int, "sentences"),
        sites=fields.need(int, "sites"),
        teacher_score=fields.number("teacher", "score"),
        teacher_cost=fields.number("teacher", "cost"),
        frontier=tuple(_pair(point, where) for point in fields.need(list, "frontier")),
        verified=tuple(sorted(verified, key=lambda one: one.cost)),
        alone=tuple(_assigned(one, where) for one in fields.need(list, "alone")),
        chosen=_assigned(chosen, where) if chosen else None,
        chosen_cost=fields.may_number("chosen_cost"),
        source_tokens=fields.need(int, "source_tokens"),
        new_tokens=fields.need(int, "new_tokens"),
        device=fields.need(str, "device"),
    )


def search_table(search: Searched) -> tuple[list[str], list[list[str]]]:
    """The teacher and what was built, the cheapest last; header and rows."""
    measure, cost = search.measure, search.cost
    name = f"Validation {measure.label}"
    header = ["System", "Replaced", cost.heading, "Divergence", name, "Drop", ""]
    start = [cost.amount(search.teacher_cost), "0", measure.text(search.teacher_score), "", ""]
    rows = [["teacher", f"0 of {search.sites}", *start]]
    for one in reversed(search.verified):
        assert one.score is not None
        word = "allowed" if one.within else "too much"
        chosen = search.chosen is not None and one.system == search.chosen.system
        rows.append(
            [
                one.system,
                f"{one.replaced} of {search.sites}",
                cost.change(one.cost),
                f"{one.divergence:.4f}",
                measure.text(one.score),
                f"{one.drop:.2f}",
                "chosen" if chosen else word,
            ]
        )
    return header, rows


def search_sentence(search: Searched) -> str:
    """What came out, in a sentence."""
    measure, cost, chosen = search.measure, search.cost, search.chosen
    points = f"{search.max_drop:g} points of validation {measure.word}"
    if not search.verified:
        return f"No student is cheaper in {cost.word} than the attention that it would replace."
    if chosen is None:
        least = min(one.drop for one in search.verified)
        return (
            f"Nothing cheaper than the teacher in {cost.word} was found to lose at most {points}; "
            f"the least that was lost is {least:.2f}."
        )
    assert chosen.score is not None and search.chosen_cost is not None
    before, after = cost.text(search.teacher_cost), cost.text(search.chosen_cost)
    return (
        f"The cheapest in {cost.word} that was found to lose at most {points}: attention replaced "
        f"at {chosen.replaced} of {search.sites} sites, {cost.word} of the whole model {before} → "
        f"{after}, {measure.word} {measure.text(search.teacher_score)} → "
        f"{measure.text(chosen.score)}."
    )


def _pair(point: Any, where: str) -> tuple[float, float]:
    values = point if isinstance(point, list | tuple) else []
    fields = Fields(dict(zip(("cost", "divergence"), values, strict=False)), where)
    return fields.number("cost"), fields.number("divergence")


def _assigned(value: Any, where: str) -> Assigned:
    fields = Fields(value, where)
    return Assigned(
        system=fields.need(str, "system"),
        label=fields.may(str, "label") or fields.need(str, "system"),
        replaced=fields.need(int, "replaced"),
        cost=fields.number("cost"),
        divergence=fields.number("divergence"),
        score=fields.may_number("score"),
        drop=fields.may_number("drop") or 0.0,
        within=fields.may(bool, "within") or False,
    )
