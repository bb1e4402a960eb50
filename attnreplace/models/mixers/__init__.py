"""Token mixers without attention, and the tiny attention of aMLP.

Plain torch modules. Each takes `(batch, seq, d)` and a mask `(batch, seq)`, True at real tokens, or
None where all are real. Rows start with their first real token (column j is position j); the values
at padding are never read by a real token, and what comes out at padding is of no account. With
`causal=True` no output depends on later tokens, exactly. A sequence may be shorter than the
positions of a mixer (its weights are cropped), never longer (`SequenceTooLong`).
"""

from attnreplace.models.mixers.gated_mlp import GatedMLP
from attnreplace.models.mixers.sgu import GATES, SpatialGatingUnit
from attnreplace.models.mixers.spatial import DenseSpatial, SpatialLinear
from attnreplace.models.mixers.tiny_attention import TinyAttention
from attnreplace.models.mixers.toeplitz import ToeplitzSpatial
from attnreplace.models.mixers.token_mlp import TokenMLP

__all__ = [
    "GATES",
    "DenseSpatial",
    "GatedMLP",
    "SpatialGatingUnit",
    "SpatialLinear",
    "TinyAttention",
    "ToeplitzSpatial",
    "TokenMLP",
]
