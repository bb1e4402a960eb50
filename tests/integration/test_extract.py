"""Extraction over a run directory with a real teacher, killed and resumed for real."""

import dataclasses
import multiprocessing
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest
import torch

from attnreplace.activations.extract import ExtractConfig, choose_sites, extract
from attnreplace.activations.schema import shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.config import RunConfig
from attnreplace.data.corpora import DataConfig
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError
from attnreplace.progress import NullProgress, Task
from attnreplace.rundir import RunDir, write_json
from attnreplace.teacher.build import TeacherConfig, build_teacher
from attnreplace.teacher.load import load_teacher

LAYERS, WIDTH, LIMIT = 2, 16, 7
TRAIN, VALIDATION = 150, 10
CONFIG = ExtractConfig(batch_tokens=64, shard_sentences=16)


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
        decoder_layers=1,
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
        lines = [" ".join(words.choices(vocabulary, k=words.randint(1, 8))) for _ in range(count)]
        texts += lines
        for language in ("de", "en"):
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


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_store_holds_what_the_teacher_computes(tmp_path: Path, norm: str) -> None:
    run = make_run(tmp_path, norm)
    store = extract(run, CONFIG)
    store.verify()
    teacher, corpus = load_teacher(run.teacher), run.corpus()
    assert store.names == [
        "encoder.hidden_states.0",
        "encoder.self.heads.0",
        "encoder.hidden_states.1",
        "encoder.self.heads.1",
        "encoder.hidden_states.2",
    ]
    encoder = teacher.model.get_encoder()
    for split, pairs in (("train", corpus.train), ("validation", corpus.validation)):
        lines = store.sentence_ids(split).tolist()
        (batch,) = store.batches(split, store.names, batch_tokens=10**6, seed=None)
        stream, heads = (
            batch.tensors[name].split(batch.lengths.tolist())
            for name in ("encoder.hidden_states.1", "encoder.self.heads.1")
        )
        for position, line in enumerate(lines):
            ids = torch.tensor([teacher.tokenizer(pairs.source[line])["input_ids"]])
            read: list[torch.Tensor] = []
            out_proj = encoder.layers[1].self_attn.out_proj
            hook = out_proj.register_forward_pre_hook(lambda _, args, read=read: read.append(*args))
            with torch.no_grad():
                output = encoder(input_ids=ids, output_hidden_states=True)
            hook.remove()
            close = {"rtol": 2e-3, "atol": 1e-5}
            torch.testing.assert_close(stream[position], output.hidden_states[1][0], **close)
            torch.testing.assert_close(heads[position], read[0][0], **close)


def test_long_sentences_are_dropped_and_counted(finished: RunDir) -> None:
    teacher, corpus = load_teacher(finished.teacher), finished.corpus()
    lengths = [len(teacher.tokenizer(text)["input_ids"]) for text in corpus.train.source]
    kept = [line for line, length in enumerate(lengths) if length <= LIMIT]
    assert 0 < len(kept) < TRAIN
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
    assert identity.sites == ("encoder.self.0", "encoder.self.1")
    assert (identity.dtype, identity.max_length, identity.max_train) == ("float16", LIMIT, None)


def test_a_finished_store_is_left_alone(finished: RunDir) -> None:
    before = finished.activations.stat().st_mtime_ns
    log = Log()
    extract(finished, dataclasses.replace(CONFIG, shard_sentences=99), progress=log)
    assert log.notes == [f"{finished.activations} is already extracted: nothing to do"]
    assert log.total is None
    assert finished.activations.stat().st_mtime_ns == before


def test_size_is_told_before_writing_and_progress_counts_sentences(run: RunDir) -> None:
    log = Log()
    store = extract(run, CONFIG, progress=log)
    sentences = store.sentences("train") + store.sentences("validation")
    assert (log.resumed, log.done, log.total) == (0, sentences, sentences)
    size = f"{store.nbytes / 1000:.3g} kB to write"
    assert log.notes[0].startswith(f"activations: {sentences} sentences (")
    assert log.notes[0].endswith(f"5 tensors, {size}")
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
    store = extract(run, dataclasses.replace(CONFIG, sites=["encoder.self.1"]))
    assert store.names == [
        "encoder.hidden_states.1",
        "encoder.self.heads.1",
        "encoder.hidden_states.2",
    ]
    model = load_teacher(run.teacher).model
    both = choose_sites(model, ["encoder.self.1", "encoder"])
    assert [str(site) for site in both] == ["encoder.self.0", "encoder.self.1"]


@pytest.mark.parametrize("site", ["decoder", "decoder.self.0", "encoder.cross.0", "encoder.self.2"])
def test_sites_that_cannot_be_extracted(finished: RunDir, site: str) -> None:
    message = rf"cannot extract {site}; available: encoder \(encoder.self.0 to encoder.self.1\)"
    with pytest.raises(UserError, match=message):
        extract(finished, dataclasses.replace(CONFIG, sites=[site]))


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
    with pytest.raises(UserError, match="no training sentence has at most 1 tokens"):
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
