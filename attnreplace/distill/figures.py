"""What a person is told about a training."""

from collections.abc import Iterable

from attnreplace.distill.trainee import Trainee

FIGURES_SECONDS = 2.0
"""Between two looks at the losses."""
NAMED = 4
"""Bundles that a description names, at most."""


def describe(trainees: Iterable[Trainee]) -> str:
    """Which bundles the students belong to: "distill alr-s alr-xs"."""
    names = sorted({trainee.key.bundle for trainee in trainees})
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"distill {' '.join(names[:NAMED])}{more}"


def figures(trainees: Iterable[Trainee]) -> dict[str, str]:
    """Mean loss in this epoch, and mean error after the last one, of each group of sites."""
    groups: dict[str, list[Trainee]] = {}
    for trainee in trainees:
        groups.setdefault(trainee.cut.location.site.group, []).append(trainee)
    shown = {}
    for group, members in groups.items():
        shown[group] = f"loss {sum(t.loss for t in members) / len(members):.4f}"
        if all(trainee.errors for trainee in members):
            error = sum(trainee.errors[-1] for trainee in members) / len(members)
            shown[group] += f", error {error:.4f}"
    return shown


def summary(trainees: Iterable[Trainee]) -> str:
    """Mean relative error of each bundle over its sites, of the best epochs."""
    bundles: dict[str, list[float]] = {}
    for trainee in trainees:
        bundles.setdefault(trainee.key.bundle, []).append(trainee.errors[trainee.best_epoch])
    means = {name: sum(values) / len(values) for name, values in bundles.items()}
    return ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
