import numpy as np
import torch
from transformers import ViTImageProcessorPil

from attnreplace.data.images import Images
from attnreplace.teacher import pixels
from attnreplace.teacher.pixels import Pixels, normalise


def split(side, count=5):
    array = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return Images(array, list(range(count)))


def processor(side):
    return ViTImageProcessorPil(size={"height": side, "width": side})


def test_they_are_what_the_processor_makes_of_them():
    images, reader = split(12), processor(8)
    wanted = reader(list(images.items), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(normalise(Pixels(images, reader)(range(5)), reader), wanted)


def test_images_of_the_right_size_are_untouched():
    images = split(8)
    read = Pixels(images, processor(8))([3, 1])
    assert read.dtype == torch.uint8
    assert np.array_equal(read.permute(0, 2, 3, 1).numpy(), images.items[[3, 1]])


def test_kept_or_read_again_they_are_the_same(monkeypatch):
    images, reader = split(12), processor(8)
    kept = Pixels(images, reader)
    first = [kept(batch) for batch in ([0, 4], [4, 2], [2, 0])]
    monkeypatch.setattr(pixels, "KEPT_BYTES", 0)
    again = Pixels(images, reader)
    for one, other in zip(first, [again(batch) for batch in ([0, 4], [4, 2], [2, 0])], strict=True):
        assert torch.equal(one, other)
