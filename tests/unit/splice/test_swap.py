"""Students in place of attention for a while."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    MarianConfig,
    MarianMTModel,
    PreTrainedModel,
    ViTConfig,
    ViTModel,
)

from attnreplace.hosts import GROUPS, Site, host_for
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig, build_students
from attnreplace.splice.splice import splice
from attnreplace.splice.swap import given_back, swapped
from attnreplace.students import build_student, student_config

IDS = torch.tensor([[5, 6, 7, 2], [4, 2, 1, 1]])
SHAPE = {
    "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 8
}  # fmt: skip


def said(model: PreTrainedModel) -> Tensor:
    if model.main_input_name == "pixel_values":
        return model(pixel_values=torch.ones(1, 3, 4, 4)).last_hidden_state
    inputs = {"input_ids": IDS, "attention_mask": (IDS != 1).long()}
    if model.config.is_encoder_decoder:
        return model(**inputs, decoder_input_ids=IDS, use_cache=False).logits
    return model(**inputs).last_hidden_state


def others() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    marian = MarianConfig(
        vocab_size=20, d_model=8, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8,
        max_position_embeddings=16, pad_token_id=1, eos_token_id=2, decoder_start_token_id=0,
    )  # fmt: skip
    return {
        "marian": MarianMTModel(marian),
        "bert": BertModel(BertConfig(vocab_size=20, max_position_embeddings=8, **SHAPE)),
        "vit": ViTModel(ViTConfig(image_size=4, patch_size=2, **SHAPE)),
    }


def modules(model: PreTrainedModel) -> dict[str, int]:
    return {name: id(module) for name, module in model.named_modules()}


@torch.no_grad()
def check(model: PreTrainedModel, method: str, site: Site) -> None:
    config = student_config(METHODS[method], "xs", host_for(model).locate(model, site), 8)
    student = build_student(config)
    before, there = said(model), modules(model)
    with swapped(model, method, {site: student}):
        assert not torch.equal(said(model), before)
    assert torch.equal(said(model), before)
    assert modules(model) == there


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("group", GROUPS)
def test_afterwards_all_is_as_it_was(teacher: PreTrainedModel, method: str, group: str) -> None:
    if group in METHODS[method].groups:
        check(
            teacher, method, next(s for s in host_for(teacher).sites(teacher) if s.group == group)
        )


@pytest.mark.parametrize("host", ["marian", "bert", "vit"])
@pytest.mark.parametrize("method", METHODS)
def test_wherever_norm_and_projection_stand(host: str, method: str) -> None:
    check(others()[host].eval(), method, Site.parse("encoder.self.1"))


def test_meanwhile_it_is_the_spliced_model(
    teacher: PreTrainedModel, make_config: Callable[..., BundleConfig]
) -> None:
    config = make_config("alrr", positions=8)
    students = build_students(config, 3)
    with torch.no_grad(), swapped(teacher, "alrr", students):
        meanwhile = said(teacher)
    assert not hasattr(teacher.config, "attnreplace")
    with torch.no_grad():
        assert torch.equal(meanwhile, said(splice(teacher, config, students)))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("group", GROUPS)
@torch.no_grad()
def test_attention_given_back_everywhere_is_the_teacher(
    teacher: PreTrainedModel, make_config: Callable[..., BundleConfig], method: str, group: str
) -> None:
    if group not in METHODS[method].groups:
        return
    config = make_config(method, group=group, positions=8)
    model = splice(copy.deepcopy(teacher), config, build_students(config, 3))
    before, there = said(model), modules(model)
    sites = [Site.parse(site) for site in config.sites]
    with given_back(model, teacher, sites[0]):
        between = said(model)
        with given_back(model, teacher, sites[1]):
            assert torch.equal(said(model), said(teacher))
    assert not torch.equal(between, before) and not torch.equal(between, said(teacher))
    assert torch.equal(said(model), before)
    assert modules(model) == there


def test_the_other_site_of_a_layer_keeps_its_student(
    teacher: PreTrainedModel, make_config: Callable[..., BundleConfig]
) -> None:
    model, alone = copy.deepcopy(teacher), copy.deepcopy(teacher)
    for group in ("decoder", "cross"):
        config = make_config("alrr", group=group, positions=8)
        splice(model, config, build_students(config, 3))
        if group == "decoder":
            splice(alone, config, build_students(config, 3))
    first, second = Site("decoder", "cross", 0), Site("decoder", "cross", 1)
    with torch.no_grad(), given_back(model, teacher, first), given_back(model, teacher, second):
        assert torch.equal(said(model), said(alone))


@pytest.mark.parametrize("host", ["bert", "vit"])
@torch.no_grad()
def test_attention_whose_projection_stands_behind_it_is_given_back(host: str) -> None:
    teacher = others()[host].eval()
    site = Site.parse("encoder.self.1")
    place = host_for(teacher).locate(teacher, site)
    for method in METHODS.values():
        model = copy.deepcopy(teacher)
        student = build_student(student_config(method, "xs", place, 8)).eval()
        method.splice(host_for(model).locate(model, site), student)
        with given_back(model, teacher, site):
            assert torch.equal(said(model), said(teacher))
        assert not torch.equal(said(model), said(teacher))


def test_an_error_leaves_nothing_behind(
    teacher: PreTrainedModel, make_config: Callable[..., BundleConfig]
) -> None:
    there = modules(teacher)
    with (
        pytest.raises(KeyError),
        swapped(teacher, "elr", build_students(make_config("elr"), 0)),
    ):
        raise KeyError
    assert modules(teacher) == there
