"""An order in which every beginning has every class in its share."""

import random
from collections.abc import Sequence

LABELLED_SHARES = (0.7, 0.15)
"""Of a lone set of rows with classes, those to train and to validate on; the rest is for tests."""


def mixed(labels: Sequence[int], seed: int) -> list[int]:
    """Indices in an order that is random within a class and even among classes.

    The first n of them are a stratified sample for any n, and so are the last n: files often come
    class by class.
    """
    classes: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    placed = []
    for label, members in sorted(classes.items()):
        random.Random(f"order {seed} {label}").shuffle(members)
        placed += [
            ((rank + 0.5) / len(members), label, index) for rank, index in enumerate(members)
        ]
    return [index for _, _, index in sorted(placed)]
