"""The top of the page: what came out, in one sentence and a few numbers."""

from collections.abc import Sequence

from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.records import Result, best, of_kind
from attnreplace.report.scopes import Scope, scopes_of
from attnreplace.report.tables import describe_over_long, describe_sites, score, share


def headline(results: Sequence[Result]) -> Markup:
    """The teacher and what students keep of it, from results of one test set and beam.

    Where one kind of attention is replaced: teacher, best student, untrained and removed. Where
    there are several: the teacher, and for each of them the best student.
    """
    scopes = scopes_of(result.scope for result in of_kind(results, "student"))
    sentence, cards = _by_scope(results, scopes) if len(scopes) > 1 else _one_scope(results)
    return join(
        [
            tag("p", sentence, class_="lead"),
            tag("dl", *cards, class_="cards"),
            tag("p", _fine_print(results), class_="small"),
        ]
    )


def _one_scope(results: Sequence[Result]) -> tuple[str, list[Markup]]:
    teacher = best(of_kind(results, "teacher"))
    student = best(of_kind(results, "student"))
    untrained = best(of_kind(results, "untrained"))
    removed = best(of_kind(results, "removed"))
    cards = [
        ("Teacher", teacher),
        ("Best student", student),
        ("Untrained students", untrained),
        ("Attention removed", removed),
    ]
    top = max(result.bleu.score for result in results)
    shown = [
        _card(name, result, _notes(result, teacher), top)
        for name, result in cards
        if result is not None
    ]
    return _sentence(teacher, student, untrained, removed), shown


def _by_scope(results: Sequence[Result], scopes: Sequence[Scope]) -> tuple[str, list[Markup]]:
    teacher = best(of_kind(results, "teacher"))
    top = max(result.bleu.score for result in results)
    cards = [_card("Teacher", teacher, _notes(teacher, teacher), top)] if teacher else []
    kept = []
    for scope in scopes:
        here = [result for result in results if result.scope == scope]
        student = best(of_kind(here, "student"))
        if student is None:
            continue
        notes = _notes(student, teacher)
        for kind in ("untrained", "removed"):
            other = best(of_kind(here, kind))
            if other is not None:
                notes.append(f"{kind}: {score(other.bleu.score)}")
        cards.append(_card(scope.title, student, notes, top))
        kept.append(f"{scope.name} {_share(student, teacher) or score(student.bleu.score)}")
    what = "BLEU "
    if teacher is not None and teacher.bleu.score > 0:
        what = f"of the teacher's {score(teacher.bleu.score)} BLEU "
    return f"With students in place of attention, {what}is kept: {', '.join(kept)}.", cards


def _share(result: Result | None, teacher: Result | None) -> str:
    """The share of the teacher's BLEU; nothing where there is none."""
    if result is None or teacher is None or teacher.bleu.score <= 0:
        return ""
    return share(result.bleu.score / teacher.bleu.score)


def _sentence(
    teacher: Result | None,
    student: Result | None,
    untrained: Result | None,
    removed: Result | None,
) -> str:
    if student is None:
        return "No student has been evaluated yet."
    where = describe_sites(student.sites)
    place = f" in place of {where}" if where else ""
    if teacher is None or teacher.bleu.score <= 0:
        return f"{student.label}{place} reaches {score(student.bleu.score)} BLEU."
    whole = teacher.bleu.score
    text = (
        f"With {student.label}{place}, the teacher keeps {share(student.bleu.score / whole)} of "
        f"its BLEU: {score(student.bleu.score)} of {score(whole)}."
    )
    others = [
        f"{share(other.bleu.score / whole)} {how}"
        for other, how in (
            (untrained, "with students that were not trained"),
            (removed, "with the attention simply removed"),
        )
        if other is not None
    ]
    return f"{text} It keeps {' and '.join(others)}." if others else text


def _notes(result: Result, teacher: Result | None) -> list[str]:
    """The lines below a card's figure: which system, and its share of the teacher's BLEU."""
    if result.kind == "teacher":
        return ["with all its attention"]
    names = [] if result.kind == "removed" else [result.label]
    kept = _share(result, teacher)
    return [*names, f"{kept} of the teacher"] if kept else names


def _card(name: str, result: Result, notes: Sequence[str], top: float) -> Markup:
    width = 100 * result.bleu.score / top if top > 0 else 0
    bar = tag("span", style=f"width:{width:.1f}%")
    return tag(
        "div",
        tag("dt", name),
        tag("dd", score(result.bleu.score), class_="figure"),
        tag("dd", bar, class_="meter", aria_hidden="true"),
        *(tag("dd", note, class_="note quiet") for note in notes),
        class_="card chief" if result.kind == "student" else "card",
    )


def _fine_print(results: Sequence[Result]) -> str:
    """What the figures above were measured on."""
    first = results[0]
    text = (
        f"BLEU on “{first.test_set}” ({first.pair}, {first.sentences:,} sentences, none left "
        f"out), beam {first.beam}."
    )
    students = of_kind(results, "student")
    long = next((r.over_long for r in students if r.over_long.count or r.over_long.targets), None)
    return text if long is None else f"{text} {describe_over_long(long)}."
