"""The plain way computes what this project computes."""

import json

import pytest
import torch
from safetensors.torch import save_file

from attnreplace.activations.store import ActivationStore
from attnreplace.api import DistillConfig
from attnreplace.distill.distill import distill
from attnreplace.hosts import Site, host_for
from attnreplace.methods import get_method
from attnreplace.rundir import read_json
from attnreplace.splice.bundle import build_students, load_bundle_config
from attnreplace.students import StudentConfig, build_student
from attnreplace.teacher.load import load_teacher
from benchmarks.grid import export
from benchmarks.material import extracted_run
from benchmarks.plain.decoder import PlainDecoderStudent
from benchmarks.plain.distillation import Job, train
from benchmarks.plain.encoder import PlainEncoderStudent

LENGTHS = torch.tensor([5, 2, 7])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    return extracted_run(folder / "run", 40, ["encoder", "decoder"], validation=8, preset="tiny")


@pytest.mark.parametrize(("form", "groups"), [("sentence", 1), ("sentence", 2), ("prefix", 1)])
def test_the_plain_student_gives_the_same(form, groups):
    torch.manual_seed(0)
    config = StudentConfig("shallow_ff", 4, 4, 7, 6, groups=groups, form=form)
    student = build_student(config).double()
    plain = (PlainDecoderStudent if form == "prefix" else PlainEncoderStudent)(config).double()
    plain.copy_from(student)
    mask = torch.arange(7) < LENGTHS[:, None]
    x = torch.randn(3, 7, 4, dtype=torch.float64) * mask.unsqueeze(-1)
    found = plain(x, mask) if form == "prefix" else plain(x) * mask.unsqueeze(-1)
    torch.testing.assert_close(found, student(x, mask), atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("alr-xs", "encoder.self.0"),
        ("aslr-xs", "encoder.self.1"),
        ("elr-xs", "encoder.self.1"),
        ("alr-xs-decoder", "decoder.self.0"),
    ],
)
def test_the_plain_training_has_the_same_losses(run, tmp_path, name, site):
    # One batch holds all sentences, so that their order is of no account.
    config = DistillConfig(
        methods=[name.split("-")[0]],
        sizes=["xs"],
        sites=[site.split(".")[0]],
        recipe="paper",
        epochs=3,
        batch_tokens=10_000,
        precision="fp32",
    )
    distill(run, config)
    bundle = load_bundle_config(run.students / name)
    shape, method = bundle.students[site], get_method(bundle.method)
    start = build_students(bundle, config.seed)[Site.parse(site)]
    plain = (PlainDecoderStudent if shape.form == "prefix" else PlainEncoderStudent)(shape)
    plain.copy_from(start)
    save_file(plain.state_dict(), tmp_path / "start.safetensors")
    model = load_teacher(run.teacher).model
    location = host_for(model).locate(model, Site.parse(site))
    store = ActivationStore.open(run.activations)
    folder = export(store, method, location, shape, tmp_path / "data")
    rate = 1e-4 if method.name == "alr" else 1e-3
    job = Job(
        str(folder),
        shape,
        rate,
        sentences=40,
        updates=3,
        weights=str(tmp_path / "start.safetensors"),
    )
    losses = train(Job.from_json(json.loads(json.dumps(job.to_json()))))["losses"]
    history = read_json(run.students / name / "history.json")
    ours = [epoch["train_loss"][site] for epoch in history]
    assert losses == pytest.approx(ours, rel=1e-5)
    assert losses[2] < 0.999 * losses[0]
