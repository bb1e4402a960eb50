import resource

import pytest
import torch
from safetensors.torch import load_file

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


@pytest.fixture
def full_disk():
    """No file can grow beyond 4000 bytes; the system says so as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_write_leaves_what_was_there(tmp_path, full_disk):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"a": torch.ones(1)}, {"step": 1})
    with pytest.raises(UserError, match=r"cannot write .*c\.safetensors.*free some disk space"):
        save_tensors(path, {"a": torch.zeros(10_000)}, {"step": 2})
    assert load_state(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"a": torch.ones(1000)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(UserError, match=r"c\.safetensors is not a readable checkpoint.*delete it"):
        load_tensors(path)


def test_the_file_is_one_that_the_library_reads(tmp_path):
    types = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int32)
    tensors = {f"t{i}": torch.arange(i, i + 3).to(t) for i, t in enumerate(types)}
    tensors |= {
        "none": torch.zeros(0, 4),
        "one": torch.tensor(2.5),
        "bool": torch.tensor([True, False]),
        "across": torch.arange(6.0).reshape(2, 3).T,
        "ä": torch.ones(1, requires_grad=True),
    }
    save_tensors(tmp_path / "c.safetensors", tensors, {"note": "ß"})
    back = load_file(tmp_path / "c.safetensors")
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor)
    assert load_state(tmp_path / "c.safetensors") == {"note": "ß"}


@pytest.mark.parametrize("part", ["state", "tensor"])
def test_a_changed_byte_is_found(tmp_path, part):
    path = tmp_path / "c.safetensors"
    save_tensors(path, {"a": torch.ones(1000)}, {"step": 12345})
    data = bytearray(path.read_bytes())
    data[data.index(b"12345") if part == "state" else -1] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"c\.safetensors .* \(its checksum is wrong\); delete it"):
        load_tensors(path)
