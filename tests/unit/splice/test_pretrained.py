"""Folders of spliced models: several bundles, shards, damage."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from attnreplace.digest import model_digest
from attnreplace.errors import UserError
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.splice import load_spliced

MakeBundle = Callable[..., Path]


@pytest.fixture
def spliced(teacher: PreTrainedModel, make_bundle: MakeBundle) -> PreTrainedModel:
    return load_spliced(teacher, [make_bundle("aslr", (0,)), make_bundle("elr", (1,))])


def logits(model: PreTrainedModel) -> torch.Tensor:
    ids = torch.tensor([[5, 6, 7, 2], [8, 2, 1, 1]])
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=ids.ne(1).long(), decoder_input_ids=ids).logits


@pytest.mark.parametrize("shard", ["1GB", "10KB"])
def test_round_trip(spliced: PreTrainedModel, tmp_path: Path, shard: str) -> None:
    spliced.save_pretrained(tmp_path / "model", max_shard_size=shard)
    assert (len(list((tmp_path / "model").glob("*.safetensors"))) > 1) == (shard == "10KB")
    again = load_spliced_pretrained(tmp_path / "model")
    assert torch.equal(logits(again), logits(spliced))
    assert again.config.attnreplace == spliced.config.attnreplace
    assert again.lm_head.weight is again.model.shared.weight
    again.save_pretrained(tmp_path / "again")
    assert model_digest(load_spliced_pretrained(tmp_path / "again")) == model_digest(spliced)


def test_dtype(spliced: PreTrainedModel, tmp_path: Path) -> None:
    spliced.bfloat16().save_pretrained(tmp_path)
    again = load_spliced_pretrained(tmp_path)
    assert {p.dtype for p in again.parameters()} == {torch.bfloat16}
    assert torch.equal(logits(again), logits(spliced))


def test_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model in"):
        load_spliced_pretrained(tmp_path)


def test_a_model_without_students(teacher: PreTrainedModel, tmp_path: Path) -> None:
    teacher.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="has no students; load it with from_pretrained"):
        load_spliced_pretrained(tmp_path)


@pytest.mark.parametrize("damage", ["no weights", "truncated", "missing", "extra", "shape", "json"])
def test_damage(spliced: PreTrainedModel, tmp_path: Path, damage: str) -> None:
    spliced.save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    tensors = load_file(weights)
    key = "model.encoder.layers.0.self_attn.student.bias_in"
    if damage == "json":
        config = json.loads((tmp_path / "config.json").read_text())
        config["attnreplace"][0]["schema"] = "attnreplace.bundle/0"
        (tmp_path / "config.json").write_text(json.dumps(config))
    elif damage == "no weights":
        weights.unlink()
    elif damage == "truncated":
        data = weights.read_bytes()
        weights.unlink()
        weights.write_bytes(data[:-100])
    else:
        if damage == "missing":
            del tensors[key]
        if damage == "extra":
            tensors["model.encoder.layers.0.self_attn.q_proj.bias"] = torch.zeros(8)
        if damage == "shape":
            tensors[key] = torch.zeros(3)
        save_file(tensors, weights)
    with pytest.raises(UserError) as error:
        load_spliced_pretrained(tmp_path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)
