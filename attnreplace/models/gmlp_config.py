"""Configurations of gMLP and aMLP, for text and for images."""

from typing import Any

from transformers import PreTrainedConfig

from attnreplace.errors import UserError
from attnreplace.models.mixers import GATES
from attnreplace.models.mixers.sgu import SPATIAL
from attnreplace.models.patches import check_patches


class GMLPConfig(PreTrainedConfig):
    """What text and images share: the shape of the blocks (Liu et al., arXiv 2105.08050).

    Raises:
        UserError: there is no such gate or spatial map, or an odd width cannot be split.
    """

    hidden_size: int = 512
    """d, width of the residual stream."""
    intermediate_size: int = 3072
    """d_ffn, width of Z before the gate splits it."""
    num_hidden_layers: int = 48
    """L, blocks."""
    gate: str = "split"
    """s(Z), the rows of the paper's Table 3: "split", "multiplicative", "additive", "linear"."""
    spatial: str = "dense"
    """W of the gate: "toeplitz" (2n - 1 values) or "dense" (n * n)."""
    attention_size: int = 0
    """Channels of the tiny attention of aMLP; 0: gMLP, no attention."""
    drop_path_rate: float = 0.0
    """Stochastic depth of the last block; it rises linearly from the first."""
    layer_norm_eps: float = 1e-6
    """Epsilon of every LayerNorm."""
    initializer_range: float = 0.02
    """Deviation of the truncated normal distribution that weights are drawn from."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.gate not in GATES:
            raise UserError(f"no gate {self.gate!r}; valid gates: {', '.join(GATES)}")
        if self.spatial not in SPATIAL:
            valid = ", ".join(SPATIAL)
            raise UserError(f"no spatial weights {self.spatial!r}; valid ones: {valid}")
        if self.gate == "split" and self.intermediate_size % 2:
            raise UserError(f"a split gate needs an even width, not {self.intermediate_size}")

    @property
    def positions(self) -> int:
        """n, the longest sequence, in tokens."""
        raise NotImplementedError


class GMLPTextConfig(GMLPConfig):
    """gMLP for masked language modelling (section 4). The defaults are the paper's base model."""

    model_type = "gmlp_text"

    vocab_size: int = 32000
    """Words of the vocabulary."""
    max_position_embeddings: int = 512
    """n, the longest sequence in tokens. (The library's name for it: there are no embeddings of
    positions; the spatial weights know the positions.)"""
    spatial: str = "toeplitz"
    """W of the gate: "toeplitz" (2n - 1 values) or "dense" (n * n)."""
    classifier_dropout: float = 0.1
    """Dropout before the classifier of whole sequences."""
    tie_word_embeddings: bool = True
    """The output layer is the embedding."""

    @property
    def positions(self) -> int:
        """n, the longest sequence, in tokens."""
        return self.max_position_embeddings


class GMLPVisionConfig(GMLPConfig):
    """gMLP for image classification (section 3). The defaults are the paper's Ti."""

    model_type = "gmlp_vision"

    hidden_size: int = 128
    """d, width of the residual stream."""
    intermediate_size: int = 768
    """d_ffn, width of Z before the gate splits it."""
    num_hidden_layers: int = 30
    """L, blocks."""
    image_size: int = 224
    """Height and width of an image, in pixels."""
    patch_size: int = 16
    """Height and width of a patch, in pixels."""
    num_channels: int = 3
    """Colours."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_patches(self.image_size, self.patch_size)

    @property
    def positions(self) -> int:
        """n, the patches of an image."""
        return (self.image_size // self.patch_size) ** 2
