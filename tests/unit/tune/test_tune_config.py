import pytest

from attnreplace.errors import UserError
from attnreplace.tune.config import TRAINED, TuneConfig, changes_in_words


@pytest.mark.parametrize(
    "fields",
    [
        {"losses": ["mse"]},
        {"losses": []},
        {"weights": [1.0]},
        {"train": "some"},
        {"start": "teacher"},
        {"targets": "own"},
        {"order": ["encoder", "head"]},
        {"temperature": 0.0},
        {"target_beam": 0},
        {"lora_rank": 0},
        {"lora_alpha": 0.0},
        {"losses": ["kl", "kl"], "weights": [1.0, 2.0]},
        {"order": ["encoder", "encoder"]},
        # Nothing else would get a gradient.
        {"losses": ["forced"], "train": "norms"},
        {"losses": ["forced"], "train": "all"},
        # Not a folder of its own in `tuned`, or several words to `eval`.
        *({"name": name} for name in ("..", "a/b", "/a", "a,b", "a+b", " ", "-a")),
    ],
)
def test_what_does_not_exist_is_refused(fields):
    with pytest.raises(UserError):
        TuneConfig(**fields)


def test_weights_are_the_usual_ones_unless_given():
    assert TuneConfig().weight_of == {"kl": 1.0, "ce": 0.3}
    assert TuneConfig(losses=["ce", "hidden"], weights=[2.0, 3.0]).weight_of == {
        "ce": 2.0,
        "hidden": 3.0,
    }


def test_groups_set_out_one_after_the_other():
    config = TuneConfig(order=["encoder", "cross"], epochs=4)
    groups = [config.groups_in(epoch) for epoch in range(4)]
    assert groups == [["encoder"], ["encoder"], ["encoder", "cross"], ["encoder", "cross"]]
    assert TuneConfig().groups_in(0) == ["encoder", "decoder", "cross"]


def test_summary_says_what_is_not_usual():
    assert TuneConfig().summary == "tuned kl+ce"
    assert TuneConfig(train="lora", lora_rank=4).summary == "tuned kl+ce, LoRA of rank 4"
    scratch = TuneConfig(losses=["ce"], train="all", start="scratch")
    assert scratch.summary == "ce, all weights, from scratch"


def test_what_changes_in_words():
    assert [changes_in_words(train, 4) for train in TRAINED] == [
        "students",
        "students and norms",
        "LoRA of rank 4",
        "all weights",
    ]
    # Of records: without a rank, of a word that this version does not know.
    assert [changes_in_words(train, None) for train in ("lora", "biases")] == ["LoRA", "biases"]


def test_names_may_be_those_that_follow_from_what_is_done():
    for name in ("final", "alr-m@0.2-3-kl-ce-encoder.decoder-seed2", "größer_2"):
        assert TuneConfig(name=name).name == name
