"""What a person is told about a training."""

from collections.abc import Iterable

from attnreplace.distill.trainee import Trainee

FIGURES_SECONDS = 2.0
"""Between two looks at the losses."""
NAMED = 4
"""Bundles that a description names, at most, and whose errors are told by layer."""
BY_LAYER = 48
"""Students whose errors are told one by one, at most."""
WIDTH = 80
"""Characters in a line of errors by layer."""
FIGURE = 7
"""Of them for one error."""


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
    """Relative error of each bundle, of the best epochs: by layer, or where that is long the mean.

    By layer it is a small table, in several of few layers each where one is too wide.
    """
    bundles: dict[str, dict[int, float]] = {}
    for trainee in trainees:
        layer = trainee.cut.location.site.layer
        errors = bundles.setdefault(trainee.key.bundle, {})
        errors[layer] = trainee.errors[trainee.best_epoch]
    if len(bundles) > NAMED or sum(map(len, bundles.values())) > BY_LAYER:
        means = {name: sum(errors.values()) / len(errors) for name, errors in bundles.items()}
        return "relative error " + ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
    names = max(map(len, bundles))
    layers = sorted({layer for errors in bundles.values() for layer in errors})
    columns = max(1, (WIDTH - names) // FIGURE)
    lines = ["relative error by layer"]
    for first in range(0, len(layers), columns):
        shown = layers[first : first + columns]
        lines.append(" " * names + "".join(f"{layer:{FIGURE}}" for layer in shown))
        for name, errors in bundles.items():
            figures = (f"{errors[layer]:.4f}" if layer in errors else "" for layer in shown)
            lines.append(f"{name:{names}}" + "".join(f"{text:>{FIGURE}}" for text in figures))
    return "\n".join(line.rstrip() for line in lines)
