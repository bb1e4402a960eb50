import pytest
import torch

from attnreplace.errors import UserError
from attnreplace.teacher.augment import augmentation, flip, mixup, shift


def images(count=200, side=8):
    return (
        torch.arange(count * 3 * side * side).view(count, 3, side, side).remainder(255).byte() + 1
    )


def test_shifts_are_by_at_most_an_eighth():
    torch.manual_seed(0)
    before, seen = images(), set()
    for image, moved in zip(before, shift(before), strict=True):
        found = [
            (dy, dx)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            if torch.equal(padded(image)[:, 1 + dy : 9 + dy, 1 + dx : 9 + dx], moved)
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert len(seen) == 9


def padded(image):
    return torch.nn.functional.pad(image, (1, 1, 1, 1))


def test_half_are_mirrored():
    torch.manual_seed(0)
    before = images()
    after = flip(before)
    same = (after == before).flatten(1).all(1)
    assert torch.equal(after[~same], before.flip(-1)[~same])
    assert 60 < int(same.sum()) < 140


def test_mixup_mixes_targets_as_it_mixes_images():
    torch.manual_seed(3)
    classes = torch.eye(6)
    pixels = classes.view(6, 6, 1, 1).expand(6, 6, 2, 2)
    mixed, targets = mixup(pixels, classes, 0.4)
    assert torch.equal(mixed[:, :, 0, 0], targets)
    torch.testing.assert_close(targets.sum(1), torch.ones(6))
    assert ((targets > 0).sum(1) == 2).any()


def test_all_is_drawn_from_the_seed():
    def draw(seed):
        torch.manual_seed(seed)
        pixels = augmentation("crop-flip")(images(20)).float()
        return mixup(pixels, torch.eye(20), 0.2)

    assert torch.equal(draw(1)[0], draw(1)[0]) and not torch.equal(draw(1)[0], draw(2)[0])


def test_without_augmentation_images_stay():
    before = images(3)
    assert augmentation("none")(before) is before


def test_randaugment_comes_from_torchvision():
    pytest.importorskip("torchvision")
    assert augmentation("randaugment")(images(4)).shape == (4, 3, 8, 8)


def test_randaugment_without_torchvision_is_one_line():
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        with pytest.raises(UserError, match="needs torchvision; install it, or choose crop-flip"):
            augmentation("randaugment")
    else:
        pytest.skip("torchvision is installed here")
