"""SHA-256 digests that tie files to what they were made from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SHORT = 12


def short(digest: str) -> str:
    """The first characters of a digest, enough for a person to compare two."""
    return digest[:SHORT]


def digest_bytes(data: bytes) -> str:
    """Digest of raw bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Digest of a file's bytes, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """Digest of a JSON-serialisable value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return digest_bytes(text.encode())


def differing(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Which settings differ, as part of a message: " (epochs 2 there, 1 wanted)".

    Args:
        there: settings of what is there, by name; without any, nothing is said.
        wanted: those asked for.
    """
    found = [
        f"{name} {there.get(name)} there, {wanted.get(name)} wanted"
        for name in dict.fromkeys([*wanted, *there])
        if there.get(name) != wanted.get(name)
    ]
    return f" ({'; '.join(found)})" if there and found else ""


def digest_state(state: Mapping[str, Tensor]) -> str:
    """Digest of named tensors: names, types, shapes and bits, in the order of the names."""
    total = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def model_digest(model: nn.Module) -> str:
    """Digest of a model's weights."""
    return digest_state(model.state_dict())


def tokenizer_digest(tokenizer: Any) -> str:
    """Digest of a tokenizer: its whole pipeline where it is a fast one, else its vocabulary."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        settings = json.loads(backend.to_str())
        # Padding and truncation are settings of a call, not of the vocabulary.
        settings.pop("padding", None)
        settings.pop("truncation", None)
        return digest_json(settings)
    return digest_json(tokenizer.get_vocab())
