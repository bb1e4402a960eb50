"""Hooks that keep what the attention layers of a running model read and write."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers import PreTrainedModel

from attnreplace.hosts import host_for
from attnreplace.hosts.base import Location, Site


class Capture:
    """While open, each forward pass of the model leaves its activations in `tensors`.

    The tensors are the model's own, not copies: use them before the next pass. A tensor that two
    sites share, such as the residual stream between two layers, is there once.
    """

    def __init__(self, model: PreTrainedModel, sites: Sequence[Site]) -> None:
        host = host_for(model)
        self._locations = [host.locate(model, site) for site in sites]
        self._handles: list[RemovableHandle] = []
        self.tensors: dict[str, Tensor] = {}
        """`(batch, seq, d_model)` by store name, of the last forward pass.

        `seq` is that of the tensor's own axis (`hosts.axis_of`).
        """

    @property
    def widths(self) -> dict[str, int]:
        """Columns of each tensor, by store name, in the order of the sites."""
        return {
            name: location.d_model
            for location in self._locations
            for name in location.tensor_names.values()
        }

    def __enter__(self) -> "Capture":
        taken: set[str] = set()
        for location in self._locations:
            for role, name in location.tensor_names.items():
                if name not in taken:
                    taken.add(name)
                    self._handles.append(_HOOKS[role](self, location, name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.tensors = {}

    def _input(self, module: nn.Module, name: str) -> RemovableHandle:
        def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.tensors[name] = args[0] if args else kwargs["hidden_states"]

        return module.register_forward_pre_hook(keep, with_kwargs=True)

    def _memory(self, module: nn.Module, name: str) -> RemovableHandle:
        def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.tensors[name] = args[1] if len(args) > 1 else kwargs["key_value_states"]

        return module.register_forward_pre_hook(keep, with_kwargs=True)

    def _output(self, module: nn.Module, name: str) -> RemovableHandle:
        def keep(_: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            self.tensors[name] = output[0] if isinstance(output, tuple) else output

        return module.register_forward_hook(keep)


def _sublayer_input(at: Location) -> nn.Module:
    """The module whose input is the residual stream entering the sub-layer."""
    if at.site.kind == "self":
        return at.layer
    return at.norm if at.norm_first else at.attention


_HOOKS: dict[str, Callable[[Capture, Location, str], RemovableHandle]] = {
    "hidden_states": lambda capture, at, name: capture._input(_sublayer_input(at), name),
    "heads": lambda capture, at, name: capture._input(at.out_proj, name),
    "memory": lambda capture, at, name: capture._memory(at.attention, name),
    "layer_output": lambda capture, at, name: capture._output(at.layer, name),
}
