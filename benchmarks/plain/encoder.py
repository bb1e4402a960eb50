"""The encoder student as the paper's code runs it: over all N positions, padding and all."""

from collections.abc import Iterable
from typing import cast

import torch
from torch import Tensor, nn

from attnreplace.students import StudentConfig


class PlainNetwork(nn.Module):
    """LayerNorm, Linear, LeakyReLU, LayerNorm, Linear over the flattened, padded sentence."""

    def __init__(self, config: StudentConfig) -> None:
        """Build for one group.

        Args:
            config: a decoder's student has outputs for one position, an encoder's for all.
        """
        super().__init__()
        self.positions = config.positions
        width = config.positions * config.d_model
        outputs = 1 if config.form == "prefix" else config.positions
        self.network = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.hidden),
            nn.LeakyReLU(0.01),
            nn.LayerNorm(config.hidden),
            nn.Linear(config.hidden, outputs * config.d_out // config.groups),
        )

    @torch.no_grad()
    def copy_from(self, student: nn.Module, group: int = 0) -> None:
        """Take the weights of a group of this project's student of the same configuration."""
        norm_in, first, _, norm_hidden, last = self.network
        pairs = {
            "norm_in_weight": norm_in.get_parameter("weight"),
            "norm_in_bias": norm_in.get_parameter("bias"),
            "weight_in": first.get_parameter("weight"),
            "bias_in": first.get_parameter("bias"),
            "norm_hidden_weight": norm_hidden.get_parameter("weight"),
            "norm_hidden_bias": norm_hidden.get_parameter("bias"),
            "weight_out": last.get_parameter("weight"),
            "bias_out": last.get_parameter("bias"),
        }
        weights = dict(student.named_parameters())
        for name, parameter in pairs.items():
            parameter.copy_(weights[name][group])


class PlainEncoderStudent(nn.Module):
    """A network, or one per head, as a list."""

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.networks = nn.ModuleList(PlainNetwork(config) for _ in range(config.groups))

    def _each(self) -> Iterable[PlainNetwork]:
        return cast(Iterable[PlainNetwork], self.networks)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, N, d_model)`, zero at padding, to `(batch, N, d_out)`."""
        batch, positions, _ = x.shape
        flat = x.flatten(1)
        heads = [network.network(flat).view(batch, positions, -1) for network in self._each()]
        return torch.cat(heads, dim=-1)

    def copy_from(self, student: nn.Module) -> None:
        """Take the weights of this project's student of the same configuration."""
        for group, network in enumerate(self._each()):
            network.copy_from(student, group)
