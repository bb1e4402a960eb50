"""Pictures of spatial weights: W by rows, by distance, and how Toeplitz it is."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from attnreplace.insight import (
    SpatialWeights,
    random_toeplitz_share,
    toeplitz_profile,
    toeplitz_share,
)
from attnreplace.report.pictures.choose import spread
from attnreplace.report.pictures.picture import Block, Panel, Picture, Values

MOST = 4
"""How many mixers are shown in full."""
KIND_WORDS = {
    "dense": "Row i is what position i takes from every position j.",
    "toeplitz": "W is a Toeplitz matrix: one weight for each distance.",
    "token_mlp": "The product of the two layers of the token MLP, as if there were no GELU "
    "between them: row i is what position i takes from every position j.",
    "memory": "The rows over the source positions that each query mixes.",
}


def weights_picture(
    name: str,
    label: str,
    weights: Sequence[tuple[str, SpatialWeights]],
    length: int | None,
    of: dict[str, str],
    *,
    patches: bool = False,
) -> Picture:
    """Up to `MOST` mixers in full, and how Toeplitz all are.

    Args:
        name: stem of its file.
        label: whose weights.
        weights: at least one, all of a kind, each with its heading.
        length: positions to show, as many as sentences use; None for all.
        of: see `Picture`.
        patches: whether the positions are patches of an image, perhaps after other tokens.
    """
    kind = weights[0][1].kind
    cut = [(heading, one, _cropped(one, length)) for heading, one in weights]
    blocks = []
    for i in spread(range(len(cut)), MOST):
        heading, one, matrix = cut[i]
        blocks.append(Block(f"{heading}{_shares(one, matrix)}", _panels(one, matrix, patches)))
    if all(len(block.panels) == 1 for block in blocks):  # side by side
        panels = [replace(panel, title=b.heading) for b in blocks for panel in b.panels]
        blocks = [Block(blocks[0].panels[0].title, panels)]
    if len(cut) > MOST and kind in ("dense", "token_mlp"):
        blocks.append(_overview(cut))
    shown = "" if length is None else f" Positions up to {len(cut[0][2])}, as most sentences use."
    toeplitz = (
        " How Toeplitz W has become: the share of its energy |W|² in the nearest Toeplitz matrix, "
        "and that of a random matrix."
        if kind in ("dense", "token_mlp")
        else ""
    )
    if toeplitz and patches:
        toeplitz += " Patches count in reading order, so that neighbours across lines are far."
    return Picture(
        f"weights_{name}",
        f"Spatial weights of {label}",
        f"{KIND_WORDS[kind]}{shown}{toeplitz}",
        f"Weights over the positions of {label}: "
        + "; ".join(block.heading for block in blocks if block.heading)
        + ".",
        blocks,
        of,
    )


def _cropped(weights: SpatialWeights, length: int | None) -> Tensor:
    matrix = weights.matrix.float().cpu()
    if length is None:
        return matrix
    return matrix[:length, :length] if weights.square else matrix[:, :length]


def _shares(weights: SpatialWeights, matrix: Tensor) -> str:
    if weights.kind not in ("dense", "token_mlp"):
        return ""
    share = toeplitz_share(matrix, causal=weights.causal)
    random = random_toeplitz_share(len(matrix), causal=weights.causal)
    return f": {100 * share:.0f} % Toeplitz (random {100 * random:.0f} %)"


def _panels(weights: SpatialWeights, matrix: Tensor, patches: bool) -> list[Panel]:
    if weights.kind == "memory":
        rows = tuple(str(i + 1) for i in range(len(matrix)))
        return [Panel("The rows over the source", "signed", _values(matrix), rows, _places(matrix))]
    profile = toeplitz_profile(matrix).numpy()
    if weights.causal:
        profile[len(matrix) :] = np.nan
    panels = [Panel("Weight by distance j \u2212 i", "profile", _values(profile[None]))]
    if weights.kind == "toeplitz":
        return panels
    places = _places(matrix)
    panels.insert(0, Panel("W", "signed", _values(matrix), places, places))
    if patches and (side := int(len(matrix) ** 0.5)) > 1:
        # Tokens before the patches have no place in the image.
        grid = matrix[-side * side :, -side * side :]
        panels.insert(1, Panel("Each patch's row, as an image", "signed", _mosaic(grid, side)))
    return panels


def _overview(cut: Sequence[tuple[str, SpatialWeights, Tensor]]) -> Block:
    """The share of every mixer."""
    shares = [toeplitz_share(matrix, causal=one.causal) for _, one, matrix in cut]
    _, one, matrix = cut[0]
    labels = tuple(heading.removeprefix("Layer ") for heading, _, _ in cut)
    level = random_toeplitz_share(len(matrix), causal=one.causal)
    panel = Panel(
        "Share of |W|² that is Toeplitz",
        "layers",
        _values(np.array([shares])),
        (),
        labels,
        level,
    )
    return Block("All layers", [panel])


def _places(matrix: Tensor) -> tuple[str, ...]:
    return tuple(str(i + 1) for i in range(matrix.shape[1]))


def _mosaic(matrix: Tensor, side: int) -> Values:
    """Rows of `(side * side, side * side)` as images, each where its patch is, empty between."""
    tiles = matrix.reshape(side, side, side, side)
    edge = side + 1
    whole = torch.full((side * edge - 1, side * edge - 1), torch.nan)
    for i in range(side):
        for j in range(side):
            whole[i * edge : i * edge + side, j * edge : j * edge + side] = tiles[i, j]
    return _values(whole)


def _values(values: "Tensor | np.ndarray") -> Values:
    return np.asarray(values, dtype=np.float32)
