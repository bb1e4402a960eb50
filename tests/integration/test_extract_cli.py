"""`extract` and `inspect --verify` as a user runs them, on disks and stores that are not well."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.schema import manifest_path, shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.config import RunConfig
from attnreplace.rundir import RunDir
from attnreplace_cli.main import main

from .conftest import DATA


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the program; gives its exit code, output and errors with the line breaks taken out."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["attnreplace", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
            raise SystemExit(0)
        shown = capsys.readouterr()
        return int(end.value.code or 0), " ".join(shown.out.split()), " ".join(shown.err.split())

    return call


def refused(result: tuple[int, str, str], *parts: str) -> None:
    code, _, error = result
    assert code == 2
    assert "Traceback" not in error
    for part in parts:
        assert part in error, error


def contents(run: RunDir) -> dict[str, bytes]:
    """The bytes of every shard."""
    folder = shard_folder(run.activations)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard-*"))}


def test_a_whole_store_is_verified(extracted: RunDir, cli: Any) -> None:
    code, out, _ = cli("inspect", extracted.activations, "--verify")
    assert code == 0
    assert "checksums: all correct" in out


def test_a_changed_byte_is_found_and_mended(run_copy: RunDir, cli: Any) -> None:
    before = contents(run_copy)
    path = shard_folder(run_copy.activations) / "shard-00000.h5"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    verified = cli("inspect", run_copy.activations, "--verify")
    remedy = f"`attnreplace extract --run {run_copy.path}`"
    refused(verified, "shard-00000.h5 is damaged (the checksum of ", remedy)
    path.unlink()  # as it says
    assert cli("extract", "--run", run_copy.path)[0] == 0
    assert contents(run_copy) == before
    assert cli("inspect", run_copy.activations, "--verify")[0] == 0


def test_a_truncated_shard_is_named_and_written_again(run_copy: RunDir, cli: Any) -> None:
    before = contents(run_copy)
    path = shard_folder(run_copy.activations) / "shard-00000.h5"
    os.truncate(path, 5000)
    for command in (
        ("inspect", run_copy.activations, "--verify"),
        ("distill", "--method", "alr", "--size", "xs", "--run", run_copy.path),
    ):
        refused(cli(*command), "shard-00000.h5 is damaged", "attnreplace extract")
    shown = " ".join(cli("inspect", run_copy.path)[1].split())
    for command in ("extract", "distill", "eval"):
        assert f"attnreplace {command} --run" in shown
    assert cli("extract", "--run", run_copy.path)[0] == 0
    assert contents(run_copy) == before


@pytest.mark.parametrize("name", ["teacher_digest", "tokenizer_digest", "data_digest"])
def test_a_store_of_something_else_is_refused_and_left_alone(
    run_copy: RunDir, cli: Any, name: str
) -> None:
    path = manifest_path(run_copy.activations)
    manifest = json.loads(path.read_text())
    wanted = manifest["identity"][name]
    manifest["identity"][name] = "f" * 64
    path.write_text(json.dumps(manifest))
    before = contents(run_copy)
    inspected = cli("inspect", run_copy.path)[1]
    assert ("activations of another teacher" in inspected) == (name == "teacher_digest")
    message = f"{name} {'f' * 12} in the store, {wanted[:12]} wanted"
    refused(cli("extract", "--run", run_copy.path), message, "--overwrite")
    if name != "data_digest":
        arguments = ("--method", "alr", "--size", "xs", "--run", run_copy.path)
        refused(cli("distill", *arguments), message, "--overwrite")
    assert contents(run_copy) == before


def test_a_store_of_another_type_is_refused_and_left_alone(run_copy: RunDir, cli: Any) -> None:
    before = contents(run_copy)
    message = "dtype float16 in the store, bfloat16 wanted"
    refused(cli("extract", "--dtype", "bfloat16", "--run", run_copy.path), message, "--overwrite")
    assert contents(run_copy) == before


def test_a_disk_that_fills_up_loses_nothing(extracted: RunDir, tmp_path: Path, cli: Any) -> None:
    # A limit on the size of files stands for the disk; the last shard is the only larger one.
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    RunConfig(data=DATA, extract=ExtractConfig(shard_sentences=16)).save(run.config_path)
    run.teacher.symlink_to(extracted.teacher)
    whole = RunDir(tmp_path / "whole")
    shutil.copytree(run.path, whole.path, symlinks=True)
    extract(whole, ExtractConfig(shard_sentences=16))
    wanted = contents(whole)
    sizes = [len(data) for data in wanted.values()]
    limit = sorted(sizes)[len(sizes) // 2]
    failing = next(index for index, size in enumerate(sizes) if size > limit)
    done = subprocess.run(
        [sys.executable, "-m", "attnreplace_cli.main", "extract", "--run", str(run.path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    refused(
        (done.returncode, "", " ".join(done.stderr.split())),
        f"cannot write {run.activations}",
        "finished shards are kept",
    )
    kept = contents(run)
    assert list(kept) == list(wanted)[:failing]
    refused(
        cli("inspect", run.activations, "--verify"),
        f"unfinished ({failing} of {len(wanted)} shards)",
        "attnreplace extract",
    )
    assert cli("extract", "--run", run.path)[0] == 0
    assert contents(run) == wanted
    ActivationStore.open(run.activations).verify()
