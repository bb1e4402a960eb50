"""Vision Transformers: pre-LN encoders of image patches."""

from torch import Tensor

from attnreplace.hosts.encoder import EncoderOnly, Layout

VIT = Layout(
    layers="layers",
    attention="attention",
    norm="layernorm_before",
    out_proj="attention.o_proj",
    norm_first=True,
)


class ViT(EncoderOnly):
    """ViT and DeiT. Every image is as long: its patches, and the tokens put before them."""

    layouts = {"vit": VIT, "deit": VIT}  # noqa: RUF012

    def rows(self, table: Tensor) -> int:
        """The patches and the class token, in DeiT also the distillation token.

        Args:
            table: `(1, tokens, d_model)`.
        """
        return table.shape[1]
