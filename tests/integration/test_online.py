"""Activations straight from the teacher against those of a store."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from attnreplace.activations.extract import ExtractConfig, extract
from attnreplace.activations.online import OnlineActivations
from attnreplace.activations.ragged import ActivationBatch
from attnreplace.activations.source import ActivationSource
from attnreplace.activations.store import ActivationStore
from attnreplace.errors import UserError
from attnreplace.rundir import RunDir
from attnreplace.teacher.load import Teacher, load_teacher

CONFIG = ExtractConfig(sites=["all"], batch_tokens=300, shard_sentences=32)
BATCHES: dict[str, Any] = {"batch_tokens": 100, "seed": 3, "epoch": 1}


@pytest.fixture(scope="module")
def run(extracted: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with a store of all sites, not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("online") / "run")
    run.path.mkdir()
    run.config_path.write_text(extracted.config_path.read_text())
    run.teacher.symlink_to(extracted.teacher)
    extract(run, CONFIG)
    return run


@pytest.fixture(scope="module")
def teacher(run: RunDir) -> Teacher:
    return load_teacher(run.teacher)


@pytest.fixture(scope="module")
def sources(run: RunDir, teacher: Teacher) -> tuple[ActivationSource, ActivationSource]:
    return ActivationStore.open(run.activations), OnlineActivations(teacher, run.corpus(), CONFIG)


class Passes:
    """How often the stacks of a teacher run."""

    def __init__(self, teacher: Teacher) -> None:
        self.encoder = self.decoder = 0
        self.handles = [
            teacher.model.get_encoder().register_forward_pre_hook(self._encoder),
            teacher.model.get_decoder().register_forward_pre_hook(self._decoder),
        ]

    def __enter__(self) -> "Passes":
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _encoder(self, *_: object) -> None:
        self.encoder += 1

    def _decoder(self, *_: object) -> None:
        self.decoder += 1


def assert_close(found: ActivationBatch, wanted: ActivationBatch, tolerance: float) -> None:
    assert found.lengths.keys() == wanted.lengths.keys()
    for axis, lengths in wanted.lengths.items():
        assert torch.equal(found.lengths[axis], lengths)
    assert found.tensors.keys() == wanted.tensors.keys()
    for name, values in wanted.tensors.items():
        assert found.tensors[name].dtype == torch.float32
        torch.testing.assert_close(found.tensors[name], values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("seed", [None, 3])
def test_batches_are_those_of_the_store(sources: Any, split: str, seed: int | None) -> None:
    store, online = sources
    arguments = {**BATCHES, "seed": seed}
    pairs = zip(
        online.batches(split, online.names, **arguments),
        store.batches(split, store.names, **arguments),
        strict=True,
    )
    count = 0
    for found, wanted in pairs:
        assert_close(found, wanted, 1e-3)
        count += 1
    assert count == online.num_batches(split, **arguments) == store.num_batches(split, **arguments)
    assert count > (split == "train")


def test_values_are_rounded_as_the_store_does(run: RunDir, teacher: Teacher) -> None:
    for dtype, kind in (("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        online = OnlineActivations(
            teacher, run.corpus(), dataclasses.replace(CONFIG, dtype=dtype, max_train=20)
        )
        (batch, *_) = online.batches("train", online.names, **BATCHES)
        for values in batch.tensors.values():
            assert torch.equal(values, values.to(kind).float())


def test_what_is_known_beforehand_is_that_of_the_store(sources: Any) -> None:
    store, online = sources
    assert online.identity == store.identity
    assert (online.splits, online.names) == (store.splits, store.names)
    assert online.longest == store.longest
    for split in store.splits:
        assert online.sentences(split) == store.sentences(split)
        assert torch.equal(online.sentence_ids(split), store.sentence_ids(split))
        for axis in ("source", "target"):
            assert online.tokens(split, axis) == store.tokens(split, axis)
            assert torch.equal(online.lengths(split, axis), store.lengths(split, axis))


def test_the_teacher_does_not_run_over_what_is_skipped(sources: Any, teacher: Teacher) -> None:
    _, online = sources
    whole = list(online.batches("train", online.names, **BATCHES))
    with Passes(teacher) as passes:
        rest = list(online.batches("train", online.names, **BATCHES, skip=3))
    assert passes.encoder == passes.decoder == len(rest) == len(whole) - 3
    for found, wanted in zip(rest, whole[3:], strict=True):
        assert_close(found, wanted, 0.0)


@pytest.mark.parametrize(
    ("name", "decoder"), [("encoder.self.heads.1", False), ("encoder.memory", True)]
)
def test_only_what_is_wanted_runs(sources: Any, teacher: Teacher, name: str, decoder: bool) -> None:
    store, online = sources
    with Passes(teacher) as passes:
        batch = next(online.batches("train", [name], **BATCHES))
    assert (passes.encoder, passes.decoder) == (1, int(decoder))
    assert_close(batch, next(store.batches("train", [name], **BATCHES)), 1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_batches_can_be_learnt_from(run: RunDir, teacher: Teacher, dtype: str) -> None:
    online = OnlineActivations(teacher, run.corpus(), dataclasses.replace(CONFIG, dtype=dtype))
    name = online.names[0]
    values: Tensor = next(online.batches("train", [name], **BATCHES)).tensors[name]
    layer = torch.nn.Linear(values.shape[1], 1)
    layer(values).sum().backward()
    assert torch.is_grad_enabled() and not values.is_inference()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad[0], values.sum(0))


def test_the_teacher_is_left_without_hooks(sources: Any, teacher: Teacher) -> None:
    _, online = sources
    batches = online.batches("train", online.names, **BATCHES)
    next(batches)
    modules = list(teacher.model.modules())
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in modules)


def test_mistakes_are_named(sources: Any, run: RunDir, teacher: Teacher) -> None:
    _, online = sources
    with pytest.raises(UserError, match=r"teacher .* has no encoder.x; it has: decoder.cross"):
        online.batches("train", ["encoder.x"], **BATCHES)
    with pytest.raises(UserError, match="no split 'test'; it has: train, validation"):
        online.sentences("test")
    with pytest.raises(UserError, match="dtype float16 in the store, float32 wanted"):
        online.require(dtype="float32")
    with pytest.raises(UserError, match=r"cannot extract encoder\.self\.7"):
        OnlineActivations(
            teacher, run.corpus(), dataclasses.replace(CONFIG, sites=["encoder.self.7"])
        )
