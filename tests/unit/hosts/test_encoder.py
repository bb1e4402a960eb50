"""Where attention lives in encoders without a decoder, checked against what the layers compute."""

import pytest
import torch
from transformers import AutoConfig, AutoModel, PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts import Site, host_for
from attnreplace.hosts.bert import Bert
from attnreplace.hosts.vit import ViT

TYPES = [*Bert.layouts, *ViT.layouts]
LAYERS, WIDTH, HEADS = 2, 8, 4


def tiny_model(model_type: str) -> PreTrainedModel:
    torch.manual_seed(0)
    shape = (
        {"image_size": [4, 6], "patch_size": 2}
        if model_type in ViT.layouts
        else {"vocab_size": 20, "max_position_embeddings": 16, "pad_token_id": 1}
    )
    config = AutoConfig.for_model(
        model_type,
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=8,
        **shape,
    )
    return AutoModel.from_config(config).eval()


@pytest.mark.parametrize("model_type", TYPES)
def test_locations(model_type: str) -> None:
    model = tiny_model(model_type)
    host = host_for(model)
    assert [str(site) for site in host.sites(model)] == ["encoder.self.0", "encoder.self.1"]
    for site in host.sites(model):
        location = host.locate(model, site)
        assert location.layers[site.layer] is location.layer
        assert location.num_heads == HEADS
        assert location.d_model == location.out_proj.out_features == WIDTH
        assert isinstance(location.norm, torch.nn.LayerNorm)
        assert location.axis == "source"
        assert location.tensor_names == {
            "hidden_states": f"encoder.hidden_states.{site.layer}",
            "heads": f"encoder.self.heads.{site.layer}",
            "layer_output": f"encoder.hidden_states.{site.layer + 1}",
        }


@pytest.mark.parametrize("model_type", TYPES)
def test_what_the_names_promise(model_type: str) -> None:
    """Norm, attention, out-projection and residual are run in the order that the location says."""
    model = tiny_model(model_type)
    location = host_for(model).locate(model, Site("encoder", "self", 1))
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for name in ("norm", "attention", "out_proj"):
        getattr(location, name).register_forward_hook(
            lambda _, args, kwargs, output, name=name: seen.update(
                {name: (args[0] if args else kwargs["hidden_states"], output)}
            ),
            with_kwargs=True,
        )
    x = torch.randn(2, 5, WIDTH) * 3 + 1
    with torch.no_grad():
        location.layer(x, None)
        assert torch.equal(location.pre_norm(x), seen["attention"][0])
    heads, projected = seen["out_proj"]
    first = seen["attention"][1][0]
    assert torch.equal(first, heads if location.inner_out_proj is None else projected)
    assert torch.equal(seen["norm"][0], x if location.norm_first else x + projected)


@pytest.mark.parametrize("model_type", TYPES)
def test_as_many_positions_as_can_be_read(model_type: str) -> None:
    model = tiny_model(model_type)
    positions = host_for(model).positions(model)
    if model_type in ViT.layouts:
        output = model(torch.zeros(1, 3, 4, 6)).last_hidden_state
        assert output.shape[1] == positions == 2 * 3 + (2 if model_type == "deit" else 1)
        return
    model(input_ids=torch.full((1, positions), 5))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, positions + 1), 5))


@pytest.mark.parametrize("site", ["encoder.self.2", "decoder.self.0", "decoder.cross.1"])
@pytest.mark.parametrize("model_type", ["bert", "vit"])
def test_a_site_that_is_not_there(model_type: str, site: str) -> None:
    model = tiny_model(model_type)
    with pytest.raises(UserError, match=f"no site {site}; it has 2 encoder layers, counted from 0"):
        host_for(model).locate(model, Site.parse(site))


def test_a_causal_bert_is_no_encoder() -> None:
    model = tiny_model("bert")
    model.config.is_decoder = True
    with pytest.raises(UserError, match="load it with is_decoder=False"):
        host_for(model).sites(model)
