from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, PreTrainedModel

from attnreplace.activations.capture import Capture
from attnreplace.hosts import Site, host_for
from attnreplace.hosts.seq2seq import Seq2Seq

LAYERS, WIDTH, HEADS = 2, 8, 2
TYPES = Seq2Seq.model_types


def tiny(model_type: str) -> PreTrainedModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        model_type,
        vocab_size=20,
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=32,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=0,
        forced_eos_token_id=None,
    )
    return AutoModelForSeq2SeqLM.from_config(config).eval()


def batch() -> dict[str, Tensor]:
    ids = torch.tensor([[5, 6, 7, 2], [8, 2, 1, 1]])
    return {"input_ids": ids, "attention_mask": (ids != 1).long()}


def encoder_sites(model: PreTrainedModel) -> list[Site]:
    return [site for site in host_for(model).sites(model) if site.stack == "encoder"]


@pytest.mark.parametrize("model_type", TYPES)
def test_residual_stream_between_the_layers(model_type: str) -> None:
    model = tiny(model_type)
    with torch.inference_mode(), Capture(model, encoder_sites(model)) as capture:
        output = model.get_encoder()(**batch(), output_hidden_states=True)
        found = capture.tensors
        for index, wanted in enumerate(output.hidden_states[:-1]):
            assert torch.equal(found[f"encoder.hidden_states.{index}"], wanted)
        last = found[f"encoder.hidden_states.{LAYERS}"]
        # The stream leaves the last layer before the stack's final norm, where there is one.
        norm = getattr(model.get_encoder(), "layer_norm", torch.nn.Identity())
        assert torch.equal(norm(last), output.last_hidden_state)


@pytest.mark.parametrize("model_type", TYPES)
def test_heads_are_what_attention_adds_up_before_the_out_projection(model_type: str) -> None:
    model = tiny(model_type)
    mask = batch()["attention_mask"].bool()
    with torch.inference_mode(), Capture(model, encoder_sites(model)) as capture:
        model.get_encoder()(**batch())
        for site in encoder_sites(model):
            location = host_for(model).locate(model, site)
            x = location.pre_norm(capture.tensors[f"encoder.hidden_states.{site.layer}"])
            attention: Any = location.attention
            q, k, v = (
                projection(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
                for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            scores = q @ k.mT / (WIDTH // HEADS) ** 0.5
            weights = scores.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1)
            wanted = (weights @ v).transpose(1, 2).flatten(2)
            found = capture.tensors[f"encoder.self.heads.{site.layer}"]
            torch.testing.assert_close(found[mask], wanted[mask])


def test_no_tensor_twice_and_none_too_many() -> None:
    model = tiny("m2m_100")
    capture = Capture(model, encoder_sites(model))
    with torch.inference_mode(), capture:
        model.get_encoder()(**batch())
        names = list(capture.tensors)
    assert (
        sorted(names)
        == sorted(capture.widths)
        == sorted(
            [f"encoder.hidden_states.{i}" for i in range(LAYERS + 1)]
            + [f"encoder.self.heads.{i}" for i in range(LAYERS)]
        )
    )
    assert set(capture.widths.values()) == {WIDTH}
    with torch.inference_mode(), Capture(model, [Site("encoder", "self", 1)]) as capture:
        model.get_encoder()(**batch())
        assert sorted(capture.tensors) == [
            "encoder.hidden_states.1",
            "encoder.hidden_states.2",
            "encoder.self.heads.1",
        ]


def test_nothing_stays_behind() -> None:
    model = tiny("m2m_100")
    before = model.get_encoder()(**batch()).last_hidden_state
    with Capture(model, encoder_sites(model)) as capture:
        inside = model.get_encoder()(**batch()).last_hidden_state
        assert capture.tensors
    assert not capture.tensors
    model.get_encoder()(**batch())
    assert not capture.tensors
    assert torch.equal(before, inside)


@pytest.mark.parametrize("model_type", TYPES)
def test_decoder_sites(model_type: str) -> None:
    model = tiny(model_type)
    sites = [site for site in host_for(model).sites(model) if site.stack == "decoder"]
    targets = torch.tensor([[0, 9, 4], [0, 3, 3]])
    with torch.inference_mode(), Capture(model, sites) as capture:
        output = model(**batch(), decoder_input_ids=targets, output_hidden_states=True)
        found = capture.tensors
        assert sorted(found) == sorted(capture.widths)
        for index, wanted in enumerate(output.decoder_hidden_states[:-1]):
            assert torch.equal(found[f"decoder.hidden_states.{index}"], wanted)
        for layer in range(LAYERS):
            # After self-attention and before cross-attention.
            at = host_for(model).locate(model, Site("decoder", "self", layer))
            x = found[f"decoder.hidden_states.{layer}"]
            x = x + at.out_proj(found[f"decoder.self.heads.{layer}"])
            wanted = x if at.norm_first else at.norm(x)
            stream = found[f"decoder.cross.hidden_states.{layer}"]
            torch.testing.assert_close(stream, wanted)
            assert found[f"decoder.cross.heads.{layer}"].shape == stream.shape


@pytest.mark.parametrize("model_type", TYPES)
def test_memory_is_what_cross_attention_reads(model_type: str) -> None:
    """There once for all layers; where the last encoder layer gives it, under that name."""
    model = tiny(model_type)
    sites = [site for site in host_for(model).sites(model) if site.kind == "cross"]
    targets = torch.tensor([[0, 9, 4], [0, 3, 3]])
    with torch.inference_mode(), Capture(model, sites) as capture:
        output = model(**batch(), decoder_input_ids=targets)
        found = dict(capture.tensors)
    names = {host_for(model).locate(model, site).tensor_names["memory"] for site in sites}
    (name,) = names
    assert torch.equal(found[name], output.encoder_last_hidden_state)
    with torch.inference_mode(), Capture(model, host_for(model).sites(model)) as capture:
        model(**batch(), decoder_input_ids=targets)
        assert torch.equal(capture.tensors[name], found[name])
        assert len({id(tensor) for tensor in capture.tensors.values()}) == len(capture.tensors)


PROJECTIONS = {
    "bert": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "distilbert": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "vit": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
}


def tiny_encoder(model_type: str) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = {"image_size": 4, "patch_size": 2} if model_type == "vit" else {"vocab_size": 20}
    config = AutoConfig.for_model(
        model_type,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=16,
        **shape,
    )
    return AutoModel.from_config(config).eval()


@pytest.mark.parametrize("model_type", PROJECTIONS)
def test_encoders_without_a_decoder(model_type: str) -> None:
    """The stream between the layers, and the heads computed by hand from it."""
    model = tiny_encoder(model_type)
    if model_type == "vit":
        given = {"pixel_values": torch.randn(2, 3, 4, 4)}
        mask = torch.ones(2, 5, dtype=torch.bool)
    else:
        given = batch()
        mask = given["attention_mask"].bool()
    sites = encoder_sites(model)
    with torch.no_grad(), Capture(model, sites) as capture:
        output = model(**given, output_hidden_states=True)
        found = dict(capture.tensors)
        assert sorted(found) == sorted(capture.widths)
    assert len(found) == LAYERS + 1 + LAYERS
    for index, wanted in enumerate(output.hidden_states):
        assert torch.equal(found[f"encoder.hidden_states.{index}"], wanted)
    with torch.no_grad():
        last = found[f"encoder.hidden_states.{LAYERS}"]
        norm = model.layernorm if model_type == "vit" else torch.nn.Identity()
        assert torch.equal(norm(last), output.last_hidden_state)
        for site in sites:
            location = host_for(model).locate(model, site)
            x = location.pre_norm(found[f"encoder.hidden_states.{site.layer}"])
            q, k, v = (
                location.layer.get_submodule(name)(x).unflatten(-1, (HEADS, -1)).transpose(1, 2)
                for name in PROJECTIONS[model_type]
            )
            scores = q @ k.mT / (WIDTH // HEADS) ** 0.5
            weights = scores.masked_fill(~mask[:, None, None], -torch.inf).softmax(-1)
            wanted = (weights @ v).transpose(1, 2).flatten(2)
            torch.testing.assert_close(
                found[f"encoder.self.heads.{site.layer}"][mask], wanted[mask]
            )
