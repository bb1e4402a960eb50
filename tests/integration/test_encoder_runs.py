"""Extraction and distillation of encoders: masked and plain text, and images."""

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.inputs import MASKING_SEED
from attnreplace.activations.online import OnlineActivations
from attnreplace.activations.schema import readable_bytes, shard_folder
from attnreplace.activations.store import ActivationStore
from attnreplace.data.blocks import encode_texts
from attnreplace.data.corpora import DataConfig
from attnreplace.data.masking import mask_blocks
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.errors import UserError
from attnreplace.methods import METHODS
from attnreplace.models import FFOnlyForImageClassification, preset
from attnreplace.rundir import RunDir, write_json
from attnreplace.splice.bundle import load_bundle_config
from attnreplace.splice.splice import load_spliced
from attnreplace.students import FAMILIES
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace_cli.main import app

KINDS = ["mlm", "classification", "texts", "image"]
LAYERS, POSITIONS, TOKENS, TRAIN = 2, 12, 4 * 4 + 1, 40
CONFIG = ExtractConfig(dtype="float32", batch_tokens=64, shard_sentences=24)
HEADS = {"bert": "encoder.layer.{}.attention.self", "vit": "layers.{}.attention.o_proj"}
"""Modules whose output (BERT) or input (ViT) are the heads."""

Runs = dict[str, RunDir]

every_kind = pytest.mark.parametrize("kind", KINDS)


def copy(run: RunDir, to: Path) -> RunDir:
    shutil.copytree(run.path, to / "copy")
    return RunDir(to / "copy")


def batches_read(teacher: Teacher, run: RunDir, kind: str, split: str) -> Iterator[dict[str, Any]]:
    """What the model is to be given for each line, one at a time and without padding."""
    data = getattr(run.corpus(), split)
    if kind == "image":
        for index in range(len(data)):
            # 0 to 255 to -1 to 1; the digits have the size that the model reads.
            pixels = torch.from_numpy(data.array(index).copy()).permute(2, 0, 1)[None]
            yield {"pixel_values": pixels / 127.5 - 1}
        return
    task = "mlm" if kind == "mlm" else "classification"
    rows = encode_texts(teacher.tokenizer, data, POSITIONS, task)
    if kind == "mlm":
        rows = mask_blocks(rows, teacher.tokenizer, MASKING_SEED)[0]
    for row in rows:
        yield {"input_ids": torch.tensor([row])}


@torch.no_grad()
def direct_pass(teacher: Teacher, batch: dict[str, Any]) -> dict[str, Tensor]:
    """The stored tensors of one line, from hooks and outputs of the library's own."""
    model, found, handles = teacher.model, {}, []
    kind = model.config.model_type

    def watch(module: nn.Module, name: str) -> None:
        def keep(_: nn.Module, args: Any, output: Any) -> None:
            found[name] = output[0][0] if kind == "bert" else args[0][0]

        handles.append(module.register_forward_hook(keep))

    for layer in range(LAYERS):
        module = model.base_model.get_submodule(HEADS[kind].format(layer))
        watch(module, f"encoder.self.heads.{layer}")
    states = model(**batch, output_hidden_states=True).hidden_states
    for handle in handles:
        handle.remove()
    return found | {f"encoder.hidden_states.{i}": x[0] for i, x in enumerate(states)}


@every_kind
@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_store_is_what_a_forward_pass_computes(
    encoder_runs: Runs, kind: str, split: str
) -> None:
    run = encoder_runs[kind]
    teacher, store = load_teacher(run.teacher), ActivationStore.open(run.activations)
    lines = list(batches_read(teacher, run, kind, split))
    wanted = [direct_pass(teacher, lines[i]) for i in store.sentence_ids(split).tolist()]
    assert sorted(store.sentence_ids(split).tolist()) == list(range(len(lines)))
    (batch,) = store.batches(split, store.names, batch_tokens=10**6, seed=None)
    assert set(wanted[0]) == set(store.names)
    for name in store.names:
        rows = torch.cat([tensors[name] for tensors in wanted])
        torch.testing.assert_close(batch.tensors[name], rows, atol=2e-5, rtol=1e-4)


def test_images_are_all_as_long(encoder_runs: Runs) -> None:
    store = ActivationStore.open(encoder_runs["image"].activations)
    assert store.axes == ["source"]
    assert store.identity.max_length == store.longest == TOKENS
    assert store.tokens("train") == TRAIN * TOKENS
    assert (store.lengths("validation") == TOKENS).all()
    assert store.manifest.dropped == {"train": 0, "validation": 0}
    store.verify()


def test_blocks_are_full_and_texts_are_cut(encoder_runs: Runs) -> None:
    blocks = ActivationStore.open(encoder_runs["mlm"].activations).lengths("train")
    assert (blocks == POSITIONS).sum() >= len(blocks) - 1
    texts = ActivationStore.open(encoder_runs["texts"].activations).lengths("train")
    assert len(texts) == len(encoder_runs["texts"].corpus().train)
    assert texts.min() < texts.max() == POSITIONS


@pytest.mark.parametrize("kind", ["mlm", "classification"])
def test_shorter_lines_on_request(encoder_runs: Runs, kind: str, tmp_path: Path) -> None:
    run = copy(encoder_runs[kind], tmp_path)
    store = extract(run, dataclasses.replace(CONFIG, max_length=7), overwrite=True)
    assert store.identity.max_length == store.longest == 7
    (name,) = distill(run, DistillConfig(methods=["alr"], sizes=["xs"], epochs=1))
    assert load_bundle_config(run.students / name).positions == 7
    with pytest.raises(UserError, match="max_length is 13, but the teacher reads at most 12"):
        extract(run, dataclasses.replace(CONFIG, max_length=13), overwrite=True)


@every_kind
def test_online_is_what_the_store_gives(encoder_runs: Runs, kind: str) -> None:
    run = encoder_runs[kind]
    store = ActivationStore.open(run.activations)
    online = OnlineActivations(load_teacher(run.teacher), run.corpus(), CONFIG)
    assert online.identity == store.identity
    assert (online.axes, online.longest) == (store.axes, store.longest)
    order: dict[str, Any] = {"batch_tokens": 60, "seed": 2, "epoch": 1}
    both = zip(
        online.batches("train", online.names, **order),
        store.batches("train", store.names, **order),
        strict=True,
    )
    for found, wanted in both:
        torch.testing.assert_close(found.lengths, wanted.lengths)
        torch.testing.assert_close(found.tensors, wanted.tensors, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["mlm", "image"])
def test_an_interrupted_extraction_goes_on(encoder_runs: Runs, kind: str, tmp_path: Path) -> None:
    run = copy(encoder_runs[kind], tmp_path)
    folder = shard_folder(run.activations)
    whole = {file.name: file.read_bytes() for file in folder.glob("shard-*")}
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in list(manifest["shards"])[1:]:
        del manifest["shards"][name]
        (folder / name).unlink()
    write_json(folder / "manifest.json", manifest)
    run.activations.unlink()
    extract(run, CONFIG)
    assert {file.name: file.read_bytes() for file in folder.glob("shard-*")} == whole


@pytest.mark.parametrize("kind", ["mlm", "image"])
def test_every_family_by_every_method(encoder_runs: Runs, kind: str, tmp_path: Path) -> None:
    run = copy(encoder_runs[kind], tmp_path)
    families = list(FAMILIES)
    config = DistillConfig(methods=list(METHODS), families=families, sizes=["xs"], epochs=2)
    names = distill(run, config)
    assert len(names) == len(METHODS) * len(families)
    teacher = load_teacher(run.teacher)
    batch = next(batches_read(teacher, run, kind, "validation"))
    with torch.no_grad():
        (logits,) = teacher.model(**batch).to_tuple()
        for name in names:
            bundle = load_bundle_config(run.students / name)
            assert len(bundle.training["relative_mse"]) == LAYERS
            history = json.loads((run.students / name / "history.json").read_text())
            assert all(map(math.isfinite, bundle.training["relative_mse"].values())), history
            assert bundle.positions == teacher.max_length
            (spliced,) = load_spliced(run.teacher, run.students / name)(**batch).to_tuple()
            assert spliced.shape == logits.shape
            assert 1e-3 < (spliced - logits).abs().max() < 100


@pytest.mark.parametrize("kind", ["classification", "image"])
def test_distilled_online_as_from_the_store(encoder_runs: Runs, kind: str, tmp_path: Path) -> None:
    config = DistillConfig(methods=["alrr"], sizes=["xs"], epochs=2)
    errors = []
    for online in (False, True):
        run = copy(encoder_runs[kind], tmp_path / str(online))
        if online:
            run.activations.unlink()
            shutil.rmtree(shard_folder(run.activations))
        (name,) = distill(run, dataclasses.replace(config, online=online))
        errors.append(load_bundle_config(run.students / name).training["relative_mse"])
    assert errors[0] == pytest.approx(errors[1], rel=1e-3)


@pytest.mark.parametrize("sites", ["decoder", "cross", "decoder.self.0"])
def test_sites_that_an_encoder_has_not(encoder_runs: Runs, sites: str) -> None:
    message = rf"cannot extract {sites}; available: encoder, all, or single sites: encoder.self.0"
    with pytest.raises(UserError, match=message):
        extract(encoder_runs["mlm"], dataclasses.replace(CONFIG, sites=[sites]))


def test_sites_to_distill_that_an_encoder_has_not(encoder_runs: Runs) -> None:
    with pytest.raises(UserError, match="bert model has no cross attention; it has: encoder"):
        distill(encoder_runs["mlm"], DistillConfig(sites=["cross"]))


def test_all_sites_are_those_of_the_encoder(encoder_runs: Runs, tmp_path: Path) -> None:
    run = copy(encoder_runs["image"], tmp_path)
    assert extract(run, dataclasses.replace(CONFIG, sites=["all"])).identity.sites == (
        "encoder.self.0",
        "encoder.self.1",
    )


def test_a_model_without_attention(encoder_runs: Runs, tmp_path: Path) -> None:
    """Our own models load as teachers, and have nothing to replace."""
    run = copy(encoder_runs["image"], tmp_path)
    shutil.rmtree(run.teacher)
    config = preset("ff-only-tiny", image_size=32, num_hidden_layers=1)
    FFOnlyForImageClassification(config).save_pretrained(run.teacher)
    assert load_teacher(run.teacher).image_processor is not None
    with pytest.raises(UserError, match="'ff_only' has no attention to replace; choose a teacher"):
        extract(run, CONFIG)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (
            "image",
            DataConfig(task="mlm", train_size=9),
            r"\(vit\) reads images.*set data.task to image",
        ),
        ("mlm", DataConfig(task="image"), r"reads texts.*data.task to mlm or classification"),
        ("mlm", DataConfig(train_size=9), r"reads texts, and the task translation is one of pairs"),
    ],
)
def test_a_corpus_that_the_teacher_cannot_read(
    encoder_runs: Runs, kind: str, data: DataConfig, message: str, tmp_path: Path
) -> None:
    run = copy(encoder_runs[kind], tmp_path)
    run.update_config(data=data)
    with pytest.raises(UserError, match=message):
        extract(run, CONFIG, overwrite=True)


def test_a_corpus_of_another_task_than_trained_on(encoder_runs: Runs, tmp_path: Path) -> None:
    run = copy(encoder_runs["mlm"], tmp_path)
    write_json(run.teacher / "training.json", {"corpus": {"task": "classification"}})
    message = "was trained on classification and the run is set to mlm.*--task classification to k"
    with pytest.raises(UserError, match=message):
        extract(run, CONFIG)


@pytest.mark.parametrize("kind", ["mlm", "image"])
@pytest.mark.parametrize("stored", [True, False])
def test_plan_and_inspect(
    encoder_runs: Runs,
    kind: str,
    stored: bool,
    tmp_path: Path,
) -> None:
    run = copy(encoder_runs[kind], tmp_path)
    store = ActivationStore.open(run.activations)
    if not stored:
        run.activations.unlink()
    out = output("plan", "--run", str(run.path), "--markdown", "--method", "alr,elr")
    assert readable_bytes(store.nbytes) in out
    assert f"{store.tokens('train'):,} tokens" in out
    assert "activations.h5" in output("inspect", str(run.path))
    assert {"mlm": "bert", "image": "vit"}[kind] in output("inspect", str(run.teacher))


def output(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output
