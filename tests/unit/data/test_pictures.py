import gzip
import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.images import Images
from attnreplace.data.pictures import dataset_sets
from attnreplace.data.preview import preview
from attnreplace.errors import UserError


def picture(value: int, size: tuple[int, int] = (4, 6), mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size[::-1], (value,) * 3 if mode == "RGB" else value).save(file, "PNG")
    return file.getvalue()


def files(**options) -> dict[str, bytes]:
    """Twenty images to train on and four to test on, of two classes."""
    return {
        f"{name}/{label}/{i}.png": picture(10 * i + (label == "dog"), **options)
        for name, count in (("train", 10), ("test", 2))
        for label in ("cat", "dog")
        for i in range(count)
    }


def write(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def tar(path: Path, contents: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def load(path: Path, **settings):
    return load_corpus(DataConfig(task="image", data_dir=str(path), **settings))


def test_digits():
    corpus = load_corpus(DataConfig(task="image", validation_size=50))
    assert (corpus.name, corpus.task, corpus.classes) == ("digits", "image", list("0123456789"))
    sizes = [len(corpus.train), len(corpus.validation), len(corpus.tests["test"])]
    assert sizes == [1258, 50, 270]
    assert corpus.train.size == (8, 8)
    assert set(Counter(corpus.validation.labels).values()) <= {4, 5, 6}
    batch = corpus.train.batch([5, 2])
    assert (batch.shape, batch.dtype, batch.max()) == ((2, 8, 8, 3), np.uint8, 255)
    assert (batch[1] == corpus.train.array(2)).all()
    other = load_corpus(DataConfig(task="image", seed=1))
    assert other.digest != corpus.digest
    every = [sum(map(len, (c.train, c.tests["test"]))) for c in (corpus, other)]
    assert every == [1528, 1528]


def test_a_folder_and_archives_of_it_are_the_same_corpus(tmp_path):
    contents = files()
    folder = load(write(tmp_path / "folder", contents))
    packed = load(tar(tmp_path / "x.tar.gz", {f"test_set/{n}": d for n, d in contents.items()}))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    zipped = load(tmp_path / "x.zip")
    assert (folder.classes, packed.name) == (["cat", "dog"], "x")
    assert (len(folder.train), len(folder.validation), folder.train.size) == (19, 1, (4, 6))
    assert folder.digest == packed.digest == zipped.digest
    assert folder.test_digest("test") == packed.test_digest("test") == zipped.test_digest("test")
    values = [folder.train.array(i)[0, 0, 0] % 10 for i in range(19)]
    assert values == folder.train.labels
    assert Counter(load(tmp_path / "folder", train_size=6).train.labels) == {0: 3, 1: 3}


def test_images_of_several_sizes_are_read_when_asked_for(tmp_path):
    contents = files() | {"train/cat/wide.PNG": picture(9, (3, 8)), "val/dog/1.png": picture(1)}
    corpus = load(write(tmp_path, contents | {"train/cat/grey.png": picture(7, mode="L")}))
    assert (corpus.train.size, corpus.validation.size) == (None, (4, 6))
    assert Counter(image.shape for image in corpus.train.batch(range(22))) == {
        (4, 6, 3): 21, (3, 8, 3): 1,
    }  # fmt: skip
    train, *_ = preview(DataConfig(task="image", data_dir=str(tmp_path)), 2)
    assert (train.smallest, train.largest, len(train.sample)) == ((3, 6), (4, 8), 2)
    assert train.classes == {"cat": 12, "dog": 10}


def test_classes_without_sets_are_shared_out(tmp_path):
    flat = {f"top/{n.removeprefix('train/')}": d for n, d in files().items() if "train" in n}
    corpus = load(tar(tmp_path / "flat.tgz", flat))
    sizes = [len(corpus.train), len(corpus.validation), len(corpus.tests["test"])]
    assert (corpus.name, sizes) == ("flat", [14, 3, 3])


def test_links_are_not_followed(tmp_path):
    outside = write(tmp_path / "outside", {"secret.png": picture(0)})
    folder = write(tmp_path / "folder", files())
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(folder / "train", "train")
        link = tarfile.TarInfo("train/cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside / "secret.png")
        archive.addfile(link)
    assert len(load(tmp_path / "x.tar").train) == 14
    (folder / "train/cat/link.png").symlink_to(outside / "secret.png")
    with pytest.raises(UserError, match=r"link.png is a link, and links are not followed"):
        load(folder)


def test_mistakes(tmp_path):
    with pytest.raises(UserError, match="does not exist; data_dir wants"):
        load(tmp_path / "absent")
    with pytest.raises(UserError, match=r"holds no images in class folders; put \.png"):
        load(tmp_path)
    (tmp_path / "broken.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"cannot read .*broken.tar.gz as a zip or tar"):
        load(tmp_path / "broken.tar.gz")
    whole = tar(tmp_path / "whole.tar.gz", files()).read_bytes()
    for name, data in (("half.tar.gz", whole), ("half.tar", gzip.decompress(whole))):
        (tmp_path / name).write_bytes(data[: len(data) // 2 + 100])
        with pytest.raises(UserError, match=rf"cannot read .*{name} as a zip or tar"):
            load(tmp_path / name)
    folder = write(tmp_path / "folder", files() | {"test/cow/1.png": picture(0)})
    with pytest.raises(UserError, match=r'the set "test" of .* has the class "cow", which the'):
        load(folder)
    write(tmp_path / "bad", files() | {"train/cat/bad.png": picture(0)[:30]})
    with pytest.raises(UserError, match=r"cannot read .*bad.png as an image"):
        load(tmp_path / "bad")


def splits(count: int) -> datasets.DatasetDict:
    features = datasets.Features(
        {"img": datasets.Image(), "kind": datasets.ClassLabel(names=["cat", "dog"])}
    )
    rows = [{"img": {"bytes": picture(10 * i), "path": None}, "kind": i % 2} for i in range(count)]
    secret = [{"img": rows[0]["img"], "kind": -1}]
    return datasets.DatasetDict(
        train=datasets.Dataset.from_list(rows, features=features),
        test=datasets.Dataset.from_list(secret, features=features),
    )


def test_splits_of_a_dataset_and_its_parquet_files(tmp_path):
    loaded = splits(20)
    sets, classes = dataset_sets(loaded, 'dataset "owner/name"')
    assert (list(sets), classes) == (["train"], ["cat", "dog"])
    images = sets["train"]()
    assert isinstance(images, Images)
    assert [images.array(i)[0, 0, 0] for i in (0, 3)] == [0, 30]
    assert images.labels[:4] == [0, 1, 0, 1]
    (tmp_path / "data").mkdir()
    loaded["train"].to_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    corpus = load(tmp_path)
    assert (corpus.classes, len(corpus.train), corpus.train.size) == (classes, 14, (4, 6))
    with pytest.raises(UserError, match="has the columns img, where an image and a class label"):
        dataset_sets({"train": loaded["train"].select_columns("img")}, "it")
