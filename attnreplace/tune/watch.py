"""What goes on in a model as it runs: what leaves its stacks, what its students give."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from attnreplace.hosts import Site, host_for
from attnreplace.hosts.base import Axis
from attnreplace.methods import Method, get_method
from attnreplace.methods.modules import LayerReplacement


class StackOutputs:
    """From now on, each forward pass of the model leaves what leaves its stacks in `tensors`."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.tensors: dict[Axis, Tensor] = {}
        """`(batch, seq, d_model)` by axis, of the last pass."""
        stacks: dict[Axis, Any] = {"source": model.base_model}
        if model.config.is_encoder_decoder:
            stacks = {"source": model.get_encoder(), "target": model.get_decoder()}
        for axis, stack in stacks.items():
            stack.register_forward_hook(self._keep(axis))

    def _keep(self, axis: Axis) -> Callable[..., None]:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            self.tensors[axis] = (
                output[0] if isinstance(output, tuple) else output.last_hidden_state
            )

        return keep


class StudentOutputs:
    """From now on, each forward pass of a spliced model leaves its students' outputs in `tensors`.

    Args:
        model: the spliced model.
        apart: whether students are cut off from each other, so that none gets a gradient through
            what another reads.
    """

    def __init__(self, model: PreTrainedModel, apart: bool) -> None:
        self.tensors: dict[Site, Tensor] = {}
        """`(batch, seq, d)` by site, of the last pass."""
        for site, replacement in replacements(model).items():
            replacement.read = self._watched(site, replacement.read, apart)

    def _watched(self, site: Site, read: Callable[..., Tensor], apart: bool) -> Any:
        def watched(student: nn.Module, x: Tensor, *given: Any) -> Tensor:
            if apart:
                x = x.detach()
                given = tuple(v.detach() if isinstance(v, Tensor) else v for v in given)
            out = self.tensors[site] = read(student, x, *given)
            return out.detach() if apart else out

        return watched


def replacements(model: PreTrainedModel) -> dict[Site, Any]:
    """What stands at each replaced site of a spliced model: has a `student` and reads with it."""
    host = host_for(model)
    found: dict[Site, Any] = {}
    for site in methods_at(model):
        location = host.locate(model, site)
        layer = location.layer
        found[site] = layer if isinstance(layer, LayerReplacement) else location.attention
    return found


def methods_at(model: PreTrainedModel) -> dict[Site, Method]:
    """The method at each replaced site of a spliced model."""
    bundles = getattr(model.config, "attnreplace", [])
    return {Site.parse(s): get_method(b["method"]) for b in bundles for s in b["sites"]}
