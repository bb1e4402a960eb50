"""Exact checkpoints of a training run: one safetensors file, its counters as JSON in the header."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from attnreplace.errors import UserError
from attnreplace.files import replacing

TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What tensors can be kept, and what the format calls their types."""


def save_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON state whole or not at all.

    Raises:
        UserError: the disk is full or not writable; what stood at `path` before is untouched.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with replacing(path) as file:
            text = json.dumps(state)
            checksum = str(_checksum(text, plain))
            _write(file, plain, {"state": text, "checksum": checksum})
    except OSError as error:
        raise UserError(
            f"cannot write {path} ({error.strerror}); free some disk space and repeat the "
            "command: it goes on from the last checkpoint"
        ) from error


def _write(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the safetensors format.

    The library writes to a name drawn at random, which a kill leaves behind for good, or to a
    second copy in memory.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    start = 0
    # Wide types first, so that all are aligned.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    for name, tensor in ordered:
        end = start + tensor.nbytes
        header[name] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        file.write(_bytes(tensor))
    file.flush()
    os.fsync(file.fileno())


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote.

    Raises:
        UserError: the file is truncated, changed or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        text = metadata["state"]
        if metadata["checksum"] != str(_checksum(text, tensors)):
            raise ValueError("its checksum is wrong")
        return tensors, json.loads(text)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def load_state(path: Path) -> dict[str, Any]:
    """Read only the JSON state of what `save_tensors` wrote.

    Raises:
        UserError: the file is truncated or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads((file.metadata() or {})["state"])
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


_UNREADABLE = (OSError, SafetensorError, KeyError, ValueError)


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> int:
    """CRC-32 of a state and its tensors: against disks, not against forgers."""
    checksum = zlib.crc32(text.encode())
    for name in sorted(tensors):
        checksum = zlib.crc32(name.encode(), checksum)
        checksum = zlib.crc32(_bytes(tensors[name]), checksum)
    return checksum


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(
        f"{path} is not a readable checkpoint ({error}); delete it to start that stage anew"
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, Tensor]:
    """The optimiser's moments and counters by name."""
    return {
        f"{prefix}{index}.{key}": torch.as_tensor(value)
        for index, moments in optimizer.state_dict()["state"].items()
        for key, value in moments.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], prefix: str
) -> None:
    """Put back what `optimizer_tensors` gave, under the same prefix."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            index, key = name.removeprefix(prefix).split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
