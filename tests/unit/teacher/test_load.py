"""Teachers from folders: the Auto class, what they read with, and how much."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

from attnreplace.errors import UserError
from attnreplace.hosts import ATTENTION_FREE, host_for
from attnreplace.models import (
    PRESETS,
    FFOnlyForImageClassification,
    GMLPForImageClassification,
    GMLPForMaskedLM,
    preset,
)
from attnreplace.teacher.load import load_config, load_model, load_teacher

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


class TestImages:
    """A model of images, with and without word of how they are scaled."""

    IMAGE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        torch.manual_seed(0)
        config = ViTConfig(
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=8,
            image_size=4,
            patch_size=2,
        )
        ViTForImageClassification(config).save_pretrained(tmp_path)
        return tmp_path

    def test_without_word_of_it(self, folder: Path) -> None:
        teacher = load_teacher(folder)
        assert teacher.tokenizer is None
        assert teacher.max_length == 2 * 2 + 1
        pixels = teacher.pixels([self.IMAGE, self.IMAGE[:2, :2]])
        assert pixels.shape == (2, 3, 4, 4)
        assert pixels.min() >= -1 and pixels.max() <= 1
        same_size = torch.from_numpy(self.IMAGE[:, :4].copy()).permute(2, 0, 1) / 127.5 - 1
        torch.testing.assert_close(teacher.pixels([self.IMAGE[:, :4]])[0], same_size)

    def test_the_folders_own(self, folder: Path) -> None:
        plain = load_teacher(folder).tokenizer_digest
        settings = {"size": {"height": 4, "width": 4}, "image_std": [1, 1, 1]}
        ViTImageProcessorPil(**settings).save_pretrained(folder)
        teacher = load_teacher(folder)
        assert teacher.pixels([self.IMAGE[:, :4]]).max() <= 0.5
        assert teacher.tokenizer_digest != plain
        assert teacher.tokenizer_digest == load_teacher(folder).tokenizer_digest

    def test_those_of_older_versions(self, folder: Path) -> None:
        settings = {"feature_extractor_type": "DeiTFeatureExtractor", "size": 6, "crop_size": 4}
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
        assert load_teacher(folder).pixels([self.IMAGE]).shape == (1, 3, 4, 4)

    def test_length_is_of_the_patches_whatever_is_recorded(self, folder: Path) -> None:
        record = {"config": {"teacher": {"max_length": 77}}}
        (folder / "training.json").write_text(json.dumps(record))
        assert load_teacher(folder).max_length == 5


@pytest.mark.parametrize("name", ["gmlp-base", "gmlp-ti", "ff-only-tiny"])
def test_our_own_models(name: str, tmp_path: Path) -> None:
    small = {"num_hidden_layers": 1, "hidden_size": 12}
    config = preset(name, **small)
    classes = {"gmlp-base": GMLPForMaskedLM, "gmlp-ti": GMLPForImageClassification}
    classes.get(name, FFOnlyForImageClassification)(config).save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert type(model) is classes.get(name, FFOnlyForImageClassification)
    with pytest.raises(UserError, match=f"'{config.model_type}' has no attention to replace"):
        host_for(model)


def test_attention_free_types_are_those_of_our_models() -> None:
    assert {PRESETS[name][0].model_type for name in PRESETS} == set(ATTENTION_FREE)
