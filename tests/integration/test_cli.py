"""The program as a user runs it: the whole way, and every mistake in one line."""

import gzip
import json
import shutil

import pytest

from attnreplace.data.config import DataConfig
from attnreplace_cli.main import main
from attnreplace_cli.options import bundles

from .conftest import DATA, TEACHER, TRAINING

SMALL = [
    f"--set={section}.{name}={value}"
    for section, config, names in (
        ("data", DATA, ["train_size", "validation_size"]),
        (
            "teacher",
            TEACHER,
            ["d_model", "encoder_layers", "decoder_layers", "num_heads", "d_ff", "max_length"],
        ),
        ("teacher", TEACHER, ["vocab_size"]),
        ("training", TRAINING, ["epochs", "batch_tokens", "validation_sentences"]),
    )
    for name in names
    for value in [getattr(config, name)]
]


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs the program; gives its exit code, output and errors."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["attnreplace", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
            raise SystemExit(0)
        shown = capsys.readouterr()
        return end.value.code or 0, shown.out, shown.err

    return call


@pytest.fixture
def data_dir(tmp_path):
    """Ten pairs of plain text and a test set."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, count in (("train", 60), ("val", 4), ("test_a", 3)):
        for lang, word in (("de", "Hund"), ("en", "dog")):
            text = "".join(f"{word} {index} <b>.\n" for index in range(count))
            with gzip.open(folder / f"{name}.{lang}.gz", "wt", encoding="utf-8") as file:
                file.write(text)
    return folder


def fails(result, *parts):
    """Exit code 2 and one line which says all of `parts`."""
    code, _, err = result
    assert code == 2, err
    line = err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    for part in parts:
        assert part in line
    assert "Traceback" not in err
    return True


def test_the_commands_as_the_readme_has_them(cli, tmp_path, data_dir, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, then in (
        ("extract", "attnreplace train"),
        ("distill", "attnreplace train"),
        ("eval", "attnreplace train"),
    ):
        assert fails(cli(command), then)
    small = [s for s in SMALL if "data." not in s]
    (tmp_path / "short.toml").write_text("[distill]\nepochs = 1\n[evaluate]\nbeams = [1]\n")
    code, out, err = cli("train", "short.toml", "--data-dir", data_dir, *small)
    assert code == 0, err
    assert "next: attnreplace extract" in out
    assert fails(cli("distill", "--method", "alrr", "--size", "m"), "attnreplace extract")

    code, out, _ = cli("extract")
    assert code == 0 and "next: attnreplace distill" in out
    code, out, err = cli("eval", "--bleu", "--beam", "1")
    assert code == 0 and "attnreplace distill" in err
    code, out, err = cli("distill", "--method", "alrr", "--size", "m")
    assert "distill, as in runs/default/config.toml: epochs 1 (" in err
    assert code == 0 and "alrr-m" in out and "next: attnreplace eval" in out
    code, out, _ = cli("eval", "--bleu", "--beam", "1")
    assert code == 0 and "ALRR-M" in out and "next: attnreplace report" in out
    names = {path.name for path in (tmp_path / "runs/default/results").glob("*.json")}
    assert names == {
        f"{system}.test_a.beam1.json"
        for system in ("teacher", "removed", "untrained-alrr-m", "alrr-m")
    }
    code, out, _ = cli("report", "--publish", tmp_path / "published")
    assert code == 0
    table = (tmp_path / "published/table.md").read_text()
    assert "ALRR-M" in table and "Teacher" in table
    assert str(data_dir) not in (tmp_path / "published/config.toml").read_text()
    page = (tmp_path / "runs/default/report.html").read_text()
    assert "<b>." not in page and "&lt;b&gt;." in page

    code, out, _ = cli("translate", "Hund 3 <b>.", "--bundle", "alrr-m", "--beam", "2")
    assert code == 0 and "teacher" in out and "alrr-m" in out
    for path in (
        "runs/default",
        "runs/default/activations.h5",
        "runs/default/students/alrr-m",
        "runs/default/teacher",
        "runs/default/results/teacher.test_a.beam1.json",
    ):
        code, out, err = cli("inspect", path)
        assert code == 0 and out, err
    code, out, _ = cli("inspect", "runs/default/activations.h5", "--verify")
    assert "all correct" in out


def test_run_does_all_and_skips_what_is_done(cli, tmp_path):
    arguments = [
        "run",
        "--run",
        tmp_path / "r",
        "--method",
        "elr",
        "--size",
        "xs",
        "--set=distill.epochs=1",
        "--set=evaluate.beams=[1]",
        "--set=evaluate.test_sets=['test']",
        "--set=evaluate.cost=false",
        *SMALL,
    ]
    code, out, err = cli(*arguments)
    assert code == 0, err
    assert "ELR-XS" in out and "report.html" in out
    stamps = {
        path: path.stat().st_mtime_ns
        for path in (tmp_path / "r").rglob("*")
        if path.suffix in (".safetensors", ".h5") or path.parent.name == "results"
    }
    assert stamps
    code, out, err = cli(*arguments)
    assert code == 0 and err.count("nothing to do") >= 3
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert fails(cli(*arguments, "--set=training.seed=7"), "--overwrite")


def test_mistakes_in_names(cli, run_copy):
    run = ["--run", run_copy.path]
    assert fails(cli("distill", "--method", "alx", *run), "alx", "alr", "aslr", "alrr", "elr")
    assert fails(cli("distill", "--size", "xxl", *run), "xxl", "xs, s, m, l, xl")
    assert fails(cli("train", "--preset", "huge", *run), "tiny, paper, base")
    assert fails(cli("train", "--pair", "german", *run), "de-en")
    assert fails(cli("train", "--set", "nonsense", *run), "section.field=value")
    assert fails(cli("train", "--set", "training.rate=1", *run), "learning_rate")
    assert fails(cli("extract", "--dtype", "int8", *run), "float16")
    assert fails(cli("extract", "--sites", "vision", *run), "encoder, decoder, cross, all")
    assert fails(cli("extract", "--layers", "0,7", *run), "layer 7", "0 to 1")
    distill = ["distill", "--method", "alr", "--size", "xs"]
    assert fails(cli(*distill, "--sites", "self", *run), "'self'", "encoder, decoder, cross, all")
    assert fails(cli(*distill, "--sites", "cross", *run), "cross", "extract")
    assert fails(cli(*distill, "--layers", "7", *run), "7")
    assert fails(cli(*distill, "--cross-form", "none", *run), "per-query, paper")
    assert fails(cli(*distill, "--family", "gmlp", *run), "shallow_ff, token_mlp, sgu, amlp")
    assert fails(cli(*distill, "--spatial", "free", *run), "toeplitz, dense")
    assert fails(cli(*distill, "--hidden-layers", "0", *run), "hidden_layers", "at least 1")
    assert fails(cli(*distill, "--positions", "3", *run), "positions")
    assert fails(cli("eval", "--sites", "self", *run), "encoder, decoder, cross, all")
    assert fails(cli("eval", "--bundle", "a:0,2+b", *run), "unknown bundle 'a'")
    assert fails(cli("translate", "Hund", "--bundle", "a+b", *run), "unknown bundle 'a'")
    assert fails(cli("eval", "--beam", "two", *run), "1,5")
    assert fails(cli("eval", "--test-set", "none", *run), "test_nested")
    assert fails(cli("eval", "--bundle", "none", *run), "none")
    assert fails(cli("eval", "--over-long", "drop", *run), "truncate")
    assert fails(cli("inspect", run_copy.path / "nowhere"), "attnreplace run")
    assert fails(cli("run", run_copy.path / "none.toml"), "none.toml")
    (run_copy.teacher / "training.json").write_text("{}")
    assert fails(cli("inspect", run_copy.teacher), "training.json is damaged")


@pytest.mark.parametrize(
    ("value", "specs"),
    [
        (None, None),
        ("alr-m, alrr-m", ["alr-m", "alrr-m"]),
        ("alr-m:0-2,4", ["alr-m:0-2,4"]),
        (
            "alr-m:0,2+alr-m-cross,elr-s:1,3-4,alr-m",
            ["alr-m:0,2+alr-m-cross", "elr-s:1,3-4", "alr-m"],
        ),
        ("alr-m-layers0.2,alr-m:0,1", ["alr-m-layers0.2", "alr-m:0,1"]),
    ],
)
def test_commas_between_bundles_and_in_layers(value, specs):
    assert bundles(value) == specs


def test_all_attention(cli, run_copy):
    run = ["--run", run_copy.path]
    quick = ["--beam", "1", "--test-set", "test", "--no-cost", *run]
    code, out, err = cli("extract", "--sites", "all", "--overwrite", *run)
    assert code == 0, err
    assert "next: attnreplace distill --sites all --method alr --size m" in out
    assert "tokens of the source and" in out
    distill = ["distill", "--method", "alr", "--epochs", "1", *run]
    code, out, err = cli(*distill, "--sites", "all", "--size", "xs")
    assert code == 0, err
    assert all(name in out for name in ("alr-xs", "alr-xs-decoder", "alr-xs-cross"))
    paper = ["--sites", "cross", "--cross-form", "paper", "--hidden-layers", "2", "--size", "s"]
    code, out, err = cli(*distill, *paper)
    assert code == 0 and "alr-s-h2-cross-paper" in out, err

    code, out, err = cli("eval", *quick, "--sites", "cross", "--no-baselines")
    assert code == 0, err
    names = {path.name.partition(".")[0] for path in run_copy.results.glob("*.json")}
    assert names == {"teacher", "alr-xs-cross", "alr-s-h2-cross-paper"}
    code, out, err = cli("eval", *quick, "--baselines", "--bundle", "alr-xs:0+alr-xs-decoder")
    assert code == 0 and "ALR-XS, layer 0 + ALR-XS decoder" in " ".join(out.split()), err
    names = {path.name.partition(".")[0] for path in run_copy.results.glob("*.json")}
    assert {"alr-xs@0+alr-xs-decoder", "removed-encoder-layers0-decoder"} <= names

    together = "alr-xs+alr-xs-decoder+alr-xs-cross"
    tune = ["tune", "--bundle", together, "--name", "end-to-end", "--epochs", "1", *run]
    code, out, err = cli(*tune)
    assert code == 0 and "next: attnreplace eval --bundle tuned/end-to-end" in out, err
    those = f"{together},tuned/end-to-end"
    code, out, err = cli("translate", "Hund.", "--beam", "2", "--bundle", those, *run)
    assert code == 0 and together in out and "tuned/end-to-end" in out, err
    assert fails(cli("translate", " ", *run), "nothing to translate")
    code, out, err = cli("inspect", run_copy.students / "alr-s-h2-cross-paper")
    assert "1 layer of decoder cross-attention, form paper" in " ".join(out.split()), err
    code, out, err = cli("inspect", run_copy.activations)
    assert "tokens.source" in out and "tokens.target" in out, err
    code, out, err = cli("inspect", run_copy.path)
    assert "1 layer of decoder self-attention, form prefix" in " ".join(out.split()), err


def test_run_with_all_attention(cli, tmp_path):
    code, out, err = cli(
        "run",
        "--run",
        tmp_path / "r",
        "--sites",
        "all",
        "--method",
        "alr",
        "--size",
        "xs",
        "--set=distill.epochs=1",
        "--set=evaluate.beams=[1]",
        "--set=evaluate.test_sets=['test']",
        "--set=evaluate.cost=false",
        "--set=evaluate.baselines=false",
        *SMALL,
    )
    assert code == 0, err
    names = {path.name.partition(".")[0] for path in (tmp_path / "r/results").glob("*.json")}
    alone = ["alr-xs", "alr-xs-decoder", "alr-xs-cross"]
    assert names == {"teacher", *alone, "+".join(alone)}
    assert "ALR-XS all" in out


def test_alias_and_all(cli, run_copy):
    run = ["--run", run_copy.path, "--epochs", "1"]
    code, out, _ = cli("distill", "--method", "alsr", "--size", "xs", *run)
    assert code == 0 and "aslr-xs" in out
    code, out, _ = cli("distill", "--method", "all", "--size", "xs,s", *run)
    assert code == 0 and all(f"{m}-s" in out for m in ("alr", "aslr", "alrr", "elr"))


def test_bad_corpora(cli, tmp_path, data_dir):
    train = ["train", "--run", tmp_path / "r", "--data-dir"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert fails(cli(*train, empty), "empty")
    with gzip.open(data_dir / "train.en.gz", "at", encoding="utf-8") as file:
        file.write("one too many\n")
    assert fails(cli(*train, data_dir), "60", "61")
    with gzip.open(data_dir / "train.en.gz", "wb") as file:
        file.write("Über\n".encode("latin-1") * 60)
    assert fails(cli(*train, data_dir), "train.en.gz", "UTF-8")
    for lang in ("de", "en"):
        with gzip.open(data_dir / f"train.{lang}.gz", "wb") as file:
            file.write(b"")
    assert fails(cli(*train, data_dir), "train")
    assert not (tmp_path / "r").exists()


def test_bad_files_in_a_run(cli, run_copy):
    run = ["--run", run_copy.path]
    code, _, err = cli("distill", "--method", "alr", "--size", "xs", "--epochs", "1", *run)
    assert code == 0, err
    bundle = run_copy.students / "alr-xs"

    whole = (bundle / "model.safetensors").read_bytes()
    (bundle / "model.safetensors").write_bytes(whole[:-9])
    assert fails(cli("eval", "--bundle", "alr-xs", *run), "model.safetensors", "distill")
    (bundle / "model.safetensors").write_bytes(whole)

    config = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps(config | {"teacher_digest": "0" * 64}))
    assert fails(cli("translate", "Hund", *run), "teacher", "000000000000")
    inspected = cli("inspect", run_copy.path)[1]
    assert "students of another teacher" in inspected and "--overwrite --run" in inspected
    assert "activations of another teacher" not in inspected
    (bundle / "config.json").write_text("{")
    assert fails(cli("translate", "Hund", *run), "config.json")
    shutil.rmtree(bundle)

    shard = next((run_copy.path / "activations").glob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:-100])
    assert fails(cli("distill", "--method", "alr", "--size", "xs", *run), shard.name, "extract")


def test_a_store_of_another_tokenizer_is_refused(cli, run_copy, monkeypatch):
    manifest = run_copy.path / "activations" / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace(
            json.loads(manifest.read_text())["identity"]["tokenizer_digest"], "f" * 64
        )
    )
    result = cli("distill", "--method", "alr", "--size", "xs", "--run", run_copy.path)
    assert fails(result, "tokenizer", "ffffffffffff", "extract")


def test_over_long_sentence(cli, run_copy):
    line = "Der Hund und die Katze " * 12
    code, _, err = cli("translate", line, "--beam", "1", "--run", run_copy.path)
    assert code == 0 and "teacher's attention" in err


def test_advice_names_the_run(cli, run_copy, tmp_path):
    where = tmp_path / "none"
    assert fails(cli("eval", "--run", where), f"run `attnreplace train --run {where}` first")
    assert fails(cli("plan", "--run", where), f"there is no run in {where}")
    assert fails(cli("eval", "--bundle", "a", "--run", run_copy.path), "`attnreplace distill --run")
    run_copy.update_config(data=DataConfig(task="mlm"))
    assert fails(cli("translate", "ein Hund", "--run", run_copy.path), "is of the task mlm")
    assert fails(cli("eval", "--beam", "4", "--run", run_copy.path), "--beam is for translations")


class InterruptedInput:
    def __iter__(self):
        raise KeyboardInterrupt


def test_an_interrupt_is_a_line(cli, run_copy, monkeypatch):
    monkeypatch.setattr("sys.stdin", InterruptedInput())
    code, _, err = cli("translate", "--run", run_copy.path)
    assert code == 130
    assert err.strip() == "interrupted; the same command goes on from the last checkpoint"


def test_debug_shows_the_traceback(cli, tmp_path):
    from attnreplace.errors import UserError

    with pytest.raises(UserError):
        cli("--debug", "extract", "--run", tmp_path)


def test_every_command_has_help_with_an_example(cli):
    commands = ["run", "train", "extract", "distill", "eval", "report", "translate", "inspect"]
    for command in [*([c] for c in commands), *(["data", c] for c in ("list", "fetch", "preview"))]:
        code, out, _ = cli(*command, "--help")
        assert code == 0 and f"Example: attnreplace {' '.join(command)}" in " ".join(out.split())
    code, out, _ = cli("data", "list")
    assert code == 0 and "iwslt2017" in out
    code, out, _ = cli("data", "preview", "--pair", "en-fr", "--count", "2")
    assert code == 0 and "test_nested" in out
