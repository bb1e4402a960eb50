import pytest
import torch

from attnreplace.checkpoint import (
    load_state,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
)
from attnreplace.errors import UserError


def step(model, optimizer, seed):
    torch.manual_seed(seed)
    model(torch.randn(4, 3)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def make():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    return model, torch.optim.AdamW(model.parameters(), fused=True)


def test_tensors_and_state_come_back_to_the_bit(tmp_path):
    tensors = {"a": torch.randn(3), "b": torch.arange(4), "c": torch.tensor(2.5).double()}
    save_tensors(tmp_path / "c.safetensors", tensors, {"step": 3, "errors": [0.1]})
    back, state = load_tensors(tmp_path / "c.safetensors")
    assert state == load_state(tmp_path / "c.safetensors") == {"step": 3, "errors": [0.1]}
    for name, tensor in tensors.items():
        assert torch.equal(back[name], tensor) and back[name].dtype == tensor.dtype


def test_optimizer_goes_on_as_if_nothing_had_happened(tmp_path):
    model, optimizer = make()
    for seed in range(3):
        step(model, optimizer, seed)
    tensors = {f"model.{n}": p for n, p in model.named_parameters()}
    tensors |= optimizer_tensors(optimizer, "optimizer.")
    save_tensors(tmp_path / "c", tensors, {})
    step(model, optimizer, 3)

    other, other_optimizer = make()
    back, _ = load_tensors(tmp_path / "c")
    with torch.no_grad():
        for name, weight in other.named_parameters():
            weight.copy_(back[f"model.{name}"])
    restore_optimizer(other_optimizer, back, "optimizer.")
    step(other, other_optimizer, 3)
    assert torch.equal(model.weight, other.weight)


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"a": torch.ones(1)}, {"step": 1})
    path.with_name(path.name + ".tmp").mkdir()
    with pytest.raises((UserError, IsADirectoryError, PermissionError)):
        save_tensors(path, {"a": torch.zeros(1)}, {"step": 2})
    assert load_state(path) == {"step": 1}


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"a": torch.ones(1000)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"c\.safetensors is not a readable checkpoint.*delete it"):
        load_tensors(path)
