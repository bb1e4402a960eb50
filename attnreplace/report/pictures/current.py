"""What a run holds now, by which pictures are known to be of it."""

from attnreplace.digest import digest_file
from attnreplace.rundir import RunDir, read_json


def model_digest(run: RunDir) -> dict[str, str]:
    """The model by the record of its training, as ""; nothing where there is none."""
    record = run.teacher / "training.json"
    return {"": digest_file(record)} if record.is_file() else {}


def current_digests(run: RunDir) -> dict[str, str]:
    """The weights of every bundle by its name, and `model_digest`."""
    bundles = {
        name: str(read_json(run.students / name / "config.json").get("weights_digest"))
        for name in run.bundles()
    }
    return {**bundles, **model_digest(run)}
