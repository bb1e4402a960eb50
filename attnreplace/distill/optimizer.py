"""AdamW that takes gradients of large weights as they are made."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from attnreplace.students.row_gradients import Blocks, taking


class RowwiseAdamW(torch.optim.AdamW):
    """torch's own, fused. Its state is the same whichever way a gradient comes."""

    def __init__(self, weights: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, fused=True)
        self._begun: dict[Tensor, tuple[Tensor, list[list[Tensor]]]] = {}
        """Of weights whose gradient is coming: the number of this update, and what is cut."""

    @contextmanager
    def during_backward(self) -> Iterator[None]:
        """Update what can be updated within the backward pass, for a pass that is run inside.

        `step`, called afterwards, does the rest. On a GPU it does all of it, in one go.
        """
        (group,) = self.param_groups
        large = [w for w in group["params"] if w.dim() == 3 and w.device.type == "cpu"]
        with taking(large, self._take):
            yield

    @torch.no_grad()
    def _take(self, weight: Tensor, block: int, gradient: Tensor) -> None:
        if block == 0:
            self._begin(weight)
        (group,) = self.param_groups
        step, parts = self._begun[weight]
        # What `step` comes to; its way there sorts all tensors anew, for every block.
        torch._fused_adamw_(
            [parts[0][block]],
            [gradient],
            [parts[1][block]],
            [parts[2][block]],
            [],
            [step],
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )
        if block + 1 == len(parts[0]):
            self.state[weight]["step"].copy_(step)
            del self._begun[weight]

    def _begin(self, weight: Tensor) -> None:
        """Cut a weight and its moments into blocks."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros((), device=weight.device)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        cut = Blocks(weight)
        parts = [cut.all(t) for t in (weight.detach(), state["exp_avg"], state["exp_avg_sq"])]
        self._begun[weight] = state["step"] + 1, parts
