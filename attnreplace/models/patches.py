"""Images as sequences of patches."""

from torch import Tensor, nn

from attnreplace.errors import UserError


class PatchEmbedding(nn.Module):
    """A linear map of each square patch (Dosovitskiy et al., arXiv 2010.11929, eq. 1)."""

    def __init__(self, image_size: int, patch_size: int, channels: int, width: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.channels = channels
        self.projection = nn.Conv2d(channels, width, kernel_size=patch_size, stride=patch_size)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """Cut up and embed `(batch, channels, height, width)`: `(batch, patches, width)`.

        Raises:
            UserError: the images are not of the model's size: token mixers have weights for a
                fixed number of patches.
        """
        wanted = (self.channels, self.image_size, self.image_size)
        if tuple(pixel_values.shape[1:]) != wanted:
            raise UserError(
                f"the model reads images of {wanted} (channels, height, width), not "
                f"{tuple(pixel_values.shape[1:])}; resize them"
            )
        return self.projection(pixel_values).flatten(2).transpose(1, 2)


def check_patches(image_size: int, patch_size: int) -> None:
    """Refuse an image that is not a whole number of patches wide.

    Raises:
        UserError: it is not.
    """
    if patch_size < 1 or image_size < patch_size or image_size % patch_size:
        raise UserError(
            f"an image of {image_size} pixels cannot be cut into patches of {patch_size}; choose "
            "an image_size that is a multiple of patch_size"
        )
