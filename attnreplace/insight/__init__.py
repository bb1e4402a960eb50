"""What a trained mixer does with the tokens: its weights, its attention, what it is sensitive to.

Pure computations on torch modules; `report.pictures` draws them.
"""

from attnreplace.insight.attention import attention_maps, tiny_attention_maps
from attnreplace.insight.sensitivity import attention_branch, sensitivity
from attnreplace.insight.spatial import (
    SpatialWeights,
    random_toeplitz_share,
    spatial_weights,
    toeplitz_profile,
    toeplitz_share,
)

__all__ = [
    "SpatialWeights",
    "attention_branch",
    "attention_maps",
    "random_toeplitz_share",
    "sensitivity",
    "spatial_weights",
    "tiny_attention_maps",
    "toeplitz_profile",
    "toeplitz_share",
]
