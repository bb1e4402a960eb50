"""Published experiments as they will be: four language pairs, kinds of students, seeds, stages."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomli_w

from attnreplace.evaluate.record import SCHEMA, Kind, Part, Record, System, record_path
from attnreplace.rundir import write_json

PAIRS = ("de-en", "en-de", "en-fr", "fr-en")
SETS = ("test_2016_flickr", "test_2017_flickr")
STACKS = {"encoder": "encoder.self", "decoder": "decoder.self", "cross": "decoder.cross"}
FORMS = {"encoder": "sentence", "decoder": "prefix", "cross": "per-query"}
TUNED = "tuned kl+ce"


def part(group: str, family: str = "shallow_ff", seed: int = 0, form: str = "") -> Part:
    """A bundle of size M in a system."""
    words = ["alr-m", family if family != "shallow_ff" else ""]
    words += [group if group != "encoder" else "", form, f"seed{seed}" if seed else ""]
    return {
        "bundle": "-".join(filter(None, words)),
        "method": "alr",
        "family": family,
        "size": "m",
        "group": group,
        "form": form or FORMS[group],
        "hidden_layers": 1,
        "sites": [f"{STACKS[group]}.{layer}" for layer in range(6)],
        "digest": "12" * 32,
    }


def system(
    kind: Kind, label: str, parts: Sequence[Part] = (), tuned: str = "", seed: int = 0
) -> System:
    """A system as `eval` describes it; of `removed` the parts only say where."""
    families, name = {p["family"] for p in parts}, "+".join(p["bundle"] for p in parts) or kind
    students = kind in ("student", "untrained")
    before = {"removed": "removed-", "untrained": "untrained-"}.get(kind, "tuned/" * bool(tuned))
    words = [before + name, *tuned.replace("tuned ", "").split(", "), f"seed{seed}" * bool(seed)]
    details = ["non-causal"] if any(p["form"] == "paper" for p in parts) else []
    return {
        "kind": kind,
        "name": "-".join(filter(None, words)) if tuned else before + name,
        "label": ", ".join(filter(None, [label, tuned])),
        "method": "alr" if students else None,
        "family": families.pop() if students and len(families) == 1 else None,
        "size": "m" if students else None,
        "sites": [site for p in parts for site in p["sites"]],
        "variant": ", ".join(filter(None, [*details, tuned])),
        "groups": [p["group"] for p in parts],
        "parts": list(parts) if students else [],
    }


def record(
    what: System, bleu: float, pair: str, test_set: str = SETS[0], beam: int = 1, seed: int = 0
) -> Record:
    """A whole record."""
    replaced = 49_536 * len(what["sites"])
    new = 5_667 * len(what["sites"]) if what["parts"] else 0
    seconds: Any = {"median_s": 0.01, "min_s": 0.01, "max_s": 0.01, "runs": 3}
    latency: Any = {f"batch_{n}": {"encoder": seconds, "generate": seconds} for n in (1, 64)}
    return {
        "schema": SCHEMA,
        "system": what,
        "pair": pair,
        "test_set": test_set,
        "sentences": 1000,
        "decoding": {
            "beam": beam,
            "max_new_tokens": "twice the source",
            "over_long": {"policy": "truncate", "limit": 50, "count": 0},
        },
        "scores": {
            "bleu": {"score": bleu, "signature": "nrefs:1|tok:13a"},
            "chrf": {"score": bleu + 20, "signature": "nrefs:1|nc:6"},
        },
        "cost": {
            "parameters": {"model": 3_000_000, "replaced": replaced, "replacement": new},
            "flops_per_token": 2.0e6,
            "source_tokens": 24,
            "latency": latency,
            "memory": {"parameters": 1, "batch_1": 1, "batch_64": 1},
            "device": "cpu",
            "threads": 1,
        },
        "relative_mse": None,
        "recipe": None,
        "seed": seed if what["parts"] else None,
        "digests": {
            "teacher": "ab" * 32,
            "tokenizer": "cd" * 32,
            "data": "ef" * 32,
            "test_set": "56" * 32,
            "bundle": None,
        },
        "inputs_digest": "78" * 32,
        "versions": {"torch": "2.13.0"},
        "created": "2026-11-21T20:00:00+00:00",
    }


def attentionless(pair: str, teacher: float) -> list[Record]:
    """The study of kinds for one pair of languages, both test sets, two seeds of some rows."""
    cross, whole = part("cross"), [part("encoder"), part("decoder"), part("cross")]
    pairwise = [*whole[:2], part("cross", "pairwise")]
    mixed = "ALR-M + ALR-M decoder + ALR-M pairwise cross, scores pairs"
    systems = [
        (system("teacher", "Teacher"), 0.0),
        (system("removed", "Attention removed", whole[:1]), -4.3),
        (system("removed", "Cross-attention removed", [cross]), -38.0),
        (system("untrained", "ALR-M cross, untrained", [cross]), -37.5),
        (system("student", "ALR-M", whole[:1]), -0.9),
        (system("student", "ALR-M decoder", [whole[1]]), -1.0),
        (system("student", "ALR-M cross", [cross]), -20.0),
        (system("student", "ALR-M gated cross", [part("cross", "gated")]), -17.0),
        (
            system(
                "student",
                "ALR-M cross, paper's non-causal form",
                [part("cross", form="paper")],
            ),
            -22.0,
        ),
        (
            system("student", "ALR-M pairwise cross, scores pairs", [part("cross", "pairwise")]),
            -0.4,
        ),
        (
            system(
                "student", "ALR-M tiny attention cross, contains attention", [part("cross", "tiny")]
            ),
            -2.0,
        ),
        (system("student", "ALR-M all", whole), -21.0),
        (system("student", "ALR-M all", whole, TUNED), -9.0),
        (system("student", "ALR-M all", whole, f"{TUNED}, all weights"), -4.0),
        (system("student", "ALR-M all", whole, "ce, from scratch"), -30.0),
        (system("student", mixed, pairwise), -2.5),
        (system("student", mixed, pairwise, TUNED), 0.2),
    ]
    records = [
        record(what, teacher + apart - 4 * place, pair, test_set)
        for place, test_set in enumerate(SETS)
        for what, apart in systems
    ]
    again = [part("encoder", seed=1), part("decoder", seed=1), part("cross", "pairwise", seed=1)]
    seeded = system("student", mixed, again, TUNED, seed=1)
    return [*records, record(seeded, teacher + 0.4, pair, seed=1)]


def grid(pair: str, teacher: float) -> list[Record]:
    """Sizes of the paper's students with both beams, its form of cross-attention with one."""
    records = []
    for beam in (1, 5):
        systems = [
            (system("teacher", "Teacher"), 0.0),
            (system("student", "ALR-M cross", [part("cross")]), -20.0),
        ]
        if beam == 1:
            form = [part("cross", form="paper")]
            systems.append((system("student", "ALR-M cross, paper's non-causal form", form), -24))
        records += [
            record(what, teacher + apart + beam, pair, beam=beam) for what, apart in systems
        ]
    return records


def publish(folder: Path, records: Sequence[Record], dataset: str = "multi30k") -> None:
    """A folder as `report --publish` writes it."""
    for one in records:
        beam = f"beam{one['decoding']['beam']}"
        path = record_path(folder / "records", one["system"]["name"], one["test_set"], beam)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, one)
    shape = {"encoder_layers": 6, "decoder_layers": 6, "d_model": 128, "num_heads": 8}
    teacher = {"config": {"teacher": shape}, "corpus": {"name": "parallel", "train": 28_974}}
    write_json(folder / "teacher.json", teacher | {"parameters": {"total": 3_289_600}})
    settings = tomli_w.dumps({"data": {"dataset": dataset}})
    (folder / "config.toml").write_text(settings, encoding="utf-8")


@pytest.fixture(scope="session")
def publishing() -> SimpleNamespace:
    """The functions of this file: test modules cannot import it."""
    return SimpleNamespace(
        part=part,
        system=system,
        record=record,
        attentionless=attentionless,
        grid=grid,
        publish=publish,
        pairs=PAIRS,
        sets=SETS,
    )


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs by kinds of students, and one of them by sizes, as `experiments/results`."""
    experiments = tmp_path_factory.mktemp("project") / "experiments"
    for place, pair in enumerate(PAIRS):
        folder = experiments / "results" / f"multi30k-attentionless-{pair}"
        publish(folder, attentionless(pair, 40.0 + place))
    publish(experiments / "results" / "multi30k-sizes", grid("de-en", 39.0))
    title = "# Kinds of students: every one of them;\n# and more\n\n[data]\n"
    (experiments / "multi30k-attentionless.toml").write_text(title, encoding="utf-8")
    (experiments / "LOG.md").write_text("# Log\n", encoding="utf-8")
    return experiments / "results"
