"""The invariants of splicing, for every host, method and encoder site.

Models are tiny and in float64, where equality is asked up to rounding; their weights are drawn
large, so that attention matters.
"""

import copy
import functools
from dataclasses import replace
from pathlib import Path

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

from attnreplace.digest import model_digest
from attnreplace.hosts import Location, Site, host_for
from attnreplace.methods import METHODS
from attnreplace.splice.bundle import BundleConfig, build_students, save_bundle
from attnreplace.splice.pretrained import load_spliced_pretrained
from attnreplace.splice.removed import remove_attention
from attnreplace.splice.splice import load_spliced, splice
from attnreplace.students import student_config

POSITIONS = 12
VOCABULARY, PAD, BOS, EOS = 40, 1, 0, 2

CLASSES = {
    "m2m_100": (M2M100Config, M2M100ForConditionalGeneration),
    "mbart": (MBartConfig, MBartForConditionalGeneration),
    "marian": (MarianConfig, MarianMTModel),
    "bart": (BartConfig, BartForConditionalGeneration),
}
SITES = [Site("encoder", "self", 0), Site("encoder", "self", 1)]

every_host = pytest.mark.parametrize("model_type", CLASSES)
every_method = pytest.mark.parametrize("method", METHODS)
every_site = pytest.mark.parametrize("sites", [SITES[:1], SITES[1:], SITES], ids=["0", "1", "both"])


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


def bundle_config(model: PreTrainedModel, method: str, sites: list[Site]) -> BundleConfig:
    """A bundle of small students for `sites`."""
    host = host_for(model)
    students = {
        str(site): student_config(METHODS[method], "m", host.locate(model, site), POSITIONS)
        for site in sites
    }
    return BundleConfig(
        name=f"{method}-m",
        method=method,
        family="shallow_ff",
        size="m",
        positions=POSITIONS,
        students=students,
        teacher_digest=model_digest(model),
        tokenizer_digest="none",
    )


def with_students(model: PreTrainedModel, method: str, sites: list[Site]) -> PreTrainedModel:
    """A copy of the model with untrained students."""
    config = bundle_config(model, method, sites)
    return splice(copy.deepcopy(model), config, build_students(config, seed=3))


class Oracle(nn.Module):
    """A student that computes what the teacher's own modules compute."""

    def __init__(self, method: str, location: Location) -> None:
        super().__init__()
        self.own = replace(location, layers=copy.deepcopy(location.layers))
        self.eager = location.attention.config._attn_implementation == "eager"
        self.compute = {
            "alr": self.heads,
            "aslr": self.heads,
            "alrr": lambda x, mask: x + self.attend(self.own.pre_norm(x), mask),
            "elr": lambda x, mask: self.own.layer(x, mask),
        }[method]

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.own.attention(hidden_states=x, attention_mask=mask)[0]

    def heads(self, x: Tensor, mask: Tensor) -> Tensor:
        setattr(self.own.attention, self.own.out_proj_name, nn.Identity())
        return self.attend(x, mask)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        attended = mask[:, None, None].expand(-1, 1, x.shape[1], -1)
        if self.eager:
            attended = torch.zeros_like(attended, dtype=x.dtype).masked_fill(
                ~attended, torch.finfo(x.dtype).min
            )
        return self.compute(x, attended) * mask[..., None]


def record(model: PreTrainedModel, site: Site, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The teacher's tensors at a site by role, from a forward pass."""
    location = host_for(model).locate(model, site)
    seen: dict[str, Tensor] = {}
    hooks = [
        location.layer.register_forward_pre_hook(lambda _, x: seen.update(hidden_states=x[0])),
        location.layer.register_forward_hook(lambda _, x, y: seen.update(layer_output=y)),
        location.out_proj.register_forward_pre_hook(lambda _, x: seen.update(heads=x[0])),
    ]
    logits(model, batch)
    for hook in hooks:
        hook.remove()
    return seen


@every_host
@every_method
@every_site
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_identity(model_type: str, method: str, sites: list[Site], attention: str) -> None:
    """The teacher's own computation, put back through the splice, changes no logit."""
    model = tiny_model(model_type, attention)
    host = host_for(model)
    oracles = {site: Oracle(method, host.locate(model, site)) for site in sites}
    spliced = splice(copy.deepcopy(model), bundle_config(model, method, sites), oracles)
    for batch in (sentences([6, 6]), sentences([9, 3, 6])):
        torch.testing.assert_close(logits(spliced, batch), logits(model, batch), atol=1e-11, rtol=0)
    # The students take part: another student gives other logits.
    other = logits(with_students(model, method, sites), batch)
    assert (other - logits(model, batch)).abs().max() > 1e-2


@every_host
@every_method
@pytest.mark.parametrize("site", SITES, ids=str)
def test_cut_is_what_is_replaced(model_type: str, method: str, site: Site) -> None:
    """The target of the cut is what the oracle of the splice gives for the input of the cut."""
    model = tiny_model(model_type)
    location = host_for(model).locate(model, site)
    batch = sentences([9, 3, 6])
    mask = batch["attention_mask"].bool()
    tensors = record(model, site, batch)
    used = {role: tensors[role] for role in METHODS[method].roles}
    with torch.no_grad():
        source, target = METHODS[method].cut(location, used)
        predicted = Oracle(method, location)(source, mask)
        # Pointwise over tokens: a ragged store cuts the same.
        ragged = METHODS[method].cut(location, {role: x[mask] for role, x in used.items()})
    torch.testing.assert_close(predicted[mask], target[mask], atol=1e-12, rtol=0)
    torch.testing.assert_close(ragged, (source[mask], target[mask]), atol=1e-12, rtol=0)


@every_host
@every_method
def test_more_padding_and_other_sentences_change_nothing(model_type: str, method: str) -> None:
    spliced = with_students(tiny_model(model_type), method, SITES)
    alone = logits(spliced, sentences([5]))
    # Nine more columns than the students have positions, all of them padding.
    padded = logits(spliced, sentences([5], extra=POSITIONS + 9 - 5))
    together = logits(spliced, sentences([5, 12, 1]))[:1]
    torch.testing.assert_close(padded, alone, atol=1e-10, rtol=0)
    torch.testing.assert_close(together, alone, atol=1e-10, rtol=0)


@every_method
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_padding_side_changes_nothing(method: str, attention: str) -> None:
    """Asked of M2M-100 alone: the others number positions from the first column."""
    spliced = with_students(tiny_model("m2m_100", attention), method, SITES)
    lengths = [5, 9, 2]
    right, left = (logits(spliced, sentences(lengths, side)) for side in ("right", "left"))
    torch.testing.assert_close(left, right, atol=1e-10, rtol=0)


@every_host
@every_method
@pytest.mark.parametrize("beams", [1, 3])
def test_cache_changes_no_translation(model_type: str, method: str, beams: int) -> None:
    spliced = with_students(tiny_model(model_type), method, SITES)
    cached, plain = (
        spliced.generate(
            **sentences([7, 4]), num_beams=beams, max_new_tokens=8, use_cache=cache, do_sample=False
        )
        for cache in (True, False)
    )
    assert cached.shape[1] > 2
    assert torch.equal(cached, plain)


@every_host
@every_method
def test_later_target_tokens_change_no_earlier_logit(model_type: str, method: str) -> None:
    spliced = with_students(tiny_model(model_type), method, SITES)
    batch = sentences([7, 4])
    before, after = targets(2), targets(2)
    after[:, 3:] = 5
    with torch.no_grad():
        first, second = (spliced(**batch, decoder_input_ids=ids).logits for ids in (before, after))
    assert torch.equal(first[:, :3], second[:, :3])
    assert not torch.equal(first[:, 3:], second[:, 3:])


@every_host
@every_method
def test_bundle_round_trip(model_type: str, method: str, tmp_path: Path) -> None:
    """Saved, loaded and spliced into the teacher or its folder, a bundle is what it was."""
    model = tiny_model(model_type)
    config = bundle_config(model, method, SITES)
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
@every_method
def test_spliced_model_round_trip(model_type: str, method: str, tmp_path: Path) -> None:
    """What `save_pretrained` of a spliced model writes gives back the very same model."""
    spliced = with_students(tiny_model(model_type), method, SITES)
    spliced.generation_config.max_length = 9
    spliced.save_pretrained(tmp_path)
    again = load_spliced_pretrained(tmp_path)
    assert torch.equal(logits(again, sentences([6, 3])), logits(spliced, sentences([6, 3])))
    assert model_digest(again) == model_digest(spliced)
    assert again.num_parameters() == spliced.num_parameters()  # tied weights stay tied
    assert again.config.attnreplace == spliced.config.attnreplace
    assert again.generation_config.max_length == 9
    assert not again.training


@every_host
@every_method
def test_parameter_counts(model_type: str, method: str) -> None:
    """What is counted as replaced and as replacement is what the model loses and gains."""
    model = tiny_model(model_type)
    spliced = with_students(model, method, SITES)
    config = bundle_config(model, method, SITES)
    d, ffn = 16, 32
    linear = d * d + d
    pre_norm = 2 * d if host_for(model).locate(model, SITES[0]).norm_first else 0
    layer = 4 * linear + 2 * 2 * d + (d * ffn + ffn) + (ffn * d + d)
    gone = {"alr": 3 * linear, "aslr": 3 * linear, "alrr": 4 * linear + pre_norm, "elr": layer}
    gained = sum(student.num_parameters() for student in config.students.values())
    expected = model.num_parameters() - 2 * gone[method] + gained
    assert spliced.num_parameters() == expected


@every_host
@every_method
def test_recording_outputs_does_not_crash(model_type: str, method: str) -> None:
    spliced = with_students(tiny_model(model_type, "eager"), method, SITES)
    batch = sentences([6, 3])
    with torch.no_grad():
        output = spliced(
            **batch,
            decoder_input_ids=targets(2),
            output_attentions=True,
            output_hidden_states=True,
        )
    assert output.encoder_attentions == ()
    assert len(output.decoder_attentions) == 2
    # A replaced layer is not of the class whose outputs the library records.
    assert len(output.encoder_hidden_states) == 3 or method == "elr"


@every_host
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_removed_attention_is_attention_that_says_nothing(model_type: str, attention: str) -> None:
    """Removing equals an attention whose out-projection is zero."""
    model, silent = (copy.deepcopy(tiny_model(model_type, attention)) for _ in range(2))
    host = host_for(model)
    for site in SITES:
        out_proj = host.locate(silent, site).out_proj
        nn.init.zeros_(out_proj.weight)
        nn.init.zeros_(out_proj.bias)
        remove_attention(host.locate(model, site))
    batch = sentences([6, 3])
    assert torch.equal(logits(model, batch), logits(silent, batch))
