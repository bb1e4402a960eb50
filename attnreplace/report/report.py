"""Write a run's report: the page, and its figures as PNG files beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from attnreplace.errors import UserError
from attnreplace.report.canvas import Chart
from attnreplace.report.curves import students_chart, teacher_chart
from attnreplace.report.diagnosis import load_diagnoses
from attnreplace.report.diagnosis_chart import diagnosis_chart
from attnreplace.report.figures import latency_chart, parameters_chart
from attnreplace.report.heatmap import errors_chart
from attnreplace.report.html import Contents, page
from attnreplace.report.palette import Styles, series_of
from attnreplace.report.parsing import parse_records
from attnreplace.report.pictures import load_charts
from attnreplace.report.records import current_records, from_scratch, teachers_of
from attnreplace.report.result import Result
from attnreplace.report.samples import load_samples
from attnreplace.report.scopes import scopes_of
from attnreplace.report.search import load_searches
from attnreplace.report.search_chart import search_chart
from attnreplace.report.selection import headline_results, join_seeds, of_kind
from attnreplace.report.training import (
    BundleTraining,
    best_epoch,
    bundle_trainings,
    labels_by_name,
    made_harder,
    teacher_history,
    teacher_task,
)
from attnreplace.report.tuning_chart import tuning_chart
from attnreplace.report.tunings import load_tunings
from attnreplace.rundir import RunDir, write_text


def write_report(run: RunDir, beside: Sequence[RunDir] = ()) -> Path:
    """Write `report.html` and its figures from whatever the run holds so far.

    Args:
        run: the run.
        beside: runs whose teachers are shown as models trained from scratch.

    Returns:
        The page.

    Raises:
        UserError: there is no such run, or one of its files is broken; a run that was to stand
            beside it cannot be compared.
    """
    if not run.path.is_dir():
        raise UserError(f"{run.path} is not a run directory; `attnreplace train` makes one")
    records, left_out = current_records(run)
    results = parse_records([*records.values(), *from_scratch(run, beside)])
    shown = headline_results(results) if results else []
    trainings = bundle_trainings(run)
    students = of_kind(results, "student")
    styles = Styles([series_of(r) for r in students] + [t.series for t in trainings])
    errors = _errors(students, trainings)
    quality = _quality(join_seeds(shown), styles)
    teachers = teachers_of(records.values())
    tunings = load_tunings(run, teachers)
    training = [
        teacher_chart(teacher_history(run), made_harder(run)),
        students_chart(trainings, styles),
        tuning_chart(tunings, best_epoch(run)),
    ]
    searches, diagnoses = load_searches(run, teachers), load_diagnoses(run, teachers)
    searched = [chart for search in searches if (chart := search_chart(search))]
    contents = Contents(
        run=run.path,
        task=results[0].task if results else teacher_task(run),
        results=results,
        left_out=left_out,
        quality=[chart for chart in quality if chart],
        searches=searches,
        searched=searched,
        diagnoses=diagnoses,
        diagnosed=diagnosis_chart(diagnoses),
        errors=errors_chart(errors),
        error_values=errors,
        training=[chart for chart in training if chart],
        trainings=trainings,
        tunings=tunings,
        pictures=load_charts(run),
        samples=load_samples(shown, run.results),
        settings=_text(run.config_path) if run.config_path.exists() else None,
    )
    alone = (contents.errors, contents.diagnosed)
    for chart in (*quality, *searched, *alone, *training, *contents.pictures):
        if chart:
            chart.save_png(run.path / f"{chart.name}.png")
    write_text(run.report, page(contents))
    return run.report


def _errors(
    students: Sequence[Result], trainings: Sequence[BundleTraining]
) -> Mapping[str, Mapping[str, float]]:
    """Relative error by site of every bundle, whether or not it was evaluated, by its label.

    Systems of several bundles, or of some layers of one, have no errors but theirs.
    """
    labels = labels_by_name(trainings)
    # Where a bundle's configuration does not say it, its records may.
    recorded = {student.name: student.relative_mse for student in students}
    errors = {
        labels[training.name]: training.relative_mse or recorded.get(training.name, {})
        for training in trainings
    }
    return {label: by_site for label, by_site in errors.items() if by_site}


def _quality(shown: Sequence[Result], styles: Styles) -> list[Chart | None]:
    """Two charts for everything that is replaced, with the teacher in all of them."""
    scopes = scopes_of(student.scope for student in of_kind(shown, "student"))
    charts = []
    for scope in scopes:
        results = [r for r in shown if r.kind in ("teacher", "scratch") or r.scope == scope]
        place = scope.title if len(scopes) > 1 else ""
        charts += [
            parameters_chart(results, styles, place),
            latency_chart(results, styles, place),
        ]
    return charts


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
