"""The invariants of splicing encoder-decoders, by host, method, group of sites and form of student.

Models are tiny and in float64, where equality is asked up to rounding; their weights are drawn
large, so that attention matters.
"""

import copy
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedModel,
)

from attnreplace.activations.capture import Capture
from attnreplace.digest import model_digest
from attnreplace.hosts import Location, Site, host_for
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig, build_students, save_bundle
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.removed import remove_attention
from attnreplace.splice.splice import load_spliced, splice
from attnreplace.students import FAMILIES, student_config

POSITIONS = 12
VOCABULARY, PAD, BOS, EOS = 40, 1, 0, 2

CLASSES = {
    "m2m_100": (M2M100Config, M2M100ForConditionalGeneration),
    "mbart": (MBartConfig, MBartForConditionalGeneration),
    "marian": (MarianConfig, MarianMTModel),
    "bart": (BartConfig, BartForConditionalGeneration),
}


@dataclass(frozen=True)
class Case:
    """A method at a group of sites, at cross-attention in one of two forms."""

    method: str
    group: str
    form: str = "per-query"
    family: str = "shallow_ff"

    def __str__(self) -> str:
        words = [self.method, self.group] + [self.form] * (self.group == "cross")
        return "-".join(words + [self.family] * (self.family != "shallow_ff"))

    @property
    def causal(self) -> bool:
        return self.group != "cross" or self.form != "paper"

    def sites(self, layers: tuple[int, ...] = (0, 1)) -> list[Site]:
        stack = "encoder" if self.group == "encoder" else "decoder"
        kind = "cross" if self.group == "cross" else "self"
        return [Site(stack, kind, layer) for layer in layers]


CASES = [
    Case(name, group, form)
    for name, method in METHODS.items()
    for group in method.groups
    for form in (("per-query", "paper") if group == "cross" else ("per-query",))
]
WHOLE = [Case("alrr", "encoder"), Case("alr", "decoder"), Case("aslr", "cross")]
"""No attention left."""
FAMILY_CASES = [
    Case(method, group, family=family)
    for family in FAMILIES
    if family != "shallow_ff"
    for method, group in (("alr", "decoder"), ("alrr", "decoder"), ("alr", "cross"))
    if {"decoder": "prefix", "cross": "per-query"}[group] in FAMILIES[family]
]
"""The other families, where there is a cache; not for every method and host."""

every_host = pytest.mark.parametrize("model_type", CLASSES)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
causal_case = pytest.mark.parametrize("case", [c for c in CASES if c.causal], ids=str)


@functools.cache
def tiny_model(model_type: str, attention: str = "sdpa") -> PreTrainedModel:
    """A seeded model in float64 and eval mode, shared by all tests: copy it to change it."""
    config_class, model_class = CLASSES[model_type]
    config = config_class(
        vocab_size=VOCABULARY,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=32,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
        decoder_start_token_id=EOS,
        forced_eos_token_id=EOS,
        attn_implementation=attention,
    )
    model = model_class(config).eval().double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in filter(lambda parameter: parameter.requires_grad, model.parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
        model.get_input_embeddings().weight[PAD] = 0
    return model


def sentences(lengths: list[int], side: str = "right", extra: int = 0) -> dict[str, Tensor]:
    """Token ids and mask of seeded sentences, the same tokens whatever the padding."""
    generator = torch.Generator().manual_seed(1)
    width = max(lengths) + extra
    ids = torch.full((len(lengths), width), PAD)
    for row, length in enumerate(lengths):
        words = torch.randint(3, VOCABULARY, (length,), generator=generator)
        words[-1] = EOS
        start = 0 if side == "right" else width - length
        ids[row, start : start + length] = words
    return {"input_ids": ids, "attention_mask": (ids != PAD).long()}


def targets(batch: int, length: int = 5) -> Tensor:
    """Seeded decoder input, `(batch, length)`."""
    generator = torch.Generator().manual_seed(2)
    return torch.randint(3, VOCABULARY, (batch, length), generator=generator)


@torch.no_grad()
def logits(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Teacher-forced logits, `(batch, length, vocabulary)`."""
    return model(**batch, decoder_input_ids=targets(len(batch["input_ids"]))).logits


def bundle_config(
    model: PreTrainedModel, case: Case, layers: tuple[int, ...] = (0, 1)
) -> BundleConfig:
    """A bundle of small students."""
    host, method = host_for(model), METHODS[case.method]
    students = {
        str(site): student_config(
            method,
            "m",
            host.locate(model, site),
            POSITIONS,
            family=case.family,
            cross_form=case.form,
        )
        for site in case.sites(layers)
    }
    return BundleConfig(
        name=str(case),
        method=case.method,
        family=case.family,
        size="m",
        positions=POSITIONS,
        students=students,
        teacher_digest=model_digest(model),
        tokenizer_digest="none",
    )


@functools.cache
def with_students(model: PreTrainedModel, *cases: Case) -> PreTrainedModel:
    """A copy of the model with untrained students, shared by all tests as the model is."""
    spliced = copy.deepcopy(model)
    for case in cases:
        config = bundle_config(model, case)
        splice(spliced, config, build_students(config, seed=3))
    return spliced


class Oracle(nn.Module):
    """A student that computes what the teacher's own modules compute.

    Its states are the inputs themselves: it decodes as slowly as can be.
    """

    def __init__(self, case: Case, location: Location) -> None:
        super().__init__()
        self.config = SimpleNamespace(form=case.form)
        self.case = case
        self.own = replace(location, layers=copy.deepcopy(location.layers))
        self.eager = location.attention.config._attn_implementation == "eager"
        if case.method in ("alr", "aslr"):
            self.own.layer.set_submodule(self.own.out_proj_name, nn.Identity())

    def forward(
        self,
        x: Tensor,
        mask: Tensor,
        memory: Tensor | None = None,
        memory_mask: Tensor | None = None,
    ) -> Tensor:
        keys = mask if memory_mask is None else memory_mask
        attended = keys[:, None].expand(-1, x.shape[1], -1)
        if self.case.group == "decoder":
            attended = attended.tril()
        attended = attended[:, None]
        if self.eager:
            attended = torch.zeros_like(attended, dtype=x.dtype).masked_fill(
                ~attended, torch.finfo(x.dtype).min
            )
        if self.case.method == "elr":
            return self.own.layer(x, attended) * mask[..., None]
        read = self.own.pre_norm(x) if self.case.method == "alrr" else x
        out = self.own.attention(
            hidden_states=read, key_value_states=memory, attention_mask=attended
        )[0]
        return (x + out if self.case.method == "alrr" else out) * mask[..., None]

    def decode(
        self, x: Tensor, state: tuple[Tensor, ...] | None, start: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        inputs = torch.cat([*(state or ()), x], dim=1)
        assert inputs.shape[1] == start + x.shape[1]
        return self(inputs, all_real(inputs))[:, start:], (inputs,)

    def read_memory(self, memory: Tensor, memory_mask: Tensor) -> tuple[Tensor, ...]:
        return memory, memory_mask

    def answer(self, x: Tensor, share: tuple[Tensor, ...], start: int = 0) -> Tensor:
        return self(x, all_real(x), *share)


def all_real(x: Tensor) -> Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


def with_oracles(
    model: PreTrainedModel, *cases: Case, layers: tuple[int, ...] = (0, 1)
) -> PreTrainedModel:
    """A copy of the model with its own computation behind the splice."""
    spliced, host = copy.deepcopy(model), host_for(model)
    for case in cases:
        oracles = {site: Oracle(case, host.locate(model, site)) for site in case.sites(layers)}
        splice(spliced, bundle_config(model, case, layers), oracles)
    return spliced


@every_host
@every_case
@pytest.mark.parametrize(
    ("layers", "attention"),
    [((0,), "sdpa"), ((1,), "sdpa"), ((0, 1), "sdpa"), ((0, 1), "eager")],
    ids=["0", "1", "both", "both-eager"],
)
def test_identity(model_type: str, case: Case, layers: tuple[int, ...], attention: str) -> None:
    """The teacher's own computation, put back through the splice, changes no logit."""
    model = tiny_model(model_type, attention)
    spliced = with_oracles(model, case, layers=layers)
    for batch in (sentences([6, 6]), sentences([9, 3, 6])):
        torch.testing.assert_close(logits(spliced, batch), logits(model, batch), atol=1e-11, rtol=0)


@every_host
def test_identity_without_any_attention(model_type: str) -> None:
    model = tiny_model(model_type)
    spliced, batch = with_oracles(model, *WHOLE), sentences([9, 3, 6])
    torch.testing.assert_close(logits(spliced, batch), logits(model, batch), atol=1e-11, rtol=0)


@every_host
@every_case
def test_students_take_part(model_type: str, case: Case) -> None:
    """Another student gives other logits."""
    model, batch = tiny_model(model_type), sentences([9, 3, 6])
    other = logits(with_students(model, case), batch)
    assert (other - logits(model, batch)).abs().max() > 1e-2


@every_host
@causal_case
@pytest.mark.parametrize("beams", [1, 3])
def test_identity_of_translations(model_type: str, case: Case, beams: int) -> None:
    """With a cache, whose rows the beams reorder, as well."""
    model = tiny_model(model_type)
    spliced, batch = with_oracles(model, case), sentences([7, 4])
    expected, found = (translated(each, batch, num_beams=beams) for each in (model, spliced))
    assert torch.equal(found, expected)


def translated(model: PreTrainedModel, batch: dict[str, Tensor], **options: object) -> Tensor:
    """Generated ids, `(batch, length)`."""
    found = model.generate(**batch, max_new_tokens=8, do_sample=False, **options)
    assert found.shape[1] > 2
    return found


@every_host
@every_case
@pytest.mark.parametrize("layer", [0, 1])
def test_cut_is_what_is_replaced(model_type: str, case: Case, layer: int) -> None:
    """The target of the cut is what the oracle of the splice gives for the input of the cut."""
    model, method = tiny_model(model_type), METHODS[case.method]
    site = case.sites((layer,))[0]
    location = host_for(model).locate(model, site)
    batch = sentences([9, 3, 6])
    source_mask = batch["attention_mask"].bool()
    mask = source_mask if location.axis == "source" else all_real(targets(3)[..., None])
    with Capture(model, [site]) as capture:
        logits(model, batch)
        tensors = {role: capture.tensors[name] for role, name in location.tensor_names.items()}
    used = {role: tensors[role] for role in method.roles}
    memory = (tensors["memory"], source_mask) if case.group == "cross" else ()
    with torch.no_grad():
        source, target = method.cut(location, used)
        predicted = Oracle(case, location)(source, mask, *memory)
        # Pointwise over tokens: a ragged store cuts the same.
        ragged = method.cut(location, {role: x[mask] for role, x in used.items()})
    torch.testing.assert_close(predicted[mask], target[mask], atol=1e-12, rtol=0)
    torch.testing.assert_close(ragged, (source[mask], target[mask]), atol=1e-12, rtol=0)


@every_host
@every_case
def test_more_padding_and_other_sentences_change_nothing(model_type: str, case: Case) -> None:
    spliced = with_students(tiny_model(model_type), case)
    alone = logits(spliced, sentences([5]))
    # Nine more columns than the students have positions, all of them padding.
    padded = logits(spliced, sentences([5], extra=POSITIONS + 9 - 5))
    together = logits(spliced, sentences([5, 12, 1]))[:1]
    torch.testing.assert_close(padded, alone, atol=1e-10, rtol=0)
    torch.testing.assert_close(together, alone, atol=1e-10, rtol=0)


@every_case
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_side_changes_nothing(case: Case, attention: str) -> None:
    """Asked of M2M-100 alone: the others number positions from the first column."""
    spliced = with_students(tiny_model("m2m_100", attention), case)
    lengths = [5, 9, 2]
    right, left = (logits(spliced, sentences(lengths, side)) for side in ("right", "left"))
    torch.testing.assert_close(left, right, atol=1e-10, rtol=0)


@every_host
@pytest.mark.parametrize("case", [c for c in CASES if c.causal and c.group != "encoder"], ids=str)
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_of_the_target_changes_nothing(
    model_type: str, case: Case, cache: bool, attention: str
) -> None:
    """On the right: targets of a batch are of several lengths, with a mask of their own or not."""
    spliced, batch = with_students(tiny_model(model_type, attention), case), sentences([7, 4])
    ids = targets(2)
    padded = torch.cat([ids, torch.full((2, 3), PAD)], dim=1)
    padded[1, 3:] = PAD
    with torch.no_grad():
        alone = spliced(**batch, decoder_input_ids=ids, use_cache=cache).logits
        for mask in (None, (padded != PAD).long()):
            found = spliced(
                **batch, decoder_input_ids=padded, decoder_attention_mask=mask, use_cache=cache
            ).logits
            torch.testing.assert_close(found[0, :5], alone[0], atol=1e-10, rtol=0)
            torch.testing.assert_close(found[1, :3], alone[1, :3], atol=1e-10, rtol=0)


@every_host
@causal_case
@pytest.mark.parametrize("beams", [1, 3])
def test_cache_changes_no_translation(model_type: str, case: Case, beams: int) -> None:
    spliced, batch = with_students(tiny_model(model_type), case), sentences([7, 4])
    cached, plain = (
        translated(spliced, batch, num_beams=beams, use_cache=cache) for cache in (True, False)
    )
    assert torch.equal(cached, plain)


@every_host
@pytest.mark.parametrize("cases", [[case] for case in CASES] + [WHOLE], ids=str)
def test_later_target_tokens_change_no_earlier_logit(model_type: str, cases: list[Case]) -> None:
    spliced = with_students(tiny_model(model_type), *cases)
    batch = sentences([7, 4])
    before, after = targets(2), targets(2)
    after[:, 3:] = 5
    with torch.no_grad():
        first, second = (spliced(**batch, decoder_input_ids=ids).logits for ids in (before, after))
    # The paper's form of cross-attention reads them.
    assert torch.equal(first[:, :3], second[:, :3]) == all(case.causal for case in cases)
    assert not torch.equal(first[:, 3:], second[:, 3:])


@pytest.mark.parametrize("case", FAMILY_CASES, ids=str)
def test_families_decode_as_they_read(case: Case) -> None:
    """With a cache or without, beams and all; more padding and later tokens change nothing."""
    model, batch = tiny_model("m2m_100"), sentences([7, 4])
    spliced = with_students(model, case)
    ids = targets(2)
    ids[:, 3:] = 5
    with torch.no_grad():
        before, after = logits(spliced, batch), spliced(**batch, decoder_input_ids=ids).logits
    assert torch.equal(after[:, :3], before[:, :3])
    assert not torch.equal(after[:, 3:], before[:, 3:])
    padded = logits(spliced, sentences([7, 4], "left", extra=POSITIONS))
    torch.testing.assert_close(padded, before, atol=1e-10, rtol=0)
    assert (before - logits(model, batch)).abs().max() > 1e-2
    cached, plain = (
        translated(spliced, batch, num_beams=3, use_cache=cache) for cache in (True, False)
    )
    assert torch.equal(cached, plain)


@every_host
@every_case
def test_bundle_round_trip(model_type: str, case: Case, tmp_path: Path) -> None:
    """Saved, loaded and spliced into the teacher or its folder, a bundle is what it was."""
    model = tiny_model(model_type)
    config = bundle_config(model, case)
    students = {site: s.double() for site, s in build_students(config, seed=3).items()}
    save_bundle(tmp_path / "bundle", config, students)
    model.save_pretrained(tmp_path / "teacher")
    expected = splice(copy.deepcopy(model), config, students)
    for teacher in (model, tmp_path / "teacher"):
        spliced = load_spliced(teacher, tmp_path / "bundle")
        assert model_digest(spliced) == model_digest(expected)
        # Tensors mapped from a file may be aligned otherwise, and take another kernel.
        torch.testing.assert_close(
            logits(spliced, sentences([6, 3])),
            logits(expected, sentences([6, 3])),
            atol=1e-12,
            rtol=0,
        )


@every_host
@pytest.mark.parametrize("cases", [[case] for case in CASES] + [WHOLE], ids=str)
def test_spliced_model_round_trip(model_type: str, cases: list[Case], tmp_path: Path) -> None:
    """What `save_pretrained` of a spliced model writes gives back the very same model."""
    spliced = copy.deepcopy(with_students(tiny_model(model_type), *cases))
    spliced.generation_config.max_length = 9
    spliced.save_pretrained(tmp_path)
    again = load_spliced_pretrained(tmp_path)
    assert torch.equal(logits(again, sentences([6, 3])), logits(spliced, sentences([6, 3])))
    assert model_digest(again) == model_digest(spliced)
    assert again.num_parameters() == spliced.num_parameters()  # tied weights stay tied
    assert again.config.attnreplace == spliced.config.attnreplace
    assert again.generation_config.max_length == 9
    assert again.generation_config.use_cache == all(case.causal for case in cases)
    assert not again.training


@every_host
@every_case
def test_parameter_counts(model_type: str, case: Case) -> None:
    """What is counted as replaced and as replacement is what the model loses and gains."""
    model = tiny_model(model_type)
    spliced = with_students(model, case)
    config = bundle_config(model, case)
    d, ffn = 16, 32
    linear = d * d + d
    pre_norm = 2 * d if host_for(model).locate(model, case.sites()[0]).norm_first else 0
    layer = 4 * linear + 2 * 2 * d + (d * ffn + ffn) + (ffn * d + d)
    gone = {"alr": 3 * linear, "aslr": 3 * linear, "alrr": 4 * linear + pre_norm, "elr": layer}
    gained = sum(student.num_parameters() for student in config.students.values())
    expected = model.num_parameters() - 2 * gone[case.method] + gained
    assert spliced.num_parameters() == expected


@every_host
@every_case
def test_recording_outputs_does_not_crash(model_type: str, case: Case) -> None:
    """Replaced attention has no weights to record."""
    spliced = with_students(tiny_model(model_type, "eager"), case)
    with torch.no_grad():
        output = spliced(
            **sentences([6, 3]),
            decoder_input_ids=targets(2),
            output_attentions=True,
            output_hidden_states=True,
        )
    recorded = {
        "encoder": output.encoder_attentions,
        "decoder": output.decoder_attentions,
        "cross": output.cross_attentions,
    }
    assert {group: len(weights) for group, weights in recorded.items()} == {
        group: 0 if group == case.group else 2 for group in recorded
    }
    # A replaced layer is not of the class whose outputs the library records.
    assert len(output.encoder_hidden_states) == 3 or case.method == "elr"
    assert len(output.decoder_hidden_states) == 3


@every_host
@pytest.mark.parametrize("group", ["encoder", "decoder", "cross"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_removed_attention_is_attention_that_says_nothing(
    model_type: str, group: str, attention: str
) -> None:
    """Removing equals an attention whose out-projection is zero, with a cache as well."""
    model, silent = (copy.deepcopy(tiny_model(model_type, attention)) for _ in range(2))
    host = host_for(model)
    for site in Case("alr", group).sites():
        out_proj = host.locate(silent, site).out_proj
        nn.init.zeros_(out_proj.weight)
        nn.init.zeros_(out_proj.bias)
        remove_attention(host.locate(model, site))
    batch = sentences([6, 3])
    assert torch.equal(logits(model, batch), logits(silent, batch))
    for beams in (1, 3):
        found, expected = (translated(each, batch, num_beams=beams) for each in (model, silent))
        assert torch.equal(found, expected)
