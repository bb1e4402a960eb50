"""Learning-rate schedules as pure functions of the step, so that resuming needs no state."""

import math
from typing import Literal, get_args

from attnreplace.errors import UserError

COOLDOWN = 0.3
"""Share of all updates over which a trapezoid falls."""

Schedule = Literal["constant", "inverse_sqrt", "cosine", "trapezoid"]


def check_schedule(name: str) -> None:
    """Refuse an unknown schedule.

    Raises:
        UserError: `name` is not a schedule; lists those that are.
    """
    if name not in get_args(Schedule):
        raise UserError(f"unknown schedule {name!r}; valid: {', '.join(get_args(Schedule))}")


def learning_rate(step: int, *, peak: float, warmup: int, total: int, schedule: str) -> float:
    """The rate of update number `step` (from 0).

    Linear warm-up to `peak` over `warmup` updates; then constant, falling with the inverse square
    root of the step (Noam, Vaswani et al. 2017: `peak = (d_model * warmup) ** -0.5`), along half a
    cosine to zero at `total`, or constant and falling in a line to zero over the last `COOLDOWN`
    (trapezoid).
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "inverse_sqrt":
        return peak * math.sqrt(max(1, warmup) / (step + 1))
    if schedule == "cosine":
        done = (step - warmup) / max(1, total - warmup)
        return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    if schedule == "trapezoid":
        return peak * max(0.0, min(1.0, (total - step) / (COOLDOWN * total)))
    return peak
