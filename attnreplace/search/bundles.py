"""Which students there are to choose from."""

from collections.abc import Mapping

from attnreplace.errors import UserError
from attnreplace.progress import Progress
from attnreplace.rundir import RunDir
from attnreplace.search.config import SearchConfig
from attnreplace.splice.bundle import BundleConfig, load_bundle_config
from attnreplace.students import student_class
from attnreplace.teacher.load import Teacher

Bundles = Mapping[str, BundleConfig]


def bundles_to_choose_from(
    run: RunDir, teacher: Teacher, config: SearchConfig, progress: Progress
) -> tuple[Bundles, Bundles]:
    """All bundles that can be compared, and those of them that are asked for, by name.

    Left out with a note are students of another teacher, and those of the paper's form at
    cross-attention: on references they read the words that they are to predict.

    Raises:
        UserError: there are none, or none of a name or kind.
    """
    there = {name: load_bundle_config(run.students / name) for name in run.bundles()}
    for name in config.bundles:
        if name not in there:
            valid = ", ".join(there) or "none yet; `attnreplace distill` makes them"
            raise UserError(f"unknown bundle {name!r}; valid: {valid}")
    every = {}
    for name, bundle in there.items():
        if bundle.teacher_digest != teacher.digest:
            progress.note(f"{name} is left out: its students are of another teacher")
        elif any(student.form == "paper" for student in bundle.students.values()):
            progress.note(f"{name} is left out: its students are not causal")
        else:
            every[name] = bundle
    if not every:
        raise UserError(
            f"no students to choose from in {run.students}; `attnreplace distill` makes them"
        )
    names = config.bundles or list(every)
    asked = {name: bundle for name, bundle in every.items() if name in names}
    if config.kinds:
        asked = {name: bundle for name, bundle in asked.items() if _kind(bundle) in config.kinds}
    if not asked:
        kinds = dict.fromkeys(map(_kind, every.values()))
        raise UserError(
            "no bundle that can be compared is of these names and kinds; "
            f"there are {', '.join(every)} ({', '.join(kinds)})"
        )
    return every, asked


def _kind(bundle: BundleConfig) -> str:
    """What its students are: all of one family and form."""
    return student_class(next(iter(bundle.students.values()))).kind
