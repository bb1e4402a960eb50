"""Student configurations refuse what cannot be built."""

import dataclasses
import json

import pytest

from attnreplace.errors import UserError
from attnreplace.students import StudentConfig, build_student

GOOD = StudentConfig("shallow_ff", 4, 4, 5, 6, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "hidden must be a whole number from 1, not 0"),
        ({"positions": 2.5}, "positions must be a whole number from 1, not 2.5"),
        ({"hidden_layers": 0}, "hidden_layers must be a whole number from 1, not 0"),
        ({"groups": 3}, "width 4 cannot be shared by 3 groups"),
        ({"heads": 0}, "heads must be a whole number from 1, not 0"),
        ({"heads": 4}, "width 4 cannot be shared by 2 groups of 4 heads"),
        ({"residual": True}, "a residual has one group, as wide as its input"),
        ({"spatial": "circulant"}, "'circulant'; valid ones: toeplitz, dense"),
        ({"form": "suffix"}, "'suffix'; valid forms: sentence, prefix, per-query, paper"),
    ],
)
def test_impossible_shapes(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        dataclasses.replace(GOOD, **change)


def test_unknown_family_lists_the_valid_ones() -> None:
    config = dataclasses.replace(GOOD, family="gmlp")
    for use in (build_student, StudentConfig.num_parameters):
        with pytest.raises(UserError, match="no student family 'gmlp'; valid families: shallow_ff"):
            use(config)


def test_survives_json() -> None:
    text = json.dumps(dataclasses.asdict(GOOD))
    assert StudentConfig(**json.loads(text)) == GOOD


def test_configurations_without_form_and_depth_are_the_encoders() -> None:
    old = dataclasses.asdict(GOOD)
    for name in ("form", "hidden_layers", "spatial", "heads", "residual"):
        del old[name]
    assert StudentConfig(**old) == GOOD
    assert (GOOD.form, GOOD.hidden_layers, GOOD.spatial) == ("sentence", 1, "toeplitz")
    assert set(build_student(GOOD).state_dict()) == {
        f"{name}_{end}" for name in ("norm_in", "norm_hidden") for end in ("weight", "bias")
    } | {f"{name}_{end}" for name in ("weight", "bias") for end in ("in", "out")}
