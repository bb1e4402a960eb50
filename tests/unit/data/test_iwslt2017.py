import zipfile
from pathlib import Path

import pytest

from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.corpus import Pairs
from attnreplace.data.iwslt2017 import PAIRS, archive_file, fetch_archive, read_tagged, read_xml
from attnreplace.data.reading import entries
from attnreplace.errors import UserError

TRAIN = """<url>http://example.org/{talk}</url>
<keywords>talks, {lang}</keywords>
<speaker>Ada</speaker>
<talkid>{talk}</talkid>
<title>Ada: {lang}</title>
<description>About {lang}</description>
{first}
 {second}\t
<reviewer href="http://example.org/1">Bo</reviewer>
<translator href="http://example.org/2">Cy</translator>
"""

XML = """<?xml version="1.0" encoding="UTF-8"?>
<mteval>
<refset setid="iwslt2017-{name}" srclang="german" trglang="english" refid="ref">
<doc docid="1" genre="lectures">
<title>A &amp; B</title>
<seg id="1"> {first} </seg>
<seg id="2"> {second}</seg>
</doc>
<doc docid="2" genre="lectures">
<seg id="1">{third}</seg>
</doc>
</refset>
</mteval>
"""


def tagged(lang: str, *pairs: tuple[str, str]) -> str:
    return "".join(
        TRAIN.format(talk=talk, lang=lang, first=first, second=second)
        for talk, (first, second) in enumerate(pairs)
    )


def xml(name: str, *segments: str) -> str:
    return XML.format(name=name, first=segments[0], second=segments[1], third=segments[2])


def write_two(folder: Path, source: str, target: str) -> list:
    folder.mkdir(exist_ok=True)
    (folder / "a.de").write_text(source, encoding="utf-8")
    (folder / "b.en").write_text(target, encoding="utf-8")
    return entries(folder)


def write_archive(path: Path, pair: str = "de-en", folder: str = "de-en/") -> None:
    """A small archive in the official layout."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{folder}README", "a reader's notes")
        for lang in ("de", "en"):
            train = tagged(lang, (f"{lang} 1", f"{lang} 2"), (f"{lang} 3", f"{lang} 4"))
            archive.writestr(f"{folder}train.tags.{pair}.{lang}", train)
            for name in ("dev2010", "tst2010", "tst2011", "tst2015", "tst2016"):
                text = xml(name, *(f"{lang} {name} {i}" for i in range(3)))
                archive.writestr(f"{folder}IWSLT17.TED.{name}.{pair}.{lang}.xml", text)


def test_metadata_is_dropped_in_step(tmp_path):
    source, target = write_two(
        tmp_path,
        tagged("de", ("eins", ""), ("<3 drei", "vier & fünf")),
        tagged("en", ("one", "two"), ("three", "four & five")),
    )
    # Empty sides stay here: whoever assembles the corpus drops them.
    assert read_tagged(source, target) == Pairs(
        ["eins", "", "<3 drei", "vier & fünf"], ["one", "two", "three", "four & five"]
    )


def test_metadata_on_one_side_alone_takes_its_line_from_both(tmp_path):
    source, target = write_two(
        tmp_path, "<url>x</url>\n<reviewer>R</reviewer>\neins\n", "<url>x</url>\n\none\n"
    )
    assert read_tagged(source, target) == Pairs(["eins"], ["one"])


def test_train_files_of_different_length(tmp_path):
    source, target = write_two(tmp_path, "eins\nzwei\n", "one\n")
    with pytest.raises(UserError, match=r"a\.de has 2 sentences, .*b\.en has 1"):
        read_tagged(source, target)


def test_talks_out_of_step(tmp_path):
    source, target = write_two(
        tmp_path, "<url>1</url>\neins\n<url>2</url>\nzwei\n", "<url>1</url>\none\ntwo\n<url>2</url>"
    )
    with pytest.raises(UserError, match=r"talk begins at line 3 of only one of .*a\.de and .*b\.e"):
        read_tagged(source, target)


def test_segments_in_order_and_unescaped(tmp_path):
    source, target = write_two(
        tmp_path,
        xml("tst2010", "F&amp;E &lt;3 &#233;", "", "drei\n Zeilen"),
        xml("tst2010", "R&amp;D", "two", "three"),
    )
    assert read_xml(source, target) == Pairs(
        ["F&E <3 é", "", "drei Zeilen"], ["R&D", "two", "three"]
    )


def test_xml_with_bare_ampersands(tmp_path):
    source, target = write_two(
        tmp_path,
        xml("tst2010", "F&E", "&quot;zwei&quot; &amp; &nbsp;mehr", "x < y"),
        xml("tst2010", "R&D", "two", "three"),
    )
    assert read_xml(source, target) == Pairs(
        ["F&E", '"zwei" & \xa0mehr', "x < y"], ["R&D", "two", "three"]
    )


def test_xml_out_of_step(tmp_path):
    good = xml("tst2010", "eins", "zwei", "drei")
    source, target = write_two(tmp_path, good, good.replace('<seg id="2"> zwei</seg>\n', ""))
    with pytest.raises(UserError, match=r"a\.de has 3 sentences, .*b\.en has 2"):
        read_xml(source, target)
    source, target = write_two(tmp_path, good, good.replace('id="2"', 'id="7"'))
    with pytest.raises(UserError, match=r"segment 2 of .*a\.de stands beside segment 7 of .*b\.en"):
        read_xml(source, target)


@pytest.mark.parametrize("text", ["<mteval/>", "no XML at all"])
def test_xml_without_segments(tmp_path, text):
    source, target = write_two(tmp_path, text, text)
    with pytest.raises(UserError, match=r"a\.de holds no <seg"):
        read_xml(source, target)


@pytest.mark.parametrize("folder", ["de-en/", "", "some/where/de-en/"])
def test_archive(tmp_path, folder):
    write_archive(tmp_path / "de-en.zip", folder=folder)
    config = DataConfig(dataset="iwslt2017", data_dir=str(tmp_path / "de-en.zip"))
    corpus = load_corpus(config)
    assert (corpus.name, corpus.pair) == ("iwslt2017", "de-en")
    assert corpus.train == Pairs(["de 1", "de 2", "de 3", "de 4"], ["en 1", "en 2", "en 3", "en 4"])
    assert corpus.validation.source == [f"de dev2010 {i}" for i in range(3)]
    assert list(corpus.tests) == ["tst2010", "tst2011", "tst2015"]
    assert corpus.tests["tst2015"].target == [f"en tst2015 {i}" for i in range(3)]


def test_archive_serves_the_other_direction(tmp_path):
    write_archive(tmp_path / "de-en.zip")
    config = DataConfig(dataset="iwslt2017", data_dir=str(tmp_path), pair="en-de")
    corpus = load_corpus(config)
    assert corpus.train.source == ["en 1", "en 2", "en 3", "en 4"]
    assert corpus.tests["tst2010"].target == [f"de tst2010 {i}" for i in range(3)]


def test_unpacked_archive(tmp_path):
    write_archive(tmp_path / "de-en.zip")
    with zipfile.ZipFile(tmp_path / "de-en.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    for folder in ("unpacked", "unpacked/de-en"):
        corpus = load_corpus(DataConfig(data_dir=str(tmp_path / folder)))
        assert len(corpus.train) == 4
        assert list(corpus.tests) == ["tst2010", "tst2011", "tst2015", "tst2016"]


def test_unknown_pair():
    with pytest.raises(UserError, match="iwslt2017 has no pair de-it; choose one of ar-en, de-en"):
        fetch_archive("de-it")


def test_archive_of_every_pair_has_its_place():
    assert archive_file("en-fr") == "data/2017-01-trnted/texts/en/fr/en-fr.zip"
    assert {"de-en", "en-de", "fr-en", "en-fr"} <= set(PAIRS)
