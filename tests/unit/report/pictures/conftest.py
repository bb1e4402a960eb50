"""A small run with a random teacher and random students, real ones."""

from pathlib import Path

import pytest
import torch
from torch import nn

from attnreplace.data.corpora import DataConfig, load_corpus
from attnreplace.data.tokenizer import train_tokenizer
from attnreplace.digest import model_digest, tokenizer_digest
from attnreplace.hosts import host_for
from attnreplace.methods import get_method
from attnreplace.rundir import RunDir, write_json
from attnreplace.splice.bundle import BundleConfig, build_students, bundle_name, save_bundle
from attnreplace.students import student_config
from attnreplace.teacher.build import TeacherConfig, build_teacher

DATA = DataConfig(train_size=60, validation_size=40)
BUNDLES = (
    ("encoder", {}),
    ("encoder", {"family": "amlp", "spatial": "dense"}),
    ("decoder", {"family": "sgu"}),
    ("cross", {"family": "amlp"}),
)


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Without pictures yet."""
    return _make_run(tmp_path_factory.mktemp("pictured") / "run")


def _make_run(path: Path) -> RunDir:
    run = RunDir(path)
    run.update_config(data=DATA)
    corpus = load_corpus(DATA)
    tokenizer = train_tokenizer([*corpus.train.source, *corpus.train.target], 400)
    torch.manual_seed(0)
    small = TeacherConfig(
        d_model=16, encoder_layers=3, decoder_layers=1, num_heads=2, d_ff=32, max_length=40
    )
    model = build_teacher(small, tokenizer).eval()
    model.save_pretrained(run.teacher)
    tokenizer.save_pretrained(run.teacher)
    write_json(run.teacher / "training.json", {"config": {"teacher": {"max_length": 40}}})
    host = host_for(model)
    for group, shape in BUNDLES:
        students = {
            str(site): student_config(
                get_method("alr"), "xs", host.locate(model, site), 40, **shape
            )
            for site in host.sites(model)
            if site.group == group
        }
        config = BundleConfig(
            name=bundle_name("alr", "xs", group, **shape),
            method="alr",
            family=shape.get("family", "shallow_ff"),
            size="xs",
            positions=40,
            students=students,
            teacher_digest=model_digest(model),
            tokenizer_digest=tokenizer_digest(tokenizer),
        )
        built = build_students(config, seed=0)
        for student in built.values():
            for name, parameter in student.named_parameters():
                if "spatial" in name or "rows" in name:
                    nn.init.normal_(parameter)
        save_bundle(run.students / config.name, config, built)
    return run
