"""ELR, encoder layer replacement."""

from collections.abc import Mapping

from torch import Tensor, nn

from attnreplace.errors import UserError
from attnreplace.hosts import Location
from attnreplace.methods.base import Method
from attnreplace.methods.modules import LayerReplacement


class ELR(Method):
    """x -> the whole layer's output; only the stack's final norm stays."""

    name = "elr"
    residual = True
    roles = ("hidden_states", "layer_output")
    groups = ("encoder",)

    def cut(self, location: Location, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Input x, target what leaves the layer."""
        return tensors["hidden_states"], tensors["layer_output"]

    def splice(self, location: Location, student: nn.Module) -> None:
        """Replace the layer."""
        if location.site.group not in self.groups:
            raise UserError(
                f"{self.name} works on the encoder's self-attention only, not on {location.site}; "
                "choose another method there"
            )
        location.layers[location.site.layer] = LayerReplacement(student)
