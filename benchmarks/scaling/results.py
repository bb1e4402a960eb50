"""The records, read: what was measured, what was fitted, what follows for the rest."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from attnreplace.errors import UserError
from attnreplace.rundir import read_json
from benchmarks.scaling.calls import WHATS
from benchmarks.scaling.cost import Counts
from benchmarks.scaling.fit import LEAST, CostFit, Point, PowerLaw, fit_cost, power_law
from benchmarks.scaling.shapes import ATTENTION, FORMS, SYSTEMS, Shape, all_shapes

FILES = {name: f"{name}.json" for name in ("counts", "seconds", "quality")}


@dataclass(frozen=True)
class Cost:
    """Seconds of a call."""

    seconds: float
    measured: bool
    """Or fitted to what was."""


class Results:
    """All records of a folder."""

    def __init__(self, folder: Path) -> None:
        """Read them; without a record of quality there are no students.

        Raises:
            UserError: there is no record of costs.
        """
        self.records: dict[str, Any] = {"quality": {"teachers": {}, "students": {}}}
        for name, file in FILES.items():
            path = folder / file
            if path.is_file():
                self.records[name] = read_json(path, dict)
            elif name not in self.records:
                raise UserError(f"no {path}; run `python -m benchmarks.scaling cost` to make it")
        self.counts: Counts = self.records["counts"]["counts"]

    def size(self, system: str, shape: Shape, figure: str) -> int:
        """Parameters, or bytes to train and to decode."""
        return self.counts[shape.key][system]["size"][figure]

    def cost(self, system: str, shape: Shape, what: str) -> Cost | None:
        """The fastest of the measurements, or else what the fit says; None without a fit."""
        times = self._times(system, shape, what)
        if times:
            return Cost(min(times), True)
        fit = self.fits.get((system, shape.form, what))
        if fit is None:
            return None
        return Cost(fit.predict(**self.counts[shape.key][system][what]), False)

    def ratio(self, system: str, shape: Shape, what: str) -> float | None:
        """The cost in terms of the attention's."""
        own, other = self.cost(system, shape, what), self.cost(ATTENTION, shape, what)
        return own.seconds / other.seconds if own and other else None

    @cached_property
    def fits(self) -> dict[tuple[str, str, str], CostFit]:
        """By system, form and call: to the measured shapes of one hidden layer, where enough."""
        fits = {}
        for key in itertools.product(SYSTEMS, FORMS, WHATS):
            points = [point for _, point in self.points(*key)]
            if len(points) >= LEAST:
                fits[key] = fit_cost(points)
        return fits

    def law(self, system: str, form: str, what: str) -> PowerLaw | None:
        """The same as powers of N and d."""
        points = self.points(system, form, what)
        if len(points) < LEAST:
            return None
        return power_law([(s.positions, s.d_model, point.seconds) for s, point in points])

    def points(self, system: str, form: str, what: str) -> list[tuple[Shape, Point]]:
        """What was measured at one hidden layer."""
        found = []
        for shape in all_shapes():
            times = self._times(system, shape, what)
            if shape.form == form and shape.hidden_layers == 1 and times:
                count = self.counts[shape.key][system][what]
                found.append((shape, Point(**count, seconds=min(times))))
        return found

    def _times(self, system: str, shape: Shape, what: str) -> list[float]:
        seconds = self.records["seconds"]["seconds"].get(shape.key, {})
        return seconds.get(system, {}).get(what, [])

    @cached_property
    def timed(self) -> tuple[int, int]:
        """How many training steps were measured, and of how many."""
        shapes = all_shapes()
        done = sum(bool(self._times(n, s, "train")) for n in SYSTEMS for s in shapes)
        return done, len(SYSTEMS) * len(shapes)

    @cached_property
    def students(self) -> list[dict[str, Any]]:
        """A row a bundle of trained students, with the shape of its cell."""
        rows = []
        for key, cell in self.records["quality"]["students"].items():
            d_model, positions, layers, _, _, *longer_by = key.split()
            about = {
                "d_model": int(d_model[1:]),
                "positions": int(positions[1:]),
                "hidden_layers": int(layers[1:]),
                "longer_by": tuple(longer_by),
            }
            rows += [about | bundle for bundle in cell["bundles"]]
        return rows
