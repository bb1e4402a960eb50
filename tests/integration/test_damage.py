"""Damaged files and full disks: named, refused, nothing lost, and the next command goes on."""

import dataclasses
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.schema import shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.rundir import RunDir
from attnreplace.teacher.train import train

from .conftest import DATA, TEACHER, TRAINING, KillAfter, Killed

CONFIG = DistillConfig(
    methods=["alr"], sizes=["xs"], epochs=2, batch_tokens=500, checkpoint_minutes=0
)
GROW = "mount -o remount,size=64m"


def flip(path: Path, position: float) -> None:
    """Change one bit, so far into the file."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 1
    path.write_bytes(data)


def students(run: RunDir) -> dict[str, bytes]:
    """The weights of every bundle."""
    return {
        name: (run.students / name / "model.safetensors").read_bytes() for name in run.bundles()
    }


def one_line(error: pytest.ExceptionInfo[Any]) -> bool:
    return "\n" not in str(error.value)


def test_no_student_learns_from_a_changed_shard(run_copy: RunDir) -> None:
    flip(shard_folder(run_copy.activations) / "shard-00000.h5", 0.5)
    with pytest.raises(UserError, match=r"shard-00000\.h5 is damaged \(the checksum of ") as error:
        distill(run_copy, CONFIG)
    assert one_line(error)
    assert not run_copy.students.exists()


def test_an_index_that_does_not_fit_its_shards_is_found_and_mended(run_copy: RunDir) -> None:
    with h5py.File(run_copy.activations, "r+") as file:
        file["train/offsets"][3] += 1
    for command in (
        lambda: distill(run_copy, CONFIG),
        lambda: ActivationStore.open(run_copy.activations).verify(),
    ):
        with pytest.raises(UserError, match=r"shard-00000\.h5 is damaged \(its lengths are not"):
            command()
    (shard_folder(run_copy.activations) / "shard-00000.h5").unlink()  # as it says
    extract(run_copy, ExtractConfig())
    ActivationStore.open(run_copy.activations).verify()


@pytest.mark.parametrize("text", ["", '{"identity": {"sche', "[]", "{}"])
def test_a_damaged_manifest_is_named_and_replaced_when_asked(run_copy: RunDir, text: str) -> None:
    manifest = shard_folder(run_copy.activations) / "manifest.json"
    manifest.write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json .*attnreplace extract --overwrite") as e:
        extract(run_copy, ExtractConfig())
    assert one_line(e)
    extract(run_copy, ExtractConfig(), overwrite=True)
    ActivationStore.open(run_copy.activations).verify()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_students_with_damaged_weights_are_trained_again(run_copy, damage, notes):
    distill(run_copy, CONFIG)
    whole = students(run_copy)
    weights = run_copy.students / "alr-xs" / "model.safetensors"
    if damage == "changed":
        flip(weights, 0.9)
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-9])
    if damage == "gone":
        weights.unlink()
    distill(run_copy, CONFIG, progress=notes)
    assert any("alr-xs is damaged" in note for note in notes.said)
    assert students(run_copy) == whole


def test_a_changed_checkpoint_is_refused(run_copy: RunDir) -> None:
    with pytest.raises(Killed):
        distill(run_copy, CONFIG, progress=KillAfter(3, "distill"))
    checkpoint = run_copy.path / "distill.checkpoint.safetensors"
    flip(checkpoint, 0.9)
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match=r"checksum is wrong.*delete it to start that stage anew"):
        distill(run_copy, CONFIG)
    assert checkpoint.read_bytes() == before


def test_interrupted_students_that_are_not_asked_for_are_not_lost(
    run_copy: RunDir, tmp_path: Path
) -> None:
    both = dataclasses.replace(CONFIG, methods=["alr", "elr"])
    whole = RunDir(tmp_path / "whole")
    shutil.copytree(run_copy.path, whole.path)
    distill(whole, both)
    with pytest.raises(Killed):
        distill(run_copy, both, progress=KillAfter(3, "distill"))
    checkpoint = run_copy.path / "distill.checkpoint.safetensors"
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match=r"not asked for, as elr-xs/encoder\.self\.0; ask for all"):
        distill(run_copy, CONFIG)
    assert checkpoint.read_bytes() == before
    # More than all of them is no hindrance.
    distill(run_copy, dataclasses.replace(both, methods=["alr", "elr", "aslr"]))
    assert students(whole).items() <= students(run_copy).items()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many kB."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(kilobytes: int) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("a file system can be mounted only as root")
        return folder

    yield mount
    # Lazily: tensors that are still in memory may be mapped from there.
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


def kilobytes(folder: Path) -> int:
    """Room that a folder takes, in pages."""
    return sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*")) + 64


@pytest.mark.parametrize("room", [20, 60, 120])
def test_a_disk_that_distill_fills_up(
    run_copy: RunDir, small_disk: Callable[[int], Path], room: int
) -> None:
    few = dataclasses.replace(CONFIG, methods=["alr", "elr"], max_students=1)
    disk = small_disk(kilobytes(run_copy.path) + room)
    run = RunDir(disk / "run")
    shutil.copytree(run_copy.path, run.path)
    with pytest.raises(UserError, match=r"cannot write .*\(No space left on device\)") as error:
        distill(run, few)
    assert one_line(error)
    assert not [path for path in run.path.rglob("*") if path.suffix in (".tmp", ".lock")]
    subprocess.run([*GROW.split(), str(disk)], check=True)
    ActivationStore.open(run.activations).verify()
    distill(run, few)
    distill(run_copy, few)
    assert students(run) == students(run_copy)


@pytest.mark.parametrize("room", [10, 150])
def test_a_disk_that_train_fills_up(
    extracted: RunDir, small_disk: Callable[[int], Path], room: int
) -> None:
    often = dataclasses.replace(TRAINING, checkpoint_minutes=0)
    disk = small_disk(room)
    run = RunDir(disk / "run")
    with pytest.raises(UserError, match=r"cannot write .*No space left on device.*repeat") as error:
        train(run, DATA, TEACHER, often)
    assert one_line(error)
    assert not list(run.path.glob("*.tmp"))
    subprocess.run([*GROW.split(), str(disk)], check=True)
    train(run, DATA, TEACHER, often)
    weights = "model.safetensors"
    assert (run.teacher / weights).read_bytes() == (extracted.teacher / weights).read_bytes()
