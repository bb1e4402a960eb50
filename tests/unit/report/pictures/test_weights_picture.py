import numpy as np
import torch
from torch import nn

from attnreplace.insight import SpatialWeights, spatial_weights
from attnreplace.models import FFOnlyConfig, FFOnlyModel, GMLPVisionConfig, GMLPVisionModel
from attnreplace.report.pictures.draw import chart
from attnreplace.report.pictures.weights import weights_picture

TINY = {"hidden_size": 8, "num_hidden_layers": 6, "image_size": 12, "patch_size": 4}


def weights_of(module: nn.Module) -> list[tuple[str, SpatialWeights]]:
    return [(f"Layer {i}", one) for i, one in enumerate(spatial_weights(module))]


def test_a_vision_model() -> None:
    torch.manual_seed(0)
    model = GMLPVisionModel(GMLPVisionConfig(**TINY, intermediate_size=16))
    found = weights_of(model)
    nn.init.normal_(model.layers[0].mixer.gate.spatial.weight)
    picture = weights_picture("model", "the gMLP", found, None, {}, patches=True)
    assert len(picture.blocks) == 5
    heading, overview = picture.blocks[0].heading, picture.blocks[-1].panels[0]
    assert heading.startswith("Layer 0: ")
    assert heading.endswith("Toeplitz (random 21 %)")
    assert overview.values.shape == (1, 6)
    weight, mosaic, profile = (panel.values for panel in picture.blocks[0].panels)
    assert mosaic.shape == (11, 11)
    # The tile in the second row and third column is the row of patch 5.
    assert np.array_equal(mosaic[4:7, 8:11], weight[5].reshape(3, 3))
    assert np.isnan(mosaic[3]).all()
    assert profile.shape == (1, 17)
    for width in (760, 350):
        assert "Layer 0" in chart(picture).svg(width)


def test_tokens_before_the_patches_are_not_in_the_image() -> None:
    found = weights_of(FFOnlyModel(FFOnlyConfig(**TINY)))
    picture = weights_picture("model", "FF-only", found, None, {}, patches=True)
    weight, mosaic, _ = (panel.values for panel in picture.blocks[0].panels)
    assert np.array_equal(mosaic[:3, :3], weight[1, 1:].reshape(3, 3))


def test_only_the_positions_in_use() -> None:
    matrix = torch.randn(9, 9).tril()
    dense = SpatialWeights("w", "dense", matrix, causal=True)
    picture = weights_picture("x", "X", [("Layer 0", dense)], 4, {})
    weight, profile = (panel.values for panel in picture.blocks[0].panels)
    assert np.array_equal(weight, matrix[:4, :4])
    assert np.isnan(profile[0, 4:]).all()
    assert "random 40 %" in picture.blocks[0].heading


def test_toeplitz_profiles_stand_side_by_side() -> None:
    one = SpatialWeights("w", "toeplitz", torch.ones(5, 5), causal=False)
    picture = weights_picture("x", "X", [("Layer 0", one), ("Layer 1", one)], None, {})
    assert [block.heading for block in picture.blocks] == ["Weight by distance j \u2212 i"]
    assert [panel.title for panel in picture.panels] == ["Layer 0", "Layer 1"]
