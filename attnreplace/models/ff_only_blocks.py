"""The block of the FF-only model, and of its attention-only ablation.

Melas-Kyriazi, arXiv 2105.02723, and the code released with it.
"""

from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_layers import GradientCheckpointingLayer

from attnreplace.models.drop_path import DropPath
from attnreplace.models.ff_only_config import FFOnlyConfig
from attnreplace.models.mixers import TokenMLP


class FFOnlyBlock(GradientCheckpointingLayer):
    """A network over the channels, then one over the tokens.

    x += DropPath(MLP_{d -> 4d -> d}(LN_d(x))); transposed, x += DropPath(MLP_{n -> 4n -> n}
    (LN_n(x))). The second LayerNorm is over the tokens.
    """

    def __init__(self, config: FFOnlyConfig, drop_path: float) -> None:
        super().__init__()
        width, positions, eps = config.hidden_size, config.positions, config.layer_norm_eps
        self.norm = nn.LayerNorm(width, eps=eps)
        self.expand = nn.Linear(width, config.mlp_ratio * width)
        self.project = nn.Linear(config.mlp_ratio * width, width)
        self.tokens = TokenMLP(positions, config.mlp_ratio * positions, eps=eps)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, n, d)` to `(batch, n, d)`."""
        x = x + self.drop_path(self.project(F.gelu(self.expand(self.norm(x)))))
        return x + self.drop_path(self.tokens(x))


class AttentionOnlyBlock(GradientCheckpointingLayer):
    """Attention over the tokens, then, transposed, single-head attention over the channels."""

    def __init__(self, config: FFOnlyConfig, drop_path: float) -> None:
        super().__init__()
        width, positions, eps = config.hidden_size, config.positions, config.layer_norm_eps
        self.token_norm = nn.LayerNorm(width, eps=eps)
        self.token_attention = Attention(width, config.num_attention_heads)
        self.channel_norm = nn.LayerNorm(positions, eps=eps)
        self.channel_attention = Attention(positions, 1)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, n, d)` to `(batch, n, d)`."""
        x = x + self.drop_path(self.token_attention(self.token_norm(x)))
        turned = x.transpose(1, 2)  # (batch, d, n)
        branch = self.channel_attention(self.channel_norm(turned))
        return (turned + self.drop_path(branch)).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over the second axis, with biases throughout."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, seq, width)` to `(batch, seq, width)`."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        heads = F.scaled_dot_product_attention(query, key, value)
        return self.out(heads.transpose(1, 2).flatten(2))
