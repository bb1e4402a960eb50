import pytest
import torch
from torch.nn import functional as F

from attnreplace.errors import SequenceTooLong, UserError
from attnreplace.models import (
    GMLPForImageClassification,
    GMLPForMaskedLM,
    GMLPForSequenceClassification,
    GMLPTextConfig,
    GMLPVisionConfig,
)
from attnreplace.models.mixers import GATES

TEXT = {
    "vocab_size": 13,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "max_position_embeddings": 10,
}
IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 5, 6, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])


def _text(kind=GMLPForMaskedLM, **settings):
    model = kind(GMLPTextConfig(**{**TEXT, **settings})).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


VARIANTS = [
    {"gate": gate, "spatial": spatial, "attention_size": size}
    for gate in GATES
    for spatial in ("toeplitz", "dense")
    for size in (0, 3)
]


@pytest.mark.parametrize("settings", VARIANTS, ids=lambda s: "-".join(map(str, s.values())))
def test_padding_on_either_side_changes_no_logit(settings):
    model = _text(**settings)
    expected = model(IDS, MASK).logits
    alone = model(IDS[1:, :4]).logits
    torch.testing.assert_close(expected[1:, :4], alone, rtol=0, atol=1e-9)
    torch.testing.assert_close(expected[:1], model(IDS[:1]).logits, rtol=0, atol=1e-9)
    for left, right in [(0, 3), (4, 0), (2, 1)]:
        ids, mask = F.pad(IDS, (left, right), value=1), F.pad(MASK, (left, right))
        out = model(ids, mask).logits[:, left : left + 6]
        torch.testing.assert_close(out[MASK == 1], expected[MASK == 1], rtol=0, atol=1e-9)


def test_hidden_states_and_the_first_token_with_padding_on_the_left():
    model = _text().gmlp
    plain = model(IDS[:1], output_hidden_states=True)
    ids, mask = F.pad(IDS[:1], (3, 0)), F.pad(MASK[:1], (3, 0))
    padded = model(ids, mask, output_hidden_states=True)
    assert len(plain.hidden_states) == 3
    for ours, theirs in zip(padded.hidden_states, plain.hidden_states, strict=True):
        torch.testing.assert_close(ours[:, 3:], theirs)
    torch.testing.assert_close(padded.pooler_output, plain.last_hidden_state[:, 0])


def test_masked_lm_loss_leaves_out_padding():
    model = _text()
    labels = torch.tensor([[-100, 6, -100, -100, 9, -100], [11, -100, -100, -100, 3, 4]])
    outputs = model(IDS, MASK, labels=labels)
    logits = outputs.logits[[0, 0, 1], [1, 4, 0]].float()
    expected = F.cross_entropy(logits, torch.tensor([6, 9, 11]))
    torch.testing.assert_close(outputs.loss.float(), expected)


def test_the_output_layer_is_the_embedding():
    model = GMLPForMaskedLM(GMLPTextConfig(**TEXT))
    assert model.lm_head.weight is model.gmlp.embeddings.weight
    assert model.get_output_embeddings() is model.lm_head
    model.resize_token_embeddings(20)
    assert model.lm_head.weight is model.gmlp.embeddings.weight
    assert model(torch.tensor([[19]])).logits.shape == (1, 1, 20)


def test_positions_without_embeddings_of_them():
    model = _text()
    logits = model(torch.full((1, 6), 5)).logits[0]
    assert (logits[1:] - logits[:-1]).abs().amax(-1).min() > 1e-3


def test_sequence_classifier_reads_the_first_token():
    model = _text(GMLPForSequenceClassification, num_labels=3)
    outputs = model(IDS, MASK, labels=torch.tensor([0, 2]))
    first = model.gmlp(IDS, MASK).last_hidden_state[:, 0]
    torch.testing.assert_close(outputs.logits, model.classifier(first))
    expected = F.cross_entropy(outputs.logits, torch.tensor([0, 2]))
    torch.testing.assert_close(outputs.loss, expected)


def test_image_classifier_reads_the_mean_of_the_patches():
    config = GMLPVisionConfig(
        hidden_size=8, intermediate_size=12, num_hidden_layers=2, image_size=12, patch_size=4
    )
    model = GMLPForImageClassification(config).eval()
    images = torch.randn(2, 3, 12, 12)
    outputs = model(images, labels=torch.tensor([0, 1]), output_hidden_states=True)
    last = model.gmlp.norm(outputs.hidden_states[-1])
    assert last.shape == (2, 9, 8)
    torch.testing.assert_close(outputs.logits, model.classifier(last.mean(1)))
    expected = F.cross_entropy(outputs.logits, torch.tensor([0, 1]))
    torch.testing.assert_close(outputs.loss, expected)


def test_initial_state():
    config = GMLPTextConfig(**{**TEXT, "hidden_size": 64, "intermediate_size": 64})
    model = GMLPForMaskedLM(config)
    for layer in model.gmlp.layers:
        gate = layer.mixer.gate
        assert gate.spatial.weight.abs().max() < 1e-5 and (gate.spatial.bias == 1).all()
        assert (gate.norm.weight == 1).all() and (layer.mixer.expand.bias == 0).all()
        z = torch.randn(1, 10, 64)
        torch.testing.assert_close(gate(z), z[..., :32], rtol=0, atol=1e-4)
    for weight in (model.lm_head.weight, model.gmlp.layers[0].mixer.project.weight):
        assert 0.01 < weight.std() < 0.03 and weight.abs().max() <= 0.04


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gate": "tanh"}, "valid gates: split, multiplicative, additive, linear"),
        ({"spatial": "sparse"}, "valid ones: toeplitz, dense"),
        ({"intermediate_size": 5}, "even width, not 5"),
    ],
)
def test_refusals(settings, message):
    with pytest.raises(UserError, match=message):
        GMLPTextConfig(**{**TEXT, **settings})


def test_too_many_tokens_are_refused():
    with pytest.raises(SequenceTooLong, match="11 tokens"):
        _text()(torch.zeros(1, 11, dtype=torch.long))
