"""Fair comparisons: two ways of doing the same work, timed in turn, as ratios with their spread."""

import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from attnreplace.versions import versions

MIN_PAIRS = 3
"""Pairs of timings behind every ratio, at least."""


@dataclass(frozen=True)
class Row:
    """One comparison."""

    benchmark: str
    case: str
    """What was varied, as "m" or "batch 64, length 25"."""
    baseline: str
    """The plain way, in words."""
    ours: str
    """This project's way, in words."""
    baseline_values: list[float]
    our_values: list[float]
    """Measurements, taken in turn: the n-th of one was taken beside the n-th of the other."""
    unit: str = "s"
    """"s" for seconds, "B" for bytes."""
    goal: float | None = None
    """Smallest ratio of the baseline to ours that is wanted."""
    at_most: float | None = None
    """Or the largest ratio of ours to the baseline: what something may cost beside something else.
    `ratios` are then this way round."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Other figures: bytes, parameters, differences."""

    @property
    def ratios(self) -> list[float]:
        """Of each pair of measurements, in rising order."""
        pairs = zip(self.baseline_values, self.our_values, strict=True)
        if self.at_most is not None:
            return sorted(ours / baseline for baseline, ours in pairs)
        return sorted(baseline / ours for baseline, ours in pairs)

    @property
    def ratio(self) -> float:
        """The median of `ratios`."""
        return statistics.median(self.ratios)

    @property
    def wanted(self) -> str:
        """The goal in words; empty where there is none."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}"
        return "" if self.goal is None else f"at least {self.goal:g}"

    @property
    def reached(self) -> bool | None:
        """Whether the median is as wanted; None where there is no goal."""
        if self.at_most is not None:
            return self.ratio <= self.at_most
        return None if self.goal is None else self.ratio >= self.goal

    def to_json(self) -> dict[str, Any]:
        """Plain values for a record."""
        return {
            "benchmark": self.benchmark,
            "case": self.case,
            "baseline": self.baseline,
            "ours": self.ours,
            "ratio": {"median": self.ratio, "min": self.ratios[0], "max": self.ratios[-1]},
            "goal": self.goal,
            "at_most": self.at_most,
            "reached": self.reached,
            "unit": self.unit,
            "baseline_values": self.baseline_values,
            "our_values": self.our_values,
            "extra": self.extra,
        }


def in_turn(
    baseline: Callable[[], object],
    ours: Callable[[], object],
    *,
    seconds: float,
    most: int = 15,
    before: Callable[[], object] = lambda: None,
) -> tuple[list[float], list[float]]:
    """Time both again and again, one after the other, so that both see the same machine.

    Args:
        baseline: the plain way, called once before the clock runs.
        ours: likewise.
        seconds: time to spend on the pairs, about; `MIN_PAIRS` are taken whatever they cost.
        most: pairs at most.
        before: done before each call of either, off the clock.

    Returns:
        Seconds of every call of `baseline`, and of `ours`.
    """
    calls = {"baseline": baseline, "ours": ours}
    taken = all_in_turn(calls, seconds=seconds, most=most, before=before)
    return taken["baseline"], taken["ours"]


def all_in_turn(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    most: int = 15,
    before: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.perf_counter,
    shuffled: bool = False,
) -> dict[str, list[float]]:
    """Time any number of calls in rounds, one after the other.

    Args:
        calls: each called once before the clock runs.
        seconds: time to spend, about; `MIN_PAIRS` rounds are taken whatever they cost.
        most: rounds at most.
        before: done before each call, off the clock.
        clock: gives seconds; `time.process_time` where others use the machine too.
        shuffled: in another order each round, always the same ones. What went before leaves the
            caches and the heap as the next call finds them, which can double a short one.

    Returns:
        Seconds of every call, by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    order, draw = list(calls), random.Random(0)
    for call in calls.values():
        before()
        call()
    gc.collect()
    until, rounds = clock() + seconds, 0
    while rounds < MIN_PAIRS or (rounds < most and clock() < until):
        if shuffled:
            draw.shuffle(order)
        for name in order:
            before()
            taken[name].append(timed(calls[name], clock))
        rounds += 1
    return taken


def timed(call: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that a call takes."""
    synchronize()
    start = clock()
    call()
    synchronize()
    return clock() - start


def python(*arguments: str | os.PathLike[str]) -> tuple[float, str]:
    """Run `python -m` in a process of its own, with as many threads as this one.

    Returns:
        Seconds, the start included, and what it printed.

    Raises:
        RuntimeError: it failed; the message is what it wrote last.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, env=environment
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr[-2000:]}")
    return seconds, done.stdout


def attnreplace(command: str, *arguments: str | os.PathLike[str]) -> float:
    """Seconds of a command of the program, its start included."""
    return python("attnreplace_cli.main", command, *arguments)[0]


def settings(section: str, values: dict[str, Any]) -> list[str]:
    """Settings of a stage as options of the command line: JSON's plain values are TOML's."""
    pairs = (f"{section}.{key}={json.dumps(value)}" for key, value in values.items())
    return [part for pair in pairs for part in ("--set", pair)]


def synchronize() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
