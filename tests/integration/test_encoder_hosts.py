"""The invariants of splicing encoders without a decoder, by host, method and head.

Models are tiny and in float64, where equality is asked up to rounding; their weights are drawn
large, so that attention matters.
"""

import copy
import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.digest import model_digest
from attnreplace.errors import SequenceTooLong, UserError
from attnreplace.hosts import Location, host_for
from attnreplace.hosts.bert import Bert
from attnreplace.hosts.vit import ViT
from attnreplace.methods import METHODS
from attnreplace.splice import source_positions
from attnreplace.splice.bundle import BundleConfig, build_students, bundle_name, save_bundle
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.removed import remove_attention
from attnreplace.splice.splice import load_spliced, splice
from attnreplace.students import student_config
from attnreplace.teacher.load import load_model

VOCABULARY, PAD, POSITIONS, WIDTH, FFN = 40, 1, 12, 16, 32

CLASSES = {
    "bert": "BertForMaskedLM",
    "roberta": "RobertaForMaskedLM",
    "xlm-roberta": "XLMRobertaForMaskedLM",
    "camembert": "CamembertForMaskedLM",
    "data2vec-text": "Data2VecTextForMaskedLM",
    "electra": "ElectraForMaskedLM",
    "ernie": "ErnieForMaskedLM",
    "distilbert": "DistilBertForMaskedLM",
    "vit": "ViTForImageClassification",
    "deit": "DeiTForImageClassification",
}
"""A model of every type."""
HEADS = {
    "BertModel": "bert",
    "BertForSequenceClassification": "bert",
    "BertForTokenClassification": "bert",
    "BertForQuestionAnswering": "bert",
    "BertForPreTraining": "bert",
    "RobertaModel": "roberta",
    "RobertaForSequenceClassification": "roberta",
    "DistilBertModel": "distilbert",
    "DistilBertForSequenceClassification": "distilbert",
    "ElectraForPreTraining": "electra",
    "ViTModel": "vit",
    "ViTForMaskedImageModeling": "vit",
    "DeiTModel": "deit",
    "DeiTForImageClassificationWithTeacher": "deit",
}
"""Other heads, and none."""
LAYOUTS = ["bert", "distilbert", "vit"]
"""A type of every layout."""

every_type = pytest.mark.parametrize("model_type", CLASSES)
every_layout = pytest.mark.parametrize("model_type", LAYOUTS)
every_method = pytest.mark.parametrize("method", METHODS)
types_and_methods = pytest.mark.parametrize(
    ("model_type", "method"),
    [(model_type, method) for model_type in LAYOUTS for method in METHODS]
    + [(model_type, "alrr") for model_type in CLASSES if model_type not in LAYOUTS],
)
"""All methods of one type of every layout; of the other types one, to see that they are alike."""
names_and_methods = pytest.mark.parametrize(
    ("name", "method"),
    [(model_type, method) for model_type in LAYOUTS for method in METHODS]
    + [(name, "alrr") for name in [*CLASSES, *HEADS] if name not in LAYOUTS],
)
"""The same with the other heads."""


@functools.cache
def tiny_model(name: str, attention: str = "sdpa") -> PreTrainedModel:
    """A seeded model in float64 and eval mode, shared by all tests: copy it to change it.

    Args:
        name: a model type, with the head of `CLASSES`, or a class.
        attention: how the library computes attention.
    """
    model_type = HEADS.get(name, name)
    shape = (
        {"image_size": 6, "patch_size": 2, "encoder_stride": 2}
        if model_type in ViT.layouts
        else {"vocab_size": VOCABULARY, "max_position_embeddings": 32, "pad_token_id": PAD}
    )
    config = AutoConfig.for_model(
        model_type,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=FFN,
        attn_implementation=attention,
        **{"hidden_dim": FFN} if model_type == "distilbert" else {},
        **shape,
    )
    model = getattr(transformers, CLASSES.get(name, name))(config).eval().double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).double() * 0.3)
    return model


def sentences(lengths: list[int], side: str = "right", extra: int = 0) -> dict[str, Tensor]:
    """Token ids and mask of seeded sentences, the same tokens whatever the padding."""
    generator = torch.Generator().manual_seed(1)
    width = max(lengths) + extra
    ids = torch.full((len(lengths), width), PAD)
    for row, length in enumerate(lengths):
        start = 0 if side == "right" else width - length
        words = torch.randint(3, VOCABULARY, (length,), generator=generator)
        ids[row, start : start + length] = words
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def images(count: int = 2) -> dict[str, Tensor]:
    """Seeded images of nine patches."""
    generator = torch.Generator().manual_seed(2)
    return {"pixel_values": torch.randn(count, 3, 6, 6, generator=generator).double()}


def inputs(model: PreTrainedModel) -> dict[str, Tensor]:
    """What the model reads, sentences of several lengths."""
    text = model.config.model_type in Bert.layouts
    return sentences([9, 3, 6]) if text else images()


@torch.no_grad()
def outputs(model: PreTrainedModel, batch: dict[str, Tensor] | None = None) -> list[Tensor]:
    """Everything that the model says, at real tokens only where it says something of each."""
    batch = inputs(model) if batch is None else batch
    mask = batch.get("attention_mask")
    return [
        value[mask.bool()] if mask is not None and value.shape[:2] == mask.shape else value
        for value in model(**batch).to_tuple()
    ]


def same(found: list[Tensor], expected: list[Tensor], atol: float = 1e-11) -> None:
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def differ(first: list[Tensor], second: list[Tensor]) -> bool:
    return any((a - b).abs().max() > 1e-2 for a, b in zip(first, second, strict=True))


def bundle_config(
    model: PreTrainedModel, method: str, layers: tuple[int, ...] = (0, 1)
) -> BundleConfig:
    """A bundle of small students."""
    host = host_for(model)
    positions = host.positions(model) if model.config.model_type in ViT.layouts else POSITIONS
    students = {
        str(site): student_config(METHODS[method], "m", host.locate(model, site), positions)
        for site in host.sites(model)
        if site.layer in layers
    }
    return BundleConfig(
        name=bundle_name(method, "m", "encoder"),
        method=method,
        family="shallow_ff",
        size="m",
        positions=positions,
        students=students,
        teacher_digest=model_digest(model),
        tokenizer_digest="none",
    )


@functools.cache
def with_students(model: PreTrainedModel, method: str) -> PreTrainedModel:
    """A copy of the model with untrained students, shared by all tests as the model is."""
    config = bundle_config(model, method)
    return splice(copy.deepcopy(model), config, build_students(config, seed=3))


class Oracle(nn.Module):
    """A student that computes what the teacher's own modules compute."""

    def __init__(self, method: str, location: Location) -> None:
        super().__init__()
        self.method = method
        self.own = replace(location, layers=copy.deepcopy(location.layers))
        self.eager = location.attention.config._attn_implementation == "eager"
        self.out_proj = self.own.out_proj
        if method != "elr":
            self.own.layer.set_submodule(self.own.out_proj_name, nn.Identity())

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        attended = mask[:, None, None].expand(-1, 1, x.shape[1], -1)
        if self.eager:
            attended = torch.zeros_like(attended, dtype=x.dtype).masked_fill(
                ~attended, torch.finfo(x.dtype).min
            )
        if self.method == "elr":
            return self.own.layer(x, attended) * mask[..., None]
        read = self.own.pre_norm(x) if self.method == "alrr" else x
        heads = self.own.attention(read, attention_mask=attended)[0]
        out = x + self.out_proj(heads) if self.method == "alrr" else heads
        return out * mask[..., None]


def with_oracles(
    model: PreTrainedModel, method: str, layers: tuple[int, ...] = (0, 1)
) -> PreTrainedModel:
    """A copy of the model with its own computation behind the splice."""
    host = host_for(model)
    sites = [site for site in host.sites(model) if site.layer in layers]
    oracles = {site: Oracle(method, host.locate(model, site)) for site in sites}
    return splice(copy.deepcopy(model), bundle_config(model, method, layers), oracles)


def test_every_type_is_tested() -> None:
    assert set(CLASSES) == {*Bert.layouts, *ViT.layouts}
    assert {Bert.layouts.get(t) or ViT.layouts[t] for t in LAYOUTS} == {
        *Bert.layouts.values(),
        *ViT.layouts.values(),
    }


@every_layout
@every_method
@pytest.mark.parametrize(
    ("layers", "attention"),
    [((0,), "sdpa"), ((1,), "sdpa"), ((0, 1), "sdpa"), ((0, 1), "eager")],
    ids=["0", "1", "both", "both-eager"],
)
def test_identity(model_type: str, method: str, layers: tuple[int, ...], attention: str) -> None:
    """The teacher's own computation, put back through the splice, changes no output."""
    model = tiny_model(model_type, attention)
    same(outputs(with_oracles(model, method, layers)), outputs(model))


@pytest.mark.parametrize("name", [*CLASSES, *HEADS])
@every_method
def test_identity_of_every_model(name: str, method: str) -> None:
    model = tiny_model(name)
    same(outputs(with_oracles(model, method)), outputs(model))


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
@every_method
def test_identity_without_a_mask(model_type: str, method: str) -> None:
    model, batch = tiny_model(model_type), {"input_ids": sentences([6, 6])["input_ids"]}
    same(outputs(with_oracles(model, method), batch), outputs(model, batch))


@types_and_methods
def test_students_take_part(model_type: str, method: str) -> None:
    """Another student gives other outputs."""
    model = tiny_model(model_type)
    assert differ(outputs(with_students(model, method)), outputs(model))


@types_and_methods
@pytest.mark.parametrize("layer", [0, 1])
def test_cut_is_what_is_replaced(model_type: str, method: str, layer: int) -> None:
    """The target of the cut is what the oracle of the splice gives for the input of the cut."""
    model, cutter = tiny_model(model_type), METHODS[method]
    site = host_for(model).sites(model)[layer]
    location, batch = host_for(model).locate(model, site), inputs(model)
    with Capture(model, [site]) as capture:
        outputs(model)
        names = location.tensor_names
        used = {role: capture.tensors[names[role]] for role in cutter.roles}
    anything = next(iter(used.values()))
    mask = batch.get("attention_mask", torch.ones(anything.shape[:2])).bool()
    with torch.no_grad():
        source, target = cutter.cut(location, used)
        predicted = Oracle(method, location)(source, mask)
        ragged = cutter.cut(location, {role: x[mask] for role, x in used.items()})
    torch.testing.assert_close(predicted[mask], target[mask], atol=1e-12, rtol=0)
    torch.testing.assert_close(ragged, (source[mask], target[mask]), atol=1e-12, rtol=0)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert"])
@every_method
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_more_padding_and_other_sentences_change_nothing(
    model_type: str, method: str, attention: str
) -> None:
    spliced = with_students(tiny_model(model_type, attention), method)
    (alone,) = outputs(spliced, sentences([5]))
    # More columns than the students have positions, all of them padding.
    (padded,) = outputs(spliced, sentences([5], extra=POSITIONS))
    (together,) = outputs(spliced, sentences([5, 12, 1]))
    torch.testing.assert_close(padded, alone, atol=1e-10, rtol=0)
    torch.testing.assert_close(together[:5], alone, atol=1e-10, rtol=0)


@every_method
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_side_changes_nothing(method: str, attention: str) -> None:
    """Asked of RoBERTa, which numbers positions from the first real token."""
    spliced = with_students(tiny_model("roberta", attention), method)
    right, left = (outputs(spliced, sentences([5, 9, 2], side)) for side in ("right", "left"))
    same(left, right, 1e-10)


@every_layout
def test_too_long_a_sequence(model_type: str) -> None:
    spliced = with_students(tiny_model(model_type), "alr")
    if model_type == "vit":
        assert source_positions(spliced) == 3 * 3 + 1
        larger = nn.functional.interpolate(images()["pixel_values"], (8, 6))
        batch = {"pixel_values": larger, "interpolate_pos_encoding": True}
    else:
        assert source_positions(spliced) == POSITIONS
        batch = sentences([POSITIONS + 1, 3])
    with torch.no_grad(), pytest.raises(SequenceTooLong, match="13 "):
        spliced(**batch)


@names_and_methods
def test_bundle_round_trip(name: str, method: str, tmp_path: Path) -> None:
    """Saved, loaded and spliced into the teacher or its folder, a bundle is what it was."""
    model = tiny_model(name)
    config = bundle_config(model, method)
    students = {site: s.double() for site, s in build_students(config, seed=3).items()}
    save_bundle(tmp_path / "bundle", config, students)
    model.save_pretrained(tmp_path / "teacher")
    expected = with_students(model, method)
    for teacher in (model, tmp_path / "teacher"):
        spliced = load_spliced(teacher, tmp_path / "bundle")
        assert type(spliced) is type(model)
        assert model_digest(spliced) == model_digest(expected)
        same(outputs(spliced), outputs(expected), 1e-12)


@names_and_methods
def test_spliced_model_round_trip(name: str, method: str, tmp_path: Path) -> None:
    """What `save_pretrained` of a spliced model writes gives back the very same model.

    Also where the teacher came from a folder, and its tensors had other names there.
    """
    tiny_model(name).save_pretrained(tmp_path / "teacher")
    config = bundle_config(tiny_model(name), method)
    spliced = splice(load_model(tmp_path / "teacher"), config, build_students(config, seed=3))
    spliced.save_pretrained(tmp_path / "spliced")
    again = load_spliced_pretrained(tmp_path / "spliced")
    assert type(again) is type(spliced)
    assert not again.training
    assert model_digest(again) == model_digest(spliced)
    assert again.num_parameters() == spliced.num_parameters()  # tied weights stay tied
    assert again.config.attnreplace == spliced.config.attnreplace
    same(outputs(again), outputs(spliced), 1e-12)


@every_layout
def test_a_teacher_is_saved_as_ever(model_type: str, tmp_path: Path) -> None:
    """Splicing into a copy changes nothing of how the teacher itself is saved."""
    model = tiny_model(model_type)
    model.save_pretrained(tmp_path / "before")
    with_students(model, "alr")
    model.save_pretrained(tmp_path / "after")
    before, after = (load_file(tmp_path / t / "model.safetensors") for t in ("before", "after"))
    assert before.keys() == after.keys()


@types_and_methods
def test_parameter_counts(model_type: str, method: str) -> None:
    """What is counted as replaced and as replacement is what the model loses and gains."""
    model = tiny_model(model_type)
    linear = WIDTH * WIDTH + WIDTH
    pre_norm = 2 * WIDTH if model_type in ViT.layouts else 0
    layer = 4 * linear + 2 * 2 * WIDTH + 2 * WIDTH * FFN + FFN + WIDTH
    gone = {"alr": 3 * linear, "aslr": 3 * linear, "alrr": 4 * linear + pre_norm, "elr": layer}
    config = bundle_config(model, method)
    gained = sum(student.num_parameters() for student in config.students.values())
    expected = model.num_parameters() - 2 * gone[method] + gained
    assert with_students(model, method).num_parameters() == expected


@every_layout
@every_method
def test_recording_outputs_does_not_crash(model_type: str, method: str) -> None:
    """Replaced attention has no weights to record."""
    model = tiny_model(model_type, "eager")
    with torch.no_grad():
        output = with_students(model, method)(
            **inputs(model), output_attentions=True, output_hidden_states=True
        )
    assert len(output.attentions) == 0
    # A replaced layer is not of the class whose outputs the library records.
    assert len(output.hidden_states) == 3 or method == "elr"


@every_type
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_removed_attention_is_attention_that_says_nothing(model_type: str, attention: str) -> None:
    """Removing equals an attention whose out-projection is zero."""
    teacher = tiny_model(model_type, attention)
    model, silent = copy.deepcopy(teacher), copy.deepcopy(teacher)
    host = host_for(model)
    for site in host.sites(model):
        out_proj = host.locate(silent, site).out_proj
        nn.init.zeros_(out_proj.weight)
        nn.init.zeros_(out_proj.bias)
        remove_attention(host.locate(model, site))
    same(outputs(model), outputs(silent), 0)
    assert differ(outputs(model), outputs(teacher))
    linear = WIDTH * WIDTH + WIDTH
    assert model.num_parameters() == teacher.num_parameters() - 2 * 4 * linear


@every_layout
def test_no_pickles_and_no_code_of_the_models_own(model_type: str, tmp_path: Path) -> None:
    """What is read of a folder are safetensors and JSON."""
    model = tiny_model(model_type)
    model.save_pretrained(tmp_path)
    (tmp_path / "own.py").write_text("raise SystemExit('this code was run')")
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Config", "AutoModelForMaskedLM": "own.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert model_digest(load_model(tmp_path)) == model_digest(model)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)
