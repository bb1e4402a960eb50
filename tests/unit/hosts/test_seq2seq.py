"""Where attention lives in the BART family, checked against what the layers compute."""

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    GPT2Config,
    GPT2Model,
    M2M100Config,
    MarianConfig,
    MBartConfig,
    PreTrainedModel,
)

from attnreplace.errors import UserError
from attnreplace.hosts import Site, axis_of, host_for
from attnreplace.hosts.seq2seq import Seq2Seq

CONFIGS = {"m2m_100": M2M100Config, "mbart": MBartConfig, "marian": MarianConfig,
           "bart": BartConfig}  # fmt: skip


def tiny_model(model_type: str) -> PreTrainedModel:
    """Two encoder and three decoder layers; two and four heads."""
    torch.manual_seed(0)
    config = CONFIGS[model_type](
        vocab_size=20,
        d_model=8,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        max_position_embeddings=16,
        pad_token_id=1,
        decoder_start_token_id=2,
    )
    return AutoModelForSeq2SeqLM.from_config(config).eval()


def test_every_type_is_tested() -> None:
    assert set(Seq2Seq().model_types) == set(CONFIGS)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_locations(model_type: str) -> None:
    model = tiny_model(model_type)
    host = host_for(model)
    sites = host.sites(model)
    assert sites == sorted(sites)
    assert [str(site) for site in sites] == [
        *(f"decoder.cross.{layer}" for layer in range(3)),
        *(f"decoder.self.{layer}" for layer in range(3)),
        *(f"encoder.self.{layer}" for layer in range(2)),
    ]
    modules = dict(model.named_modules())
    for site in sites:
        location = host.locate(model, site)
        name = "encoder_attn" if site.kind == "cross" else "self_attn"
        layer = f"model.{site.stack}.layers.{site.layer}"
        assert location.layer is modules[layer]
        assert location.attention is modules[f"{layer}.{name}"]
        assert location.norm is modules[f"{layer}.{name}_layer_norm"]
        assert location.out_proj is modules[f"{layer}.{name}.out_proj"]
        assert location.num_heads == location.attention.num_heads
        assert location.d_model == 8


@pytest.mark.parametrize("model_type", CONFIGS)
def test_pre_norm_is_what_the_attention_reads(model_type: str) -> None:
    model = tiny_model(model_type)
    location = host_for(model).locate(model, Site("encoder", "self", 1))
    read: list[torch.Tensor] = []
    location.attention.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(args[0] if args else kwargs["hidden_states"]),
        with_kwargs=True,
    )
    x = torch.randn(2, 5, 8) * 3 + 1
    with torch.no_grad():
        location.layer(x, None)
        torch.testing.assert_close(location.pre_norm(x), read[0], atol=0, rtol=0)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_tensor_names(model_type: str) -> None:
    model = tiny_model(model_type)
    host = host_for(model)
    # Where the encoder ends with a norm, the memory is no layer's output.
    normed = model_type in ("m2m_100", "mbart")
    assert hasattr(model.get_encoder(), "layer_norm") == normed
    memory = "encoder.memory" if normed else "encoder.hidden_states.2"
    names = {str(site): host.locate(model, site).tensor_names for site in map(Site.parse, AXES)}
    assert names == {
        "encoder.self.1": {
            "hidden_states": "encoder.hidden_states.1",
            "heads": "encoder.self.heads.1",
            "layer_output": "encoder.hidden_states.2",
        },
        "decoder.self.2": {
            "hidden_states": "decoder.hidden_states.2",
            "heads": "decoder.self.heads.2",
        },
        "decoder.cross.1": {
            "hidden_states": "decoder.cross.hidden_states.1",
            "heads": "decoder.cross.heads.1",
            "memory": memory,
        },
    }


AXES = {"encoder.self.1": "source", "decoder.self.2": "target", "decoder.cross.1": "target"}


@pytest.mark.parametrize("model_type", CONFIGS)
@pytest.mark.parametrize("site", AXES)
def test_axes(model_type: str, site: str) -> None:
    """All tensors of a site lie along its axis, but for the memory."""
    model = tiny_model(model_type)
    location = host_for(model).locate(model, Site.parse(site))
    assert location.axis == AXES[site]
    for role, name in location.tensor_names.items():
        assert axis_of(name) == ("source" if role == "memory" else AXES[site])


@pytest.mark.parametrize("site", [Site("encoder", "self", 2), Site("encoder", "cross", 0)])
def test_a_site_that_is_not_there(site: Site) -> None:
    model = tiny_model("bart")
    with pytest.raises(UserError, match="it has 2 encoder and 3 decoder layers, counted from 0"):
        host_for(model).locate(model, site)


def test_unknown_type_lists_the_valid_ones() -> None:
    config = GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0)
    model = GPT2Model(config)
    with pytest.raises(UserError, match=r"'gpt2'; valid types: m2m_100, .*, bert, .*, vit, deit$"):
        host_for(model)


@pytest.mark.parametrize("model_type", CONFIGS)
def test_positions(model_type: str) -> None:
    model = tiny_model(model_type)
    assert host_for(model).positions(model) == 16
