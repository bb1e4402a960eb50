"""Disks that fill up: one line, nothing lost, and the same command goes on when there is room."""

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.schema import shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.distill.team import Team
from attnreplace.errors import UserError
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.evaluate import evaluate
from attnreplace.progress import NullProgress
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir
from attnreplace.teacher.load import load_teacher
from attnreplace.tune import targets
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.targets import with_own_translations
from attnreplace.tune.tune import tune
from attnreplace_cli.main import main

from .conftest import KillAfter, Killed, encoder_data, encoder_run

PAGE = 4096
SHAPE = ("d_model=8", "layers=1", "num_heads=2", "d_ff=8", "vocab_size=265", "max_length=12")
COMMANDS = {
    "train": ["train", "--task", "mlm", "--epochs", "2", *(f"--set=teacher.{f}" for f in SHAPE)],
    "tune": ["tune", "--bundle", "alr-xs", "--epochs", "2"],
    "eval": ["eval", "--set", "evaluate.cost=false"],
    "report": ["report"],
}
MAKES = {
    "train": "teacher/model.safetensors",
    "tune": "tuned/*/model.safetensors",
    "eval": "results/*.json*",
    "report": "report.html",
}
FOLDERS = {"train": "teacher", "tune": "tuned", "eval": "results", "report": "*.png"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A small encoder with all that is made of it; not to be written to."""
    run = encoder_run(tmp_path_factory.mktemp("whole"), "mlm")
    extract(run, ExtractConfig())
    distill(run, DistillConfig(methods=["alr"], sizes=["xs"], epochs=1))
    tune(run, TuneConfig(system="alr-xs", epochs=2))
    evaluate(run, EvalConfig(cost=False))
    write_report(run)
    return run


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a file system can be mounted only as root")
    yield folder
    # Lazily: tensors that are still in memory may be mapped from there.
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True)


def leave(disk: Path, pages: int) -> None:
    """Fill a file system up but for so many pages."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize - pages * PAGE))


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the program; gives its exit code and its errors."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["attnreplace", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
            raise SystemExit(0)
        return int(end.value.code or 0), capsys.readouterr().err

    return call


def found(run: RunDir, stage: str) -> dict[str, Any]:
    """What a stage has made, but for what tells the time and the place."""
    place = str(run.path).encode()
    made = {p.name: p.read_bytes().replace(place, b"run") for p in run.path.glob(MAKES[stage])}
    if stage == "eval":
        return {n: json.loads(data)["scores"] for n, data in made.items() if n.endswith(".json")}
    return made


@pytest.mark.parametrize("stage", COMMANDS)
def test_the_same_command_goes_on_as_room_is_made(
    whole: RunDir, tmp_path: Path, disk: Path, cli: Any, stage: str
) -> None:
    run, expected = RunDir(disk / "run"), whole
    command = [*COMMANDS[stage], "--run", run.path]
    if stage == "train":
        data = encoder_data(tmp_path, "mlm").data_dir
        command, expected = [*command, "--data-dir", data], RunDir(tmp_path / "run")
        assert cli(*command[:-4], "--data-dir", data, "--run", expected.path)[0] == 0
    else:
        made = shutil.ignore_patterns(FOLDERS[stage], "report.html")
        shutil.copytree(whole.path, run.path, ignore=made)
    there = files(run)
    pages, failures, code = 0, 0, 2
    while code:
        leave(disk, pages)
        code, errors = cli(*command)
        assert code in (0, 2)
        if code:
            (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
            assert errors.endswith(f"{line}\n") and "Traceback" not in errors
            assert "No space left on device" in line and "repeat" in line
            assert not [*run.path.rglob("*.tmp"), *run.path.rglob("*.lock")]
            assert there <= files(run), "something is lost"
            if stage == "eval":
                there = files(run)
        pages, failures = max(1, 2 * pages), failures + bool(code)
    assert failures > 1
    assert found(run, stage) == found(expected, stage) != {}


def files(run: RunDir) -> set[tuple[str, int]]:
    """Files with their sizes, but for those that every command may write anew."""
    return {
        (str(path), path.stat().st_size)
        for path in run.path.rglob("*.*")
        if path.is_file() and path.name != "config.toml"
    }


class Filling(NullProgress):
    """Progress during which others fill the disk, but for some pages."""

    def __init__(self, disk: Path, pages: int, after: int) -> None:
        self.disk, self.pages, self.left = disk, pages, after

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator["Filling"]:
        yield self

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        self.left -= 1
        if not self.left:
            # Page by page: the writer takes some meanwhile.
            with (self.disk / "filler").open("wb", buffering=0) as filler:
                with suppress(OSError):
                    while True:
                        filler.write(bytes(PAGE))
                filler.truncate(filler.tell() - self.pages * PAGE)


@pytest.mark.parametrize(("pages", "after"), [(0, 1), (20, 4)])
def test_a_disk_that_others_fill_up_while_extracting(
    extracted: RunDir, tmp_path: Path, disk: Path, cli: Any, pages: int, after: int
) -> None:
    config = ExtractConfig(sites=["all"], shard_sentences=16, batch_tokens=300)
    whole, run = RunDir(tmp_path / "whole"), RunDir(disk / "run")
    for folder in (whole.path, run.path):
        shutil.copytree(extracted.path, folder, ignore=shutil.ignore_patterns("activations*"))
    extract(whole, config)
    wanted = shards(whole)
    with pytest.raises(UserError, match=r"disk of .* is full; free .* finished shards") as error:
        extract(run, config, progress=Filling(disk, pages, after))
    assert "\n" not in str(error.value)
    kept = shards(run)
    assert kept.items() < wanted.items()
    # What does not fit is not begun.
    command = ["extract", "--sites", "all", "--run", run.path]
    code, errors = cli(*command)
    assert code == 2 and "Traceback" not in errors
    assert "free, the activations need" in " ".join(errors.split())
    assert shards(run) == kept and not [*run.path.rglob("*.tmp"), *run.path.rglob("*.lock")]
    (disk / "filler").unlink()
    assert cli(*command)[0] == 0
    assert shards(run) == wanted
    ActivationStore.open(run.activations).verify()


def shards(run: RunDir) -> dict[str, bytes]:
    """All that lies in the folder of the shards and is one."""
    folder = shard_folder(run.activations)
    return {path.name: path.read_bytes() for path in folder.glob("shard-*")}


def test_translations_that_fill_the_disk_are_kept(
    extracted: RunDir, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, corpus = load_teacher(extracted.teacher), extracted.corpus()
    corpus = dataclasses.replace(corpus, train=corpus.train.head(24))
    monkeypatch.setattr(targets, "CHUNK", 8)

    def made(folder: Path, progress: NullProgress) -> list[str]:
        run = RunDir(folder)
        corpus_of_it = with_own_translations(run, teacher, corpus, 1, Team(), progress)
        return corpus_of_it.train.target

    expected = made(disk / "whole", NullProgress())
    with pytest.raises(Killed):
        made(disk, KillAfter(8, "the teacher's"))
    leave(disk, 0)
    with pytest.raises(
        UserError, match=r"cannot write .*\(No space left on device\).*goes on"
    ) as error:
        made(disk, NullProgress())
    assert "\n" not in str(error.value)
    first = disk / "translations.beam1.parts" / "0.jsonl"
    kept, stamp = first.read_text(), first.stat().st_mtime_ns
    (disk / "filler").unlink()
    with pytest.raises(Killed):
        made(disk, KillAfter(24, "the teacher's"))
    assert (first.read_text(), first.stat().st_mtime_ns) == (kept, stamp)
    assert made(disk, NullProgress()) == expected
    name = "translations.beam1.jsonl"
    assert (disk / name).read_bytes() == (disk / "whole" / name).read_bytes()
