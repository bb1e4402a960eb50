"""How the models of this folder draw their weights."""

from torch import nn
from transformers import initialization as init

from attnreplace.models.mixers import SpatialLinear


def init_module(module: nn.Module, std: float) -> None:
    """Initialise what a module itself holds.

    Linear maps and embeddings from a normal distribution cut off at two units, biases zero, norms
    one and zero, spatial maps near zero with biases of one. The library's functions leave alone
    what was loaded from a checkpoint.

    Args:
        module: any module of a model; others are left alone.
        std: the deviation of the normal distribution.
    """
    if isinstance(module, SpatialLinear):
        module.reset_parameters()
    elif isinstance(module, nn.LayerNorm):
        init.ones_(module.weight)
        init.zeros_(module.bias)
    elif isinstance(module, nn.Linear | nn.Conv2d):
        init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        if module.bias is not None:
            init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
