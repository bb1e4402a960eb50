"""Put trained students into a teacher."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn
from transformers import PreTrainedModel

from attnreplace.digest import model_digest
from attnreplace.errors import UserError
from attnreplace.hosts import Site, host_for
from attnreplace.methods import get_method
from attnreplace.splice.bundle import BundleConfig, check_bundle, load_bundle
from attnreplace.teacher.load import load_model


@dataclass(frozen=True)
class BundlePart:
    """A bundle, or some of its layers."""

    path: Path
    """The bundle's folder."""
    layers: str = ""
    """The layers wanted, as "0,2-5"; empty for all that the bundle has."""


def splice(
    model: PreTrainedModel, config: BundleConfig, students: Mapping[Site, nn.Module]
) -> PreTrainedModel:
    """Put students into `model`, in place, in its dtype and on its device, in eval mode.

    The students are frozen, which lets them keep sums from call to call; to tune them in place,
    `requires_grad_` them first. What was done is kept in `model.config.attnreplace`, a list with
    one entry a bundle. Several bundles may go into one model as long as their sites differ. With
    students of the paper's form at cross-attention `generate` is set to work without a cache.

    Args:
        model: a teacher, or a model with other sites replaced.
        config: the bundle's configuration.
        students: a student for every site.

    Returns:
        `model`.

    Raises:
        UserError: a site is replaced already, or the model has no such site.
    """
    done = getattr(model.config, "attnreplace", [])
    for before in done:
        if both := sorted(set(before["sites"]) & set(config.sites)):
            raise UserError(
                f"bundles {before['name']!r} and {config.name!r} both replace {', '.join(both)}; "
                "choose bundles of different sites"
            )
    host, method = host_for(model), get_method(config.method)
    locations = [host.locate(model, Site.parse(site)) for site in config.sites]
    for location in locations:
        student = students[location.site].to(device=model.device, dtype=model.dtype)
        method.splice(location, student.requires_grad_(False))
    model.config.attnreplace = [*done, config.to_json()]
    # Some models are saved under the names of older versions of the library, which only its own
    # `from_pretrained` understands: no renaming when this one is saved.
    cast(Any, model)._weight_conversions = []
    if any(student.form == "paper" for student in config.students.values()):
        model.generation_config.use_cache = False
    return model.eval()


def load_spliced(
    teacher: Path | str | PreTrainedModel,
    bundle: Path | str | BundlePart | Sequence[Path | str | BundlePart],
) -> PreTrainedModel:
    """The teacher with the students of one or several bundles in place.

    Args:
        teacher: a `save_pretrained` folder, of which only safetensors are read, or a model, which
            is copied.
        bundle: a bundle's folder, or a `BundlePart` for some of its layers; or several of these
            with different sites.

    Returns:
        A model in eval mode, with `generate` and `save_pretrained` as the teacher has them; what
        it saves is read back by `load_spliced_pretrained`.

    Raises:
        UserError: something is missing or damaged, the students were trained on another teacher,
            a bundle has not the layers asked for, or two bundles replace the same site.
    """
    given = [bundle] if isinstance(bundle, Path | str | BundlePart) else bundle
    parts = [part if isinstance(part, BundlePart) else BundlePart(Path(part)) for part in given]
    if isinstance(teacher, PreTrainedModel):
        model = copy.deepcopy(teacher)
    else:
        model = load_model(Path(teacher))
    digest = model_digest(model)
    for part in parts:
        check_bundle(part.path, digest).select(part.layers)
    for part in parts:
        splice(model, *load_bundle(part.path, part.layers))
    return model
