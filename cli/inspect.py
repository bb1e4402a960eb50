"""attnreplace inspect."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnreplace.errors import UserError
from attnreplace.rundir import DEFAULT_RUN, RunDir, read_json, run_suffix
from attnreplace_cli import console
from attnreplace_cli.options import naming_run

if TYPE_CHECKING:
    from attnreplace.activations.store import ActivationStore
    from attnreplace.splice.bundle import BundleConfig


def inspect(
    path: Annotated[
        Path, typer.Argument(help="A run, a store (.h5), a bundle, a teacher or a record.")
    ] = DEFAULT_RUN,
    verify: Annotated[bool, typer.Option(help="Check a store's checksums.")] = False,
) -> None:
    """Say what is in a run, an activation store, a bundle, a teacher or a result record.

    Example: attnreplace inspect runs/default/activations.h5 --verify
    """
    progress = console.progress()
    from attnreplace.activations.store import ActivationStore

    if path.suffix == ".h5":
        try:
            store = ActivationStore.open(path)
            _show(f"activation store {path}", store.describe())
            if verify:
                store.verify(progress)
                console.out.print("checksums: all correct")
        except UserError as error:
            raise UserError(naming_run(str(error), path.parent)) from error
    elif path.suffix == ".json" and path.is_file():
        _show(f"record {path}", read_json(path))
    elif (path / "config.json").is_file():
        _show_folder(path)
    elif path.is_dir() and (RunDir(path).config_path.is_file() or RunDir(path).teacher.is_dir()):
        _show_run(path)
    else:
        raise UserError(
            f"{path} is no run, store, bundle, teacher or record; "
            "`attnreplace run` makes a run in runs/default"
        )


def _show_run(path: Path) -> None:
    from attnreplace.report.records import current_records
    from attnreplace.splice.bundle import load_bundle_config

    run = RunDir(path)
    bundles = {name: load_bundle_config(run.students / name) for name in run.bundles()}
    store = _store(run)
    rows = [["config.toml", "present" if run.config_path.is_file() else "missing"]]
    rows.append(["teacher", _teacher(run)])
    rows.append(["activations.h5", store if isinstance(store, str) else _activations(store)])
    for name, config in bundles.items():
        parameters = config.training.get("parameters", 0)
        text = f"{_what(config)}, {parameters:,} parameters"
        rows.append([f"students/{name}", text])
    if not bundles:
        rows.append(["students", f"missing: attnreplace distill{run_suffix(path)}"])
    console.show_text(rows, title=f"run {path}")
    for line in _of_other_teachers(run, bundles, store):
        console.out.print(line, soft_wrap=True)
    records, _ = current_records(run)
    if records:
        console.show_results(list(records.values()))
    else:
        console.out.print(f"no results: attnreplace eval{run_suffix(path)}", soft_wrap=True)


def _teacher(run: RunDir) -> str:
    from attnreplace.report.training import best_epoch

    if not (run.teacher / "config.json").is_file():
        return f"missing: attnreplace train{run_suffix(run.path)}"
    best = best_epoch(run)
    if best is None or best.score is None:
        return "present"
    return f"validation {best.measure.word} {best.measure.text(best.score)}"


def _store(run: RunDir) -> "ActivationStore | str":
    """The activations, or what is to be said in their place."""
    from attnreplace.activations.store import ActivationStore

    if not run.activations.is_file():
        return f"missing: attnreplace extract{run_suffix(run.path)}"
    try:
        return ActivationStore.open(run.activations)
    except UserError as error:  # The rest of the run is there to be looked at.
        return naming_run(str(error), run.path)


def _activations(store: "ActivationStore") -> str:
    from attnreplace.activations.schema import readable_bytes
    from attnreplace.report.scopes import Scope
    from attnreplace.report.tables import describe_sites

    sites = describe_sites(sorted(store.identity.sites, key=lambda site: Scope.of([site]).order))
    return f"{sites}: {len(store.names)} tensors, {readable_bytes(store.nbytes)}"


def _of_other_teachers(
    run: RunDir, bundles: Mapping[str, "BundleConfig"], store: "ActivationStore | str"
) -> list[str]:
    """Lines on students and a store that are of another teacher than the run's."""
    from attnreplace.digest import model_digest, short
    from attnreplace.teacher.load import load_model

    if not bundles and isinstance(store, str):
        return []
    try:
        this, lines = model_digest(load_model(run.teacher)), []
    except UserError:  # Without a teacher there is nothing to compare with.
        return []
    others = [name for name, config in bundles.items() if config.teacher_digest != this]
    where = f"another teacher than this one ({short(this)}); use their own, or"
    if others:
        again = f"attnreplace distill --overwrite{run_suffix(run.path)}"
        lines.append(f"students of {where} {again}: {', '.join(others)}")
    if not isinstance(store, str) and store.identity.teacher_digest != this:
        again = f"attnreplace extract --overwrite{run_suffix(run.path)}"
        lines.append(f"activations of {where} {again}")
    return lines


def _show_folder(path: Path) -> None:
    from attnreplace.splice.bundle import load_bundle_config

    config = read_json(path / "config.json", dict)
    record = path / "training.json"
    if str(config.get("schema", "")).startswith("attnreplace.bundle"):
        _show(f"bundle {path}", {"replaces": _what(load_bundle_config(path)), **config})
    else:
        training: dict[str, Any] = read_json(record, dict) if record.is_file() else {}
        if record.is_file() and "schema" not in training:
            raise UserError(
                f"{record} is damaged (it names no schema); delete it and repeat the stage that "
                "wrote it"
            )
        training.pop("history", None)
        _show(f"model {path}", {"model_type": config.get("model_type"), **training})


def _what(config: "BundleConfig") -> str:
    """What the students of a bundle replace, and how they read."""
    from attnreplace.report.tables import describe_sites

    forms = dict.fromkeys(student.form for student in config.students.values())
    return f"{describe_sites(config.sites)}, form {', '.join(forms)}"


def _show(title: str, value: dict[str, Any]) -> None:
    console.show_text([[name, text] for name, text in _flat(value)], title=title)


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested fields as dotted names."""
    rows: list[tuple[str, str]] = []
    for name, item in value.items():
        if isinstance(item, dict):
            rows += _flat(item, f"{prefix}{name}.")
        else:
            shown = f"{item:,}" if isinstance(item, int) and not isinstance(item, bool) else item
            rows.append((f"{prefix}{name}", str(shown)))
    return rows
