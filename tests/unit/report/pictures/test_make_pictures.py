import shutil
from pathlib import Path

import numpy as np
import pytest

from attnreplace.report.pictures import load_charts
from attnreplace.report.pictures.make import make_pictures
from attnreplace.report.pictures.picture import FILE, WITH_TEXT, load_pictures, save_pictures
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir, read_json, write_json

NAMES = [
    "sentence_attention",
    "attention_mean",
    "sentence_tiny_attention",
    "weights_alr-xs-amlp-dense",
    "sentence_attention_decoder",
    "attention_mean_decoder",
    "weights_alr-xs-sgu-decoder",
    "sentence_attention_cross",
    "attention_mean_cross",
    "sentence_tiny_attention_cross",
    "weights_alr-xs-amlp-cross",
]


@pytest.fixture(scope="module")
def made(pictured: RunDir) -> RunDir:
    make_pictures(pictured)
    return pictured


@pytest.fixture
def copy(made: RunDir, tmp_path: Path) -> RunDir:
    return RunDir(Path(shutil.copytree(made.path, tmp_path / "copy")))


def test_what_is_shown(made: RunDir) -> None:
    _, pictures = load_pictures(made.path / FILE)
    assert [picture.name for picture in pictures] == NAMES
    encoder = pictures[0]
    assert [block.heading for block in encoder.blocks] == ["Layer 0", "Layer 2"]
    assert [panel.title for panel in encoder.blocks[0].panels] == [
        "Teacher\u2019s attention",
        "Teacher\u2019s sensitivity",
        "ALR-XS",
        "ALR-XS aMLP, dense",
    ]
    assert encoder.of.keys() == {"alr-xs", "alr-xs-amlp-dense"}
    for picture in pictures:
        for panel in picture.panels:
            if panel.kind == "share":
                assert np.allclose(panel.values.sum(1), 1, atol=1e-4)
                assert panel.values.shape == (len(panel.rows), len(panel.columns))


def test_the_same_sentence_is_read_by_all(made: RunDir) -> None:
    by_name = {picture.name: picture for picture in load_pictures(made.path / FILE)[1]}
    source = by_name["sentence_attention"].panels[0].rows
    cross = by_name["sentence_attention_cross"]
    assert {panel.columns for panel in cross.panels} == {source}
    target = by_name["sentence_attention_decoder"].panels[0].rows
    assert {panel.rows for panel in cross.panels} == {target}
    assert target[0] == "(start)"
    assert source[-1] == "</s>"
    causal = by_name["sentence_attention_decoder"].panels
    assert all((np.triu(panel.values, 1) == 0).all() for panel in causal)


def test_it_is_done_once_for_the_same_students(copy: RunDir) -> None:
    before = (copy.path / FILE).stat()
    make_pictures(copy)
    assert (copy.path / FILE).stat().st_mtime_ns == before.st_mtime_ns
    shutil.rmtree(copy.students / "alr-xs-sgu-decoder")
    make_pictures(copy)
    assert not any("decoder" in p.name for p in load_pictures(copy.path / FILE)[1])


def test_the_numbers_are_the_same_again(made: RunDir, copy: RunDir) -> None:
    (copy.path / FILE).unlink()
    make_pictures(copy)
    assert (copy.path / FILE).read_bytes() == (made.path / FILE).read_bytes()


def test_pictures_of_students_that_were_replaced_are_left_out(copy: RunDir) -> None:
    path = copy.students / "alr-xs-sgu-decoder" / "config.json"
    write_json(path, {**read_json(path), "weights_digest": "another"})
    names = [chart.name for chart in load_charts(copy)]
    assert names == [name for name in NAMES if "decoder" not in name]


def test_records_alone_have_all(copy: RunDir) -> None:
    shutil.rmtree(copy.students)
    shutil.rmtree(copy.teacher)
    assert [chart.name for chart in load_charts(copy)] == NAMES


def test_they_are_in_the_report(copy: RunDir) -> None:
    key, pictures = load_pictures(copy.path / FILE)
    save_pictures(copy.path / FILE, key, [p for p in pictures if p.name in NAMES[2:4]])
    page = write_report(copy).read_text(encoding="utf-8")
    assert "Encoder self-attention: the small attention in aMLP" in page
    assert "attnreplace report --pictures" not in page
    assert {f"{name}.png" for name in NAMES[2:4]} <= {p.name for p in copy.path.glob("*.png")}
    (copy.path / FILE).unlink()
    assert "attnreplace report --pictures" in write_report(copy).read_text(encoding="utf-8")


def test_those_with_sentences_are_known_by_their_name(made: RunDir) -> None:
    for picture in load_pictures(made.path / FILE)[1]:
        words = {label for panel in picture.panels for label in panel.columns + panel.rows}
        assert picture.name.startswith(WITH_TEXT) is ("</s>" in words or "(start)" in words)


def test_drawings_follow_the_scheme_and_fetch_nothing(made: RunDir) -> None:
    for chart in load_charts(made)[2:4]:
        for width in (chart.wide, 350):
            svg = chart.svg(width)
            assert "var(--muted)" in svg
            assert "http" not in svg.replace("http://www.w3.org", "")
            assert 'href="data:image/png' in svg


def test_a_damaged_file_is_none(copy: RunDir) -> None:
    (copy.path / FILE).write_bytes(b"nothing of the kind")
    assert load_charts(copy) == []
