"""AdamW that takes the gradients of large weights while they are being made."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from attnreplace.students.row_gradients import Block, taking


class RowwiseAdamW(torch.optim.AdamW):
    """torch's own, fused. Its state is the same whichever way a gradient comes."""

    def __init__(self, weights: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(weights, lr=lr, weight_decay=weight_decay, fused=True)

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
    def _take(self, weight: Tensor, at: Block, gradient: Tensor) -> None:
        state, (group,) = self.state[weight], self.param_groups
        if not state:
            state["step"] = torch.zeros((), device=weight.device)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        step = state["step"] + 1
        # What `step` comes to; its way there sorts all tensors anew, for every block.
        torch._fused_adamw_(
            [weight[at]],
            [gradient],
            [state["exp_avg"][at]],
            [state["exp_avg_sq"][at]],
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
        groups, rows = at
        if (groups.stop, rows.stop) == weight.shape[:2]:  # the last block
            state["step"].copy_(step)
