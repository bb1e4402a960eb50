"""Students in place of a model's attention for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn
from transformers import PreTrainedModel

from attnreplace.hosts import Location, Site, host_for
from attnreplace.methods import get_method
from attnreplace.methods.modules import LayerReplacement


@contextmanager
def swapped(
    model: PreTrainedModel, method: str, students: Mapping[Site, nn.Module]
) -> Iterator[None]:
    """Put students into a model, and afterwards back what was there.

    Nothing is copied, so that one model serves any number of students one after the other. They are
    moved to its device and dtype and frozen. Unlike `splice` it leaves the model's configuration
    alone: how long a sentence may be is up to the caller.

    Args:
        model: in eval mode, with attention at these sites.
        method: a name of `METHODS`.
        students: by site.

    Raises:
        UserError: the model has no such site, or the method does not work there.
    """
    host, replace = host_for(model), get_method(method)
    locations = [host.locate(model, site) for site in students]
    before = [_modules(location) for location in locations]
    try:
        for location in locations:
            student = students[location.site].to(device=model.device, dtype=model.dtype)
            replace.splice(location, student.requires_grad_(False).eval())
        yield
    finally:
        for location, modules in zip(locations, before, strict=True):
            _put(location, modules)


@contextmanager
def given_back(model: PreTrainedModel, teacher: PreTrainedModel, site: Site) -> Iterator[None]:
    """Put the teacher's attention back into a spliced model, and afterwards the student.

    Nothing is copied: both models hold the same modules meanwhile.

    Args:
        model: in eval mode, with a student at this site.
        teacher: of the same shape, on the same device, in eval mode.
        site: which attention.
    """
    host = host_for(model)
    location, original = host.locate(model, site), _modules(host.locate(teacher, site))
    before = _modules(location)
    try:
        # A decoder's layer has two sites, of which the other keeps its student.
        whole = isinstance(location.layer, LayerReplacement)
        _put(location, original if whole else (location.layer, original[1]))
        yield
    finally:
        _put(location, before)


Modules = tuple[nn.Module, dict[str, nn.Module]]
"""A layer, and all in it that methods put something else in place of."""


def _modules(location: Location) -> Modules:
    if isinstance(location.layer, LayerReplacement):
        return location.layer, {}
    names = [location.attention_name, location.norm_name]
    if location.inner_out_proj is None:
        names.append(location.out_proj_name)
    return location.layer, {name: location.layer.get_submodule(name) for name in names}


def _put(location: Location, modules: Modules) -> None:
    layer, inner = modules
    location.layers[location.site.layer] = layer
    for name, module in inner.items():
        layer.set_submodule(name, module)
