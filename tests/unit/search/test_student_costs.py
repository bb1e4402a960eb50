"""What students cost more than attention: that it adds up to what whole models cost."""

import copy
import time

import pytest
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration, PreTrainedModel

from attnreplace.hosts import Site, host_for
from attnreplace.methods import METHODS
from attnreplace.search.cost import student_costs, whole_cost
from attnreplace.students import Student, build_student, student_config
from attnreplace.students.sentence_ff import SentenceFF

PAUSE = 0.003


@pytest.fixture
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=20, d_model=8, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, pad_token_id=1,
        max_position_embeddings=16, bos_token_id=0, eos_token_id=2, decoder_start_token_id=0,
    )  # fmt: skip
    return M2M100ForConditionalGeneration(config).eval()


def students(model: PreTrainedModel, method: str, group: str) -> dict[Site, Student]:
    host, found = host_for(model), {}
    for site in host.sites(model):
        if site.group == group:
            location = host.locate(model, site)
            found[site] = build_student(student_config(METHODS[method], "xs", location, 12))
    return found


@pytest.mark.parametrize("what", ["params", "state"])
@pytest.mark.parametrize(
    ("method", "group"),
    [("alr", "encoder"), ("elr", "encoder"), ("alr", "decoder"), ("alrr", "cross")],
)
def test_they_add_up(model: PreTrainedModel, what: str, method: str, group: str) -> None:
    made = students(model, method, group)
    costs = student_costs(model, method, made, what, 9, 6)
    spliced = copy.deepcopy(model)
    for site, student in made.items():
        METHODS[method].splice(host_for(spliced).locate(spliced, site), student)
    difference = whole_cost(spliced, what, 9, 6) - whole_cost(model, what, 9, 6)
    assert sum(costs.values()) == difference
    assert (difference != 0) == (what == "params" or group != "encoder")


class Slow(SentenceFF):
    """One that takes a known time more."""

    def forward(self, *args, **kwargs):
        time.sleep(PAUSE)
        return super().forward(*args, **kwargs)


def test_time_is_that_of_the_layer(model: PreTrainedModel) -> None:
    made = students(model, "alr", "encoder")
    quick, slow = sorted(made)
    made[slow] = Slow(made[slow].config)
    costs = student_costs(model, "alr", made, "latency", 9, 6)
    assert 1e6 * PAUSE < costs[slow] < 5e6 * PAUSE
    assert abs(costs[quick]) < 1e6 * PAUSE
