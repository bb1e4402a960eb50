"""The spatial gating unit of gMLP.

Liu et al., arXiv 2105.08050, section 2.1 (eq. 2 to 4) and the variants of Table 3.
"""

from torch import Tensor, nn

from attnreplace.errors import UserError
from attnreplace.models.mixers.past import Past, extend
from attnreplace.models.mixers.spatial import DenseSpatial, SpatialLinear
from attnreplace.models.mixers.toeplitz import ToeplitzSpatial

GATES = ("split", "multiplicative", "additive", "linear")
"""With f(Z) = W LN(Z) + b: Z1 * f(Z2) of the two halves, Z * f(Z), Z + f(Z), f(Z)."""

SPATIAL: dict[str, type[SpatialLinear]] = {"toeplitz": ToeplitzSpatial, "dense": DenseSpatial}
"""What W of f is."""


class SpatialGatingUnit(nn.Module):
    """s(Z): `(batch, seq, width)` to `(batch, seq, out_width)`, half the width for "split"."""

    def __init__(
        self,
        width: int,
        positions: int,
        *,
        gate: str = "split",
        spatial: str = "dense",
        causal: bool = False,
        eps: float = 1e-6,
    ) -> None:
        """Build the unit.

        Args:
            width: channels of Z.
            positions: n, the longest sequence.
            gate: one of `GATES`.
            spatial: one of `SPATIAL`.
            causal: no output depends on later tokens.
            eps: of the LayerNorm.

        Raises:
            UserError: there is no such gate or spatial map, or an odd width cannot be split.
        """
        super().__init__()
        if gate not in GATES:
            raise UserError(f"no gate {gate!r}; valid gates: {', '.join(GATES)}")
        if spatial not in SPATIAL:
            raise UserError(f"no spatial weights {spatial!r}; valid ones: {', '.join(SPATIAL)}")
        if gate == "split" and width % 2:
            raise UserError(f"a split gate needs an even width, not {width}")
        self.gate = gate
        self.out_width = width // 2 if gate == "split" else width
        self.norm = nn.LayerNorm(self.out_width, eps=eps)
        self.spatial = SPATIAL[spatial](positions, causal=causal)

    def forward(self, z: Tensor, mask: Tensor | None = None, added: Tensor | None = None) -> Tensor:
        """Gate the channels by a mix of the tokens.

        Args:
            z: Z, `(batch, seq, width)`.
            mask: which tokens are real, `(batch, seq)` bool; None for all.
            added: added to f, `(batch, seq, out_width)`: the tiny attention of aMLP.

        Returns:
            `(batch, seq, out_width)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        kept, gated = self._halves(z)
        # The bias of the norm makes padding non-zero; the spatial map zeroes it after the norm.
        return self._gated(kept, self.spatial(self.norm(gated), mask), added)

    def decode(
        self, z: Tensor, past: Past | None, start: int, added: Tensor | None = None
    ) -> tuple[Tensor, Past]:
        """What `forward` gives at the next positions of a causal unit.

        Args:
            z: Z of the positions from `start` on, `(batch, new, width)`, no padding.
            past: what the call for the positions before gave; None at the start.
            start: the position of the first column.
            added: added to f, `(batch, new, out_width)`.

        Returns:
            `(batch, new, out_width)`, and LN(Z2) of all tokens so far,
            `(batch, positions, out_width)`.

        Raises:
            SequenceTooLong: there are more tokens than positions.
        """
        end = start + z.shape[1]
        kept, gated = self._halves(z)
        before = past[0] if past else None
        normed = extend(before, self.norm(gated), start, self.spatial.positions)
        mixed = self.spatial(normed[:, :end], start=start)
        return self._gated(kept, mixed, added), (normed,)

    def _halves(self, z: Tensor) -> tuple[Tensor, Tensor]:
        if self.gate != "split":
            return z, z
        kept, gated = z.chunk(2, dim=-1)
        return kept, gated

    def _gated(self, kept: Tensor, mixed: Tensor, added: Tensor | None) -> Tensor:
        if added is not None:
            mixed = mixed + added
        if self.gate == "linear":
            return mixed
        return kept + mixed if self.gate == "additive" else kept * mixed
