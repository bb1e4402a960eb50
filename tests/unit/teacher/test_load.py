"""The Auto class of a folder, from what its configuration says was saved there."""

import json
from pathlib import Path

import pytest
from transformers import (
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
)

from attnreplace.teacher.load import load_config

CLASSES = {
    "M2M100ForConditionalGeneration": ("m2m_100", AutoModelForSeq2SeqLM),
    "MarianMTModel": ("marian", AutoModelForSeq2SeqLM),
    "MarianModel": ("marian", AutoModelForSeq2SeqLM),
    "BartForSequenceClassification": ("bart", AutoModelForSequenceClassification),
    "BertForMaskedLM": ("bert", AutoModelForMaskedLM),
    "BertForPreTraining": ("bert", AutoModelForPreTraining),
    "BertForSequenceClassification": ("bert", AutoModelForSequenceClassification),
    "BertModel": ("bert", AutoModel),
    "SomeonesOwnModel": ("bert", AutoModel),
    "ViTForImageClassification": ("vit", AutoModelForImageClassification),
    "DeiTForImageClassificationWithTeacher": ("deit", AutoModelForImageClassification),
}


@pytest.mark.parametrize("name", CLASSES)
def test_auto_class(name: str, tmp_path: Path) -> None:
    model_type, auto_class = CLASSES[name]
    write(tmp_path, model_type=model_type, architectures=[name])
    assert load_config(tmp_path)[1] is auto_class


@pytest.mark.parametrize(
    ("model_type", "auto_class"), [("bert", AutoModel), ("mbart", AutoModelForSeq2SeqLM)]
)
def test_nothing_is_said(model_type: str, auto_class: type, tmp_path: Path) -> None:
    write(tmp_path, model_type=model_type)
    assert load_config(tmp_path)[1] is auto_class


def write(path: Path, **config: object) -> None:
    (path / "config.json").write_text(json.dumps(config))
