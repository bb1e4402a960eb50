"""Fits to measured seconds and errors, and how far they can be trusted."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = 4
"""Points behind a fit, at least."""
HELD_OUT = 0.25
"""Share of the points, the costliest, that are predicted from the others."""


@dataclass(frozen=True)
class Point:
    """A call that was measured."""

    flops: float
    moved: float
    seconds: float


@dataclass(frozen=True)
class CostFit:
    """seconds = call + operations * flops + bytes * moved, no term negative."""

    call: float
    operation: float
    byte: float

    def predict(self, flops: float, moved: float) -> float:
        """Seconds of a call."""
        return self.call + self.operation * flops + self.byte * moved


def fit_cost(points: Sequence[Point]) -> CostFit:
    """The fit with the smallest squares of relative errors.

    Of three terms every choice is tried, and the best whose factors are all positive is taken:
    that is the solution without negative ones.
    """
    seconds = np.array([point.seconds for point in points])
    terms = np.array([[1.0, point.flops, point.moved] for point in points]) / seconds[:, None]
    scale = np.maximum(terms.max(0), 1e-300)
    best, least = np.zeros(3), float("inf")
    for count in (1, 2, 3):
        for chosen in map(list, itertools.combinations(range(3), count)):
            factors = np.linalg.lstsq(terms[:, chosen] / scale[chosen], np.ones(len(points)))[0]
            left = float(np.square(terms[:, chosen] / scale[chosen] @ factors - 1).sum())
            if (factors > 0).all() and left < least:
                best, least = np.zeros(3), left
                best[chosen] = factors / scale[chosen]
    return CostFit(*map(float, best))


def residual(points: Sequence[Point]) -> float:
    """Median relative error of the fit at its own points."""
    return _median_error(fit_cost(points), points)


def held_out(points: Sequence[Point]) -> float | None:
    """Median relative error at the costliest points, predicted from the others.

    None where too few are left.
    """
    ordered = sorted(points, key=lambda point: point.seconds)
    cut = len(ordered) - max(1, round(HELD_OUT * len(ordered)))
    if cut < LEAST:
        return None
    return _median_error(fit_cost(ordered[:cut]), ordered[cut:])


@dataclass(frozen=True)
class PowerLaw:
    """value = factor * N^length * d^width."""

    length: float
    width: float | None
    """None where all points have the same d."""
    residual: float
    """Median relative error."""

    def __str__(self) -> str:
        width = "" if self.width is None else f" d^{self.width:.2g}"
        return f"N^{self.length:.2g}{width}"


def power_law(points: Sequence[tuple[int, int, float]]) -> PowerLaw:
    """Least squares of the logarithms, of N, d and a value each."""
    logs = np.log(np.array(points, dtype=float))
    varied = 2 if len(np.unique(logs[:, 1])) > 1 else 1
    terms = np.column_stack([np.ones(len(points)), logs[:, :varied]])
    factors = np.linalg.lstsq(terms, logs[:, 2])[0]
    error = float(np.median(np.abs(np.exp(terms @ factors - logs[:, 2]) - 1)))
    return PowerLaw(float(factors[1]), float(factors[2]) if varied == 2 else None, error)


def _median_error(fit: CostFit, points: Sequence[Point]) -> float:
    return statistics.median(abs(fit.predict(p.flops, p.moved) / p.seconds - 1) for p in points)
