"""Training of encoders: exact resume, every task learns, pretrained weights are taken up."""

import dataclasses
import json
import shutil

import pytest
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertConfig, BertModel

from attnreplace.config import RunConfig
from attnreplace.data.config import DataConfig
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.digest import model_digest
from attnreplace.errors import UserError
from attnreplace.rundir import RunDir, read_json
from attnreplace.teacher.config import TrainingConfig
from attnreplace.teacher.pretrained_config import PretrainedConfig
from attnreplace.teacher.train import train

from .conftest import DATA, TEACHER, TRAINING, KillAfter, Killed

IMAGE = {
    "data": {"task": "image", "train_size": 96, "validation_size": 40},
    "teacher": {"model": "gmlp", "d_model": 16, "d_ff": 32, "layers": 2, "drop_path": 0.2},
    "training": {
        "epochs": 3, "batch_size": 32, "mixup": 0.2, "augment": "crop", "label_smoothing": 0.1,
        "checkpoint_minutes": 0.0,
    },
}  # fmt: skip
MLM = {
    "data": {"task": "mlm", "train_size": 150, "validation_size": 20},
    "teacher": {
        "model": "bert", "d_model": 16, "d_ff": 32, "layers": 1, "num_heads": 2,
        "vocab_size": 300, "max_length": 24, "dropout": 0.1,
    },
    "training": {"epochs": 3, "steps": 14, "batch_size": 32, "checkpoint_minutes": 0.0},
}  # fmt: skip
VIT = IMAGE | {"teacher": {"model": "vit", "d_model": 16, "d_ff": 32, "layers": 1, "num_heads": 2}}


def trained(path, values, **more):
    config = RunConfig.from_dict(values)
    run = RunDir(path)
    return run, train(run, config.data, config.teacher, config.training, **more)


def weights(run):
    return load_file(run.teacher / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all((one[n] == other[n]).all() for n in one)


@pytest.fixture(scope="module")
def mlm(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("mlm") / "run", MLM)[0]


@pytest.fixture
def reviews(tmp_path):
    """Texts of two classes that a word tells apart."""
    folder = tmp_path / "reviews"
    folder.mkdir()
    for split, count in (("train", 160), ("validation", 40), ("test", 20)):
        rows = [
            {
                "text": f"film {i % 9} was {'good' if i % 2 else 'bad'}",
                "label": ["no", "yes"][i % 2],
            }
            for i in range(count)
        ]
        text = "\n".join(map(json.dumps, rows))
        (folder / f"{split}.jsonl").write_text(text + "\n", encoding="utf-8")
    return {"task": "classification", "data_dir": str(folder)}


@pytest.mark.parametrize("steps", [2, 8])
@pytest.mark.parametrize("values", [IMAGE, MLM], ids=["image", "mlm"])
def test_killed_and_resumed_equals_uninterrupted(tmp_path, values, steps):
    whole, _ = trained(tmp_path / "whole", values)
    with pytest.raises(Killed):
        trained(tmp_path / "run", values, progress=KillAfter(steps, "teacher"))
    run, _ = trained(tmp_path / "run", values)
    assert same(weights(run), weights(whole))
    assert not list(run.path.glob("*.checkpoint.*"))


def test_a_killed_last_update_is_still_validated(mlm, tmp_path):
    with pytest.raises(Killed):
        trained(tmp_path / "run", MLM, progress=KillAfter(14, "teacher"))
    run, _ = trained(tmp_path / "run", MLM)
    assert same(weights(run), weights(mlm))


def test_updates_are_limited_and_perplexity_falls(mlm):
    record = read_json(mlm.teacher / "training.json")
    rows = record["history"]
    assert rows[-1]["step"] == 14 and rows[-1]["learning_rate"] < 1e-3
    assert rows[-1]["validation_perplexity"] < rows[0]["validation_perplexity"] < 300
    assert record["corpus"]["task"] == "mlm" and "pair" not in record["corpus"]
    assert record["config"]["teacher"]["max_length"] == 24
    assert mlm.config() == RunConfig.from_dict(MLM)
    trained(mlm.path, MLM, progress=KillAfter(1, "teacher"))  # finished: nothing is done


@pytest.mark.parametrize("values", [VIT, IMAGE], ids=["vit", "gmlp"])
def test_images_are_learnt(tmp_path, values):
    training = {"epochs": 12, "batch_size": 16, "learning_rate": 5e-3, "warmup_steps": 5}
    values = values | {"training": training, "data": {**IMAGE["data"], "train_size": 240}}
    run, teacher = trained(tmp_path / "run", values)
    best = read_json(run.teacher / "training.json")["best"]
    assert best["validation_accuracy"] > 30
    assert teacher.model.config.id2label[3] == "3" and teacher.model.config.image_size == 8


def test_texts_are_classified_from_scratch(tmp_path, reviews):
    teacher = MLM["teacher"] | {"model": "bert", "dropout": 0.0}
    training = {"epochs": 6, "learning_rate": 1e-2, "warmup_steps": 2}
    run, _ = trained(tmp_path / "run", {"data": reviews, "teacher": teacher, "training": training})
    assert read_json(run.teacher / "training.json")["best"]["validation_accuracy"] > 90


@pytest.mark.parametrize("model", ["bert", "gmlp"])
def test_a_masked_model_is_fine_tuned_to_classify(tmp_path, mlm, reviews, model):
    source = mlm
    if model == "gmlp":
        shape = {"model": "gmlp", "d_model": 16, "d_ff": 32, "layers": 1, "vocab_size": 300}
        source, _ = trained(tmp_path / "gmlp", MLM | {"teacher": shape})
    values = {
        "data": reviews,
        "teacher": {"pretrained": str(source.teacher), "max_length": 12},
        "training": {"epochs": 1, "learning_rate": 1e-9},
    }
    run, teacher = trained(tmp_path / "run", values)
    before, after = weights(source), weights(run)
    shared = [name for name in before if name in after and "layer" in name]
    assert shared and all((before[n] - after[n]).abs().max() < 1e-6 for n in shared)
    record = teacher.record["pretrained"]
    assert record["name"] == str(source.teacher) and record["class"].endswith("ForMaskedLM")
    assert teacher.model.config.id2label == {0: "no", 1: "yes"}
    assert teacher.record["tokenizer_digest"] == source_record(source)["tokenizer_digest"]


def source_record(run):
    return read_json(run.teacher / "training.json")


def test_a_model_is_taken_as_it_is(tmp_path):
    folder = tmp_path / "found"
    tokenizer = train_tokenizer(["a b c"] * 3, 300, masked=True)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=40,
    )  # fmt: skip
    model = BertModel(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    values = MLM | {"teacher": {"pretrained": str(folder)}, "training": {"epochs": 0}}
    run, teacher = trained(tmp_path / "run", values)
    assert teacher.digest == model_digest(model) == teacher.record["pretrained"]["digest"]
    assert teacher.max_length == 40 and teacher.record["history"] == []
    assert AutoTokenizer.from_pretrained(run.teacher).mask_token == "<mask>"
    # The weights count, not what their folder is called.
    moved = shutil.move(folder, tmp_path / "moved")
    again = values | {"teacher": {"pretrained": str(moved)}}
    assert trained(run.path, again)[1].digest == teacher.digest
    with pytest.raises(UserError, match=r"max_length is 41, but .*moved reads at most 40 tokens"):
        trained(run.path, values | {"teacher": {"pretrained": str(moved), "max_length": 41}})


def test_a_translator_is_trained_on_and_taken_as_it_is(extracted, tmp_path):
    config = PretrainedConfig(str(extracted.teacher), max_length=40)
    found = train(RunDir(tmp_path / "as"), DATA, config, TrainingConfig(epochs=0))
    assert same(weights(RunDir(tmp_path / "as")), weights(extracted))
    assert found.max_length == 40
    one = dataclasses.replace(TRAINING, epochs=1, learning_rate=1e-3)
    further = train(RunDir(tmp_path / "on"), DATA, config, one)
    last = source_record(extracted)["best"]["validation_loss"]
    assert further.record["best"]["validation_loss"] < last


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (MLM | {"training": {"epochs": 0}}, "epochs = 0 leaves nothing trained"),
        (MLM | {"teacher": {"pretrained": "/nowhere"}}, "cannot load /nowhere .*or a folder with"),
    ],
)
def test_mistakes_are_one_line(tmp_path, values, message):
    with pytest.raises(UserError, match=message) as error:
        trained(tmp_path / "run", values)
    assert "\n" not in str(error.value)


def test_weights_of_another_model_are_refused(tmp_path, mlm):
    values = VIT | {"teacher": {"pretrained": str(mlm.teacher)}}
    with pytest.raises(UserError, match=r"cannot load|has no weights"):
        trained(tmp_path / "run", values)


def test_data_without_a_task_of_its_own_is_translation():
    assert DataConfig().task == "translation"
    assert RunConfig().teacher == RunConfig.from_dict({"data": {"task": "translation"}}).teacher
    assert RunConfig().teacher != TEACHER
