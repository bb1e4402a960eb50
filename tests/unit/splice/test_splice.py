"""Splicing: what is copied, composed, recorded and refused."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from attnreplace.digest import model_digest
from attnreplace.errors import SequenceTooLong, UserError
from attnreplace.splice import source_positions, target_positions
from attnreplace.splice.bundle import BundleConfig, build_students, load_bundle
from attnreplace.splice.splice import BundlePart, load_spliced, splice

MakeConfig = Callable[..., BundleConfig]
MakeBundle = Callable[..., Path]


def test_the_teacher_is_left_alone(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    before = model_digest(teacher)
    spliced = load_spliced(teacher, make_bundle())
    assert model_digest(teacher) == before
    assert not hasattr(teacher.config, "attnreplace")
    shared = {p.data_ptr() for p in teacher.parameters()}
    assert not shared & {p.data_ptr() for p in spliced.parameters()}


def test_students_are_the_bundles(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    path = make_bundle("alr", (1,))
    _, students = load_bundle(path)
    spliced = load_spliced(teacher, path)
    state = spliced.state_dict()
    for student in students.values():
        for name, tensor in student.state_dict().items():
            assert torch.equal(state[f"model.encoder.layers.1.self_attn.student.{name}"], tensor)
    assert not spliced.training
    attention = spliced.model.encoder.layers[1].self_attn
    assert not any(parameter.requires_grad for parameter in attention.student.parameters())
    assert attention.out_proj.weight.requires_grad


def test_bundles_compose(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    paths = [make_bundle("alrr", (1,)), make_bundle("elr", (0,))]
    spliced = load_spliced(teacher, paths)
    one_by_one = copy.deepcopy(teacher)
    for path in reversed(paths):
        splice(one_by_one, *load_bundle(path))
    assert model_digest(spliced) == model_digest(one_by_one)
    done = spliced.config.attnreplace
    assert [entry["name"] for entry in done] == ["alrr-m", "elr-m"]
    assert [entry["sites"] for entry in done] == [["encoder.self.1"], ["encoder.self.0"]]


def test_groups_compose(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    paths = [
        make_bundle("elr"), make_bundle("alr", group="decoder"), make_bundle("alr", group="cross")
    ]  # fmt: skip
    spliced = load_spliced(teacher, paths)
    assert [entry["name"] for entry in spliced.config.attnreplace] == [
        "elr-m", "alr-m-decoder", "alr-m-cross"
    ]  # fmt: skip
    assert not any("q_proj" in name for name in spliced.state_dict())
    assert spliced.generation_config.use_cache


def test_some_layers_of_a_bundle(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    alr, alrr = make_bundle("alr", group="decoder"), make_bundle("alrr", group="decoder")
    spliced = load_spliced(teacher, [BundlePart(alr, "1"), BundlePart(alrr, "0")])
    layers = spliced.model.decoder.layers
    assert [type(layer.self_attn).__name__ for layer in layers] == [
        "ResidualReplacement", "HeadsReplacement"
    ]  # fmt: skip
    assert [entry["sites"] for entry in spliced.config.attnreplace] == [
        ["decoder.self.1"], ["decoder.self.0"]
    ]  # fmt: skip
    with pytest.raises(UserError, match="both replace"):
        load_spliced(teacher, [BundlePart(alr, "0-1"), BundlePart(alrr, "0")])
    with pytest.raises(UserError, match="no layer 2"):
        load_spliced(teacher, BundlePart(alr, "2"))


def test_the_papers_form_has_no_cache(
    teacher: PreTrainedModel, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    spliced = load_spliced(teacher, make_bundle("alr", group="cross", form="paper"))
    assert spliced.generation_config.use_cache is False
    assert teacher.generation_config.use_cache is True


def test_positions(teacher: PreTrainedModel, make_config: MakeConfig) -> None:
    assert source_positions(teacher) is None
    assert target_positions(teacher) is None
    limits = []
    for group, positions in (("encoder", 8), ("decoder", 7), ("cross", 5)):
        config = make_config("alr", group=group, positions=positions)
        splice(teacher, config, build_students(config, seed=0))
        limits.append((source_positions(teacher), target_positions(teacher)))
    assert limits == [(8, None), (8, 7), (5, 7)]


@pytest.mark.parametrize(
    ("family", "form", "target"),
    [
        ("shallow_ff", "per-query", None),
        ("shallow_ff", "paper", 5),
        ("sgu", "per-query", None),
        ("random_synthesizer", "per-query", 5),
    ],
)
def test_who_limits_the_target_at_cross_attention(
    teacher: PreTrainedModel, make_config: MakeConfig, family: str, form: str, target: int | None
) -> None:
    """Who reads the whole target at once, and who has weights for its positions."""
    config = make_config("alr", group="cross", form=form, positions=5)
    students = {
        site: dataclasses.replace(student, family=family)
        for site, student in config.students.items()
    }
    config = dataclasses.replace(config, family=family, students=students)
    splice(teacher, config, build_students(config, seed=0))
    assert (source_positions(teacher), target_positions(teacher)) == (5, target)
    if target is None:
        batch = torch.full((1, 4), 5), torch.full((1, 9), 5)
        with torch.no_grad():
            assert teacher(batch[0], decoder_input_ids=batch[1]).logits.isfinite().all()


def test_overlap_is_refused(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    paths = [make_bundle("alr", (0, 1)), make_bundle("elr", (1,))]
    message = r"bundles 'alr-m' and 'elr-m' both replace encoder\.self\.1"
    with pytest.raises(UserError, match=message):
        load_spliced(teacher, paths)


def test_another_teacher_is_refused(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    path = make_bundle()
    digest = model_digest(teacher)
    with torch.no_grad():
        teacher.model.encoder.layers[0].fc1.bias[0] += 1
    message = f"trained on teacher {digest[:12]}, this teacher is {model_digest(teacher)[:12]}"
    with pytest.raises(UserError, match=message):
        load_spliced(teacher, path)


def test_a_site_that_is_not_there_changes_nothing(
    teacher: PreTrainedModel, make_config: MakeConfig
) -> None:
    config = make_config("alr", (0, 1))
    students = {"encoder.self.0": config.students["encoder.self.0"],
                "encoder.self.2": config.students["encoder.self.1"]}  # fmt: skip
    config = dataclasses.replace(config, students=students)
    before = model_digest(teacher)
    with pytest.raises(UserError, match=r"no site encoder\.self\.2"):
        splice(teacher, config, build_students(config, seed=0))
    assert model_digest(teacher) == before


def test_students_take_the_models_dtype(teacher: PreTrainedModel, make_config: MakeConfig) -> None:
    config = make_config()
    spliced = splice(teacher.bfloat16(), config, build_students(config, seed=0))
    assert {p.dtype for p in spliced.parameters()} == {torch.bfloat16}
    ids = torch.tensor([[5, 6, 2]])
    with torch.no_grad():
        logits = spliced(input_ids=ids, decoder_input_ids=ids).logits
    assert logits.dtype == torch.bfloat16
    assert logits.isfinite().all()


def test_too_long_a_sentence(teacher: PreTrainedModel, make_bundle: MakeBundle) -> None:
    spliced = load_spliced(teacher, make_bundle())
    ids, mask = torch.full((2, 9), 5), torch.zeros(2, 9, dtype=torch.long)
    mask[:, :6] = 1  # six tokens, and padding beyond
    spliced.generate(input_ids=ids, attention_mask=mask, max_new_tokens=2)
    mask[1, 6] = 1
    with pytest.raises(SequenceTooLong, match=r"7 tokens .* 6 positions"):
        spliced.generate(input_ids=ids, attention_mask=mask, max_new_tokens=2)


def test_no_teacher(make_bundle: MakeBundle, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no teacher in .*; run `attnreplace train`"):
        load_spliced(tmp_path / "none", make_bundle())


@pytest.mark.parametrize("damage", ["missing", "pickle", "truncated"])
def test_damaged_teacher(
    teacher: PreTrainedModel, make_bundle: MakeBundle, tmp_path: Path, damage: str
) -> None:
    """A teacher without safetensors is not read from a pickle."""
    teacher.save_pretrained(tmp_path / "teacher")
    weights = tmp_path / "teacher" / "model.safetensors"
    data = weights.read_bytes()
    weights.unlink()
    if damage == "pickle":
        torch.save(teacher.state_dict(), tmp_path / "teacher" / "pytorch_model.bin")
    if damage == "truncated":
        weights.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"the teacher in .* cannot be loaded") as error:
        load_spliced(tmp_path / "teacher", make_bundle())
    assert "\n" not in str(error.value)
