"""Made-up run directories, plausible in shape and size."""

import copy
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from attnreplace.digest import digest_json
from attnreplace.evaluate.record import SCHEMA, examples_path, record_path
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import BundleConfig
from attnreplace.students import StudentConfig
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import RECORD
from attnreplace.tune.folder import SCHEMA as TUNED_SCHEMA

SIZES = {"xs": 25, "s": 50, "m": 800, "l": 3200, "xl": 12800}
BLEU = {
    "alr": (23.9, 26.8, 29.6, 30.0, 30.1),
    "aslr": (29.1, 29.7, 29.9, 30.2, 30.0),
    "alrr": (20.4, 24.6, 28.7, 29.2, 28.9),
    "elr": (18.8, 22.9, 28.0, 28.8, 29.3),
}
WIDTH = 6400
STACKS = {"encoder": "encoder.self", "decoder": "decoder.self", "cross": "decoder.cross"}
FORMS = {"encoder": "sentence", "decoder": "prefix", "cross": "per-query"}
SITES = [f"encoder.self.{layer}" for layer in range(6)]
LOSS = {"encoder": 0.0, "decoder": 0.6, "cross": 7.9, "all": 12.5}
"""Points of BLEU that replacing more than the encoder's attention costs, in made-up records."""
SENTENCES = [
    ("Ein Hund läuft über die Wiese.", "A dog runs across the meadow."),
    ("Zwei Frauen kaufen Obst auf dem Markt.", "Two women are buying fruit at the market."),
    (
        "Der alte Mann, der am Fenster sitzt, liest eine Zeitung, die er gestern gekauft hat.",
        "The old man sitting at the window is reading a newspaper that he bought yesterday.",
    ),
    ("Kinder spielen im Sand.", "Children play in the sand."),
    (
        "Eine Gruppe von Menschen in Winterkleidung wartet an einer Haltestelle auf den Bus.",
        "A group of people in winter clothes waits at a stop for the bus.",
    ),
    ("Wer hat den Schlüssel?", "Who has the key?"),
]


def make_record(
    kind: str = "student",
    method: str | None = "alrr",
    size: str | None = "m",
    bleu: float = 28.7,
    beam: int = 5,
    **changes: Any,
) -> dict[str, Any]:
    """One record; `changes` replace whole top-level fields."""
    name = {"student": f"{method}-{size}", "untrained": f"untrained-{method}-{size}"}.get(
        kind, kind
    )
    label = {
        "student": f"{method}-{size}".upper(),
        "teacher": "Teacher",
        "removed": "Attention removed",
    }.get(kind, f"{method}-{size}".upper() + ", untrained")
    hidden = SIZES.get(size or "", 0)
    each = (2 * WIDTH * hidden + 2 * WIDTH + 3 * hidden + WIDTH) * (8 if method == "aslr" else 1)
    replacement = 6 * each if size else 0
    replaced = 0 if kind == "teacher" else 6 * 49_536
    quick = 0.0042 + replacement * 2.2e-11

    def timing(seconds: float) -> dict[str, float]:
        return {"median_s": seconds, "min_s": seconds * 0.97, "max_s": seconds * 1.2, "runs": 9}

    def latency(batch: int) -> dict[str, Any]:
        encoder = (0.0051 if kind == "teacher" else quick) * batch**0.7
        return {"encoder": timing(encoder), "generate": timing(encoder + 0.14 * batch**0.4)}

    errors = {site: 0.9 / (1 + bleu / 4) * (1 + 0.2 * i) for i, site in enumerate(SITES)}
    record = {
        "schema": SCHEMA,
        "system": {
            "kind": kind,
            "name": name,
            "label": label,
            "method": method,
            "family": "shallow_ff" if method else None,
            "size": size,
            "sites": [] if kind == "teacher" else SITES,
        },
        "pair": "de-en",
        "test_set": "test",
        "sentences": 1014,
        "decoding": {
            "beam": beam,
            "max_new_tokens": "twice the source and ten",
            "over_long": {"policy": "truncate", "limit": 50, "count": 7},
        },
        "scores": {
            "bleu": {"score": bleu, "signature": "nrefs:1|case:mixed|tok:13a|version:2.6.0"},
            "chrf": {"score": 20 + bleu, "signature": "nrefs:1|nc:6|nw:0|version:2.6.0"},
        },
        "cost": {
            "parameters": {
                "model": 5_000_000 - replaced + replacement,
                "replaced": replaced,
                "replacement": replacement,
            },
            "flops_per_token": 2.9e6 + 2 * replacement,
            "latency": {f"batch_{batch}": latency(batch) for batch in (1, 64)},
            "device": "cpu",
            "threads": 1,
        },
        "relative_mse": errors if kind == "student" else None,
        "recipe": "paper" if method else None,
        "seed": 1 if method else None,
        "digests": {
            "teacher": "ab" * 32,
            "tokenizer": "cd" * 32,
            "data": "ef" * 32,
            "bundle": "12" * 32 if kind == "student" else None,
        },
        "versions": {"python": "3.11.2", "torch": "2.13.0", "attnreplace": "0.1.0"},
        "created": "2025-01-01T12:00:00+00:00",
    }
    return record | changes


def make_records(beams: Iterable[int] = (1, 5), **changes: Any) -> list[dict[str, Any]]:
    """The whole grid: teacher, baselines, four methods in five sizes."""
    records = []
    for beam in beams:
        more = 0.0 if beam == 1 else 0.7
        records.append(make_record("teacher", None, None, 29.9 + more, beam, **changes))
        records.append(make_record("removed", None, None, 1.3 + more, beam, **changes))
        for method, scores in BLEU.items():
            records.append(make_record("untrained", method, "m", 0.4 + more, beam, **changes))
            for size, bleu in zip(SIZES, scores, strict=True):
                records.append(make_record("student", method, size, bleu + more, beam, **changes))
    return records


def make_scoped(
    group: str,
    kind: str = "student",
    method: str | None = "alr",
    size: str | None = "m",
    bleu: float = 28.7,
    beam: int = 5,
    variant: str = "",
    **changes: Any,
) -> dict[str, Any]:
    """A record of a system that replaces one group of sites, or "all"."""
    record = make_record(kind, method, size, bleu, beam, **changes)
    groups = list(STACKS) if group == "all" else [group]
    sites = [f"{STACKS[one]}.{layer}" for one in groups for layer in range(6)]
    system = record["system"]
    plain = f"{method}-{size}"
    suffix = {"encoder": ""}
    parts = [f"{plain}{suffix.get(one, f'-{one}')}" for one in groups]
    if variant:
        parts = [f"{part}-paper" for part in parts]
    if kind == "removed":
        system |= {"name": f"removed-{group}", "label": f"{group.title()} attention removed"}
        parts = []
    else:
        untrained = ["untrained-", ", untrained"] if kind == "untrained" else ["", ""]
        form = ", paper's non-causal form" if variant else ""
        system["name"] = untrained[0] + "+".join(parts)
        system["label"] = f"{plain.upper()} {group}{form}{untrained[1]}"
    system |= {
        "sites": sites,
        "groups": groups,
        "variant": variant,
        "parts": [{"bundle": part} for part in parts],
    }
    record["decoding"]["over_long"] |= {"target_limit": 50, "targets": 3}
    record["cost"]["decoder_flops_per_token"] = 3.1e6
    record["cost"]["memory"] = {"state_batch_1": 41_000, "state_batch_64": 2_624_000}
    if kind == "student":
        record["relative_mse"] = {site: 0.1 * (i % 6 + 1) for i, site in enumerate(sites)}
    return record


def make_all_scopes(beams: Iterable[int] = (1, 5)) -> list[dict[str, Any]]:
    """Everything that can be replaced: teacher, baselines, methods in three sizes each."""
    records = [r for r in make_records(beams) if r["system"]["size"] not in ("l", "xl")]
    for record in records:
        record["cost"]["decoder_flops_per_token"] = 3.3e6
        record["cost"]["memory"] = {"state_batch_1": 100_000, "state_batch_64": 6_400_000}
    for beam in beams:
        for group in ("decoder", "cross", "all"):
            lost = LOSS[group]
            records.append(make_scoped(group, "removed", None, None, 14 - lost, beam))
            for method in ("alr", "aslr", "alrr"):
                if group != "all":
                    records.append(make_scoped(group, "untrained", method, "m", 1, beam))
                for size, bleu in zip(("xs", "s", "m"), BLEU[method], strict=False):
                    records.append(make_scoped(group, "student", method, size, bleu - lost, beam))
        records.append(make_scoped("cross", bleu=4.4, beam=beam, variant="non-causal"))
    return records


def make_encoder_records(metric: str, **changes: Any) -> list[dict[str, Any]]:
    """A grid of a task without decoding: teacher, baselines, two methods in five sizes."""

    def score(bleu: float) -> dict[str, Any]:
        share = bleu / 30.6
        if metric == "accuracy":
            found = {"accuracy": 97.2 * share, "cross_entropy": 0.09 / share}
        elif metric == "similarity":
            found = {"similarity": min(share, 1)}
        else:
            entropy = math.log(9.4 / share**2)
            found = {
                "perplexity": math.exp(entropy),
                "masked_accuracy": 58 * share,
                "cross_entropy": entropy,
            }
        signed = {} if metric == "accuracy" else {"signature": f"{metric}|seed:0"}
        return {name: {"score": value, **signed} for name, value in found.items()}

    records = []
    for record in make_records(beams=[5], **changes):
        system = record["system"]
        if system["method"] in ("aslr", "elr"):
            continue
        del record["pair"], record["decoding"]
        bleu = 12.0 if system["kind"] == "removed" else record["scores"]["bleu"]["score"]
        record["scores"] = score(bleu + (2 if system["kind"] == "untrained" else 0))
        record["task"] = "image" if metric == "accuracy" else "mlm"
        record["metric"] = metric
        record["cost"]["source_tokens"] = 65
        record["digests"]["test_set"] = "56" * 32
        for latency in record["cost"]["latency"].values():
            del latency["generate"]
        if metric == "similarity":
            record["over_long"] = {"policy": "truncate", "limit": 50, "count": 7}
        records.append(record)
    return records


def write_records(run: RunDir, records: Iterable[dict[str, Any]], sentences: int = 120) -> None:
    """Records of bundles that are there, with their translations, worse the lower BLEU is."""
    for record in map(copy.deepcopy, records):
        settle(run, record)
        if "metric" in record:
            name, metric = record["system"]["name"], record["metric"]
            write_json(record_path(run.results, name, record["test_set"], metric), record)
            continue
        name, bleu = record["system"]["name"], record["scores"]["bleu"]["score"]
        path = record_path(
            run.results, name, record["test_set"], f"beam{record['decoding']['beam']}"
        )
        write_json(path, record)
        pick = random.Random(name)
        lines = []
        for i in range(sentences):
            source, reference = SENTENCES[i % len(SENTENCES)]
            source = " ".join([source] * (1 + i % 3)) + f" {i}"
            reference = " ".join([reference] * (1 + i % 3)) + f" {i}"
            words = [w for w in reference.split() if pick.random() < 0.55 + bleu / 70]
            lines.append({"source": source, "reference": reference, "hypothesis": " ".join(words)})
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        examples_path(path).write_text(text, encoding="utf-8")


def settle(run: RunDir, record: dict[str, Any]) -> None:
    """Put the bundles of a record's system into the run, and their digests into the record."""
    system = record["system"]
    if system["kind"] not in ("student", "untrained"):
        return
    alone = [{"bundle": system["name"].removeprefix("untrained-")}]
    for part in system.get("parts", alone):
        path = run.students / part["bundle"] / "config.json"
        if not path.is_file():
            known = {key: system[key] for key in ("method", "family", "size", "sites")}
            student = {"form": "paper"} if part["bundle"].endswith("-paper") else {}
            students = {site: student for site in system["sites"]}
            write_json(path, known | {"seed": record["seed"], "students": students})
        if system["kind"] == "student":
            part["digest"] = record["digests"]["bundle"] = digest_json(read_json(path))


def write_teacher(run: RunDir, epochs: int = 20) -> None:
    """The record of a teacher's training."""
    history = [
        {
            "epoch": e,
            "step": 500 * e,
            "train_loss": 2.2 + 5 * math.exp(-e / 4),
            "validation_loss": 2.6 + 4 * math.exp(-e / 3) + 0.01 * e,
            "validation_bleu": 30.6 * (1 - math.exp(-e / 5)) - 0.03 * max(0, e - 15),
            "learning_rate": 1e-4,
            "seconds": 60.0,
        }
        for e in range(1, epochs + 1)
    ]
    write_json(run.teacher / "training.json", {"history": history, "best": history[-1]})


def write_bundle(
    run: RunDir,
    method: str,
    size: str,
    name: str | None = None,
    group: str = "encoder",
    family: str = "shallow_ff",
    training: Mapping[str, Any] | None = None,
    **student: Any,
) -> None:
    """A bundle's configuration and history, without its weights.

    `training` is what is recorded of it besides its errors.
    """
    name = name or f"{method}-{size}"
    final = 12 / BLEU[method][list(SIZES).index(size)] ** 1.6
    sites = [f"{STACKS[group]}.{layer}" for layer in range(6)]
    errors = {site: final * (1 + 0.15 * i) for i, site in enumerate(sites)}
    write_json(
        run.students / name / "config.json",
        {
            "schema": "attnreplace.bundle/1",
            "name": name,
            "method": method,
            "family": family,
            "size": size,
            "sites": sites,
            "students": {site: student for site in sites},
            "seed": 1,
            "teacher_digest": "ab" * 32,
            "tokenizer_digest": "cd" * 32,
            "training": {"relative_mse": errors, **(training or {})},
            "versions": {"torch": "2.13.0"},
        },
    )
    history = [
        {
            "epoch": e,
            "step": 90 * e,
            "train_loss": {},
            "relative_mse": {s: v * (1 + 6 * math.exp(-e / 4)) for s, v in errors.items()},
        }
        for e in range(1, 22)
    ]
    write_json(run.students / name / "history.json", history)


def write_tuned(
    run: RunDir,
    name: str,
    scores: Sequence[float | None],
    groups: Sequence[str] = ("encoder",),
    metric: str = "bleu",
    first: int = 1,
    config: Mapping[str, Any] | None = None,
    **changes: Any,
) -> None:
    """A tuned model's record and configuration, without its weights.

    Args:
        scores: validation scores from epoch `first` on.
        groups: what its students, ALR-M all of them, replace.
        config: settings that are not the usual ones.
        changes: replace whole top-level fields of the record.
    """
    bundles = [
        BundleConfig(
            name="alr-m" + f"-{group}" * (group != "encoder"),
            method="alr",
            family="shallow_ff",
            size="m",
            positions=8,
            students={
                f"{STACKS[group]}.{layer}": StudentConfig(
                    "shallow_ff", d_model=4, d_out=4, positions=8, hidden=2, form=FORMS[group]
                )
                for layer in range(6)
            },
            teacher_digest="ab" * 32,
            tokenizer_digest="cd" * 32,
        )
        for group in groups
    ]
    system = "+".join(bundle.name for bundle in bundles)
    settings = TuneConfig(system=system, **(config or {}))
    history = [
        {"epoch": epoch, "train_loss": 1.0, f"validation_{metric}": score, "seconds": 70.0 * epoch}
        for epoch, score in enumerate(scores, start=first)
    ]
    record = {
        "schema": TUNED_SCHEMA,
        "inputs_digest": digest_json(name),
        "system": system,
        "summary": settings.summary,
        "teacher_digest": "ab" * 32,
        "config": asdict(settings),
        "versions": {"torch": "2.13.0"},
        "history": history,
        "seconds": 70.0 * len(history),
    }
    write_json(run.tuned / name / RECORD, record | changes)
    written = {"attnreplace": [bundle.to_json() for bundle in bundles]}
    write_json(run.tuned / name / "config.json", written)


def write_run(path: Path) -> RunDir:
    """A finished run with everything in it."""
    run = RunDir(path)
    run.path.mkdir()
    run.config_path.write_text('name = "example"\n\n[data]\npair = "de-en"\n', encoding="utf-8")
    write_teacher(run)
    for method in BLEU:
        for size in SIZES:
            write_bundle(run, method, size)
    write_records(run, make_records())
    return run


@pytest.fixture(scope="session")
def made() -> SimpleNamespace:
    """The functions of this file: test modules cannot import it."""
    return SimpleNamespace(
        record=make_record,
        scoped=make_scoped,
        all_scopes=make_all_scopes,
        records=make_records,
        encoder_records=make_encoder_records,
        write_records=write_records,
        teacher=write_teacher,
        bundle=write_bundle,
        tuned=write_tuned,
        run=write_run,
    )


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run with its report."""
    run = write_run(tmp_path_factory.mktemp("runs") / "example")
    write_report(run)
    return run
