"""Where attention lives in the BART family, checked against what the layers compute."""

import pytest
import torch
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BertConfig,
    BertModel,
    M2M100Config,
    MarianConfig,
    MBartConfig,
    PreTrainedModel,
)

from attnreplace.errors import UserError
from attnreplace.hosts import HOSTS, Site, host_for

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
    assert {name for host in HOSTS for name in host.model_types} == set(CONFIGS)


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


def test_tensor_names() -> None:
    model = tiny_model("m2m_100")
    host = host_for(model)
    assert host.locate(model, Site("encoder", "self", 1)).tensor_names == {
        "hidden_states": "encoder.hidden_states.1",
        "heads": "encoder.self.heads.1",
        "layer_output": "encoder.hidden_states.2",
    }
    names = [
        name
        for site in host.sites(model)
        for name in host.locate(model, site).tensor_names.values()
    ]
    shared = {"encoder.hidden_states.1", "decoder.hidden_states.1", "decoder.hidden_states.2"}
    assert {name for name in names if names.count(name) > 1} == shared


@pytest.mark.parametrize("site", [Site("encoder", "self", 2), Site("encoder", "cross", 0)])
def test_a_site_that_is_not_there(site: Site) -> None:
    model = tiny_model("bart")
    with pytest.raises(UserError, match="it has 2 encoder and 3 decoder layers, counted from 0"):
        host_for(model).locate(model, site)


def test_unknown_type_lists_the_valid_ones() -> None:
    model = BertModel(
        BertConfig(
            vocab_size=9,
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
        )
    )
    with pytest.raises(UserError, match="'bert'; valid types: m2m_100, mbart, marian, bart"):
        host_for(model)
