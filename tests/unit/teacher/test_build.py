import math

import pytest
import torch

from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.errors import UserError
from attnreplace.teacher.build import PRESETS, TeacherConfig, build_teacher, teacher_config

TOKENIZER = train_tokenizer(["a b c"] * 3, 300)


def body(model):
    """Parameters without embeddings and without Marian's fixed table of positions."""
    outside = {id(model.get_input_embeddings().weight)}
    return sum(p.numel() for p in model.parameters() if id(p) not in outside and p.requires_grad)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("preset", PRESETS)
def test_formula_counts_the_built_model(preset, norm):
    config = teacher_config(preset, norm=norm)
    with torch.device("meta") if preset == "base" else torch.device("cpu"):
        model = build_teacher(config, TOKENIZER)
    positions = sum(
        p.numel() for n, p in model.named_parameters() if "embed_positions" in n and p.requires_grad
    )
    assert body(model) - positions == config.num_body_parameters()


def test_the_paper_has_2777600():
    assert teacher_config("paper").num_body_parameters() == 2_777_600


def test_embeddings_leave_the_scaling_with_unit_variance():
    model = build_teacher(teacher_config("paper"), TOKENIZER)
    embedded = model.get_input_embeddings()(torch.arange(4, 300 - 40))
    assert embedded.std().item() == pytest.approx(1.0, rel=0.05)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    logits = model(
        input_ids=torch.arange(4, 24)[None], decoder_input_ids=torch.arange(4, 24)[None]
    ).logits
    assert logits.std().item() < 2 * math.sqrt(1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"norm": "rms"}, "valid: pre, post"),
        ({"d_model": 30, "num_heads": 4}, "divisible"),
        ({"encoder_layers": 0}, "encoder_layers must be at least 1"),
        ({"dropout": 1.0}, "dropout"),
        ({"max_length": 1}, "max_length"),
    ],
)
def test_impossible_shapes_are_refused(values, message):
    with pytest.raises(UserError, match=message):
        TeacherConfig(**values)
