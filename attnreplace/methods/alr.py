"""ALR, attention layer replacement: a student predicts the concatenated heads."""

from collections.abc import Mapping

from torch import Tensor, nn

from attnreplace.hosts import Location
from attnreplace.methods.base import Method
from attnreplace.methods.modules import HeadsReplacement
from attnreplace.methods.reading import reading


class ALR(Method):
    """LN(x) -> heads before the out-projection; norm, out-projection and residual stay.

    In a post-LN model the attention reads the stream as it is: x -> heads. At cross-attention x is
    the stream of the queries, and the student reads the memory beside it.
    """

    name = "alr"
    roles = ("hidden_states", "heads")

    def cut(self, location: Location, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Input LN(x), target the heads."""
        return location.pre_norm(tensors["hidden_states"]), tensors["heads"]

    def splice(self, location: Location, student: nn.Module) -> None:
        """Replace all of the attention but its out-projection."""
        replacement = HeadsReplacement(student, reading(location, student), location)
        location.layer.set_submodule(location.attention_name, replacement)
