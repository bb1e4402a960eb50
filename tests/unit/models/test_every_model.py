"""What holds for every model: it is saved and loaded, learns, and follows the library."""

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)

from attnreplace.models import FFOnlyConfig, GMLPTextConfig, GMLPVisionConfig

IMAGES = {"num_hidden_layers": 2, "image_size": 12, "patch_size": 4, "num_labels": 4}
TEXT = GMLPTextConfig(
    vocab_size=13,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    max_position_embeddings=10,
    attention_size=4,
    num_labels=3,
)
MODELS = {
    "ff-only": (AutoModelForImageClassification, FFOnlyConfig(hidden_size=12, **IMAGES)),
    "attention-only": (
        AutoModelForImageClassification,
        FFOnlyConfig(hidden_size=12, attention_only=True, **IMAGES),
    ),
    "gmlp-vision": (
        AutoModelForImageClassification,
        GMLPVisionConfig(hidden_size=16, intermediate_size=32, **IMAGES),
    ),
    "masked-lm": (AutoModelForMaskedLM, TEXT),
    "sequence-classifier": (AutoModelForSequenceClassification, TEXT),
}


@pytest.fixture(params=MODELS)
def auto_and_model(request):
    auto, config = MODELS[request.param]
    torch.manual_seed(0)
    return auto, auto.from_config(config)


def _batch(model):
    """Inputs with labels, the same at every call."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(model.config, GMLPTextConfig):
        ids = torch.randint(1, 13, (4, 6), generator=generator)
        mask = torch.ones(4, 6, dtype=torch.long)
        mask[2, 4:] = 0
        masked_lm = "MaskedLM" in type(model).__name__
        labels = ids if masked_lm else torch.tensor([0, 1, 2, 1])
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}
    images = torch.randn(4, 3, 12, 12, generator=generator)
    return {"pixel_values": images, "labels": torch.tensor([0, 1, 2, 3])}


def test_saved_and_loaded(auto_and_model, tmp_path):
    auto, model = auto_and_model
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    model.save_pretrained(tmp_path)
    loaded, report = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert type(loaded) is type(model)
    for name in ("hidden_size", "num_labels", "layer_norm_eps", "positions"):
        assert getattr(loaded.config, name) == getattr(model.config, name), name
    assert loaded.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
    batch = _batch(model)
    assert torch.equal(loaded(**batch).logits, model.eval()(**batch).logits)


def test_body_alone(auto_and_model, tmp_path):
    _, model = auto_and_model
    model.save_pretrained(tmp_path)
    body = AutoModel.from_pretrained(tmp_path)
    assert type(body) is type(model.base_model)
    for name, value in model.base_model.state_dict().items():
        assert torch.equal(body.state_dict()[name], value), name
    assert type(AutoConfig.from_pretrained(tmp_path)) is type(model.config)


def test_a_body_under_a_new_head_keeps_its_weights(tmp_path):
    """The missing head is drawn anew, the spatial weights are not."""
    model = AutoModelForMaskedLM.from_config(TEXT)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    model.save_pretrained(tmp_path)
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    for name, value in model.gmlp.state_dict().items():
        assert torch.equal(classifier.gmlp.state_dict()[name], value), name
    assert 0 < classifier.classifier.weight.abs().max() <= 0.04
    assert (classifier.classifier.bias == 0).all()


def test_blocks_missing_in_a_checkpoint_are_initialised(auto_and_model, tmp_path):
    auto, model = auto_and_model
    model.save_pretrained(tmp_path)
    deeper = auto.from_pretrained(tmp_path, num_hidden_layers=3)
    fresh = auto.from_config(deeper.config).base_model.layers[2].state_dict()
    for name, value in deeper.base_model.layers[2].state_dict().items():
        torch.testing.assert_close(value.mean(), fresh[name].mean(), rtol=0, atol=0.01)
        torch.testing.assert_close(value.std(), fresh[name].std(), rtol=0.5, atol=0)


def test_it_learns_a_tiny_batch(auto_and_model):
    _, model = auto_and_model
    batch = _batch(model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.eval()
    before = model(**batch).loss.item()
    model.train()
    for _ in range(10):
        optimiser.zero_grad()
        model(**batch).loss.backward()
        optimiser.step()
    assert all(p.grad is not None for p in model.parameters())
    assert model.eval()(**batch).loss.item() < 0.9 * before


def test_checkpointed_blocks_have_the_same_gradients(auto_and_model):
    _, model = auto_and_model
    batch = _batch(model)
    torch.manual_seed(2)
    model.train()(**batch).loss.backward()
    plain = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    # The library is renaming it.
    new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
    getattr(model, new if hasattr(model, new) else old)()
    assert all(layer.gradient_checkpointing for layer in model.base_model.layers)
    torch.manual_seed(2)
    model(**batch).loss.backward()
    for parameter, expected in zip(model.parameters(), plain, strict=True):
        torch.testing.assert_close(parameter.grad, expected)


def test_tuples_on_request(auto_and_model):
    _, model = auto_and_model
    batch = _batch(model)
    outputs = model.eval()(**batch)
    loss, logits = model(**batch, return_dict=False)
    assert torch.equal(loss, outputs.loss) and torch.equal(logits, outputs.logits)
