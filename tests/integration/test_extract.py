"""Extraction over a run directory with a real teacher, killed and resumed for real."""

import dataclasses
import multiprocessing
import os
import random
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from transformers import PreTrainedModel

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.manifest import Manifest
from attnreplace.activations.schema import manifest_path, shard_folder
from attnreplace.activations.sites import choose_sites, name_sites
from attnreplace.activations.store import ActivationStore
from attnreplace.config import RunConfig
from attnreplace.data.corpora import DataConfig
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError
from attnreplace.hosts import axis_of
from attnreplace.progress import NullProgress, Task
from attnreplace.rundir import RunDir, write_json
from attnreplace.teacher.build import TeacherConfig, build_teacher
from attnreplace.teacher.load import load_teacher

LAYERS, WIDTH, LIMIT = 2, 16, 7
TRAIN, VALIDATION = 150, 10
CONFIG = ExtractConfig(sites=["all"], batch_tokens=64, shard_sentences=16)
ENCODER = dataclasses.replace(CONFIG, sites=["encoder"])


class Log(NullProgress):
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.total: int | None = None
        self.done = self.resumed = 0

    def note(self, message: str) -> None:
        self.notes.append(message)

    @contextmanager
    def task(self, description: str, total: int | None, done: int = 0) -> Iterator[Task]:
        self.total, self.done, self.resumed = total, done, done
        log = self

        class Entry:
            def advance(self, steps: int = 1, **figures: float | str) -> None:
                log.done += steps

        yield Entry()


def make_teacher(run: RunDir, texts: list[str], norm: str = "pre", seed: int = 0) -> None:
    shape = TeacherConfig(
        norm=norm,
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        num_heads=2,
        d_ff=32,
        max_length=LIMIT,
    )
    tokenizer = train_tokenizer(texts, 300)
    torch.manual_seed(seed)
    shutil.rmtree(run.teacher, ignore_errors=True)
    build_teacher(shape, tokenizer).save_pretrained(run.teacher)
    tokenizer.save_pretrained(run.teacher)
    write_json(run.teacher / "training.json", {"config": {"teacher": dataclasses.asdict(shape)}})


def make_run(path: Path, norm: str = "pre") -> RunDir:
    words = random.Random(0)
    vocabulary = ["der", "Hund", "sieht", "eine", "Katze", "und", "läuft", "Haus"]
    data = path / "data"
    data.mkdir(parents=True)
    texts = []
    for name, count in (("train", TRAIN), ("validation", VALIDATION)):
        for language in ("de", "en"):
            lines = [
                " ".join(words.choices(vocabulary, k=words.randint(1, 8))) for _ in range(count)
            ]
            texts += lines
            (data / f"{name}.{language}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = RunDir(path / "run")
    RunConfig(data=DataConfig(data_dir=str(data))).save(run.config_path)
    make_teacher(run, texts, norm)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run whose store is finished; tests that change it take a copy."""
    run = make_run(tmp_path_factory.mktemp("finished"))
    extract(run, CONFIG)
    return run


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return make_run(tmp_path)


def copy(run: RunDir, to: Path) -> RunDir:
    shutil.copytree(run.path, to / "copy")
    return RunDir(to / "copy")


def contents(store: ActivationStore) -> dict[str, bytes]:
    """Every dataset of the index file and of every shard, as bytes."""
    found: dict[str, bytes] = {}
    for path in (store.path, *sorted(shard_folder(store.path).glob("shard-*"))):

        def keep(name: str, item: h5py.Group | h5py.Dataset, path: Path = path) -> None:
            if isinstance(item, h5py.Dataset):
                found[f"{path.name}/{name}"] = item[:].tobytes()

        with h5py.File(path, "r") as file:
            file.visititems(keep)
    return found


def plain_pass(model: PreTrainedModel, source: str, target: str, tokenizer: Any) -> dict[str, Any]:
    """What a forward pass on one pair computes, alone and without padding, by store name."""
    found: dict[str, Any] = {}
    handles = []

    def watch(module: torch.nn.Module, name: str) -> None:
        def keep(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            found[name] = args[0] if args else kwargs["hidden_states"]

        handles.append(module.register_forward_pre_hook(keep, with_kwargs=True))

    norm_first = model.config.model_type == "m2m_100"
    for index, layer in enumerate(model.get_encoder().layers):
        watch(layer.self_attn.out_proj, f"encoder.self.heads.{index}")
        watch(layer, f"encoder.hidden_states.{index}")
    for index, layer in enumerate(model.get_decoder().layers):
        watch(layer, f"decoder.hidden_states.{index}")
        watch(layer.self_attn.out_proj, f"decoder.self.heads.{index}")
        stream = layer.encoder_attn_layer_norm if norm_first else layer.encoder_attn
        watch(stream, f"decoder.cross.hidden_states.{index}")
        watch(layer.encoder_attn.out_proj, f"decoder.cross.heads.{index}")
    last = f"encoder.hidden_states.{LAYERS}"
    if norm_first:
        watch(model.get_encoder().layer_norm, last)
    ids, labels = (torch.tensor([tokenizer(text)["input_ids"]]) for text in (source, target))
    start = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.no_grad():
        output = model(input_ids=ids, decoder_input_ids=torch.cat([start, labels[:, :-1]], dim=1))
    for handle in handles:
        handle.remove()
    found["encoder.memory" if norm_first else last] = output.encoder_last_hidden_state
    return {name: values[0] for name, values in found.items()}


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_store_holds_what_the_teacher_computes(tmp_path: Path, norm: str) -> None:
    run = make_run(tmp_path, norm)
    store = extract(run, CONFIG)
    store.verify()
    teacher, corpus = load_teacher(run.teacher), run.corpus()
    for split, pairs in (("train", corpus.train), ("validation", corpus.validation)):
        lines = store.sentence_ids(split).tolist()
        (batch,) = store.batches(split, store.names, batch_tokens=10**6, seed=None)
        assert batch.lengths["source"].tolist() != batch.lengths["target"].tolist()
        parts = {
            name: rows.split(batch.lengths[axis_of(name)].tolist())
            for name, rows in batch.tensors.items()
        }
        for position, line in enumerate(lines):
            texts = pairs.source[line], pairs.target[line]
            wanted = plain_pass(teacher.model, *texts, teacher.tokenizer)
            assert sorted(parts) == sorted(wanted)
            for name, rows in parts.items():
                # As many rows as the pair has tokens on that side, so that no padding is in them.
                torch.testing.assert_close(rows[position], wanted[name], rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_every_tensor_is_stored_once(tmp_path: Path, norm: str) -> None:
    run = make_run(tmp_path, norm)
    log = Log()
    store = extract(run, CONFIG, progress=log)
    source, target = (
        sum(store.tokens(split, axis) for split in store.splits) for axis in ("source", "target")
    )
    # The stream into each encoder layer and out of the last, the heads; a final norm makes the
    # memory a tensor of its own. In the decoder two streams and two heads a layer.
    of_encoder = LAYERS + 1 + LAYERS + (norm == "pre")
    unique = (of_encoder * source + 4 * LAYERS * target) * WIDTH * 2
    assert store.nbytes == unique
    assert log.notes[0].endswith(f"{unique / 1000:.3g} kB to write")
    held = 0
    for path in sorted(shard_folder(store.path).glob("shard-*")):
        with h5py.File(path, "r") as file:
            datasets = [file[name.replace(".", "/")] for name in store.names]
            held += sum(dataset.id.get_storage_size() for dataset in datasets)
            values = [dataset[:].tobytes() for dataset in datasets]
            assert len(set(values)) == len(values)
    assert held == unique


def test_an_encoder_is_stored_alike_with_and_without_the_decoder(
    finished: RunDir, tmp_path: Path
) -> None:
    run = copy(finished, tmp_path)
    everything = contents(ActivationStore.open(run.activations))
    encoder = contents(extract(run, ENCODER, overwrite=True))
    assert any(name.endswith("encoder/self/heads/1") for name in encoder)
    assert not any("decoder" in name or "memory" in name for name in encoder)
    assert {name: everything[name] for name in encoder} == encoder


def test_only_the_encoder_runs_for_encoder_sites(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the decoder runs")

    monkeypatch.setattr(
        "transformers.models.m2m_100.modeling_m2m_100.M2M100Decoder.forward", forward
    )
    with pytest.raises(AssertionError, match="the decoder runs"):
        extract(run, CONFIG)
    extract(run, ENCODER, overwrite=True).verify()


def test_long_pairs_are_dropped_and_counted(finished: RunDir) -> None:
    teacher, corpus = load_teacher(finished.teacher), finished.corpus()
    long_source, long_target = (
        {
            line
            for line, text in enumerate(texts)
            if len(teacher.tokenizer(text)["input_ids"]) > LIMIT
        }
        for texts in (corpus.train.source, corpus.train.target)
    )
    assert long_source - long_target and long_target - long_source
    kept = sorted(set(range(TRAIN)) - long_source - long_target)
    store = ActivationStore.open(finished.activations)
    assert sorted(store.sentence_ids("train").tolist()) == kept
    assert store.describe()["splits"]["train"]["dropped"] == TRAIN - len(kept)
    with h5py.File(store.path, "r") as file:
        assert file["train"].attrs["dropped"] == TRAIN - len(kept)


def test_identity_ties_the_store_to_its_sources(finished: RunDir) -> None:
    teacher = load_teacher(finished.teacher)
    identity = ActivationStore.open(finished.activations).identity
    assert identity.teacher_digest == teacher.digest
    assert identity.tokenizer_digest == teacher.tokenizer_digest
    assert identity.data_digest == finished.corpus().digest
    groups = ("decoder.cross", "decoder.self", "encoder.self")
    assert identity.sites == tuple(f"{group}.{i}" for group in groups for i in range(LAYERS))
    assert (identity.dtype, identity.max_length, identity.max_train) == ("float16", LIMIT, None)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_finished_store_is_left_alone(finished: RunDir, overwrite: bool) -> None:
    before = finished.activations.stat().st_mtime_ns
    log, config = Log(), dataclasses.replace(CONFIG, shard_sentences=99)
    extract(finished, config, overwrite=overwrite, progress=log)
    assert log.notes == [f"{finished.activations} is already extracted: nothing to do"]
    assert log.total is None
    assert finished.activations.stat().st_mtime_ns == before


def test_size_is_told_before_writing_and_progress_counts_sentences(run: RunDir) -> None:
    log = Log()
    store = extract(run, CONFIG, progress=log)
    sentences = store.sentences("train") + store.sentences("validation")
    assert (log.resumed, log.done, log.total) == (0, sentences, sentences)
    assert log.notes[0].startswith(f"activations: {sentences} pairs (")
    assert log.notes[0].endswith(f"14 tensors, {store.nbytes / 1000:.3g} kB to write")
    assert run.config().extract == CONFIG


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_type_can_be_chosen(finished: RunDir, tmp_path: Path, dtype: str) -> None:
    run = copy(finished, tmp_path)
    half = ActivationStore.open(run.activations)
    config = dataclasses.replace(CONFIG, dtype=dtype)
    with pytest.raises(UserError, match=f"dtype float16 in the store, {dtype} wanted"):
        extract(run, config)
    (wanted,) = half.batches("validation", half.names, batch_tokens=10**6, seed=None)
    store = extract(run, config, overwrite=True)
    assert store.nbytes == half.nbytes * (2 if dtype == "float32" else 1)
    (found,) = store.batches("validation", store.names, batch_tokens=10**6, seed=None)
    for name in store.names:
        torch.testing.assert_close(found.tensors[name], wanted.tensors[name], rtol=1e-2, atol=1e-3)


def test_max_train_bounds_the_training_split(run: RunDir) -> None:
    store = extract(run, dataclasses.replace(CONFIG, max_train=20))
    assert store.sentence_ids("train").max() < 20
    assert store.describe()["splits"]["train"]["dropped"] + store.sentences("train") == 20
    with pytest.raises(UserError, match=r"max_train 20 in the store, None wanted.*--overwrite"):
        extract(run, CONFIG)


def test_another_teacher_is_refused_until_told_to_overwrite(
    finished: RunDir, tmp_path: Path
) -> None:
    run = copy(finished, tmp_path)
    old = load_teacher(run.teacher).digest
    before = contents(ActivationStore.open(run.activations))
    make_teacher(run, run.corpus().train.source, seed=1)
    new = load_teacher(run.teacher).digest
    message = f"teacher_digest {old[:12]} in the store, {new[:12]} wanted"
    with pytest.raises(UserError, match=message):
        extract(run, CONFIG)
    assert contents(ActivationStore.open(run.activations)) == before
    store = extract(run, CONFIG, overwrite=True)
    assert store.identity.teacher_digest == new
    store.verify()


def test_single_sites(run: RunDir) -> None:
    sites = ["encoder.self.1", "decoder.cross.0"]
    store = extract(run, dataclasses.replace(CONFIG, sites=sites))
    assert store.names == [
        "decoder.cross.hidden_states.0",
        "decoder.cross.heads.0",
        "encoder.memory",
        "encoder.hidden_states.1",
        "encoder.self.heads.1",
        "encoder.hidden_states.2",
    ]


@pytest.mark.parametrize(
    ("wanted", "layers", "found"),
    [
        (["encoder.self.1", "encoder"], "", ["encoder.self.0", "encoder.self.1"]),
        (["decoder", "cross"], "1", ["decoder.cross.1", "decoder.self.1"]),
        (["cross", "encoder.self.0"], "1", ["decoder.cross.1", "encoder.self.0"]),
        (["all"], "0", ["decoder.cross.0", "decoder.self.0", "encoder.self.0"]),
    ],
)
def test_which_sites_are_meant(
    finished: RunDir, wanted: list[str], layers: str, found: list[str]
) -> None:
    model = load_teacher(finished.teacher).model
    sites = choose_sites(model, wanted, layers)
    assert [str(site) for site in sites] == found
    assert choose_sites(model, name_sites(model, sites)) == sites


def test_a_group_is_named_in_one_word(finished: RunDir) -> None:
    model = load_teacher(finished.teacher).model
    assert name_sites(model, choose_sites(model, ["all"])) == ["all"]
    named = name_sites(model, choose_sites(model, ["decoder", "decoder.cross.0"]))
    assert named == ["decoder", "decoder.cross.0"]


@pytest.mark.parametrize("site", ["decodr", "encoder.cross.0", "encoder.self.2", "self"])
def test_sites_that_cannot_be_extracted(finished: RunDir, site: str) -> None:
    message = (
        rf"cannot extract {site}; available: encoder, decoder, cross, all, or single sites: dec"
    )
    with pytest.raises(UserError, match=message):
        extract(finished, dataclasses.replace(CONFIG, sites=[site]))


def test_layers_that_are_not_there(finished: RunDir) -> None:
    with pytest.raises(UserError, match="no layer 2; choose from 0 to 1"):
        extract(finished, dataclasses.replace(CONFIG, layers="0-2"))


def test_a_store_of_an_old_schema_is_to_be_extracted_again(
    finished: RunDir, tmp_path: Path
) -> None:
    run = copy(finished, tmp_path)
    manifest = manifest_path(run.activations)
    manifest.write_text(manifest.read_text().replace("activations/2", "activations/1"))
    with pytest.raises(
        UserError, match=r"schema attnreplace.activations/1.*`attnreplace extract --ov"
    ):
        extract(run, CONFIG)
    extract(run, CONFIG, overwrite=True).verify()


def test_no_teacher(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run `attnreplace train` first"):
        extract(RunDir(tmp_path), CONFIG)


def test_a_small_disk_is_refused_before_writing(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(run.path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"has 1 kB free, the activations need .* kB; free some"):
        extract(run, CONFIG)
    assert not run.activations.exists()
    assert not shard_folder(run.activations).exists()


def test_only_long_sentences(run: RunDir) -> None:
    record = run.teacher / "training.json"
    write_json(record, {"config": {"teacher": {"max_length": 1}}})
    with pytest.raises(UserError, match="no pair of the split train has at most 1 tokens"):
        extract(run, CONFIG)


def test_values_beyond_float16_are_refused(run: RunDir) -> None:
    teacher = load_teacher(run.teacher)
    with torch.no_grad():
        teacher.model.get_encoder().layers[0].fc2.bias.fill_(1e5)
    teacher.model.save_pretrained(run.teacher)
    with pytest.raises(UserError, match=r"encoder.hidden_states.1 reaches 1e\+05, beyond"):
        extract(run, CONFIG)
    extract(run, dataclasses.replace(CONFIG, dtype="bfloat16"), overwrite=True).verify()


def test_a_lost_shard_is_extracted_again(finished: RunDir, tmp_path: Path) -> None:
    run = copy(finished, tmp_path)
    before = contents(ActivationStore.open(run.activations))
    (shard_folder(run.activations) / "shard-00003.h5").unlink()
    log = Log()
    assert contents(extract(run, CONFIG, progress=log)) == before
    assert log.done - log.resumed == CONFIG.shard_sentences


def test_killed_and_resumed_equals_uninterrupted(finished: RunDir, tmp_path: Path) -> None:
    wanted = contents(ActivationStore.open(finished.activations))
    run = copy(finished, tmp_path)
    run.activations.unlink()
    shutil.rmtree(shard_folder(run.activations))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attnreplace.config", "attnreplace.activations.extract"])
    moments = random.Random(time.time_ns())
    kills = 0
    for _ in range(6):
        known = set(shard_folder(run.activations).glob("shard-*"))
        process = context.Process(target=extract, args=(run, CONFIG))
        process.start()
        # From the first new file on, so that the kill falls into the writing.
        while process.is_alive() and known == set(shard_folder(run.activations).glob("shard-*")):
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        if run.activations.exists():
            break
        with pytest.raises(UserError, match=r"run `attnreplace extract` (again|first)"):
            ActivationStore.open(run.activations)
    assert kills
    store = extract(run, CONFIG)
    store.verify()
    assert contents(store) == wanted


def _as_process(rank: int, ranks: int, port: int, run: RunDir) -> None:
    """What `accelerate launch` and `torchrun` set, then an extraction."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(ranks),
        LOCAL_WORLD_SIZE=str(ranks),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    log = Log()
    extract(run, CONFIG, progress=log)
    assert bool(log.notes) == (rank == 0)
    torch.distributed.destroy_process_group()


def extract_in_processes(run: RunDir, ranks: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["attnreplace.config", "attnreplace.activations.extract"])
    processes = [
        context.Process(target=_as_process, args=(rank, ranks, port, run)) for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * ranks


def written(run: RunDir) -> dict[str, bytes]:
    """The bytes of every shard's file, and what the manifest says of it."""
    shards = {file.name: file.read_bytes() for file in shard_folder(run.activations).glob("shard*")}
    records = Manifest.load(run.activations).shards
    assert list(records) == sorted(shards)
    return shards | {f"{name} is": repr(record).encode() for name, record in records.items()}


def test_two_processes_write_the_store_of_one(finished: RunDir, tmp_path: Path) -> None:
    run = copy(finished, tmp_path)
    run.activations.unlink()
    shutil.rmtree(shard_folder(run.activations))
    extract_in_processes(run, 2)
    store = ActivationStore.open(run.activations)
    store.verify()
    assert written(run) == written(finished)
    assert contents(store) == contents(ActivationStore.open(finished.activations))
    folder = shard_folder(run.activations)
    assert [file.name for file in folder.glob("manifest*")] == ["manifest.json"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_any_number_of_processes_goes_on_where_several_were_killed(
    finished: RunDir, tmp_path: Path, ranks: int
) -> None:
    run = copy(finished, tmp_path)
    folder = shard_folder(run.activations)
    whole = Manifest.load(run.activations)
    shares = ["shard-00000.h5"], ["shard-00001.h5", "shard-00003.h5"], ["shard-00002.h5"]
    for rank, share in enumerate(shares):
        shards = {name: whole.shards[name] for name in share}
        dataclasses.replace(whole, shards=shards).save(run.activations, rank)
    # Of a store that was overwritten by this one: it speaks of other files of these names.
    other = dataclasses.replace(whole.identity, teacher_digest="f" * 64)
    dataclasses.replace(whole, identity=other).save(run.activations, 3)
    run.activations.unlink()
    with pytest.raises(UserError, match=rf"unfinished \(4 of {whole.num_shards} shards\)"):
        ActivationStore.open(run.activations)
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("shard-*")}
    if ranks > 1:
        extract_in_processes(run, ranks)
    else:
        extract(run, CONFIG)
    after = {file.name: file.stat().st_mtime_ns for file in folder.glob("shard-*")}
    kept = [name for name in after if after[name] == before[name]]
    assert sorted(kept) == sorted(name for share in shares for name in share)
    assert written(run) == written(finished)
    assert contents(ActivationStore.open(run.activations)) == contents(
        ActivationStore.open(finished.activations)
    )
    assert [file.name for file in folder.glob("manifest*")] == ["manifest.json"]
