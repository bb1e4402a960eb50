"""Whole grids: one command that trains all students, against a process for every student.

Both train alike: the same students, as many updates, as many real tokens in a batch in the mean.
The plain way computes in float32. This program does too, which gives equal results to rounding; in
a row of its own its matrix products are in bfloat16 (`distill.precision`).

A grid takes hours, so it is put together from what was measured: on one layer, for a few updates,
every method and size. The plain way: seconds of each process outside its later updates, plus the
median of these times as many updates as the grid has, times the layers. Ours: seconds of the whole
command for few epochs, and for more; the difference is what an epoch costs; times the layers, its
start and everything else included, which one command for all layers would pay once.
"""

import json
import math
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnreplace.activations.store import ActivationStore
from attnreplace.distill.trainee import PAPER_RATES
from attnreplace.hosts import Group, host_for
from attnreplace.hosts.base import Location
from attnreplace.methods import Method, get_method
from attnreplace.rundir import RunDir
from attnreplace.students import StudentConfig, student_config
from attnreplace.teacher.load import load_teacher
from benchmarks.material import extracted_run
from benchmarks.measure import Row, attnreplace, python, settings
from benchmarks.plain.distillation import Job

UPDATES = 2000
"""Updates of a student in the grid: 21 epochs, as in the paper, of 8000 sentences."""
COMMON = {"recipe": "paper", "checkpoint_minutes": 60}
"""Adam at the same constant rate on the mean squared error."""
PRECISIONS = {"fp32": "float32", "bf16": "products in bfloat16"}


@dataclass(frozen=True)
class Grid:
    """Which students."""

    group: Group
    methods: tuple[str, ...]
    sizes: tuple[str, ...]
    goal: float
    """Smallest ratio that is wanted."""
    updates: int
    """Updates of the plain way that are measured, the first of which counts to the start."""
    precisions: tuple[str, ...] = ("fp32",)
    """Of this program, each a row."""


GRIDS = (
    Grid(
        "encoder",
        ("alr", "aslr", "alrr", "elr"),
        ("xs", "s", "m", "l"),
        goal=5,
        updates=4,
        precisions=("fp32", "bf16"),
    ),
    Grid("decoder", ("alr",), ("xs", "s", "m", "l"), goal=20, updates=3),
)


def run(
    folder: Path,
    grids: Sequence[Grid] = GRIDS,
    rounds: int = 2,
    pairs: int = 1000,
    batch_tokens: int = 2048,
    preset: str = "paper",
    command: Callable[..., float] = attnreplace,
    plain: Callable[[Job], tuple[float, dict[str, list[float]]]] | None = None,
) -> list[Row]:
    """Compare for each grid.

    Args:
        folder: where to work.
        grids: the grids.
        rounds: how often each is measured, both ways in turn.
        pairs: training pairs.
        batch_tokens: real tokens in a batch; the plain way has so many sentences in each that in
            the mean it is as many.
        preset: the teacher's shape.
        command: runs the program; gives the seconds.
        plain: does a job of the plain way; gives the seconds and what was printed.
    """
    rows = []
    for grid in grids:
        run_dir = extracted_run(
            folder / f"grid-{grid.group}-{preset}-{pairs}",
            pairs,
            [grid.group],
            validation=8,
            preset=preset,
        )
        measured = [
            _Round(run_dir, grid, batch_tokens, command, plain or _process).measure()
            for _ in range(rounds)
        ]
        rows += [
            Row(
                benchmark="grid of students",
                case=f"{grid.group}: {', '.join(grid.methods)} x {', '.join(grid.sizes)}, "
                f"{PRECISIONS[precision]}",
                baseline="a process a student, float32",
                ours="one command",
                baseline_values=[one["plain"] for one in measured],
                our_values=[one["ours"][precision]["seconds"] for one in measured],
                goal=grid.goal,
                extra={"put_together": True, "updates": UPDATES, "rounds": measured},
            )
            for precision in grid.precisions
        ]
    return rows


class _Round:
    def __init__(
        self,
        run: RunDir,
        grid: Grid,
        batch_tokens: int,
        command: Callable[..., float],
        plain: Callable[[Job], tuple[float, dict[str, list[float]]]],
    ) -> None:
        self.run, self.grid, self.batch_tokens = run, grid, batch_tokens
        self.command, self.plain = command, plain
        self.teacher, self.store = load_teacher(run.teacher), ActivationStore.open(run.activations)
        sites = host_for(self.teacher.model).sites(self.teacher.model)
        own = sorted(site for site in sites if site.group == grid.group)
        self.site, self.layers = own[0], len(own)
        self.updates_an_epoch = self.store.num_batches("train", batch_tokens=batch_tokens, seed=0)
        self.sentences = math.ceil(self.store.sentences("train") / self.updates_an_epoch)

    def measure(self) -> dict[str, Any]:
        """Seconds of the whole grid both ways, and what they were put together from."""
        plain = {
            f"{method}-{size}": self._plain(get_method(method), size)
            for method in self.grid.methods
            for size in self.grid.sizes
        }
        update = sum(one["update"] for one in plain.values())
        return {
            "plain": self.layers * sum(one["seconds"] for one in plain.values()),
            "ours": {
                precision: self._together(precision, update) for precision in self.grid.precisions
            },
            "measured": {
                "plain_by_student": plain,
                "updates_an_epoch": self.updates_an_epoch,
                "plain_sentences_in_batch": self.sentences,
                "batch_tokens": self.batch_tokens,
                "mean_length": _mean_length(self.store),
                "layers_measured": 1,
                "multiplied_by_layers": self.layers,
            },
        }

    def _plain(self, method: Method, size: str) -> dict[str, float]:
        """One student, on one layer."""
        location = host_for(self.teacher.model).locate(self.teacher.model, self.site)
        student = student_config(method, size, location, self.teacher.max_length)
        with_data = export(self.store, method, location, student, self.run.path / "plain")
        rate = PAPER_RATES.get(method.name, 1e-3)
        job = Job(str(with_data), student, rate, self.sentences, self.grid.updates)
        seconds, figures = self.plain(job)
        later = figures["seconds"][1:]
        update = statistics.median(later)
        start = seconds - sum(later)
        return {
            "start_and_first_update": start,
            "update": update,
            "seconds": start + (UPDATES - 1) * update,
        }

    def _together(self, precision: str, plain_update: float) -> dict[str, Any]:
        """Seconds of the whole grid by this program, in this precision."""
        few, more = 1, 4
        seconds = {epochs: self._ours(epochs, precision) for epochs in (few, more)}
        epoch = (seconds[more] - seconds[few]) / (more - few)
        epochs = UPDATES / self.updates_an_epoch
        return {
            "seconds": self.layers * (seconds[few] + (epochs - few) * epoch),
            # What is left when starts and all that is done once are left out.
            "ratio_of_updates": plain_update * self.updates_an_epoch / epoch,
            "seconds_by_epochs": seconds,
        }

    def _ours(self, epochs: int, precision: str) -> float:
        """All students on one layer, as one command."""
        shutil.rmtree(self.run.students, ignore_errors=True)
        values = {
            "methods": list(self.grid.methods),
            "sizes": list(self.grid.sizes),
            "sites": [self.grid.group],
            "layers": str(self.site.layer),
            "epochs": epochs,
            "batch_tokens": self.batch_tokens,
            "precision": precision,
        }
        options = settings("distill", values | COMMON)
        return self.command("distill", "--run", str(self.run.path), *options)


def export(
    store: ActivationStore, method: Method, location: Location, student: StudentConfig, folder: Path
) -> Path:
    """Write what the plain way reads: padded float32 arrays `(sentences, N, d)`, in random order.

    Args:
        store: where the activations are.
        method: makes input and target of them.
        location: the site.
        student: says how long N is.
        folder: where they go.
    """
    names = {role: location.tensor_names[role] for role in method.roles}
    batches = store.batches("train", sorted(set(names.values())), batch_tokens=2**14, seed=0)
    arrays: dict[str, list[np.ndarray]] = {"x": [], "target": [], "lengths": []}
    for batch in batches:
        padded = {role: batch.padded(name) for role, name in names.items()}
        mask = next(iter(padded.values()))[1]
        with torch.no_grad():
            cut = method.cut(location, {role: values for role, (values, _) in padded.items()})
        for key, values in zip(("x", "target"), cut, strict=True):
            # The cut may move the zeros of the padding.
            held = (values * mask.unsqueeze(-1)).numpy()
            missing = student.positions - held.shape[1]
            arrays[key].append(np.pad(held, ((0, 0), (0, missing), (0, 0))))
        arrays["lengths"].append(mask.sum(1).numpy())
    joined = {key: np.concatenate(parts) for key, parts in arrays.items()}
    order = np.random.default_rng(0).permutation(len(joined["lengths"]))
    folder.mkdir(exist_ok=True)
    for key, array in joined.items():
        np.save(folder / f"{key}.npy", array[order])
    return folder


def _process(job: Job) -> tuple[float, dict[str, list[float]]]:
    seconds, printed = python("benchmarks.plain.distillation", job.to_json())
    return seconds, json.loads(printed)


def _mean_length(store: ActivationStore) -> float:
    return float(store.lengths("train").double().mean())
