"""The page of all results, in Markdown: joined tables first, then every experiment's own."""

from collections.abc import Sequence
from pathlib import Path

from attnreplace.evaluate.labels import NON_CAUSAL, SHORTER
from attnreplace.report.canvas import Chart
from attnreplace.report.metrics import MEASURES
from attnreplace.report.numbers import count
from attnreplace.report.overview.choice import kind_order
from attnreplace.report.overview.experiments import Experiment, by_corpus, by_study
from attnreplace.report.overview.section import experiment_section, link
from attnreplace.report.overview.trials import KIND, SCOPE, SYSTEM, System, joint_table, trials_of
from attnreplace.report.result import Result
from attnreplace.report.results_section import NON_CAUSAL_NOTE
from attnreplace.report.scopes import Scope, scopes_of
from attnreplace.report.tables import NOTHING
from attnreplace.students import KINDS
from attnreplace.tune.folder import TUNED

HOW_TO_READ = f"""\
Written by `attnreplace results` from the records of the experiments: nobody typed a number into a
table. A column is an experiment on one test set, and links to the experiment; a table has the
experiments of one configuration. BLEU is sacreBLEU on
detokenised text, at the beam width in the heading: 5, as in the paper, where most systems were
translated so; a cell of another width says so. Where students were trained from several seeds: mean
± standard deviation. {NOTHING} was not evaluated."""

PAPER_NOTE = """\
The students of [the paper](https://arxiv.org/abs/2311.10642) by what they replace. Its own numbers
do not stand beside these: they are of other data, and of another BLEU."""

KIND_NOTE = """\
In brackets the difference to the teacher of the same column. Students were trained layer by layer
on the teacher's activations; where it says “tuned”, the spliced model was trained end to end
after that; where it says “from scratch” or “from untrained”, instead of that."""


def results_page(experiments: Sequence[Experiment], page: Path, figure: Chart | None) -> str:
    """The page as Markdown.

    Args:
        experiments: what it shows, at least one.
        page: where it will lie: its links start there.
        figure: of the headline; its file lies beside the page.
    """
    parts = ["# Results", HOW_TO_READ]
    if log := experiments[0].log:
        parts.append(f"[The log]({link(log, page)}) says what was tried, failures included.")
    if figure is not None:
        parts += [f"![{figure.title}]({figure.name}.png)", figure.caption]
    translations = [one for one in experiments if one.translates]
    if translations:
        parts += ["## The paper's tables", PAPER_NOTE]
        for corpus, group in by_corpus(translations).items():
            parts += [f"### {corpus}", *_papers_tables(group)]
    compared = [one for one in translations if one.compares]
    if compared:
        kinds = [f"- *{kind}*: {words}" for kind, words in KINDS.items()]
        parts += ["## Kinds of students", "\n".join(kinds), KIND_NOTE]
        for corpus, group in by_corpus(compared).items():
            parts.append(f"### {corpus}, kinds")
            for study in by_study(group).values():
                texts = [SCOPE, SYSTEM, KIND, ("Parameters / replaced", _parameters)]
                table = joint_table(trials_of(study), texts, order=kind_order, differs=True)
                parts += [f"{study[0].about}.", table]
    others = [one for one in experiments if not one.translates]
    if others:
        parts += ["## Images, masked tokens, texts", *_encoder_tables(others)]
    parts += ["## Experiments", *(experiment_section(one, page) for one in experiments)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _papers_tables(experiments: Sequence[Experiment]) -> list[str]:
    """Tables for everything that is replaced: methods and sizes below one another."""
    scopes = scopes_of(r.scope for one in experiments for r in one.results if _is_papers(r))
    return [part for scope in scopes for part in _papers_scope(experiments, scope)]


def _papers_scope(experiments: Sequence[Experiment], scope: Scope) -> list[str]:
    """A table a study, those with most students first, and what there is to say of them."""

    def students(one: Experiment) -> list[Result]:
        return [r for r in one.results if _is_papers(r) and r.scope == scope]

    def rows(study: Sequence[Experiment]) -> int:
        return len({System.of(result) for one in study for result in students(one)})

    studies = by_study(one for one in experiments if students(one)).values()
    here = [result for study in studies for one in study for result in students(one)]
    sites = {result.sites for result in here}

    def wanted(result: Result) -> bool:
        beside = result.kind == "removed" or _is_papers(result)
        return result.kind == "teacher" or (beside and result.sites in sites)

    parts = [f"**{scope.title}**"]
    for study in sorted(studies, key=rows, reverse=True):
        parts += [f"{study[0].about}.", joint_table(trials_of(study), [SYSTEM], wanted)]
    return [*parts, NON_CAUSAL_NOTE] if any(NON_CAUSAL in r.label for r in here) else parts


def _is_papers(result: Result) -> bool:
    """Whether a system has the paper's students, of one method and size, and nothing more."""
    students = result.kind in ("student", "untrained") and result.family == "shallow_ff"
    named = result.method is not None and result.size is not None
    usual = result.variant in ("", SHORTER[NON_CAUSAL])
    return students and named and usual and not result.name.startswith(TUNED)


def _parameters(results: Sequence[Result]) -> str:
    """Of the students, and of the attention that they replace; all that experiments differ in."""
    pairs: dict[int, int | None] = {}
    for result in results:
        if result.replacement:
            pairs[result.replacement] = pairs.get(result.replacement) or result.replaced
    texts = [count(new) + (f" / {count(old)}" if old else "") for new, old in pairs.items()]
    return ", ".join(texts) or NOTHING


def _encoder_tables(experiments: Sequence[Experiment]) -> list[str]:
    """A table for every measure that systems are compared by."""
    parts = []
    for measure in MEASURES.values():
        group = [one for one in experiments if one.results[0].measure is measure]
        if group:
            lower = "" if measure.higher_is_better else ", lower is better"
            table = joint_table(trials_of(group), [SYSTEM, KIND])
            parts += [f"**{measure.label}{lower}**", table]
    return parts
