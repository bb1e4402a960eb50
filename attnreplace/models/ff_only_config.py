"""Configuration of the FF-only image classifier."""

from typing import Any

from transformers import PreTrainedConfig

from attnreplace.errors import UserError
from attnreplace.models.patches import check_patches


class FFOnlyConfig(PreTrainedConfig):
    """Shape of an FF-only model (Melas-Kyriazi, arXiv 2105.02723). The defaults are its tiny one.

    Raises:
        UserError: the image cannot be cut into patches, or the heads do not divide the width.
    """

    model_type = "ff_only"

    hidden_size: int = 192
    """d, width of the residual stream."""
    num_hidden_layers: int = 12
    """Blocks."""
    mlp_ratio: int = 4
    """Hidden units of both networks of a block, in multiples of their inputs."""
    attention_only: bool = False
    """The paper's ablation: attention over the tokens and over the channels, no networks."""
    num_attention_heads: int = 3
    """Heads over the tokens where `attention_only`; over the channels there is one."""
    image_size: int = 224
    """Height and width of an image, in pixels."""
    patch_size: int = 16
    """Height and width of a patch, in pixels."""
    num_channels: int = 3
    """Colours."""
    position_grid: int | None = None
    """Side of the grid of learned positions, resized where the patches have another; None: the
    patches' own. The paper's large model keeps 14 for its 7 x 7 patches."""
    drop_path_rate: float = 0.0
    """Stochastic depth of the last block's branches; it rises linearly from the first block."""
    layer_norm_eps: float = 1e-6
    """Epsilon of every LayerNorm."""
    initializer_range: float = 0.02
    """Deviation of the truncated normal distribution that weights are drawn from."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        check_patches(self.image_size, self.patch_size)
        if self.attention_only and self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"a width of {self.hidden_size} cannot be shared by {self.num_attention_heads} "
                "heads; choose num_attention_heads that divides hidden_size"
            )

    @property
    def positions(self) -> int:
        """n, tokens of an image: its patches and the class token."""
        return (self.image_size // self.patch_size) ** 2 + 1
