"""Generation: O(h) state against a cache of keys and values.

The teacher keeps a key and a value for every token of every layer. A replaced self-attention layer
keeps one projection and its moments, a replaced cross-attention layer the memory's share of it.
"""

import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from attnreplace.evaluate.instruments import cache_bytes
from attnreplace.evaluate.translate import decodes_by, decoding
from attnreplace.hosts import host_for
from attnreplace.methods import get_method
from attnreplace.students import build_student, student_config
from attnreplace.teacher.load import load_model
from benchmarks.material import untrained_run
from benchmarks.measure import Row, in_turn

LENGTHS = (10, 25, 50)
BATCHES = (1, 64)
POSITIONS = 50
REPLACED = {"decoder": ("decoder",), "decoder and cross": ("decoder", "cross")}
"""What is replaced, by site groups, in ALR's size M."""


def run(folder: Path, seconds: float = 3.0, preset: str = "paper", size: str = "m") -> list[Row]:
    """Compare a spliced decoder with its teacher at every batch and length.

    The weights are random, and every sentence gets the same number of tokens: the time of a step
    does not depend on what is translated.

    Args:
        folder: where to work.
        seconds: time for each comparison, about.
        preset: the teacher's shape.
        size: of the students.
    """
    torch.manual_seed(0)
    teacher = load_model(untrained_run(folder / f"generation-{preset}", 500, preset=preset).teacher)
    rows = []
    for name, groups in REPLACED.items():
        spliced = _replace(teacher, groups, size)
        for batch in BATCHES:
            for length in LENGTHS:
                rows.append(_compare(teacher, spliced, name, batch, length, seconds))
    return rows


def _replace(teacher: PreTrainedModel, groups: tuple[str, ...], size: str) -> PreTrainedModel:
    model, method = copy.deepcopy(teacher), get_method("alr")
    host = host_for(model)
    for site in host.sites(model):
        if site.group in groups:
            location = host.locate(model, site)
            student = build_student(student_config(method, size, location, POSITIONS))
            method.splice(location, student.requires_grad_(False))
    return model.eval()


def _compare(
    teacher: PreTrainedModel,
    spliced: PreTrainedModel,
    name: str,
    batch: int,
    length: int,
    seconds: float,
) -> Row:
    ids = torch.randint(10, 900, (batch, length))
    baseline_seconds, our_seconds = in_turn(
        lambda: _generate(teacher, ids, length),
        lambda: _generate(spliced, ids, length),
        seconds=seconds,
    )
    return Row(
        benchmark="generation",
        case=f"{name}, batch {batch}, length {length}",
        baseline="teacher, keys and values cached",
        ours="ALR-M, running sums cached",
        baseline_values=baseline_seconds,
        our_values=our_seconds,
        extra={
            "batch": batch,
            "length": length,
            "teacher_state_bytes": _state_bytes(teacher, ids, length),
            "our_state_bytes": _state_bytes(spliced, ids, length),
        },
    )


@torch.no_grad()
def _generate(model: PreTrainedModel, ids: Tensor, length: int) -> Any:
    config = decoding(model, beam=1, max_new_tokens=length, min_new_tokens=length)
    config.return_dict_in_generate = True
    with decodes_by(model, config):
        return model.generate(  # type: ignore[operator]
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config
        )


def _state_bytes(model: PreTrainedModel, ids: Tensor, length: int) -> int:
    return cache_bytes(_generate(model, ids, length).past_key_values)
