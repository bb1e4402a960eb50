"""Put trained students into a teacher."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from attnreplace.digest import model_digest
from attnreplace.errors import UserError
from attnreplace.hosts import Site, host_for
from attnreplace.methods import get_method
from attnreplace.splice.bundle import BundleConfig, check_bundle, load_bundle


def splice(
    model: PreTrainedModel, config: BundleConfig, students: Mapping[Site, nn.Module]
) -> PreTrainedModel:
    """Put students into `model`, in place, in its dtype and on its device, in eval mode.

    The students are frozen, which lets them keep sums from call to call; to tune them in place,
    `requires_grad_` them first. What was done is kept in `model.config.attnreplace`, a list with
    one entry a bundle. Several bundles may go into one model as long as their sites differ.

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
    return model.eval()


def load_spliced(
    teacher: Path | str | PreTrainedModel, bundle: Path | str | Sequence[Path | str]
) -> PreTrainedModel:
    """The teacher with the students of one or several bundles in place.

    Args:
        teacher: a `save_pretrained` folder, of which only safetensors are read, or a model, which
            is copied.
        bundle: a bundle's folder, or several with different sites.

    Returns:
        A model in eval mode, with `generate` and `save_pretrained` as the teacher has them; what
        it saves is read back by `load_spliced_pretrained`.

    Raises:
        UserError: something is missing or damaged, the students were trained on another teacher,
            or two bundles replace the same site.
    """
    paths = [bundle] if isinstance(bundle, Path | str) else bundle
    model = copy.deepcopy(teacher) if isinstance(teacher, PreTrainedModel) else _load(Path(teacher))
    digest = model_digest(model)
    for path in paths:
        check_bundle(Path(path), digest)
    for path in paths:
        splice(model, *load_bundle(Path(path)))
    return model


def _load(path: Path) -> PreTrainedModel:
    if not (path / "config.json").is_file():
        raise UserError(f"no teacher in {path}; run `attnreplace train` first")
    try:
        return AutoModelForSeq2SeqLM.from_pretrained(path, use_safetensors=True)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"the teacher in {path} cannot be loaded ({reason})") from error
