import gzip
import json
import lzma
from pathlib import Path

import datasets
import pytest

from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.texts import Texts
from attnreplace.errors import UserError


def load(path: Path, task: str = "mlm", **settings):
    return load_corpus(DataConfig(task=task, data_dir=str(path), **settings))


def tsv(path: Path, rows: list[tuple[str, str]], header: str = "sentence\tlabel") -> None:
    path.write_text("\n".join([header, *("\t".join(row) for row in rows)]) + "\n")


def told(texts: Texts) -> dict[str, int]:
    return dict(zip(texts.lines, texts.labels, strict=True))


def test_the_grammar_in_the_source_language():
    settings = {"pair": "en-fr", "train_size": 30, "validation_size": 4}
    corpus = load_corpus(DataConfig(task="mlm", **settings))
    pairs = load_corpus(DataConfig(**settings))
    assert (corpus.name, corpus.task, corpus.classes) == ("grammar", "mlm", [])
    assert corpus.train == Texts(pairs.train.source)
    assert corpus.validation.lines == pairs.validation.source
    assert list(corpus.tests) == list(pairs.tests)
    assert corpus.digest != pairs.digest


def test_one_file_is_shared_out_in_its_order(tmp_path):
    lines = [f"line {i}" for i in range(100)]
    (tmp_path / "novel.txt.xz").write_bytes(lzma.compress("\n\n".join(lines).encode()))
    for path in (tmp_path, tmp_path / "novel.txt.xz"):
        corpus = load(path, train_size=90)
        assert corpus.train.lines == lines[:90]
        assert corpus.validation.lines == lines[96:98]
        assert corpus.tests == {"test": Texts(lines[98:])}
    assert corpus.name == "novel"


def test_files_named_for_their_sets(tmp_path):
    (tmp_path / "wiki.train.tokens").write_text("a\n \nb\n")
    (tmp_path / "wiki_valid.txt").write_text("c\n")
    (tmp_path / "test_b.txt.gz").write_bytes(gzip.compress(b"d\n"))
    (tmp_path / "README.txt").write_text("no corpus\n")
    corpus = load(tmp_path)
    assert (corpus.train.lines, corpus.validation.lines) == (["a", "b"], ["c"])
    assert corpus.tests == {"test_b": Texts(["d"])}


def test_glue_has_its_development_set_tested_on(tmp_path):
    tsv(tmp_path / "train.tsv", [(f"bad {i}", "0") for i in range(30)] + [("good ", "1")] * 10)
    tsv(tmp_path / "dev.tsv", [("fair", "1"), ("poor", "0")])
    tsv(tmp_path / "test.tsv", [("0", "secret")], header="index\tsentence")
    corpus = load(tmp_path, "classification")
    assert (corpus.task, corpus.classes) == ("classification", ["0", "1"])
    assert (len(corpus.train), len(corpus.validation)) == (38, 2)
    assert sorted(corpus.train.labels[:4]) == [0, 0, 0, 1]
    assert told(corpus.train)["good"] == 1
    (dev,) = corpus.tests.values()
    assert told(dev) == {"fair": 1, "poor": 0}
    assert list(corpus.tests) == ["dev"]
    only_tests = load(tmp_path, "classification", train_size=0)
    assert (len(only_tests.train), only_tests.classes) == (0, ["0", "1"])


def test_json_lines_with_names_of_classes(tmp_path):
    rows = [{"text": f"t{i}", "label": ("yes", "no")[i % 2]} for i in range(20)]
    (tmp_path / "all.train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    corpus = load(tmp_path / "all.train.jsonl", "classification")
    assert corpus.classes == ["no", "yes"]
    sizes = [len(corpus.train), len(corpus.validation), len(corpus.tests["test"])]
    assert sizes == [14, 3, 3]
    assert all(int(line[1:]) % 2 == 1 - label for line, label in told(corpus.train).items())


def test_parquet_keeps_the_names_of_its_classes(tmp_path):
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "mood": datasets.ClassLabel(names=["sad", "gay"])}
    )
    rows = [{"sentence": f"s{i}", "mood": i % 2} for i in range(40)]
    table = datasets.Dataset.from_list(rows, features=features)
    (tmp_path / "data").mkdir()
    for shard in range(2):
        part = table.select(range(20 * shard, 20 * shard + 20))
        part.to_parquet(tmp_path / "data" / f"train-0000{shard}-of-00002.parquet")
    corpus = load(tmp_path, "classification")
    assert corpus.classes == ["sad", "gay"]
    assert len(corpus.train) == 28
    assert all(int(line[1:]) % 2 == label for line, label in told(corpus.train).items())


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([("a", "0"), ("b", "0")], "sentence\tlabel", "tell 1 classes, where two or more"),
        ([("a", "0"), ("b", "1")], "sentence\tmark", "tell no classes"),
        ([("a", "0"), ("b", "1")], "words\tlabel", "where one of text, sentence, content is"),
        ([("a", "0"), ("b", "1", "c")], "text\tlabel", "line 3 has 3 columns, its header 2"),
    ],
)
def test_mistakes_in_a_table(tmp_path, rows, header, message):
    tsv(tmp_path / "train.tsv", rows, header)
    with pytest.raises(UserError, match=message):
        load(tmp_path, "classification")


def test_a_class_that_training_lacks(tmp_path):
    tsv(tmp_path / "train.tsv", [("a", "0"), ("b", "1")])
    tsv(tmp_path / "test.tsv", [("c", "2")])
    with pytest.raises(UserError, match=r'the set "test" of .* has the class "2", which'):
        load(tmp_path, "classification")


def test_nothing_for_the_task(tmp_path):
    (tmp_path / "train.txt").write_text("a\n")
    with pytest.raises(UserError, match=r"holds no files for classification \(but train.txt\)"):
        load(tmp_path, "classification")
    with pytest.raises(UserError, match=r"is not a file for classification; give train\.tsv"):
        load(tmp_path / "train.txt", "classification")
    with pytest.raises(UserError, match="classification has no embedded data; give --data-dir"):
        load_corpus(DataConfig(task="classification"))
