"""Which tokens an attention reads: the teacher's, and the tiny one of aMLP."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from transformers import PreTrainedModel

from attnreplace.hosts import Site, host_for
from attnreplace.models.mixers import TinyAttention


@torch.no_grad()
def attention_maps(
    model: PreTrainedModel, sites: Sequence[Site], inputs: Mapping[str, Tensor]
) -> dict[Site, Tensor]:
    """The attention weights at some sites, `(batch, heads, query, key)`.

    Every host's attention module returns them beside its output where the library's own ("eager")
    implementation runs; it does for this one pass.

    Args:
        model: of a host, none of the sites replaced.
        sites: where.
        inputs: keyword arguments of the model.
    """
    host, found = host_for(model), dict[Site, Tensor]()

    def keep(site: Site) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
            found[site] = output[1]

        return hook

    with eager_attention(model):
        attentions = {site: host.locate(model, site).attention for site in sites}
        handles = [at.register_forward_hook(keep(site)) for site, at in attentions.items()]
        try:
            model(**inputs)
        finally:
            for handle in handles:
                handle.remove()
    return {site: found[site] for site in sites}


@contextmanager
def eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """The library's own attention implementation inside, the one that was chosen afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@torch.no_grad()
def tiny_attention_maps(module: nn.Module, **inputs: Any) -> dict[str, Tensor]:
    """What the tiny attentions of an aMLP read, `(batch, query, key)` by their dotted path.

    Args:
        module: a model, or a student with an attention.
        inputs: keyword arguments of the module.
    """
    names = [name for name, part in module.named_modules() if isinstance(part, TinyAttention)]
    if not names:
        return {}
    with _Products() as products:
        module(**inputs)
    # Blocks run in the order of their names, each attention once.
    return dict(zip(names, products.maps, strict=True))


class _Products(TorchFunctionMode):
    """While open, keeps the weights of every scaled dot-product attention that is computed.

    A tiny attention is reached by several ways (a mask or none, a memory); all end here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.maps: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self.maps.append(_weights(*args, **kwargs))
        return func(*args, **kwargs)


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    """The weights of an attention with a mask of bools, `(batch, query, key)`."""
    scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
    if is_causal:
        attn_mask = torch.ones_like(scores, dtype=torch.bool).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    return scores.softmax(-1)
