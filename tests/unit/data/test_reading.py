import gzip
import lzma
import zipfile
from pathlib import Path

import pytest

from attnreplace.data.reading import Entry, entries, one_line, read_lines, read_parallel
from attnreplace.errors import UserError


def only(path: Path) -> Entry:
    (entry,) = entries(path)
    return entry


@pytest.mark.parametrize(
    ("name", "pack"), [("a.de", bytes), ("a.de.gz", gzip.compress), ("a.de.xz", lzma.compress)]
)
def test_lines_of_plain_and_packed_files(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack("\ufeff Grüße \r\n\nzwei\u2028halbe\n".encode()))
    assert read_lines(only(tmp_path)) == ["Grüße", "", "zwei\u2028halbe"]


def test_last_line_needs_no_line_feed(tmp_path):
    (tmp_path / "a.de").write_text("eins\nzwei")
    assert read_lines(only(tmp_path)) == ["eins", "zwei"]


def test_empty_file_has_no_lines(tmp_path):
    (tmp_path / "a.de").write_text("")
    assert read_lines(only(tmp_path)) == []


def test_zip_members_are_found_whatever_their_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "de-en.zip", "w") as archive:
        archive.mkdir("de-en")
        archive.writestr("de-en/deep/a.de.gz", gzip.compress(b"eins\n"))
        archive.writestr("__MACOSX/de-en/._a.de", b"\x00")
    entry = only(tmp_path / "de-en.zip")
    assert entry.name == "a.de.gz"
    assert read_lines(entry) == ["eins"]


def test_hidden_files_and_subfolders_are_left_out(tmp_path):
    (tmp_path / ".a.de").write_text("x")
    (tmp_path / "folder.de").mkdir()
    assert entries(tmp_path) == []


def test_wrong_encoding_names_file_and_line(tmp_path):
    (tmp_path / "a.de").write_bytes(b"eins\nzwei\n" + "Grüße\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.de is not UTF-8 at line 3; convert it to UTF-8"):
        read_lines(only(tmp_path))


@pytest.mark.parametrize("name", ["a.de.gz", "a.de.xz"])
@pytest.mark.parametrize("cut", [True, False])
def test_damaged_file_is_named(tmp_path, name, cut):
    pack = gzip.compress if name.endswith(".gz") else lzma.compress
    (tmp_path / name).write_bytes(pack(b"eins\n" * 100)[:-12] if cut else b"eins\n")
    with pytest.raises(UserError, match=f"cannot read .*{name} .*download it again"):
        read_lines(only(tmp_path))


def test_damaged_zip_member_is_named(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.de", b"eins zwei drei")
    path.write_bytes(path.read_bytes().replace(b"zwei", b"ZWEI"))
    with pytest.raises(UserError, match=r"cannot read .*x\.zip:a\.de \(Bad CRC"):
        read_lines(only(path))


def test_neither_folder_nor_zip(tmp_path):
    with pytest.raises(UserError, match="does not exist; data_dir wants a folder"):
        entries(tmp_path / "missing")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match=r"cannot read .*a\.txt as a zip"):
        entries(tmp_path / "a.txt")


def test_misaligned_files_and_their_counts_are_named(tmp_path):
    (tmp_path / "a.de").write_text("eins\nzwei\n")
    (tmp_path / "a.en").write_text("one\n")
    with pytest.raises(UserError, match=r"a\.de has 2 sentences, .*a\.en has 1;"):
        read_parallel(*entries(tmp_path))


def test_one_line():
    assert one_line("\n  one \n  two  three\t") == "one two  three"
