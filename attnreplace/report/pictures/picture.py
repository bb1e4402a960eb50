"""What a picture shows, apart from how it is drawn; pictures of a run are kept in one file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnreplace.checkpoint import load_tensors, save_tensors
from attnreplace.errors import UserError

FILE = "pictures.safetensors"
"""In the run directory."""
WITH_TEXT = "sentence_"
"""Names of pictures begin so where they show text of the corpus."""
SCHEMA = "attnreplace.pictures/1"
KINDS = ("share", "signed", "profile", "layers")

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Panel:
    """One map or curve."""

    title: str
    kind: str
    """Of `KINDS`. "share": a map of parts of one, "signed": a map with a sign, both
    `(rows, columns)`; "profile": curves over the distance of two tokens, `(curves, 2 n - 1)`;
    "layers": points over the layers, `(1, layers)`."""
    values: Values
    """What is shown; NaN is left empty."""
    rows: tuple[str, ...] = ()
    """Labels of the rows of a map."""
    columns: tuple[str, ...] = ()
    """Labels of its columns; of "layers" those of the layers."""
    level: float | None = None
    """A level to compare with, in "layers"."""


@dataclass(frozen=True)
class Block:
    """Panels that belong together, under a heading."""

    heading: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Picture:
    """A figure of several panels; all maps of a kind in it have one colour scale."""

    name: str
    title: str
    caption: str
    alt: str
    blocks: Sequence[Block]
    of: Mapping[str, str] = field(default_factory=dict)
    """Digests of the students it shows, by bundle; without students, of the model as ""."""

    @property
    def panels(self) -> list[Panel]:
        """All panels, in order."""
        return [panel for block in self.blocks for panel in block.panels]


def save_pictures(path: Path, key: str, pictures: Iterable[Picture]) -> None:
    """Write pictures, whole or not at all.

    Args:
        path: the file.
        key: digest of all that they were made from.
        pictures: what to write.

    Raises:
        UserError: the disk is full or not writable.
    """
    tensors: dict[str, Tensor] = {}

    def plain(panel: Panel) -> dict[str, Any]:
        name = f"{len(tensors):04d}"
        # A copy: a safetensors file has no place for a tensor that another one shares.
        tensors[name] = torch.tensor(panel.values, dtype=torch.float32)
        return {**asdict(replace(panel, values=np.empty(0, np.float32))), "values": name}

    described = [
        {
            **asdict(replace(picture, blocks=[])),
            "blocks": [
                {"heading": block.heading, "panels": [plain(panel) for panel in block.panels]}
                for block in picture.blocks
            ],
        }
        for picture in pictures
    ]
    save_tensors(path, tensors, {"schema": SCHEMA, "key": key, "pictures": described})


def load_pictures(path: Path) -> tuple[str, list[Picture]]:
    """Read what `save_pictures` wrote: the key and the pictures.

    A file that is missing, damaged or of another schema gives none: it can be made again.
    """
    if not path.is_file():
        return "", []
    try:
        tensors, state = load_tensors(path)
    except UserError:
        return "", []
    if state.get("schema") != SCHEMA:
        return "", []

    def panel(plain: Mapping[str, Any]) -> Panel:
        labels = {name: tuple(plain[name]) for name in ("rows", "columns")}
        return Panel(**{**plain, **labels, "values": tensors[plain["values"]].numpy()})

    def block(plain: Mapping[str, Any]) -> Block:
        return Block(plain["heading"], [panel(one) for one in plain["panels"]])

    return state["key"], [
        Picture(**{**plain, "blocks": [block(one) for one in plain["blocks"]]})
        for plain in state["pictures"]
    ]
