from attnreplace.distill.config import DistillConfig
from attnreplace.rundir import RunDir
from attnreplace_cli.options import configure


def test_a_stage_makes_its_choices_anew_and_keeps_how_it_works(tmp_path):
    run = RunDir(tmp_path)
    run.update_config(
        distill=DistillConfig(sites=["cross"], layers="0,1", hidden_layers=2, seeds=3, epochs=7)
    )
    anew = configure(run, {"distill": {"sizes": ["s"]}}, stage="distill").distill
    assert anew == DistillConfig(sizes=["s"], epochs=7)
    told = configure(run, {}, ['distill.layers="2"'], stage="distill").distill
    assert told == DistillConfig(layers="2", epochs=7)
    # `run` without a file repeats the whole.
    assert configure(run, {}).distill == run.config().distill
