"""The embedded images: scikit-learn's 1,797 handwritten digits of 8 by 8 pixels."""

import numpy as np

from attnreplace.data.images import ImageCorpus, Images
from attnreplace.data.strata import mixed

BRIGHTEST = 16
SHARES = (0.7, 0.15)
"""Of the digits, those to train on and to validate on; the rest is the test set."""


def digits_corpus(seed: int = 0) -> ImageCorpus:
    """The digits, 70 % to train on, 15 % to validate on and 15 % to test on.

    Args:
        seed: of the split, in which every set has every digit as often as the others.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = np.rint(data.images * (255 / BRIGHTEST)).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    images = Images(pixels, data.target.tolist())
    images = images.pick(mixed(images.labels, seed))
    train, validation = (round(share * len(images)) for share in SHARES)
    return ImageCorpus(
        "digits",
        [str(digit) for digit in data.target_names],
        images.head(train),
        images.pick(range(train, train + validation)),
        {"test": images.pick(range(train + validation, len(images)))},
    )
