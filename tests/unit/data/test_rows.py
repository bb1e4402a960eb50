import gzip
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from attnreplace.data.corpus import Pairs
from attnreplace.data.reading import entries
from attnreplace.data.rows import read_rows
from attnreplace.errors import UserError

SENTENCES = [{"de": "eins", "en": "one"}, {"de": " zwei\n Teile", "en": None}]
NESTED = [{"id": i, "translation": sentence} for i, sentence in enumerate(SENTENCES)]
PAIRS = Pairs(["one", ""], ["eins", "zwei Teile"])


def write(path: Path, rows: list[dict]) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows) + "\n"
        data = text.encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def read(folder: Path, pair: str = "en-de") -> Pairs:
    return read_rows(entries(folder), pair)


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz", "train.parquet"])
@pytest.mark.parametrize("rows", [NESTED, SENTENCES], ids=["nested", "flat"])
def test_pairs_of_rows(tmp_path, name, rows):
    write(tmp_path / name, rows)
    assert read(tmp_path) == PAIRS


def test_files_are_joined_in_order(tmp_path):
    write(tmp_path / "train-00000-of-00002.parquet", NESTED[:1])
    write(tmp_path / "train-00001-of-00002.parquet", NESTED[1:])
    assert read(tmp_path) == PAIRS


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_missing_language(tmp_path, name):
    write(tmp_path / name, NESTED)
    with pytest.raises(UserError, match=rf"{name}.* lacks fr: it has the fields de, en"):
        read(tmp_path, "fr-en")


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_missing_translation(tmp_path, name):
    write(tmp_path / name, [{"text": "one"}])
    with pytest.raises(UserError, match=rf'{name}.* lacks en and de.* a "translation" field'):
        read(tmp_path)


@pytest.mark.parametrize("name", ["train.jsonl", "train.parquet"])
def test_translation_that_is_not_text(tmp_path, name):
    write(tmp_path / name, [{"translation": {"de": 1, "en": "one"}}])
    with pytest.raises(UserError, match=rf"{name}.* should be text, not int \(1\)"):
        read(tmp_path)


@pytest.mark.parametrize("line", ['{"translation": ', "[1]"])
def test_bad_json_names_the_line(tmp_path, line):
    (tmp_path / "train.jsonl").write_text(json.dumps(NESTED[0]) + "\n" + line + "\n")
    with pytest.raises(UserError, match=r"train\.jsonl line 2 is not .*JSON.* one object a line"):
        read(tmp_path)


def test_damaged_parquet(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"PAR1 is not all it takes")
    with pytest.raises(UserError, match=r"cannot read .*train\.parquet as Parquet"):
        read(tmp_path)
