"""Pictures of what reads what: the teacher's attention beside the students' sensitivity."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attnreplace.activations.capture import Capture
from attnreplace.hosts import Group, Location, Site, host_for
from attnreplace.insight import (
    attention_branch,
    attention_maps,
    sensitivity,
    tiny_attention_maps,
)
from attnreplace.methods import get_method
from attnreplace.report.pictures.choose import LAYERS, bundle_label, spread
from attnreplace.report.pictures.examples import Example
from attnreplace.report.pictures.picture import WITH_TEXT, Block, Panel, Picture
from attnreplace.report.scopes import Scope
from attnreplace.splice.bundle import BundleConfig
from attnreplace.teacher.load import Teacher

PROBES = 4
"""Random directions of the output that a sensitivity is estimated from."""
Bundle = tuple[BundleConfig, Mapping[Site, nn.Module]]
"""A bundle and its students, frozen."""
TEACHER = "Teacher\u2019s attention"
SAME = "Teacher\u2019s sensitivity"


@dataclass(frozen=True)
class Maps:
    """What was seen at one site in one example, each map `(tokens, read tokens)`."""

    reading: dict[str, Tensor]
    """By what is shown: the teacher's attention, its sensitivity, the students'."""
    tiny: dict[str, Tensor]
    """The tiny attentions of the students, by student."""


def site_pictures(
    teacher: Teacher, group: Group, bundles: Sequence[Bundle], examples: Sequence[Example]
) -> list[Picture]:
    """One group of sites: an example, the mean over the others, and the tiny attentions.

    Args:
        teacher: the teacher.
        group: the group of sites.
        bundles: of that group, all of one method.
        examples: the first is shown by itself, the others as their mean.
    """
    sites = _sites(bundles)
    maps = [_maps(teacher, sites, bundles, example) for example in examples]
    first = examples[0]
    queries = first.target if group != "encoder" else first.source
    keys = first.target if group == "decoder" else first.source
    where = Scope((group,)).title
    noun = "sentence" if first.source else "image"
    of = {config.name: config.weights_digest for config, _ in bundles}
    names = f"Students: {', '.join(bundle_label(config) for config, _ in bundles)}."
    end = "" if group == "encoder" else f"_{group}"
    pictures = [
        Picture(
            f"{WITH_TEXT}attention{end}",
            f"{where}: what reads what in one {noun}",
            "Row: the position that is written; column: the position that is read"
            f"{' (source)' if group == 'cross' else ''}. The teacher\u2019s attention is the mean "
            "of its heads; sensitivity is how much an output changes with an input, the norm of "
            "the Jacobian, and all that is shown of students. Each row sums to one.",
            f"Heat maps of attention and sensitivity in one {noun}. {names}",
            [
                Block(_heading(site), _panels(maps[0][site].reading, queries, keys))
                for site in sites
            ],
            of,
        )
    ]
    if len(maps) > 1:
        pictures.append(
            Picture(
                f"attention_mean{end}",
                f"{where}: what reads what on average",
                f"The same by position, the mean of {len(maps) - 1} other "
                f"{noun}s of that length"
                f"{'' if group == 'encoder' else ', targets cut to the shortest'}.",
                f"Heat maps of the mean attention and sensitivity by position. {names}",
                [Block(_heading(s), _panels(_mean([m[s] for m in maps[1:]]))) for s in sites],
                of,
            )
        )
    tiny = [
        Block(_heading(site), _panels(maps[0][site].tiny, queries, keys))
        for site in sites
        if maps[0][site].tiny
    ]
    if tiny:
        shown = {c.name: c.weights_digest for c, _ in bundles if c.family == "amlp"}
        pictures.append(
            Picture(
                f"{WITH_TEXT}tiny_attention{end}",
                f"{where}: the small attention in aMLP",
                "What the one small head inside the students reads, beside the teacher\u2019s "
                f"attention (mean of its heads), in the same {noun}.",
                "Heat maps of the small attention of aMLP students.",
                tiny,
                shown,
            )
        )
    return pictures


def model_attention_picture(
    name: str, model: nn.Module, example: Example, of: dict[str, str]
) -> Picture | None:
    """The tiny attentions of an aMLP that is no student, in one example; None without any."""
    maps = list(tiny_attention_maps(model, **example.inputs).values())
    if not maps:
        return None
    layers = spread(range(len(maps)), 6)
    shown = {f"Layer {layer}": maps[layer][0] for layer in layers}
    return Picture(
        f"{WITH_TEXT}tiny_attention",
        f"The small attention of {name}",
        "Row: the position that is written; column: the position that is read. One head a layer.",
        f"Heat maps of the small attention of {name}.",
        [Block("", _panels(shown, example.source, example.source))],
        of,
    )


def _maps(
    teacher: Teacher, sites: Sequence[Site], bundles: Sequence[Bundle], example: Example
) -> dict[Site, Maps]:
    model, host = teacher.model, host_for(teacher.model)
    inputs: dict[str, Any] = dict(example.inputs)
    if "decoder_input_ids" in inputs:
        inputs["use_cache"] = False
    with Capture(model, sites) as capture:
        attention = attention_maps(model, sites, inputs)
        tensors = dict(capture.tensors)
    method = get_method(bundles[0][0].method)
    found = {}
    for site in sites:
        location = host.locate(model, site)
        roles = {role: tensors[name] for role, name in location.tensor_names.items()}
        with torch.no_grad():
            x = method.cut(location, roles)[0]
        given: dict[str, Any] = {"x": x, "mask": torch.ones(x.shape[:2], dtype=torch.bool)}
        if "memory" in roles:
            memory = roles["memory"]
            real = torch.ones(memory.shape[:2], dtype=torch.bool)
            given |= {"memory": memory, "memory_mask": real}
        # Of ALR and ASLR the students take and give what the attention does; the others read the
        # stream before its norm, and write the stream itself, which is taken off again.
        whole = method.name in ("alrr", "elr")
        reading = {TEACHER: attention[site][0].mean(0)}
        reading[SAME] = sensitivity(_teacher(location, whole), **given, probes=PROBES)[0]
        tiny = {}
        for config, students in bundles:
            if site not in students:
                continue
            student = students[site]
            change = _change(student) if whole else student
            reading[bundle_label(config)] = sensitivity(change, **given, probes=PROBES)[0]
            for i, one in enumerate(tiny_attention_maps(student, **given).values()):
                tiny[f"{bundle_label(config)}{f', {i + 1}' if i else ''}"] = one[0]
        if tiny:
            tiny = {TEACHER: reading[TEACHER], **tiny}
        found[site] = Maps(reading, tiny)
    return found


def _teacher(location: Location, normed: bool) -> Callable[..., Tensor]:
    branch = attention_branch(location)
    if not normed:
        return branch
    return lambda x, *rest: branch(location.pre_norm(x), *rest)


def _change(student: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """What a student adds to the stream."""
    return lambda x, *rest: student(x, *rest) - x


def _sites(bundles: Sequence[Bundle]) -> list[Site]:
    """The sites shown: of those that all bundles have, where there are any, some layers."""
    have = [set(students) for _, students in bundles]
    sites = sorted(set.intersection(*have) or set.union(*have))
    return [sites[i] for i in spread(range(len(sites)), LAYERS)]


def _heading(site: Site) -> str:
    return f"Layer {site.layer}"


def _panels(
    maps: Mapping[str, Tensor], rows: tuple[str, ...] = (), columns: tuple[str, ...] = ()
) -> list[Panel]:
    panels = []
    for title, found in maps.items():
        shares = found / found.sum(-1, keepdim=True)
        values = np.asarray(shares.detach().cpu(), dtype=np.float32)
        own_rows = rows or tuple(str(i + 1) for i in range(len(values)))
        own_columns = columns or tuple(str(i + 1) for i in range(values.shape[1]))
        panels.append(Panel(title, "share", values, own_rows, own_columns))
    return panels


def _mean(maps: Sequence[Maps]) -> dict[str, Tensor]:
    """The mean over sentences, cut to the shortest."""
    means = {}
    for name in maps[0].reading:
        each = [one.reading[name] for one in maps]
        rows, columns = (min(found.shape[axis] for found in each) for axis in (0, 1))
        means[name] = torch.stack([found[:rows, :columns] for found in each]).mean(0)
    return means
