"""Assignments as systems that every command takes."""

import math

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from attnreplace.hosts import host_for
from attnreplace.methods import METHODS
from attnreplace.search.assignments import Assignments
from attnreplace.search.choose import Point
from attnreplace.search.scores import StudentScore
from attnreplace.splice.bundle import BundleConfig
from attnreplace.students import student_config


def made(broken: str = "") -> Assignments:
    """Of two bundles at three layers, each of costs and divergences of its own.

    Args:
        broken: the site of a student of the smaller ones with which the model gives no numbers.
    """
    torch.manual_seed(0)
    shape = {"hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForMaskedLM(BertConfig(vocab_size=20, num_hidden_layers=3, **shape))
    bundles, entries = {}, []
    for size in ("m", "s"):
        name = f"alr-{size}"
        students = {}
        for site in host_for(model).sites(model):
            location = host_for(model).locate(model, site)
            students[str(site)] = student_config(METHODS["alr"], size, location, 6)
            cost, far = (-10, 2.0**site.layer) if size == "s" else (-1, 0.5)
            far = math.inf if (size, str(site)) == ("s", broken) else far
            entry = StudentScore(name, str(site), "d", divergence=far, costs={"params": cost})
            entries.append(entry)
        bundles[name] = BundleConfig(name, "alr", "shallow_ff", size, 6, students, "t", "k")
    return Assignments(model, bundles, entries, "params")


@pytest.fixture
def assignments() -> Assignments:
    """All of them in order."""
    return made()


def test_layers_of_several_bundles_are_one_system(assignments: Assignments) -> None:
    chosen = [("encoder.self.0", "alr-m"), ("encoder.self.1", "alr-s"), ("encoder.self.2", "alr-m")]
    found = assignments.of_point(Point(0, 0.0, tuple(chosen)))
    assert found["system"] == "alr-m:0,2+alr-s:1"
    assert (found["replaced"], found["cost"], found["divergence"]) == (3, -12, 3.0)
    assert assignments.of_system(found["system"]) == found


def test_a_whole_bundle_goes_by_its_name(assignments: Assignments) -> None:
    chosen = tuple((f"encoder.self.{layer}", "alr-s") for layer in range(3))
    assert assignments.of_point(Point(0, 0.0, chosen)) == {
        "system": "alr-s", "label": "ALR-S", "replaced": 3, "cost": -30, "divergence": 7.0
    }  # fmt: skip
    assert [one["system"] for one in assignments.alone()] == ["alr-m", "alr-s"]


def test_options_are_those_of_each_site(assignments: Assignments) -> None:
    options = assignments.options()
    assert list(options) == ["encoder.self.0", "encoder.self.1", "encoder.self.2"]
    assert [(o.bundle, o.cost) for o in options["encoder.self.2"]] == [
        ("alr-m", -1),
        ("alr-s", -10),
    ]


def test_students_that_give_no_numbers_are_no_options() -> None:
    assignments = made(broken="encoder.self.1")
    options = assignments.options()
    assert [len(options[f"encoder.self.{layer}"]) for layer in range(3)] == [2, 1, 2]
    assert [one["system"] for one in assignments.alone()] == ["alr-m"]
