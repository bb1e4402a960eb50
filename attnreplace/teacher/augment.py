"""Augmentation of images; all is drawn from torch's own generator, which the caller seeds."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from attnreplace.errors import UserError

SHIFT = 8
"""Images are shifted by up to this part of their height and width, at least by one pixel."""
OPERATIONS, MAGNITUDE = 2, 9
"""RandAugment (Cubuk et al., arXiv 1909.13719): operations an image, and how strong."""


def augmentation(name: str) -> Callable[[Tensor], Tensor]:
    """What changes a batch of images, uint8 `(batch, 3, height, width)`, at random.

    Args:
        name: "none", "crop", "crop-flip" or "randaugment".

    Raises:
        UserError: RandAugment is asked for and torchvision is not installed.
    """
    if name == "none":
        return lambda images: images
    if name == "crop":
        return shift
    if name == "crop-flip":
        return lambda images: flip(shift(images))
    try:
        from torchvision.transforms.v2 import RandAugment
    except (ImportError, RuntimeError) as error:
        raise UserError(
            "training.augment = randaugment needs torchvision; install it, or choose crop-flip"
        ) from error
    operate = RandAugment(OPERATIONS, MAGNITUDE)
    return lambda images: torch.stack([operate(image) for image in flip(shift(images))])


def shift(images: Tensor) -> Tensor:
    """Move every image by some pixels in both directions; what comes in is black.

    Args:
        images: `(batch, channels, height, width)`.
    """
    count, channels, height, width = images.shape
    most = max(1, height // SHIFT)
    padded = F.pad(images, (most, most, most, most))
    top, left = torch.randint(0, 2 * most + 1, (2, count, 1))
    rows = (top + torch.arange(height))[:, None, :, None]
    columns = (left + torch.arange(width))[:, None, None, :]
    image = torch.arange(count)[:, None, None, None]
    channel = torch.arange(channels)[None, :, None, None]
    return padded[image, channel, rows, columns]


def flip(images: Tensor) -> Tensor:
    """Mirror half of the images, left for right.

    Args:
        images: `(batch, channels, height, width)`.
    """
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)


def mixup(images: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Mix every image of a batch with another (Zhang et al., arXiv 1710.09412).

    Args:
        images: `(batch, channels, height, width)`.
        targets: probabilities of the classes, `(batch, classes)`.
        alpha: both parameters of the Beta distribution of an image's share, one for the batch.
    """
    share = torch.distributions.Beta(alpha, alpha).sample()
    others = torch.randperm(len(images))
    return torch.lerp(images[others], images, share), torch.lerp(targets[others], targets, share)
