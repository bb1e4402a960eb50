"""Agreement with timm's MLP models on the same weights."""

import torch
from torch import nn

from attnreplace.models import GMLPForImageClassification, GMLPVisionConfig, preset
from attnreplace.models.gmlp_block import GMLPBlock
from attnreplace.models.mixers import DenseSpatial, TokenMLP

EPS = 1e-6


def _scramble(module):
    """Weights far from their initial values, so that nothing is near one or zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)


def _copy(source, target):
    target.load_state_dict(source.state_dict())


def _copy_block(theirs, ours):
    _copy(theirs.norm, ours.norm)
    _copy(theirs.mlp_channels.fc1, ours.mixer.expand)
    _copy(theirs.mlp_channels.gate.norm, ours.mixer.gate.norm)
    _copy(theirs.mlp_channels.gate.proj, ours.mixer.gate.spatial)
    _copy(theirs.mlp_channels.fc2, ours.mixer.project)
    theirs.mlp_channels.gate.norm.eps = EPS  # theirs is 1e-5 in the gate alone


def test_gmlp_block(timm_mixers):
    theirs = timm_mixers.SpatialGatingBlock(8, 9, mlp_ratio=6).double()
    _scramble(theirs)
    config = GMLPVisionConfig(hidden_size=8, intermediate_size=48, image_size=12, patch_size=4)
    ours = GMLPBlock(config, 0.0).double()
    _copy_block(theirs, ours)
    x = torch.randn(2, 9, 8, dtype=torch.double)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-10)


def test_gmlp_ti_as_a_whole(timm_mixers):
    theirs = timm_mixers.gmlp_ti16_224().double().eval()
    ours = GMLPForImageClassification(preset("gmlp-ti")).double().eval()
    for block in theirs.blocks:
        nn.init.normal_(block.mlp_channels.gate.proj.weight, std=0.1)
    nn.init.normal_(theirs.head.weight)
    _copy(theirs.stem.proj, ours.gmlp.embeddings.projection)
    for their_block, our_block in zip(theirs.blocks, ours.gmlp.layers, strict=True):
        _copy_block(their_block, our_block)
    _copy(theirs.norm, ours.gmlp.norm)
    _copy(theirs.head, ours.classifier)
    images = torch.randn(1, 3, 224, 224, dtype=torch.double)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images).logits, theirs(images), rtol=1e-9, atol=1e-9)
    assert sum(p.numel() for p in theirs.parameters()) == ours.num_parameters()


def test_mixer_block(timm_mixers):
    theirs = timm_mixers.MixerBlock(8, 6, mlp_ratio=(0.5, 4.0)).double()
    _scramble(theirs)
    ours = TokenMLP(6, 4, norm=False).double()
    _copy(theirs.mlp_tokens.fc1, ours.fc1)
    _copy(theirs.mlp_tokens.fc2, ours.fc2)
    x = torch.randn(2, 6, 8, dtype=torch.double)
    mixed = x + ours(theirs.norm1(x))
    out = mixed + theirs.mlp_channels(theirs.norm2(mixed))
    torch.testing.assert_close(out, theirs(x), rtol=0, atol=1e-10)


def test_resmlp_block(timm_mixers):
    theirs = timm_mixers.ResBlock(8, 6).double()
    _scramble(theirs)
    ours = DenseSpatial(6).double()
    _copy(theirs.linear_tokens, ours)
    x = torch.randn(2, 6, 8, dtype=torch.double)
    mixed = x + theirs.ls1 * ours(theirs.norm1(x))
    out = mixed + theirs.ls2 * theirs.mlp_channels(theirs.norm2(mixed))
    torch.testing.assert_close(out, theirs(x), rtol=0, atol=1e-10)
