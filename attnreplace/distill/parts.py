"""Finished students on their way into bundles, one file each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from attnreplace.checkpoint import load_state, load_tensors, save_tensors
from attnreplace.distill.trainee import Trainee, TraineeKey
from attnreplace.errors import UserError
from attnreplace.files import discard
from attnreplace.hosts import Site
from attnreplace.locks import lock_file
from attnreplace.splice.bundle import BundleConfig
from attnreplace.students import Student, build_student


class Parts:
    """A folder of students that are trained while others of their bundle are not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def done(self, key: TraineeKey, digest: str) -> bool:
        """Whether the student is there, trained on what `digest` stands for."""
        path = self._path(key)
        try:
            return path.exists() and load_state(path).get("digest") == digest
        except UserError:
            if path.exists():
                raise
            return False  # another job has just put it into its bundle

    @contextmanager
    def claim(self, bundle: BundleConfig) -> Iterator[bool]:
        """Whether a bundle is this job's to assemble, and no other's that runs at the same time."""
        claim = lock_file(self.folder / f"{bundle.name}.claim")
        with ExitStack() as stack:
            try:
                claimed = stack.enter_context(claim)
            except FileNotFoundError:  # done with and cleared away
                claimed = False
            yield claimed

    def save(self, trainee: Trainee, seconds: float, students_in_pass: int) -> None:
        """Keep a student and the figures of its training."""
        state = {
            "digest": trainee.digest,
            "errors": trainee.errors,
            "train_losses": trainee.train_losses,
            "best_epoch": trainee.best_epoch,
            "seconds": seconds,
            "students_in_pass": students_in_pass,
        }
        save_tensors(self._path(trainee.key), trainee.student.state_dict(), state)

    def load(self, bundle: BundleConfig) -> tuple[dict[Site, Student], dict[str, dict[str, Any]]]:
        """All students of a bundle, and the figures of each by site."""
        students, states = {}, {}
        for site, shape in bundle.students.items():
            tensors, states[site] = load_tensors(self._path(TraineeKey(bundle.name, site)))
            with torch.device("meta"):
                student = build_student(shape)
            student.load_state_dict(tensors, assign=True)
            students[Site.parse(site)] = student
        return students, states

    def remove(self, bundle: BundleConfig) -> None:
        """Delete the students of a bundle."""
        for site in bundle.sites:
            discard(self._path(TraineeKey(bundle.name, site)))

    def close(self) -> None:
        """Delete the folder if nothing is in it; when no other job can be writing to it."""
        for claim in self.folder.glob("*.claim"):
            with lock_file(claim):  # one of a job that was killed goes
                pass
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, key: TraineeKey) -> Path:
        return self.folder / f"{key.bundle}.{key.site}.safetensors"


def history(states: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Loss and error by site of every epoch; a student that rested is missing from then on."""
    epochs = max(len(state["errors"]) for state in states.values())
    return [
        {
            "epoch": epoch + 1,
            **{
                name: {
                    site: state[kept][epoch]
                    for site, state in states.items()
                    if epoch < len(state["errors"])
                }
                for name, kept in (("train_loss", "train_losses"), ("relative_mse", "errors"))
            },
        }
        for epoch in range(epochs)
    ]
