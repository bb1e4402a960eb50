"""What a method is: which tensors it cuts out of a model, and what it puts in their place."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from attnreplace.hosts import GROUPS, Group, Location


class Method(ABC):
    """One way to replace an attention sub-layer.

    `cut` and `splice` of a method belong together: a student that gives the target of `cut` for its
    input leaves the model, after `splice`, computing what it computed before.
    """

    name: str
    """As in configurations and bundles."""
    roles: tuple[str, ...]
    """Keys of `Location.tensor_names`: the tensors that `cut` reads."""
    per_head: bool = False
    """Whether each head has a network of its own."""
    residual: bool = False
    """Whether the target is the input and something added to it."""
    groups: tuple[Group, ...] = GROUPS
    """The groups of sites at which the method works."""

    @abstractmethod
    def cut(self, location: Location, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What goes into the student, and what should come out.

        Pointwise over tokens: leading dimensions may be `(batch, seq)` or `(tokens,)`. It runs the
        teacher's own modules; the caller switches gradients off.

        Args:
            location: the site in the teacher.
            tensors: the teacher's tensors by role, each `(..., d_model)`, all of the site's axis.

        Returns:
            Input and target, each `(..., d_model)`.
        """

    @abstractmethod
    def splice(self, location: Location, student: nn.Module) -> None:
        """Put a student into the model, in place.

        Args:
            location: the site in the model.
            student: what `students.Student` is: maps input `(batch, seq, d_model)` and mask
                `(batch, seq)` to the output, at decoder sites with a state for the cache.

        Raises:
            UserError: the method does not work at such a site.
        """
