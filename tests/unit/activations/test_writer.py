import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from attnreplace.activations.schema import DTYPES, from_storage
from attnreplace.activations.store import ActivationStore
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of


def read_back(store: ActivationStore, split: str, name: str) -> dict[int, torch.Tensor]:
    """Each sentence of a tensor by its line, straight from the index file with h5py."""
    with h5py.File(store.path, "r") as file:
        group = file[split]
        values = from_storage(group[name.replace(".", "/")][:], store.identity.dtype)
        axis = "target_offsets" if name.startswith("decoder") else "offsets"
        offsets, ids = group[axis][:], group["sentence_ids"][:]
    return {
        int(line): values[start:stop]
        for line, start, stop in zip(ids, offsets[:-1], offsets[1:], strict=True)
    }


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_what_was_appended_is_read_back_to_the_bit(samples: Any, dtype: str) -> None:
    store = samples.store(dtype=dtype)
    for split, lengths in samples.lengths.items():
        for name in samples.names:
            found = read_back(store, split, name)
            assert sorted(found) == samples.kept(split)
            for line, values in found.items():
                length = lengths[axis_of(name)][line]
                wanted = samples.sentence(split, line, length, name, dtype)
                assert values.dtype == wanted.dtype
                assert torch.equal(values, wanted)


def test_index_says_what_it_is(samples: Any) -> None:
    store = samples.store(dtype="bfloat16")
    with h5py.File(store.path, "r") as file:
        assert file.attrs["schema"] == "attnreplace.activations/2"
        assert file.attrs["teacher_digest"] == "a" * 64
        assert file.attrs["tokenizer_digest"] == "b" * 64
        assert file.attrs["data_digest"] == "c" * 64
        assert list(file.attrs["sites"]) == ["decoder.self.0", "encoder.self.0"]
        assert file.attrs["max_length"] == 8
        assert json.loads(file.attrs["versions"]) == {"torch": torch.__version__}
        assert file["train"].attrs["dropped"] == 2
        dataset = file["train/encoder/hidden_states/0"]
        assert dataset.dtype == np.uint16
        assert dataset.attrs["dtype"] == "bfloat16"
        assert dataset.shape == (30, 4)
        assert file["train/decoder/self/heads/0"].shape == (31, 5)
        assert file["train/offsets"][-1] == 30
        assert file["train/target_offsets"][-1] == 31


def test_a_moved_store_is_still_whole(samples: Any, tmp_path: Path, monkeypatch: Any) -> None:
    before = read_back(samples.store(), "train", samples.names[0])
    (tmp_path / "elsewhere").mkdir()
    for name in ("activations.h5", "activations"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    monkeypatch.chdir("/")
    moved = ActivationStore.open(tmp_path / "elsewhere" / "activations.h5")
    after = read_back(moved, "train", samples.names[0])
    assert all(torch.equal(before[line], after[line]) for line in before)
    moved.verify()


def test_a_split_may_be_empty(samples: Any) -> None:
    none: dict[str, list[int]] = {"source": [], "target": []}
    store = samples.store(
        lengths={"train": {"source": [2, 3], "target": [1, 4]}, "validation": none}
    )
    assert store.sentences("validation") == store.tokens("validation") == 0
    assert list(store.batches("validation", samples.names, batch_tokens=8, seed=1)) == []
    with h5py.File(store.path, "r") as file:
        assert file["validation/encoder/hidden_states/0"].shape == (0, 4)
        assert file["validation/target_offsets"][:].tolist() == [0]


def test_interrupted_writing_goes_on_after_the_last_whole_shard(samples: Any) -> None:
    with pytest.raises(KeyboardInterrupt), samples.writer() as writer:
        samples.fill(writer, shards=2)
        shard = writer.missing[-1]
        part = samples.rows(shard, slice(0, 1), samples.names[0], "float16")
        assert len(part) < shard.tokens["source"]
        raise KeyboardInterrupt
    assert not samples.path.exists()
    folder = samples.path.with_suffix("")
    assert not list(folder.glob("*.tmp"))
    written = [path.name for path in sorted(folder.glob("shard-*"))]
    assert written == [f"shard-0000{index}.h5" for index in range(len(written))]
    (folder / "shard-00002.h5.tmp").write_bytes(b"left by a kill")
    (folder / "shard-00099.h5").write_bytes(b"of another plan")

    resumed = samples.writer(resume=True)
    kept = {name: (folder / name).stat().st_mtime_ns for name in resumed.manifest.shards}
    with resumed:
        samples.fill(resumed)
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    store = ActivationStore.open(samples.path)
    store.verify()
    assert store.sentences("train") == 9
    assert len(list(folder.glob("shard-*"))) == 4


def test_no_index_before_the_last_shard(samples: Any) -> None:
    with samples.writer() as writer:
        samples.fill(writer, shards=1)
    with pytest.raises(UserError, match=r"unfinished \(1 of 4 shards\); run `attnreplace extract`"):
        ActivationStore.open(samples.path)


def test_a_broken_shard_is_written_again_and_read_in_its_place(samples: Any) -> None:
    before = read_back(samples.store(), "train", samples.names[1])
    os.truncate(samples.path.with_suffix("") / "shard-00000.h5", 100)
    again = samples.writer(resume=True)
    with again:
        assert [shard.file for shard in again.missing] == ["shard-00000.h5"]
        samples.fill(again)
    store = ActivationStore.open(samples.path)
    after = read_back(store, "train", samples.names[1])
    assert all(torch.equal(before[line], after[line]) for line in before)
    ids = store.sentence_ids("train").tolist()
    (batch,) = store.batches("train", samples.names[1:], batch_tokens=99, seed=None)
    parts = batch.tensors[samples.names[1]].split(batch.lengths["source"].tolist())
    for line, part in zip(ids, parts, strict=True):
        assert torch.equal(part, before[line].float())


def test_rows_of_the_wrong_shape_are_a_bug_that_surfaces(samples: Any) -> None:
    writer = samples.writer()
    rows = {name: np.zeros((2, 5), np.float16) for name in samples.names}
    with pytest.raises(ValueError, match=r"encoder.hidden_states.0: float16 \(2, 5\)"), writer:
        writer.append(writer.missing[0], rows)


def test_two_writers_do_not_mix(samples: Any) -> None:
    with samples.writer() as writer:
        with pytest.raises(UserError, match="another process is extracting"), samples.writer():
            pass
        samples.fill(writer)
    ActivationStore.open(samples.path).verify()


def test_full_disk_names_the_path_and_keeps_whole_shards(samples: Any, monkeypatch: Any) -> None:
    real = os.fsync
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with (
        pytest.raises(UserError, match=r"disk of .*activations.h5 is full; free 860 B and run"),
        samples.writer() as writer,
    ):
        samples.fill(writer)
    monkeypatch.undo()
    assert not list(samples.path.with_suffix("").glob("*.tmp"))
    with pytest.raises(UserError, match="1 of 4 shards"):
        ActivationStore.open(samples.path)


FILES_LIMITED_IN_SIZE = """
import resource, sys
from pathlib import Path
import numpy as np
from attnreplace.activations.manifest import Manifest
from attnreplace.activations.plan import plan_shards
from attnreplace.activations.schema import StoreIdentity
from attnreplace.activations.writer import StoreWriter
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of

plan = plan_shards({"train": {"source": [8] * 100}}, 8, 100)
identity = StoreIdentity("a", "b", "c", ("encoder.self.0",), "float16", 8)
rows = {"x": np.ones((400, 16), np.float16), "y": np.ones((400, 16), np.float16)}
for limit in [*range(1000, 62_000, 1500), -1]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
    path = Path(sys.argv[1]) / f"{limit}.h5"
    manifest = Manifest(identity, {"x": 16, "y": 16}, 100, 1, {"train": 0}, {}, "")
    try:
        with StoreWriter(path, manifest, plan) as writer:
            writer.append(plan.shards[0], rows)
            writer.append(plan.shards[0], rows)
        print(limit, "written")
    except UserError as error:
        print(limit, error)
"""


def test_a_failed_write_is_a_clear_error_wherever_it_happens(tmp_path: Path) -> None:
    # Left to itself, HDF5 crashes the process after a failed write, so this runs in one.
    command = [sys.executable, "-c", FILES_LIMITED_IN_SIZE, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    *limited, free = result.stdout.splitlines()
    assert free == "-1 written"
    failed = [line for line in limited if not line.endswith(" written")]
    assert len(failed) > 30
    for line in failed:
        limit, _, message = line.partition(" ")
        assert message.startswith(f"cannot write {tmp_path / limit}.h5 ([Errno 27]"), line
        assert not list((tmp_path / limit).glob("*.tmp"))
        assert not (tmp_path / f"{limit}.h5").exists()
