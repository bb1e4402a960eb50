import math

import pytest
import torch
from torch.nn import functional as F

from attnreplace.errors import UserError
from attnreplace.models import FFOnlyConfig, FFOnlyForImageClassification

SHAPE = {"hidden_size": 8, "num_hidden_layers": 2, "image_size": 12, "patch_size": 4}
"""3 x 3 patches and the class token: n is 10."""


def _build(**settings):
    config = FFOnlyConfig(**{**SHAPE, "num_attention_heads": 2, "num_labels": 5, **settings})
    model = FFOnlyForImageClassification(config).double().eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, std=0.3 if "weight" in name else 1.0)
    return model


def _norm(x, norm):
    centred = x - x.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    return centred / deviation * norm.weight + norm.bias


def _gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def _attention(x, module):
    query, key, value = module.qkv(x).chunk(3, dim=-1)
    heads = []
    for part in zip(*(t.chunk(module.heads, dim=-1) for t in (query, key, value)), strict=True):
        weights = (part[0] @ part[1].mT / math.sqrt(part[0].shape[-1])).softmax(-1)
        heads.append(weights @ part[2])
    return module.out(torch.cat(heads, dim=-1))


def test_blocks_against_their_formula():
    model = _build()
    x = torch.randn(2, 10, 8, dtype=torch.double)
    block = model.ff_only.layers[0]
    first = x + block.project(_gelu(block.expand(_norm(x, block.norm))))
    tokens = block.tokens
    branch = tokens.fc2(_gelu(tokens.fc1(_norm(first.mT, tokens.norm))))
    torch.testing.assert_close(block(x), (first.mT + branch).mT, rtol=0, atol=1e-10)


def test_attention_only_blocks_against_their_formula():
    model = _build(attention_only=True)
    x = torch.randn(2, 10, 8, dtype=torch.double)
    block = model.ff_only.layers[0]
    assert block.token_attention.heads == 2
    first = x + _attention(_norm(x, block.token_norm), block.token_attention)
    assert block.channel_attention.heads == 1
    turned = first.mT + _attention(_norm(first.mT, block.channel_norm), block.channel_attention)
    torch.testing.assert_close(block(x), turned.mT, rtol=0, atol=1e-10)


@pytest.mark.parametrize("grid", [None, 6])
def test_embeddings_and_read_out(grid):
    model = _build(position_grid=grid)
    embeddings = model.ff_only.embeddings
    images = torch.randn(2, 3, 12, 12, dtype=torch.double)
    conv = embeddings.patches.projection
    positions = embeddings.positions
    if grid:
        # Halving 6 to 3, each place lies midway between four.
        positions = F.avg_pool2d(positions, 2)
    rows = [embeddings.class_token[0, 0] + embeddings.class_position[0, 0]]
    for i in range(3):
        for j in range(3):
            patch = images[0, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
            rows.append((conv.weight * patch).sum((1, 2, 3)) + conv.bias + positions[0, :, i, j])
    torch.testing.assert_close(embeddings(images)[0], torch.stack(rows), rtol=0, atol=1e-10)
    outputs = model(images, output_hidden_states=True)
    assert len(outputs.hidden_states) == 3
    token = _norm(outputs.hidden_states[-1][:, 0], model.ff_only.norm)
    torch.testing.assert_close(outputs.logits, model.classifier(token), rtol=0, atol=1e-10)


def test_initial_weights():
    for settings in ({}, {"attention_only": True, "num_attention_heads": 2}):
        config = FFOnlyConfig(**{**SHAPE, "hidden_size": 64, **settings})
        for name, parameter in FFOnlyForImageClassification(config).named_parameters():
            if "norm.weight" in name or ("norm" in name.split(".")[-2] and name.endswith("weight")):
                assert (parameter == 1).all(), name
            elif name.endswith("bias"):
                assert (parameter == 0).all(), name
            else:
                assert 0.01 < parameter.std() < 0.03 and parameter.abs().max() <= 0.04, name


def test_drop_path_rises_with_depth():
    model = FFOnlyForImageClassification(
        FFOnlyConfig(**{**SHAPE, "num_hidden_layers": 3, "drop_path_rate": 0.2})
    )
    assert [block.drop_path.rate for block in model.ff_only.layers] == [0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch_size": 5}, "12 pixels cannot be cut into patches of 5"),
        ({"attention_only": True, "num_attention_heads": 3}, "8 cannot be shared by 3 heads"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(UserError, match=message):
        FFOnlyConfig(**{**SHAPE, **settings})


def test_images_of_another_size_are_refused():
    with pytest.raises(UserError, match=r"images of \(3, 12, 12\) .*, not \(3, 16, 16\)"):
        _build()(torch.zeros(1, 3, 16, 16, dtype=torch.double))
