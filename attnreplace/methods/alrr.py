"""ALRR, attention layer with residual replacement."""

from collections.abc import Mapping

from torch import Tensor, nn

from attnreplace.hosts import Location
from attnreplace.methods.base import Method, require_encoder
from attnreplace.methods.modules import ResidualReplacement


class ALRR(Method):
    """x -> x + MHA(LN(x)), out-projection included; in a post-LN model x -> x + MHA(x).

    A norm before the attention goes, a norm after the residual stays.
    """

    name = "alrr"
    roles = ("hidden_states", "heads")

    def cut(self, location: Location, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Input x, target x + out_proj(heads)."""
        x = tensors["hidden_states"]
        return x, x + location.out_proj(tensors["heads"])

    def splice(self, location: Location, student: nn.Module) -> None:
        """Replace the attention, and the norm before it by the identity."""
        require_encoder(location, self.name)
        setattr(location.layer, location.attention_name, ResidualReplacement(student))
        if location.norm_first:
            setattr(location.layer, location.norm_name, nn.Identity())
