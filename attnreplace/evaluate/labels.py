"""What systems are called: for people, and in the names of baselines."""

from collections.abc import Iterable, Mapping, Sequence

from attnreplace.evaluate.specs import Chosen
from attnreplace.hosts import GROUPS, Site, format_layers
from attnreplace.students import Student, student_class

REMOVED = {
    ("encoder",): "Attention removed",
    ("decoder",): "Decoder self-attention removed",
    ("cross",): "Cross-attention removed",
    ("encoder", "decoder"): "Self-attention removed",
    ("encoder", "cross"): "Encoder self- and cross-attention removed",
    ("decoder", "cross"): "Decoder attention removed",
    GROUPS: "All attention removed",
}
NON_CAUSAL = "paper's non-causal form"
KIND_WORDS = {"pairwise": "scores pairs", "attention": "contains attention"}
"""What is said of the kinds of students (`students.KINDS`) that look at pairs of tokens."""
SHORTER = {NON_CAUSAL: "non-causal"}
"""What is said of students where there is little room."""
FAMILY_WORDS = {
    "shallow_ff": "",
    "token_mlp": "token MLP",
    "sgu": "SGU",
    "amlp": "aMLP",
    "gated": "gated",
    "summaries": "summaries",
    "pairwise": "pairwise",
    "tiny": "tiny attention",
    "gaussian": "Gaussian",
    "synthesizer": "Synthesizer",
    "random_synthesizer": "random Synthesizer",
    "linear_attention": "linear attention",
}
"""Families of students for people; the usual one is not named."""


def groups_of(sites: Iterable[Site]) -> tuple[str, ...]:
    """The groups of some sites, in the order of `GROUPS`."""
    found = {site.group for site in sites}
    return tuple(group for group in GROUPS if group in found)


def tuned_label(parts: Sequence[Chosen], every: Mapping[str, int], how: str) -> str:
    """A tuned system: "ALR-M, tuned kl+ce"; "Teacher, tuned kl+ce" where it has no students."""
    return f"{student_label(parts, every) if parts else 'Teacher'}, {how}"


def student_label(parts: Sequence[Chosen], every: Mapping[str, int]) -> str:
    """A system with students: "ALR-M", "ALR-M SGU decoder", "ALR-M all, paper's non-causal form".

    Args:
        parts: the bundles in it.
        every: how many layers the model has, by group.
    """
    if not _alike(parts, every):
        return " + ".join(student_label([part], every) for part in parts)
    config, groups = parts[0].config, [part.group for part in parts]
    words = [f"{config.method}-{config.size}".upper(), family_word(config.family), _scope(groups)]
    return ", ".join([" ".join(filter(None, words)), *_details(parts, every)])


def student_variant(parts: Sequence[Chosen], every: Mapping[str, int]) -> str:
    """What sets students apart from the plain ones of their method, family, size and sites.

    Nothing mostly; else "2 hidden layers", "dense", "layers 0-2", "non-causal", "scores pairs" or
    "contains attention", or several of these.
    """
    if not _alike(parts, every):
        return ""
    return ", ".join(SHORTER.get(detail, detail) for detail in _details(parts, every))


def family_word(family: str) -> str:
    """A family for people, "aMLP"; nothing for the usual one."""
    return FAMILY_WORDS.get(family, family)


def removed_name(sites: Sequence[Site], every: Mapping[str, int]) -> str:
    """The baseline without attention at these sites: "removed", "removed-decoder-layers0-2"."""
    groups = groups_of(sites)
    partial = {group: _partial(sites, group, every) for group in groups}
    if not any(partial.values()):
        if groups == ("encoder",):
            return "removed"
        if groups == GROUPS:
            return "removed-all"
    parts = [
        f"{group}-layers{partial[group].replace(',', '.')}" if partial[group] else group
        for group in groups
    ]
    return "-".join(["removed", *parts])


def removed_label(sites: Sequence[Site], every: Mapping[str, int]) -> str:
    """The same for people."""
    groups = groups_of(sites)
    layers = [_partial(sites, group, every) for group in groups]
    if not any(layers):
        return REMOVED[groups]
    if len(set(layers)) == 1:
        return f"{REMOVED[groups]}, {layers_in_words(layers[0])}"
    which = [f"{group} {text or 'all'}" for group, text in zip(groups, layers, strict=True)]
    return f"{REMOVED[groups]}, layers: {'; '.join(which)}"


def _alike(parts: Sequence[Chosen], every: Mapping[str, int]) -> bool:
    """Whether one description fits all parts: they differ in their group and form only."""
    alike = {
        (p.config.method, p.config.family, p.config.size, _depth(p), _layers(p, every))
        for p in parts
    }
    # In cross-attention there is no choice of these weights.
    weights = {part.student.spatial for part in parts if part.group != "cross"}
    groups = {part.group for part in parts}
    return len(alike) == 1 and len(weights) <= 1 and len(groups) == len(parts)


def _details(parts: Sequence[Chosen], every: Mapping[str, int]) -> list[str]:
    details = [
        _depth(parts[0]),
        "dense" if any(part.student.spatial == "dense" for part in parts) else "",
        _layers(parts[0], every),
        NON_CAUSAL if any(part.student.form == "paper" for part in parts) else "",
        *kind_words(student_class(part.student) for part in parts),
    ]
    return [detail for detail in details if detail]


def kind_words(classes: Iterable[type[Student]]) -> list[str]:
    """What is said of the kinds of some students, each word once."""
    kinds = {kind.kind for kind in classes}
    return [words for kind, words in KIND_WORDS.items() if kind in kinds]


def layers_in_words(layers: str) -> str:
    """A choice of layers for people: "layer 3", "layers 0,2-5"."""
    return f"layer {layers}" if layers.isdecimal() else f"layers {layers}"


def _scope(groups: Sequence[str]) -> str:
    """Which attention is replaced; nothing for the encoder's, which is what is usual."""
    if list(groups) == ["encoder"]:
        return ""
    return "all" if len(groups) == len(GROUPS) else " + ".join(groups)


def _depth(part: Chosen) -> str:
    depth = part.student.hidden_layers
    return f"{depth} hidden layers" if depth > 1 else ""


def _layers(part: Chosen, every: Mapping[str, int]) -> str:
    layers = _partial(part.sites, part.group, every)
    return layers_in_words(layers) if layers else ""


def _partial(sites: Iterable[Site], group: str, every: Mapping[str, int]) -> str:
    """The layers of a group among the sites, as text; empty where these are all."""
    layers = [site.layer for site in sites if site.group == group]
    return format_layers(layers) if len(layers) < every[group] else ""
