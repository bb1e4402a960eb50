import re
from dataclasses import replace
from pathlib import Path

import pytest

from attnreplace.data.corpora import DataConfig, list_datasets, load_corpus
from attnreplace.data.corpus import Pairs
from attnreplace.data.preview import preview
from attnreplace.errors import UserError


def write(folder: Path, **sizes: int) -> None:
    for name, size in sizes.items():
        for lang in ("de", "en"):
            lines = [f"{lang} {name} {i}\n" for i in range(size)]
            (folder / f"{name}.{lang}").write_text("".join(lines))


def load(folder: Path, **settings):
    return load_corpus(DataConfig(data_dir=str(folder), **settings))


def test_sizes_cap_from_the_first(tmp_path):
    write(tmp_path, train=30, val=10, test_a=5, test_b=4)
    corpus = load(tmp_path, train_size=3, validation_size=2)
    assert corpus.name == tmp_path.name
    assert corpus.train == Pairs(
        [f"de train {i}" for i in range(3)], [f"en train {i}" for i in range(3)]
    )
    assert corpus.validation.source == ["de val 0", "de val 1"]
    assert {name: len(pairs) for name, pairs in corpus.tests.items()} == {"test_a": 5, "test_b": 4}


@pytest.mark.parametrize(("size", "held_out"), [(2, 1), (100, 5), (30_000, 1_000)])
def test_last_training_pairs_validate_where_no_set_does(tmp_path, size, held_out):
    write(tmp_path, train=size)
    corpus = load(tmp_path)
    assert len(corpus.validation) == held_out
    assert corpus.train.source + corpus.validation.source == [f"de train {i}" for i in range(size)]
    assert load(tmp_path, train_size=1).validation == corpus.validation


def test_pairs_with_an_empty_side_leave_only_train(tmp_path):
    for name in ("train", "val", "test"):
        (tmp_path / f"{name}.de").write_text("eins\n  \ndrei\nvier\n")
        (tmp_path / f"{name}.en").write_text("one\ntwo\n\nfour\n")
    corpus = load(tmp_path)
    assert corpus.train == Pairs(["eins", "vier"], ["one", "four"])
    assert corpus.validation.target == ["one", "two", "", "four"]
    assert corpus.tests["test"].source == ["eins", "", "drei", "vier"]


def test_chosen_and_joined_test_sets(tmp_path):
    write(tmp_path, train=2, dev=1, tst1=2, tst2=1, tst3=1)
    corpus = load(tmp_path, test_sets=["tst3", "tst2+tst1"])
    assert list(corpus.tests) == ["tst3", "tst2+tst1"]
    assert corpus.tests["tst2+tst1"] == Pairs(
        ["de tst2 0", "de tst1 0", "de tst1 1"], ["en tst2 0", "en tst1 0", "en tst1 1"]
    )


def test_other_training_and_development_sets_must_be_asked_for(tmp_path):
    write(tmp_path, train=2, train_small=1, dev2010=1, dev2012=1, newstest=1)
    assert list(load(tmp_path).tests) == ["newstest"]
    assert list(load(tmp_path, test_sets=["dev2012"]).tests) == ["dev2012"]


@pytest.mark.parametrize("name", ["tst9", "tst1+tst9", "train", "dev", ""])
def test_unknown_test_set(tmp_path, name):
    write(tmp_path, train=2, dev=1, tst1=1, tst2=1)
    part = name.split("+")[-1]
    with pytest.raises(UserError, match=f'has no test set "{part}"; choose of tst1, tst2$'):
        load(tmp_path, test_sets=[name])


def test_a_test_set_that_is_not_asked_for_is_not_read(tmp_path):
    write(tmp_path, train=2, dev=1, tst1=1)
    (tmp_path / "broken.de").write_bytes(b"\xff")
    (tmp_path / "broken.en").write_text("broken\n")
    assert list(load(tmp_path, test_sets=["tst1"]).tests) == ["tst1"]
    with pytest.raises(UserError, match=r"broken\.de is not UTF-8 at line 1"):
        load(tmp_path)


def test_folder_without_training_set(tmp_path):
    write(tmp_path, tst1=2)
    with pytest.raises(UserError, match=r"no training set \(only tst1\); add one, or set train_si"):
        load(tmp_path)
    corpus = load(tmp_path, train_size=0)
    assert (len(corpus.train), len(corpus.validation), len(corpus.tests["tst1"])) == (0, 0, 2)


@pytest.mark.parametrize("sizes", [{"train": 0}, {"train": 1}, {"train": 0, "val": 1}])
def test_empty_training_set(tmp_path, sizes):
    write(tmp_path, **sizes)
    with pytest.raises(UserError, match=f'set "train" of {tmp_path} is empty'):
        load(tmp_path)


@pytest.mark.parametrize("name", ["val", "test"])
def test_empty_set(tmp_path, name):
    write(tmp_path, **{"train": 2, "val": 1, "test": 1, name: 0})
    with pytest.raises(UserError, match=f'set "{name}" of {tmp_path} is empty'):
        load(tmp_path)


def test_misaligned_files(tmp_path):
    write(tmp_path, train=4)
    (tmp_path / "train.en").write_text("one\ntwo\nthree\n")
    with pytest.raises(UserError, match=r"train\.de has 4 sentences, .*train\.en has 3"):
        load(tmp_path)


def test_the_digest_follows_the_text(tmp_path):
    write(tmp_path, train=4, val=1)
    first = load(tmp_path).digest
    assert load(tmp_path).digest == first
    assert load(tmp_path, pair="en-de").digest != first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pair": "de"}, 'pair "de" should be the codes of two languages'),
        ({"pair": "de-de"}, 'pair "de-de" should be'),
        ({"pair": "german-english"}, "source-target"),
        ({"pair": "de_en"}, "source-target"),
        ({"dataset": "a b"}, 'dataset "a b" should be "grammar", "iwslt2017", "digits" or'),
        ({"task": "mt"}, "unknown task 'mt'; valid: translation, mlm, classification, image"),
        ({"task": "image", "dataset": "grammar"}, "is for the task translation or mlm, not image"),
        ({"dataset": "digits"}, 'dataset "digits" is for the task image, not translation'),
        ({"dataset": "/data/mine"}, "a folder goes into data_dir"),
        ({"train_size": -1}, "train_size = -1 should be at least 0"),
        ({"validation_size": 0}, "validation_size = 0 should be at least 1"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(UserError, match=re.escape(message)):
        DataConfig(**settings)


@pytest.mark.parametrize("pair", ["de-en", "de-deu", "fil-en"])
def test_pairs_of_two_codes_are_accepted(pair):
    assert DataConfig(pair=pair).pair == pair


def test_grammar():
    config = DataConfig(pair="de-en", train_size=40, validation_size=5, seed=3)
    corpus = load_corpus(config)
    assert (corpus.pair, len(corpus.train), len(corpus.validation)) == ("de-en", 40, 5)
    assert load_corpus(replace(config, seed=4)).train != corpus.train
    last = list(corpus.tests)[-1]
    chosen = load_corpus(replace(config, test_sets=[last]))
    assert chosen.train == corpus.train
    assert chosen.tests == {last: corpus.tests[last]}
    with pytest.raises(UserError, match='the grammar has no test set "tst2010"; choose of'):
        load_corpus(replace(config, test_sets=["tst2010"]))


def test_stages_of_one_process_share_what_was_drawn():
    config = DataConfig(train_size=7, validation_size=3, seed=11)
    first, again = load_corpus(config), load_corpus(config)
    assert again.train is first.train and again.validation is first.validation
    again.tests.clear()
    assert load_corpus(config) == first
    assert load_corpus(replace(config, train_size=8)).train != first.train


def test_list_of_datasets():
    listed = {entry.name: entry for entry in list_datasets()}
    assert {"grammar", "iwslt2017"} <= set(listed)
    for name in ("grammar", "iwslt2017"):
        assert DataConfig(dataset=name, pair="de-en").pair in listed[name].pairs


def test_preview(tmp_path):
    write(tmp_path, train=9, val=1, test=4)
    splits = preview(DataConfig(data_dir=str(tmp_path)), 2)
    assert [(s.name, s.size, len(s.sample)) for s in splits] == [
        ("train", 9, 2),
        ("validation", 1, 1),
        ("test", 4, 2),
    ]
    assert splits[0].sample.target == ["en train 0", "en train 1"]
