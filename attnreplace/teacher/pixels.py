"""Images at the size that a model reads, kept as bytes so that they can be augmented."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from attnreplace.data.images import Images

KEPT_BYTES = 2 << 30
"""Resized images are kept in memory up to so many bytes; beyond, they are read again and again."""


class Pixels:
    """The images of a split, resized and cropped by an image processor when first asked for."""

    def __init__(self, images: Images, processor: Any) -> None:
        self.images, self.processor = images, processor
        self._kept: Tensor | None = None
        self._known = torch.zeros(len(images), dtype=torch.bool)

    def __call__(self, indices: Sequence[int]) -> Tensor:
        """Some of them, uint8 `(batch, 3, height, width)`.

        Raises:
            UserError: a file cannot be read or is no image.
        """
        wanted = torch.tensor(list(indices))
        new = wanted[~self._known[wanted]].tolist()
        if not new and self._kept is not None:
            return self._kept[wanted]
        read = self._read(new)
        if self._kept is None and len(self.images) * read[0].numel() <= KEPT_BYTES:
            self._kept = torch.empty(len(self.images), *read.shape[1:], dtype=torch.uint8)
        if self._kept is None:
            return read
        self._kept[new] = read
        self._known[new] = True
        return self._kept[wanted]

    def _read(self, indices: list[int]) -> Tensor:
        pixels: Tensor = self.processor(
            [self.images.array(index) for index in indices],
            do_rescale=False,
            do_normalize=False,
            # Said outright: an image of few rows would be taken for one of few channels.
            input_data_format="channels_last",
            return_tensors="pt",
        )["pixel_values"]
        return pixels.to(torch.uint8)


def normalise(pixels: Tensor, processor: Any) -> Tensor:
    """What the processor would do next: scale and normalise.

    Args:
        pixels: uint8 `(batch, 3, height, width)`.
        processor: of the model.

    Returns:
        Float32, of the same shape.
    """
    images = pixels.float()
    if processor.do_rescale:
        images = images * processor.rescale_factor
    if processor.do_normalize:
        mean, std = (
            torch.tensor(values).view(-1, 1, 1)
            for values in (processor.image_mean, processor.image_std)
        )
        images = (images - mean) / std
    return images
