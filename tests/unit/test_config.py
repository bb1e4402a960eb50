from pathlib import Path

import pytest

from attnreplace.config import RunConfig
from attnreplace.errors import UserError
from attnreplace.teacher.build import teacher_config

ROOT = Path(__file__).parents[2]


def test_default_round_trips(tmp_path):
    config = RunConfig()
    config.save(tmp_path / "config.toml")
    assert RunConfig.load(tmp_path / "config.toml") == config
    assert config.teacher == teacher_config("tiny")


def test_preset_stands_for_its_fields_and_given_fields_win():
    config = RunConfig.from_dict({"teacher": {"preset": "paper", "vocab_size": 4000}})
    assert (config.teacher.d_model, config.teacher.vocab_size) == (128, 4000)
    assert config.training.warmup_steps == 4000
    config = RunConfig.from_dict({"teacher": {"preset": "paper"}, "training": {"epochs": 3}})
    assert (config.training.epochs, config.training.batch_tokens) == (3, 1500)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"techer": {}}, "unknown section 'techer'; valid: data, teacher"),
        ({"teacher": {"width": 3}}, r"\[teacher\]: unknown field 'width'; valid: norm, d_model"),
        ({"teacher": {"preset": "huge"}}, "unknown preset 'huge'; valid: tiny, paper, base"),
        ({"teacher": {"d_model": "64"}}, "d_model = '64' should be of type int"),
        ({"training": {"epochs": True}}, "epochs = True should be of type int"),
        ({"distill": {"methods": ["als"]}}, "alr.*aslr.*alrr.*elr"),
        ({"distill": {"sizes": ["xxl"]}}, "unknown size 'xxl'; valid: xs, s, m, l, xl"),
        ({"evaluate": {"beams": [0]}}, "beam width"),
        ({"evaluate": {"systems": "alr-m"}}, r"systems = 'alr-m' should be of type list"),
        ({"distill": {"sites": ["self"]}}, "'self'; valid: encoder, decoder, cross"),
        ({"distill": {"cross_form": "none"}}, "per-query, paper"),
        ({"teacher": {"d_model": 10, "num_heads": 4}}, "divisible by num_heads"),
    ],
)
def test_mistakes_are_one_line(values, message):
    with pytest.raises(UserError, match=message) as error:
        RunConfig.from_dict(values)
    assert "\n" not in str(error.value)


def test_a_file_can_ask_for_all_attention(tmp_path):
    asked = {
        "extract": {"sites": ["all"], "layers": "0,2-5"},
        "distill": {
            "sites": ["cross"], "layers": "0", "hidden_layers": 2, "cross_form": "paper",
            "positions": 60, "families": ["token_mlp", "sgu"], "spatial": "dense",
        },
        "evaluate": {"systems": ["alr-m", "alr-m:0-2+alr-m-cross"]},
    }  # fmt: skip
    config = RunConfig.from_dict(asked)
    config.save(tmp_path / "config.toml")
    loaded = RunConfig.load(tmp_path / "config.toml")
    assert loaded == config
    for section, fields in asked.items():
        assert {name: getattr(getattr(loaded, section), name) for name in fields} == fields


def test_broken_toml_is_named(tmp_path):
    (tmp_path / "c.toml").write_text("[teacher\n")
    with pytest.raises(UserError, match=r"c\.toml is not valid TOML"):
        RunConfig.load(tmp_path / "c.toml")
    with pytest.raises(UserError, match="cannot read the configuration"):
        RunConfig.load(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted(ROOT.glob("experiments/*.toml")), ids=lambda p: p.name)
def test_every_shipped_experiment_loads(path):
    RunConfig.load(path)
