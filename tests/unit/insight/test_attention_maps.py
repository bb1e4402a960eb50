import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.hosts import Site, host_for
from attnreplace.insight import attention_maps, tiny_attention_maps
from attnreplace.models import (
    GMLPForImageClassification,
    GMLPForMaskedLM,
    GMLPTextConfig,
    GMLPVisionConfig,
)
from attnreplace.students import StudentConfig, build_student


def inputs_of(model: PreTrainedModel) -> dict[str, Tensor]:
    if model.config.model_type == "vit":
        return {"pixel_values": torch.randn(2, 3, 8, 8)}
    ids = torch.randint(4, 40, (2, 6))
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[1, 4:] = 0
    given = {"input_ids": ids, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = torch.randint(4, 40, (2, 5))
    return given


def test_the_heads_are_the_values_weighted_by_the_maps(host_model: PreTrainedModel) -> None:
    model = host_model
    host, given = host_for(model), inputs_of(model)
    sites = host.sites(model)
    before = model.config._attn_implementation
    maps = attention_maps(model, sites, given)
    assert model.config._attn_implementation == before
    with Capture(model, sites) as capture, torch.no_grad():
        model(**given)
        tensors = dict(capture.tensors)
    for site in sites:
        location, found = host.locate(model, site), maps[site]
        names = location.tensor_names
        assert torch.allclose(found.sum(-1), torch.ones(()), atol=1e-5)
        x = location.pre_norm(tensors[names["hidden_states"]])
        read = tensors[names["memory"]] if site.kind == "cross" else x
        value = next(
            part
            for name, part in location.attention.named_modules()
            if name in ("v_proj", "value", "v_lin")
        )(read)
        value = value.unflatten(-1, (2, -1)).transpose(1, 2)
        heads = (found @ value).transpose(1, 2).flatten(2)
        assert torch.allclose(heads, tensors[names["heads"]], atol=1e-5)
    if model.config.model_type == "m2m_100":
        assert maps[Site("decoder", "cross", 0)].shape == (2, 2, 5, 6)
        assert (maps[Site("decoder", "self", 1)].triu(1) == 0).all()
        assert (maps[Site("encoder", "self", 0)][1, :, :, 4:] == 0).all()


def test_only_the_sites_asked_for(tiny_m2m: PreTrainedModel) -> None:
    site = Site("encoder", "self", 1)
    assert list(attention_maps(tiny_m2m, [site], inputs_of(tiny_m2m))) == [site]


@pytest.mark.parametrize("form", ["sentence", "prefix", "per-query"])
def test_tiny_attention_of_students(form: str) -> None:
    torch.manual_seed(0)
    student = build_student(
        StudentConfig("amlp", 16, 16, positions=6, hidden=8, form=form, hidden_layers=2)
    )
    x, mask = torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    given = {"x": x, "mask": mask}
    if form == "per-query":
        real = torch.ones(2, 6, dtype=torch.bool)
        real[0, 4:] = False
        given |= {"memory": torch.randn(2, 6, 16), "memory_mask": real}
    maps = tiny_attention_maps(student, **given)
    assert len(maps) == 2
    for name, found in maps.items():
        assert name.endswith("attention")
        assert found.shape == (2, 5, 6 if form == "per-query" else 5)
        assert torch.allclose(found[0].sum(-1), torch.ones(()))
        hidden = (found[0, :, 4:] if form == "per-query" else found[1, :3, 3:]).count_nonzero()
        assert hidden == 0
        assert bool((found.triu(1) == 0).all()) is (form == "prefix")


def test_first_tiny_attention_by_hand() -> None:
    torch.manual_seed(0)
    student = build_student(StudentConfig("amlp", 16, 16, positions=6, hidden=8))
    x, mask = torch.randn(1, 5, 16), torch.ones(1, 5, dtype=torch.bool)
    (found,) = tiny_attention_maps(student, x=x, mask=mask).values()
    block = student.networks[0][0]
    query, key, _ = block.branch.attention.qkv(block.norm(x)).chunk(3, -1)
    scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    assert torch.allclose(found, scores.softmax(-1), atol=1e-6)


def test_tiny_attention_of_models() -> None:
    torch.manual_seed(0)
    shape = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "attention_size": 4,
    }
    text = GMLPForMaskedLM(GMLPTextConfig(**shape, vocab_size=40, max_position_embeddings=8)).eval()
    maps = tiny_attention_maps(text, input_ids=torch.arange(6)[None])
    assert list(maps) == [f"gmlp.layers.{i}.mixer.attention" for i in range(2)]
    assert {tuple(found.shape) for found in maps.values()} == {(1, 6, 6)}
    vision = GMLPVisionConfig(**shape, image_size=8, patch_size=4)
    model = GMLPForImageClassification(vision).eval()
    maps = tiny_attention_maps(model, pixel_values=torch.randn(2, 3, 8, 8))
    assert {tuple(found.shape) for found in maps.values()} == {(2, 4, 4)}
    plain = GMLPForMaskedLM(GMLPTextConfig(**{**shape, "attention_size": 0}, vocab_size=40))
    assert tiny_attention_maps(plain, input_ids=torch.arange(6)[None]) == {}
