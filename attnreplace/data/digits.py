"""The embedded images: scikit-learn's 1,797 handwritten digits of 8 by 8 pixels."""

import numpy as np

from attnreplace.data.images import Images

BRIGHTEST = 16


CLASSES = [str(digit) for digit in range(10)]


def read_digits() -> Images:
    """All digits, each grey value thrice for the three colours."""
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = np.rint(data.images * (255 / BRIGHTEST)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    return Images(pixels, data.target.tolist())
