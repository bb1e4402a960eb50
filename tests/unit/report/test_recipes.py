import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from attnreplace.digest import digest_json, short
from attnreplace.distill.config import DistillConfig
from attnreplace.report.recipes import TrainedTable, students_table, tuned_table
from attnreplace.report.report import write_report
from attnreplace.report.tables import NOTHING
from attnreplace.report.training import bundle_trainings
from attnreplace.report.tunings import load_tunings
from attnreplace.rundir import RunDir, read_json, write_json


def settings(**changes: Any) -> dict[str, Any]:
    """As a bundle has them."""
    known = ("recipe", "objective", "epochs", "batch_tokens", "learning_rate", "schedule")
    usual = {name: getattr(DistillConfig(), name) for name in known}
    return usual | {"precision": "bf16"} | changes


def cells(table: TrainedTable | None) -> dict[str, dict[str, str]]:
    """By row and heading."""
    assert table is not None
    assert {len(row) for row in table.rows} == {len(table.header)}
    return {row[0]: dict(zip(table.header[1:], row[1:], strict=True)) for row in table.rows}


def recipe(run: RunDir, name: str, word: str) -> None:
    path = run.students / name / "config.json"
    write_json(path, read_json(path) | {"recipe": word})


def test_how_one_bundle_was_trained(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    best = {"encoder.self.0": 4, "encoder.self.1": 2, "encoder.self.2": 3}
    training = {"settings": settings(epochs=7), "learning_rate": 5e-5, "best_epoch": best}
    made.bundle(run, "alr", "m", training=training)
    recipe(run, "alr-m", "modern")
    table = students_table(bundle_trainings(run))
    assert cells(table) == {
        "alr-m": {
            "Recipe": "modern",
            "Objective": "normalised_mse",
            "Products in": "bf16",
            "Epochs": "7",
            "Peak rate": "5e-05",
            "Tokens a batch": "2,048",
            "Seed": "1",
            "Best epoch": "2\N{EN DASH}4",
            "SHA-256, first digits": table_digest(run, "alr-m"),
        }
    }
    assert table is not None and (table.texts, table.shared) == (4, "")


def table_digest(run: RunDir, name: str) -> str:
    """As records of an evaluation have it."""
    digest = digest_json(read_json(run.students / name / "config.json"))
    return f"<code>{short(digest)}</code>"


def test_what_bundles_share_is_said_once(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    best = {"encoder.self.0": 3, "encoder.self.1": 3}
    for size, changes in {
        "xs": {"learning_rate": 0.004},
        "s": {"learning_rate": 0.002, "schedule": "constant"},
        "m": {"objective": "cosine", "learning_rate": None},
    }.items():
        training = {"settings": settings(**changes), "best_epoch": best}
        made.bundle(run, "alr", size, training=training)
        recipe(run, f"alr-{size}", "paper")
    table = students_table(bundle_trainings(run))
    assert table is not None
    assert table.shared == (
        "recipe paper, products in bf16, epochs 3, tokens a batch 2,048, seed 1"
    )
    found = {name: list(row.values())[:-1] for name, row in cells(table).items()}
    assert table.header[1:-1] == ["Objective", "Other settings", "Peak rate", "Best epoch"]
    assert found == {
        "alr-xs": ["mse", NOTHING, "0.004", "3"],
        "alr-s": ["mse", "schedule constant", "0.002", "3"],
        # The recipe's own rate, of which early bundles do not say what it was.
        "alr-m": ["cosine", NOTHING, NOTHING, "3"],
    }


def test_what_early_bundles_lack_is_a_dash(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert students_table([]) is None
    made.bundle(run, "alr", "m")
    bare = students_table(bundle_trainings(run))
    assert cells(bare)["alr-m"] | {"SHA-256, first digits": ""} == {
        "Recipe": NOTHING,
        "Objective": NOTHING,
        "Products in": NOTHING,
        "Epochs": NOTHING,
        "Peak rate": NOTHING,
        "Tokens a batch": NOTHING,
        "Seed": "1",
        "Best epoch": NOTHING,
        "SHA-256, first digits": "",
    }
    made.bundle(run, "alr", "s", training={"settings": settings(), "best_epoch": {"x": 3}})
    table = students_table(bundle_trainings(run))
    assert table is not None
    assert table.shared == "recipe not recorded, peak rate not recorded, seed 1"
    found = cells(table)
    assert (found["alr-m"]["Epochs"], found["alr-s"]["Epochs"]) == (NOTHING, "3")
    assert (found["alr-m"]["Best epoch"], found["alr-s"]["Best epoch"]) == (NOTHING, "3")


def test_how_models_were_tuned(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    assert tuned_table([]) is None
    usual = {"weights": [1.0, 0.3], "losses": ["kl", "ce"], "seed": 2}
    made.tuned(run, "alr-m-kl-ce", [30.0, 31.26], config=usual)
    one = tuned_table(load_tunings(run))
    assert cells(one) == {
        "alr-m-kl-ce": {
            "Loss": "kl+ce",
            "Changes": "students",
            "Start": "distilled",
            "Targets": "reference",
            "Epochs": "3",
            "Peak rate": "0.0005",
            "Warm-up steps": "50",
            "Seed": "2",
            "Best epoch": "2",
            "Validation BLEU": "31.3",
            "Seconds": "140",
            "SHA-256, first digits": f"<code>{short(digest_json('alr-m-kl-ce'))}</code>",
        }
    }
    own = {"targets": "teacher", "target_beam": 4, "train": "lora", "lora_rank": 4, "seed": 2}
    other = {"losses": ["kl", "forced"], "weights": [0.5, 2.0], "order": ["encoder"]}
    made.tuned(run, "b", [32.0], config=own | other | {"name": "b", "weight_decay": 0.01})
    table = tuned_table(load_tunings(run))
    assert table is not None
    assert table.shared == (
        "system alr-m, start distilled, epochs 3, peak rate 0.0005, warm-up steps 50, seed 2"
    )
    assert list(cells(table)["b"].values())[:-1] == [
        "0.5 kl + 2 forced",
        "LoRA of rank 4",
        "teacher (beam 4)",
        "weight_decay 0.01; order encoder",
        "1",
        "32.0",
        "70",
    ]
    assert cells(table)["alr-m-kl-ce"]["Other settings"] == NOTHING


def test_what_early_tuned_models_lack_is_a_dash(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.tuned(run, "alr-m-kl-ce", [30.0])
    made.tuned(run, "early", [None], seconds=None, summary="tuned kl")
    path = run.tuned / "early" / "training.json"
    record = read_json(path)
    write_json(path, record | {"config": {"losses": ["kl"], "epochs": 3}})
    found = cells(tuned_table(load_tunings(run)))["early"]
    assert (found["Loss"], found["Validation BLEU"], found["Seconds"]) == ("kl", NOTHING, NOTHING)
    for heading in ("Changes", "Start", "Targets", "Peak rate", "Seed", "Best epoch"):
        assert found[heading] == NOTHING


def settings_section(run: RunDir) -> list[str]:
    """The page's last section: each summary with what is under it."""
    page = write_report(run).read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="settings".*?</section>', page, re.DOTALL)
    return str(section).split("<summary>")[1:]


def test_the_page_says_whose_settings_are_whose(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    run.config_path.write_text("[data]\n", encoding="utf-8")
    assert settings_section(run)[0].startswith("Settings of the run (config.toml)<")
    made.bundle(run, "alr", "m")
    made.bundle(run, "alr", "s")
    made.tuned(run, "alr-m-kl-ce", [30.0], versions={"torch": "9.9.9"})
    teacher, together = made.record("teacher", None, None, 30.0), made.scoped("all")
    made.write_records(run, [teacher, made.record(method="alr"), together], sentences=3)
    summaries = settings_section(run)
    assert [text.partition("</summary>")[0] for text in summaries] == [
        "Settings of the run (config.toml); students and tuned models have their own, below",
        "Sentences over the limit",
        "How the students were trained",
        "How the tuned models were trained",
        "Digests",
        "Versions and devices",
    ]
    students, tuned, digests, versions = summaries[2:]
    for name in ("alr-m", "alr-s"):
        assert f'<th scope="row">{name}</th>' in students
    assert "tokens a batch not recorded, seed 1.</p>" in students
    assert '<th scope="row">alr-m-kl-ce</th>' in tuned and "The same for all" not in tuned
    # One bundle's digest stands where its training does.
    rows = re.findall(r'<th scope="row">(.*?)</th>', digests)
    assert rows == ["teacher", "tokenizer", "data", together["system"]["name"]]
    assert "9.9.9" in versions


def test_a_tuned_model_of_a_former_teacher_is_not_shown(
    tmp_path: Path, made: SimpleNamespace
) -> None:
    run = RunDir(tmp_path)
    made.tuned(run, "left-behind", [30.0], teacher_digest="of another")
    assert "left-behind" in "".join(settings_section(run))
    made.write_records(run, [made.record("teacher", None, None, 30.0)], sentences=3)
    assert "left-behind" not in write_report(run).read_text(encoding="utf-8")
