"""The top of the page: what came out, in one sentence and a few numbers."""

from collections.abc import Mapping, Sequence

from attnreplace.report.markup import Markup, join, tag
from attnreplace.report.result import Result
from attnreplace.report.scopes import Scope, scopes_of
from attnreplace.report.selection import best, of_kind
from attnreplace.report.tables import describe_over_long, describe_sites, plural


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
    kinds = ("teacher", "student", "scratch", "untrained", "removed")
    chosen = {kind: best(of_kind(results, kind)) for kind in kinds}
    teacher, student = chosen["teacher"], chosen["student"]
    several = len(of_kind(results, "untrained")) > 1
    titles = {
        "teacher": "Teacher",
        "student": "Best student",
        "scratch": "Not distilled",
        "untrained": "Best untrained students" if several else "Untrained students",
        "removed": "Attention removed",
    }
    top = best(results)
    cards = [
        _card(titles[kind], result, _notes(result, teacher), top)
        for kind, result in chosen.items()
        if result is not None
    ]
    if student is None:
        return "No student has been evaluated yet.", cards
    untrained = "the best untrained students" if several else "students that were not trained"
    others = {
        f"with {untrained}": chosen["untrained"],
        "with the attention simply removed": chosen["removed"],
    }
    sentence = _sentence(teacher, student, {how: r for how, r in others.items() if r})
    scratch = chosen["scratch"]
    if scratch is not None:
        sentence += f" {scratch.label}: {_text(scratch)}."
    return sentence, cards


def _by_scope(results: Sequence[Result], scopes: Sequence[Scope]) -> tuple[str, list[Markup]]:
    teacher = best(of_kind(results, "teacher"))
    top = best(results)
    cards = [_card("Teacher", teacher, _notes(teacher, teacher), top)] if teacher else []
    kept = []
    for scope in scopes:
        here = [result for result in results if result.scope == scope]
        student = best(of_kind(here, "student"))
        if student is None:
            continue
        notes = _notes(student, teacher)
        for kind in ("untrained", "removed"):
            others = of_kind(here, kind)
            other = best(others)
            if other is not None:
                notes.append(f"{'best ' if len(others) > 1 else ''}{kind}: {_text(other)}")
        cards.append(_card(scope.title, student, notes, top))
        kept.append(f"{scope.name} {_relative(student, teacher) or _text(student)}")
    what = f"{results[0].measure.word} "
    if teacher is not None and _relative(teacher, teacher):
        what = f"of the teacher's {_text(teacher)} {what}"
    return f"With students in place of attention, {what}is kept: {', '.join(kept)}.", cards


def _text(result: Result) -> str:
    return result.measure.text(result.score)


def _relative(result: Result | None, teacher: Result | None) -> str:
    """The score relative to the teacher's; nothing where there is none, or it says nothing."""
    if result is None or teacher is None or teacher.score <= 0 or not result.measure.has_share:
        return ""
    return result.measure.relative_text(result.score / teacher.score)


def _sentence(teacher: Result | None, student: Result, others: Mapping[str, Result]) -> str:
    """What the student does, and how others stand beside it.

    Args:
        teacher: where there is one.
        student: the best one.
        others: what to compare it with, by how the model comes to be so.
    """
    where, measure = describe_sites(student.sites), student.measure
    place = f" in place of {where}" if where else ""
    if measure.name == "similarity":
        text = f"With {student.label}{place}, embeddings of sentences keep a cosine similarity of"
        text = f"{text} {_text(student)} to the teacher's."
        rest = [f"{_text(other)} {how}" for how, other in others.items()]
        return f"{text} It is {' and '.join(rest)}." if rest else text
    if teacher is None or teacher.score <= 0:
        return f"{student.label}{place} reaches {_with_unit(student)}."
    rest = [f"{_relative(other, teacher)} {how}" for how, other in others.items()]
    if measure.higher_is_better:
        text = (
            f"With {student.label}{place}, the teacher keeps {_relative(student, teacher)} of "
            f"its {measure.word}: {_text(student)} of {_text(teacher)}."
        )
        return f"{text} It keeps {' and '.join(rest)}." if rest else text
    text = (
        f"With {student.label}{place}, the teacher's {measure.word} goes from {_text(teacher)} to "
        f"{_text(student)}, {_relative(student, teacher)} what it was."
    )
    return f"{text} It is {' and '.join(rest)}." if rest else text


def _with_unit(result: Result) -> str:
    """A score with its name: "28.7 BLEU", "an accuracy of 97.41 %"."""
    measure = result.measure
    if measure.name == "bleu":
        return f"{_text(result)} {measure.word}"
    article = "an" if measure.word[0] in "aeiou" else "a"
    return f"{article} {measure.word} of {_text(result)}"


def _notes(result: Result, teacher: Result | None) -> list[str]:
    """The lines below a card's figure: which system, and its score relative to the teacher's."""
    if result.kind == "teacher":
        return ["with all its attention"]
    names = [] if result.kind == "removed" else [result.label]
    kept = _relative(result, teacher)
    what = "of the teacher" if result.measure.higher_is_better else "the teacher's"
    return [*names, f"{kept} {what}"] if kept else names


def _card(name: str, result: Result, notes: Sequence[str], top: Result | None) -> Markup:
    """A score, and a bar that is full for the best one."""
    of, whole = result.score, result.score if top is None else top.score
    if not result.measure.higher_is_better:
        of, whole = whole, of
    width = 100 * of / whole if of > 0 and whole > 0 else 0
    bar = tag("span", style=f"width:{width:.1f}%")
    return tag(
        "div",
        tag("dt", name),
        tag("dd", _text(result), class_="figure"),
        tag("dd", bar, class_="meter", aria_hidden="true"),
        *(tag("dd", note, class_="note quiet") for note in notes),
        class_="card chief" if result.kind == "student" else "card",
    )


def _fine_print(results: Sequence[Result]) -> str:
    """What the figures above were measured on."""
    first = results[0]
    on = [first.pair, plural(first.examples, first.example), "none left out"]
    word = first.measure.word[:1].upper() + first.measure.word[1:]
    beam = "" if first.beam is None else f", beam {first.beam}"
    text = f"{word} on “{first.test_set}” ({', '.join(filter(None, on))}){beam}."
    students = of_kind(results, "student")
    long = next((r.over_long for r in students if r.over_long.count or r.over_long.targets), None)
    return text if long is None else f"{text} {describe_over_long(long, first.example)}."
