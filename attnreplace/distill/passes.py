"""Which students train side by side, and why not all of them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from attnreplace.students import StudentConfig, student_class

K = TypeVar("K")

BYTES_PER_PARAMETER = 24
"""Weight, gradient, two moments, best weights, and room for a temporary copy; float32."""
BYTES_WITHOUT_GRADIENT = 16
"""Weight, two moments and best weights: 15.9 were measured."""
MEMORY_SHARE = 0.6
"""Of the free memory, what students in training may fill."""


@dataclass(frozen=True)
class Passes(Generic[K]):
    """A plan: every group of students is one reading of the activations."""

    groups: list[list[K]]
    parameters: int
    """Of all students."""
    size: int
    """Bytes that all of them take."""
    room: float
    """Bytes that students in training may fill."""
    reason: str
    """Why there is more than one group; empty where there is only one."""

    def __str__(self) -> str:
        students = sum(map(len, self.groups))
        passes = f"{len(self.groups)} passes, {self.reason}" if self.reason else "1 pass"
        return (
            f"{students} student{'s' * (students != 1)} to train, {self.parameters:,} parameters, "
            f"{gibibytes(self.size)} of "
            f"{gibibytes(self.room)} that may be used: {passes}"
        )


def plan_passes(
    parameters: Mapping[K, int],
    free: float,
    *,
    most: int | None = None,
    interrupted: Collection[K] = (),
    each: Callable[[K], int] = lambda key: BYTES_PER_PARAMETER,
) -> Passes[K]:
    """Fill one pass after the other, in the order given.

    Args:
        parameters: of every student.
        free: bytes of free memory.
        most: students in a pass; None is no bound.
        interrupted: students of a pass that has begun. They come first, and nobody joins them:
            they stand somewhere in an epoch.
        each: bytes that a parameter of a student takes.
    """
    room = free * MEMORY_SHARE
    first = [key for key in parameters if key in interrupted]
    groups = [first] if first else []
    filled, fresh, reasons = 0.0, True, set()
    if first and len(first) < len(parameters):
        reasons.add("one is taken up where it was interrupted")
    for key, count in parameters.items():
        if key in interrupted:
            continue
        size = count * each(key)
        many = most is not None and not fresh and len(groups[-1]) >= most
        if fresh or many or filled + size > room:
            if not fresh:
                reasons.add("for max_students" if many else "for the memory")
            groups.append([])
            filled, fresh = 0.0, False
        groups[-1].append(key)
        filled += size
    reason = " and ".join(sorted(reasons))
    size = sum(count * each(key) for key, count in parameters.items())
    return Passes(groups, sum(parameters.values()), size, room, reason)


def bytes_per_parameter(config: StudentConfig, within: bool) -> int:
    """What a parameter of a student takes while it is trained.

    Args:
        config: the student.
        within: whether it is updated within the backward pass: on a CPU, by a process that shares
            its batches with no other.
    """
    free = within and student_class(config).frees_gradients
    return BYTES_WITHOUT_GRADIENT if free else BYTES_PER_PARAMETER


def gibibytes(count: float) -> str:
    """A number of bytes for a person."""
    return f"{count / 2**30:.2f} GiB"
