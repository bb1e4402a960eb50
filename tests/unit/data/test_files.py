import gzip
import json
import lzma
import re
from pathlib import Path

import pytest

from attnreplace.data.corpus import Pairs
from attnreplace.data.files import find_sets
from attnreplace.data.sets import validation_set
from attnreplace.errors import UserError


def write(folder: Path, *names: str) -> None:
    """Text files, each of one sentence that says where it stands."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        data = f"{name}\n".encode()
        if name.endswith(".gz"):
            data = gzip.compress(data)
        elif name.endswith(".xz"):
            data = lzma.compress(data)
        (folder / name).write_bytes(data)


def read(folder: Path, pair: str = "de-en") -> dict[str, Pairs]:
    return {name: reader() for name, reader in find_sets(folder, pair).items()}


@pytest.mark.parametrize("end", ["", ".gz", ".xz"])
@pytest.mark.parametrize("tag", ["", ".de-en", ".en-de"])
def test_plain_parallel_text(tmp_path, tag, end):
    names = [
        f"{s}{tag}.{lang}{end}"
        for s in ("train", "val", "test_2016_flickr")
        for lang in ("de", "en", "fr")
    ]
    write(tmp_path, *names, "README", "train.origin.xz")
    for source, target in (("de", "en"), ("en", "de")):
        assert read(tmp_path, f"{source}-{target}") == {
            name: Pairs([f"{name}{tag}.{source}{end}"], [f"{name}{tag}.{target}{end}"])
            for name in ("test_2016_flickr", "train", "val")
        }


def test_files_of_the_own_direction_come_first(tmp_path):
    write(tmp_path, *(f"train{t}.{x}" for t in (".en-de", ".de-en", "") for x in ("de", "en")))
    assert read(tmp_path, "de-en")["train"].source == ["train.de-en.de"]
    assert read(tmp_path, "en-de")["train"].source == ["train.en-de.en"]


def test_files_of_other_pairs_are_left_out(tmp_path):
    write(tmp_path, "train.de", "train.en", "test.fr-en.fr", "test.fr-en.en", "test.de-fr.de")
    assert list(read(tmp_path)) == ["train"]


def test_official_training_text_beside_a_stray_file(tmp_path):
    write(tmp_path, "train.tags.de-en.de", "train.tags.de-en.en", "train.en")
    assert read(tmp_path)["train"].target == ["train.tags.de-en.en"]


def test_xml_names_its_set_and_comes_before_its_plain_copy(tmp_path):
    stem = "IWSLT17.TED.tst2010.en-de"
    write(
        tmp_path,
        f"{stem}.de",
        f"{stem}.en",
        "IWSLT14.TEDX.dev2012.de-en.de",
        "IWSLT14.TEDX.dev2012.de-en.en",
    )
    for lang in ("de", "en"):
        (tmp_path / f"{stem}.{lang}.xml").write_text(f'<x><seg id="1">{lang} xml</seg></x>')
    sets = read(tmp_path)
    assert list(sets) == ["TEDX.dev2012", "tst2010"]
    assert sets["tst2010"] == Pairs(["de xml"], ["en xml"])


def test_rows_by_name(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation", "test"):
        row = {"translation": {"de": f"de {name}", "en": f"en {name}"}}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "notes.jsonl").write_text("{}\n")
    sets = read(tmp_path, "en-de")
    assert list(sets) == ["test", "train", "validation"]
    assert sets["train"].source == ["en train-00000-of-00002", "en train-00001-of-00002"]


@pytest.mark.parametrize("inner", ["de-en", "en-de", "data"])
def test_inner_folder(tmp_path, inner):
    write(tmp_path / inner, "train.de", "train.en")
    assert read(tmp_path) == {"train": Pairs(["train.de"], ["train.en"])}


def test_missing_language(tmp_path):
    write(tmp_path, "train.de", "val.en", "test.de", "test.fr")
    sets = find_sets(tmp_path, "de-en")
    assert list(sets) == ["train", "val"]
    with pytest.raises(UserError, match=r'train\.de has no counterpart in "en"'):
        sets["train"]()
    with pytest.raises(UserError, match=r'val\.en has no counterpart in "de"'):
        sets["val"]()


def test_nothing_for_the_pair(tmp_path):
    write(tmp_path, "train.de", "train.en")
    message = f"{tmp_path} holds no files for fr-es (but train.de, train.en); give a folder or zip"
    with pytest.raises(UserError, match=re.escape(message)):
        find_sets(tmp_path, "fr-es")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["val", "test"], "val"),
        (["dev", "valid", "validation"], "validation"),
        (["dev2012", "dev2010", "tst2010"], "dev2010"),
        (["train", "test", "devices"], None),
    ],
)
def test_validation_set(names, chosen):
    assert validation_set(names) == chosen
