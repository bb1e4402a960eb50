"""ALRR, attention layer with residual replacement."""

from collections.abc import Mapping

from torch import Tensor, nn

from attnreplace.hosts import Location
from attnreplace.methods.base import Method
from attnreplace.methods.modules import ResidualReplacement, replace_whole
from attnreplace.methods.reading import reading


class ALRR(Method):
    """x -> x + MHA(LN(x)), out-projection included; in a post-LN model x -> x + MHA(x).

    A norm before the attention goes, a norm after the residual stays.
    """

    name = "alrr"
    residual = True
    roles = ("hidden_states", "heads")

    def cut(self, location: Location, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Input x, target x + out_proj(heads)."""
        x = tensors["hidden_states"]
        return x, x + location.out_proj(tensors["heads"])

    def splice(self, location: Location, student: nn.Module) -> None:
        """Replace the attention and its out-projection, and a norm before it by the identity."""
        replace_whole(location, ResidualReplacement(student, reading(location, student)))
        if location.norm_first:
            location.layer.set_submodule(location.norm_name, nn.Identity())
