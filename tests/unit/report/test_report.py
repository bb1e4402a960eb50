import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from attnreplace.errors import UserError
from attnreplace.report.report import write_report
from attnreplace.rundir import RunDir

FIGURES = [
    "quality_latency.png",
    "quality_parameters.png",
    "relative_error.png",
    "students_training.png",
    "teacher_training.png",
]
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Elements, text and whether the tags balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(whole: RunDir) -> Page:
    return Page(whole.report.read_text(encoding="utf-8"))


def section(key: str, path: Path) -> str:
    """One section of a report."""
    (found,) = re.findall(
        rf'<section id="{key}".*?</section>', path.read_text(encoding="utf-8"), re.DOTALL
    )
    return str(found)


def test_headline(page: Page) -> None:
    assert (
        "With ASLR-L in place of 6 layers of encoder self-attention, the teacher keeps 101.0 % "
        "of its BLEU: 30.9 of 30.6. It keeps 3.6 % with the best untrained students and 6.5 % "
        "with the attention simply removed."
    ) in page.text
    assert (
        "BLEU on “test” (de-en, 1,014 sentences, none left out), beam 5. "
        "7 sentences over 50 tokens: cut off there."
    ) in page.text


def test_everything_is_in_it(page: Page) -> None:
    assert "attnreplace eval" not in page.text
    assert "nrefs:1|case:mixed|tok:13a|version:2.6.0" in page.text
    assert 'pair = "de-en"' in page.text
    assert "ab" * 32 in page.text
    assert "2.13.0" in page.text
    assert page.text.count("Sentence ") == 8
    assert "All systems." in page.text


def test_figures_lie_beside_it(whole: RunDir) -> None:
    assert sorted(path.name for path in whole.path.glob("*.png")) == FIGURES
    assert not list(whole.path.glob("*.tmp"))


def test_nothing_is_fetched(whole: RunDir, page: Page) -> None:
    assert "http" not in whole.report.read_text(encoding="utf-8")
    names = {name for name, _ in page.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed"}
    links = [a[key] for _, a in page.elements for key in ("href", "src", "xlink:href") if key in a]
    assert all(link is not None and link.startswith("#") for link in links)


def test_it_can_be_navigated(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"] for a in page.named("a")} <= {f"#{name}" for name in ids}
    assert page.named("html") == [{"lang": "en"}]
    assert len(page.named("h1")) == 1
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(a["role"] == "img" and a["aria-label"] for a in page.named("svg"))
    assert all(a["scope"] in ("row", "col") for a in page.named("th"))
    regions = [a for a in page.named("div") if a.get("class") == "scroll"]
    assert regions
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)


def test_languages_of_the_samples(page: Page) -> None:
    assert {a["lang"] for a in page.named("dd") if "lang" in a} == {"de", "en"}


def test_both_schemes_and_phones(whole: RunDir) -> None:
    text = whole.report.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert 'content="width=device-width, initial-scale=1"' in text
    assert 'class="narrow"' in text
    assert "position: sticky" in text


def test_only_the_teacher(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.teacher(run, epochs=2)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    this = f"--run {tmp_path}"
    assert f"No results yet. To fill this in: attnreplace eval {this}" in page.text
    assert f"No student was trained. To fill this in: attnreplace distill {this}" in page.text
    assert f"No pictures were made. To fill this in: attnreplace report --pictures {this}" in (
        page.text
    )
    assert "No record of the teacher's training" not in page.text
    assert [path.name for path in run.path.glob("*.png")] == ["teacher_training.png"]


def test_an_empty_run(tmp_path: Path) -> None:
    page = Page(write_report(RunDir(tmp_path)).read_text(encoding="utf-8"))
    assert "No record of the teacher's training. To fill this in: attnreplace train" in page.text


def test_evaluated_without_students(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.write_records(run, [made.record("teacher", None, None, 30.0)], sentences=3)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "No student has been evaluated yet." in page.text
    assert "No student was evaluated. To fill this in: attnreplace eval" in page.text
    assert page.text.count("Sentence ") == 3


def test_students_without_a_teacher(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.write_records(run, [made.record()], sentences=3)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "ALRR-M in place of 6 layers of encoder self-attention reaches 28.7 BLEU." in page.text
    assert "No translations are kept beside the results" in page.text


def test_trained_but_not_evaluated(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.bundle(run, "alr", "m")
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "ALR-M" in page.words
    assert "relative_error.png" in {path.name for path in run.path.glob("*.png")}


def test_errors_have_one_kind_of_label(tmp_path: Path, made: SimpleNamespace) -> None:
    """Those of bundles with a record at the headline's beam, without one, and without any."""
    run = RunDir(tmp_path)
    made.bundle(run, "alr", "m")
    made.bundle(run, "elr", "m")
    made.bundle(run, "alr", "s", "alr-s-gaussian-cross", "cross", "gaussian")
    made.write_records(run, [made.record(method="alr"), made.record(method="elr", beam=1)], 3)
    layers = section("layers", write_report(run))
    rows = re.findall(r'<th scope="row">(.*?)</th>', layers)
    assert rows == ["ALR-M", "ELR-M", "ALR-S Gaussian cross"]


def test_systems_without_a_result_at_the_headline_beam_are_named(
    tmp_path: Path, made: SimpleNamespace
) -> None:
    run = RunDir(tmp_path)
    records = [made.record("teacher", None, None, 30.0), made.record(method="elr", beam=1)]
    made.write_records(run, records, 3)
    note = "Not shown here, as they were not evaluated in BLEU on “test”, beam 5: ELR-M."
    assert note in section("quality", write_report(run)), "even where nothing else is shown"
    made.write_records(run, [made.record(method="alr"), made.record(method="alr", beam=1)], 3)
    text = section("quality", write_report(run))
    assert text.index("</figure>") < text.index(note)
    made.write_records(run, [made.record(method="elr")], 3)
    assert "Not shown" not in section("quality", write_report(run))
    made.write_records(run, [made.record(method="elr", cost=None)], 3)
    text = section("quality", write_report(run))
    assert "Not shown here, as no cost was measured with this result: ELR-M." in text


def test_several_test_sets_have_a_table_each(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    for name in ("long", "test"):
        records = [made.record("teacher", None, None, 30.0), made.record()]
        made.write_records(run, [record | {"test_set": name} for record in records], sentences=3)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "Quality on “long”" in page.text
    assert "Quality on “test”" in page.text
    assert len(page.named("caption")) == 3


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory, made: SimpleNamespace) -> RunDir:
    """A report on a run that replaces everything that can be."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "everything")
    records = [r for r in made.all_scopes([5]) if r["system"]["size"] in (None, "m")]
    made.bundle(run, "alr", "m")
    made.bundle(run, "alr", "m", "alr-m-decoder", "decoder")
    made.bundle(run, "alr", "s", "alr-s-cross-paper", "cross", form="paper")
    made.write_records(run, records, sentences=9)
    write_report(run)
    return run


def test_everything_replaced(everything: RunDir) -> None:
    page = Page(everything.report.read_text(encoding="utf-8"))
    assert (
        "of the teacher's 30.6 BLEU is kept: encoder self-attention 100.0 %, decoder "
        "self-attention 95.8 %, cross-attention 71.9 %, all attention 56.9 %."
    ) in page.text
    headings = ["Encoder self-attention", "Decoder self-attention", "Cross-attention"]
    for name in [*headings, "All attention"]:
        assert f"{name}: quality against latency" in page.text
    groups = [a for a in page.named("th") if a.get("scope") == "rowgroup"]
    assert len(groups) == 2 * 4, "a heading for each in the tables of quality and of cost"
    assert "FLOPs/token, encoder + decoder" in page.text and "State, kB" in page.text
    assert "3 translations without an end after 50 tokens: cut off there" in page.text


def test_the_form_that_is_not_causal_is_marked_everywhere(everything: RunDir) -> None:
    page = Page(everything.report.read_text(encoding="utf-8"))
    assert "The paper's form of cross-attention is not causal" in page.text
    assert page.text.count("ALR-M cross, paper's non-causal form") >= 2  # quality and cost
    assert "ALR-M cross, non-causal" in page.text  # relative errors
    # Only trained: relative errors and digests.
    assert "ALR-S cross, non-causal" in page.text
    assert "Students that contain attention" not in page.text
    assert "alr-s-cross-paper (non-causal)" in page.text


def test_a_small_attention_is_marked(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    record = made.record()
    label = "ALR-M aMLP, contains attention"
    record["system"] |= {"label": label, "family": "amlp", "variant": "contains attention"}
    made.write_records(run, [made.record("teacher", None, None, 30.0), record], sentences=3)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.text.count(label) >= 2  # quality and cost
    assert "Students that contain attention" in page.text


def test_every_part_has_its_figures(everything: RunDir) -> None:
    names = {path.name for path in everything.path.glob("quality_*.png")}
    assert names == {
        f"quality_{what}{scope}.png"
        for what in ("parameters", "latency")
        for scope in ("", "_decoder", "_cross", "_all")
    }


def test_data_is_text_not_markup(tmp_path: Path, made: SimpleNamespace) -> None:
    evil = "<script>alert(1)</script>"
    run = RunDir(tmp_path)
    run.config_path.write_text(f'name = "{evil}"', encoding="utf-8")
    made.bundle(run, "alr", "m", name="<script>x")
    record = made.record(test_set="<script>t", versions={evil: evil}, recipe=evil)
    record["system"] |= {"name": "evil", "label": evil, "method": evil, "family": evil}
    record["scores"]["bleu"]["signature"] = evil
    teacher = made.record("teacher", None, None, 30.0, test_set="<script>t")
    made.write_records(run, [teacher, record], sentences=3)
    for path in run.results.glob("*.jsonl"):
        path.write_text(
            path.read_text(encoding="utf-8").replace("Hund", f"{evil} &amp;"), encoding="utf-8"
        )
    text = write_report(run).read_text(encoding="utf-8")
    assert "<script" not in text
    page = Page(text)
    assert f"Ein {evil} &amp; läuft" in page.text
    assert page.text.count(evil) >= 6


def test_students_that_are_gone_or_others_now_are_left_out(
    tmp_path: Path, made: SimpleNamespace
) -> None:
    run = RunDir(tmp_path)
    teacher = made.record("teacher", None, None, 30.0)
    together = made.scoped("all")
    records = [teacher, made.record("student", "alr", "s"), made.record("student", "elr", "m")]
    made.write_records(run, [*records, made.record("untrained", "elr", "m"), together], sentences=3)
    text = write_report(run).read_text(encoding="utf-8")
    assert "Left out" not in text and "ELR-M" in text and "ALR-M all" in text

    made.bundle(run, "elr", "m")
    shutil.rmtree(run.students / "alr-m-cross")
    path = write_report(run)
    page = Page(path.read_text(encoding="utf-8"))
    assert (
        "Left out, as their students are gone or were replaced since they were evaluated: "
        "alr-m+alr-m-decoder+alr-m-cross, elr-m. To fill this in: attnreplace eval --run "
    ) in page.text
    cells = Page(section("results", path)).words
    assert {cell for cell in cells if cell in ("ALR-S", "ELR-M", "ALR-M all")} == {"ALR-S"}
    assert "ELR-M, untrained" in page.text, "the seed and the shapes are those of before"


def test_seeds_are_one_system(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = [made.record("teacher", None, None, 30.0)]
    for seed, bleu in enumerate((28.0, 29.0, 27.0)):
        record = made.record(bleu=bleu, seed=seed)
        record["system"]["name"] += f"-seed{seed}" if seed else ""
        records.append(record)
    made.write_records(run, records, sentences=3)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert next(w for w in page.words if "±" in w) == "28.0 ± 1.0"
    assert "mean ± standard deviation" in page.text
    # Not the best of the seeds.
    assert "it keeps" not in page.text and "28.0 of 30.0" in page.text
    assert len([a for a in page.named("tr") if "best" in (a.get("class") or "")]) == 2


def test_without_cost_there_is_no_table_of_it(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    records = [made.record("teacher", None, None, 30.0, cost=None), made.record(cost=None)]
    made.write_records(run, records, sentences=3)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert (
        f"No cost was measured. To fill this in: attnreplace eval --cost --run {run.path}"
        in page.text
    )
    assert "FLOPs" not in page.text and "Error of the students" in page.text


def test_the_same_run_gives_the_same_page(tmp_path: Path, made: SimpleNamespace) -> None:
    run = RunDir(tmp_path)
    made.write_records(run, [made.record("teacher", None, None, 30.0), made.record()], sentences=9)
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_user_errors(tmp_path: Path, made: SimpleNamespace) -> None:
    with pytest.raises(UserError, match="nowhere is not a run directory"):
        write_report(RunDir(tmp_path / "nowhere"))
    run = RunDir(tmp_path)
    made.write_records(run, [made.record(pair=3)], sentences=1)
    with pytest.raises(UserError, match=r"alrr-m\.test\.beam5\.json: pair is 3, not of type str"):
        write_report(run)
