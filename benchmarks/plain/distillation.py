"""A student trained in the plain way, in a process of its own: `python -m`, see `main`.

Padded float32 arrays are loaded whole, batches are so many sentences in the order of the file, and
Adam, LayerNorm and Linear are torch's own. What anybody would write first, without its mistakes.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attnreplace.students import StudentConfig
from benchmarks.plain.decoder import PlainDecoderStudent
from benchmarks.plain.encoder import PlainEncoderStudent


@dataclass(frozen=True)
class Job:
    """What to train."""

    data: str
    """Folder with `x.npy` and `target.npy`, `(sentences, N, d)`, and `lengths.npy`."""
    student: StudentConfig
    rate: float
    """Of Adam."""
    sentences: int
    """In a batch."""
    updates: int
    weights: str = ""
    """A state dict to begin with, instead of a random one; a file of `safetensors`."""

    def to_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The inverse of `to_json`."""
        value = json.loads(text)
        return cls(**value | {"student": StudentConfig(**value["student"])})


def main() -> None:
    """Train as the job on the command line says; prints JSON.

    `losses` and `seconds` of each update.
    """
    print(json.dumps(train(Job.from_json(sys.argv[1]))))  # noqa: T201


def train(job: Job) -> dict[str, list[float]]:
    """Load the data, train, give loss and seconds of each update."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    x, target, lengths = (
        torch.from_numpy(np.load(Path(job.data) / f"{name}.npy")).to(device)
        for name in ("x", "target", "lengths")
    )
    decoder = job.student.form == "prefix"
    torch.manual_seed(0)
    student = PlainDecoderStudent(job.student) if decoder else PlainEncoderStudent(job.student)
    step: Callable[..., float] = _decoder_step if decoder else _encoder_step
    if job.weights:
        from safetensors.torch import load_file

        student.load_state_dict(load_file(job.weights))
    student.to(device)
    optimizer = torch.optim.Adam(student.parameters(), lr=job.rate)
    figures: dict[str, list[float]] = {"losses": [], "seconds": []}
    for update in range(job.updates):
        started = time.perf_counter()
        start = update * job.sentences % len(x)
        part = slice(start, start + job.sentences)
        optimizer.zero_grad()
        loss = step(student, x[part], target[part], lengths[part])
        optimizer.step()
        figures["losses"].append(loss)
        figures["seconds"].append(time.perf_counter() - started)
    return figures


def _encoder_step(student: nn.Module, x: Tensor, target: Tensor, lengths: Tensor) -> float:
    """Mean squared error over real tokens, and its gradient."""
    mask = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    difference = (student(x) - target) * mask.unsqueeze(-1)
    loss = difference.square().sum() / (lengths.sum() * target.shape[-1])
    loss.backward()
    return float(loss.detach())


def _decoder_step(
    student: PlainDecoderStudent, x: Tensor, target: Tensor, lengths: Tensor
) -> float:
    """The same, position by position; each has its backward pass, so that memory stays small."""
    total = 0.0
    for position in range(int(lengths.max())):
        real = lengths > position
        difference = student.at(x[real], position) - target[real, position]
        loss = difference.square().sum() / (lengths.sum() * target.shape[-1])
        loss.backward()
        total += float(loss.detach())
    return total


if __name__ == "__main__":
    main()
