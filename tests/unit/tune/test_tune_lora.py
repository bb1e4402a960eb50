import sys

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForMaskedLM

from attnreplace.errors import UserError
from attnreplace.tune.lora import Adapters, linear_layers, require_peft

RANK, ALPHA = 2, 6.0


@pytest.fixture
def model():
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12}
    return BertForMaskedLM(BertConfig(vocab_size=20, num_hidden_layers=2, **shape)).eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=torch.arange(12).reshape(2, 6)).logits


def test_linear_layers_are_all_but_the_output_and_what_is_apart(model):
    apart = model.bert.encoder.layer[0]
    names = linear_layers(model, [apart])
    assert names and all(isinstance(model.get_submodule(name), nn.Linear) for name in names)
    assert "cls.predictions.decoder" not in names
    assert not any(name.startswith("bert.encoder.layer.0.") for name in names)
    assert sum(name.startswith("bert.encoder.layer.1.") for name in names) == 6


def test_adapters_change_nothing_at_first_and_are_merged_as_low_rank_products(model):
    pytest.importorskip("peft")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    apart = model.bert.encoder.layer[0]
    names = linear_layers(model, [apart])
    expected, kinds = logits(model), {n: type(m) for n, m in model.named_modules()}
    adapters = Adapters(model, [apart], RANK, ALPHA)
    torch.testing.assert_close(logits(model), expected)
    free = {name: w for name, w in model.named_parameters() if w.requires_grad}
    assert len(free) == 2 * len(names) and all("lora_" in name for name in free)
    with torch.no_grad():
        for weight in free.values():
            weight.normal_()
    products = {
        name: free[f"{name}.lora_B.default.weight"] @ free[f"{name}.lora_A.default.weight"]
        for name in names
    }
    expected = logits(model)
    adapters.merge()
    torch.testing.assert_close(logits(model), expected, rtol=1e-4, atol=1e-4)
    assert {n: type(m) for n, m in model.named_modules()} == kinds
    after = model.state_dict()
    assert after.keys() == before.keys()
    for name, weight in after.items():
        change = products.get(name.removesuffix(".weight"))
        was = before[name] if change is None else before[name] + ALPHA / RANK * change
        torch.testing.assert_close(weight, was)


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"pip install peft") as error:
        require_peft()
    assert "\n" not in str(error.value)


def test_a_model_without_linear_layers_is_refused(model):
    pytest.importorskip("peft")
    with pytest.raises(UserError, match="no linear layers"):
        Adapters(model, [model.bert, model.cls], RANK, ALPHA)
