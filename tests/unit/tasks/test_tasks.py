import dataclasses

import pytest
import transformers

from attnreplace.config import RunConfig
from attnreplace.data.config import EMBEDDED, DataConfig
from attnreplace.errors import UserError
from attnreplace.rundir import RunDir
from attnreplace.tasks import TASKS, Metric, get_task
from attnreplace.teacher.encoders import library_config


def test_every_kind_of_data_has_its_task():
    assert set(TASKS) == set(EMBEDDED)
    assert all(name == task.name for name, task in TASKS.items())
    assert all(hasattr(transformers, task.auto_class) for task in TASKS.values())
    with pytest.raises(UserError, match="unknown task 'asr'; valid: translation, mlm"):
        get_task("asr")


def test_the_best_is_the_first_of_equals():
    assert Metric("bleu", "BLEU", True).best([1.0, 3.0, 3.0, 2.0]) == 1
    assert Metric("perplexity", "perplexity", False).best([4.0, 3.0, 3.0, 9.0]) == 1


def test_masked_tokens_without_a_model_have_a_small_one_and_its_recipe():
    default = RunConfig.from_dict({"data": {"task": "mlm"}})
    named = RunConfig.from_dict({"data": {"task": "mlm"}, "teacher": {"model": "bert"}})
    assert (default.teacher.model, default.teacher.layers) == ("bert-tiny", 2)
    assert (named.teacher.model, named.teacher.layers) == ("bert", 4)
    assert default.training.batch_size < named.training.batch_size
    wider = RunConfig.from_dict({"data": {"task": "mlm"}, "teacher": {"d_model": 32}})
    assert (wider.teacher.d_model, wider.teacher.max_length) == (32, 16)
    assert library_config("text", default.teacher).initializer_range == 0.1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("teacher", [{}, {"pretrained": "owner/name"}])
def test_sections_of_every_task_round_trip(task, teacher, tmp_path):
    config = RunConfig.from_dict({"data": {"task": task}, "teacher": teacher})
    config.save(tmp_path / "config.toml")
    assert RunConfig.load(tmp_path / "config.toml") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": {"task": "image"}, "teacher": {"encoder_layers": 2}}, "unknown field"),
        ({"data": {"task": "image"}, "teacher": {"preset": "tiny"}}, "presets are for translation"),
        ({"data": {"task": "mlm"}, "teacher": {"model": "vit"}}, "no model 'vit' that reads text"),
        ({"data": {"task": "mlm"}, "training": {"batch_tokens": 5}}, "unknown field"),
        ({"teacher": {"model": "gmlp"}}, "unknown field 'model'; valid: norm"),
        ({"teacher": {"pretrained": "a", "d_model": 8}}, "unknown field 'd_model'; valid: pretr"),
        ({"data": {"task": "image"}, "training": {"augment": "cutout"}}, "valid: none, crop"),
        ({"data": {"task": "mlm"}, "training": {"steps": 0}}, "steps must be at least 1"),
    ],
)
def test_what_does_not_apply_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        RunConfig.from_dict(values)


def test_another_task_brings_its_defaults(tmp_path):
    run = RunDir(tmp_path)
    run.update_config(data=DataConfig(task="image"))
    config = run.config()
    assert config == RunConfig.from_dict({"data": {"task": "image"}})
    assert config.distill.epochs > RunConfig().distill.epochs
    run.update_config(distill=dataclasses.replace(config.distill, epochs=2))
    run.update_config(data=DataConfig(task="image", seed=1))
    assert (run.config().distill.epochs, run.config().data.seed) == (2, 1)
