"""Tiny encoders of text and of images, and the corpora they are scored on."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    PreTrainedModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessorPil,
)

from attnreplace.data.images import ImageCorpus, Images
from attnreplace.data.texts import TextCorpus, Texts
from attnreplace.evaluate.config import EvalConfig
from attnreplace.evaluate.scorers import Outcome, Scorer, Setup
from attnreplace.evaluate.systems import Candidate
from attnreplace.progress import NullProgress
from attnreplace.teacher.load import Teacher

from ....conftest import word_tokenizer

WORDS = ["seven", "quiet", "geese", "watch", "rain", "fall", "on", "old", "stone", "bridges"]
POSITIONS, CLASSES = 12, ["calm", "loud", "odd"]
SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
}


def make_model(name: str, seed: int = 3, **changes: Any) -> PreTrainedModel:
    """A random model whose weights are large, so that attention matters."""
    text = {"vocab_size": len(WORDS) + 5, "max_position_embeddings": POSITIONS, "pad_token_id": 0}
    image = {"image_size": 8, "patch_size": 4}
    kinds: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "mlm": (BertForMaskedLM, BertConfig, text),
        "classification": (BertForSequenceClassification, BertConfig, text),
        "bare": (BertModel, BertConfig, text),
        "image": (ViTForImageClassification, ViTConfig, image),
    }
    cls, config, shape = kinds[name]
    torch.manual_seed(seed)
    labels = {"num_labels": len(CLASSES)} if name in ("classification", "image") else {}
    model = cls(config(**SHAPE, **shape, **labels, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def make_texts(count: int = 30, longest: int = 9, seed: int = 0) -> Texts:
    """Lines of one to `longest` words."""
    draw = random.Random(seed)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(1, longest))) for _ in range(count)]
    return Texts(lines, [draw.randrange(len(CLASSES)) for _ in lines])


def make_corpus(task: str, **texts: Any) -> Any:
    """A corpus with one test set, "test"."""
    if task == "image":
        draw = np.random.default_rng(0)
        pixels = draw.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
        images = Images(pixels, draw.integers(0, len(CLASSES), 20).tolist())
        return ImageCorpus("noise", CLASSES, images, images, {"test": images})
    split = make_texts(**texts)
    if task == "mlm":
        split = Texts(split.lines)
    classes = CLASSES if task == "classification" else []
    return TextCorpus("words", task, split, split, {"test": split}, classes)


def make_setup(name: str, task: str, config: EvalConfig | None = None, **texts: Any) -> Setup:
    """A teacher of some kind and a corpus of some task."""
    processor = ViTImageProcessorPil(size={"height": 8, "width": 8}) if name == "image" else None
    tokenizer = None if name == "image" else word_tokenizer(WORDS)
    teacher = Teacher(Path("there"), make_model(name), tokenizer, {}, processor)
    return Setup(teacher, make_corpus(task, **texts), config or EvalConfig())


def run_scorer(
    scorer: Scorer, model: PreTrainedModel | None = None, limit: int | None = None
) -> Outcome:
    """Score a model, or the teacher itself, on the test set."""
    teacher = scorer.setup.teacher
    system: Any = {"name": "it"}
    model = teacher.model if model is None else model
    candidate = Candidate(system, limit or teacher.max_length, lambda: model)
    progress = NullProgress()
    with progress.task("", None) as task:
        return scorer.score(candidate, model, "test", task, progress)


@pytest.fixture(scope="session")
def tiny() -> SimpleNamespace:
    """The functions of this file: test modules cannot import it."""
    return SimpleNamespace(
        model=make_model, setup=make_setup, texts=make_texts, score=run_scorer, classes=CLASSES
    )


@pytest.fixture
def batch_of_one() -> EvalConfig:
    """Every example alone, so that nothing is padded."""
    return EvalConfig(batch_tokens=1)
