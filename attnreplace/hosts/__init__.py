"""Hosts: model families, each described by where its attention lives.

To add one: write one file here with a subclass of `Host` (`model_types`, `sites`, `locate`,
`positions`), or of `EncoderOnly` (a layout), add its instance to `HOSTS` below, and a tiny model of
it to `tests/integration/test_invariants.py` or, without a decoder, `test_encoder_hosts.py` there.
"""

from transformers import PreTrainedModel

from attnreplace.errors import UserError
from attnreplace.hosts.base import (
    GROUPS,
    Group,
    Host,
    Location,
    Site,
    axis_of,
    format_layers,
    parse_layers,
)
from attnreplace.hosts.bert import Bert
from attnreplace.hosts.encoder import base_model
from attnreplace.hosts.masks import padding_mask
from attnreplace.hosts.seq2seq import Seq2Seq
from attnreplace.hosts.vit import ViT

HOSTS: tuple[Host, ...] = (Seq2Seq(), Bert(), ViT())
ATTENTION_FREE = ("ff_only", "gmlp_text", "gmlp_vision")
"""Model types of `attnreplace.models`: what a student is made of, not what it replaces."""

__all__ = [
    "ATTENTION_FREE",
    "GROUPS",
    "HOSTS",
    "Group",
    "Host",
    "Location",
    "Site",
    "axis_of",
    "base_model",
    "format_layers",
    "host_for",
    "padding_mask",
    "parse_layers",
]


def host_for(model: PreTrainedModel) -> Host:
    """The host that describes `model`, by its `model_type`.

    Raises:
        UserError: no host describes it.
    """
    for host in HOSTS:
        if model.config.model_type in host.model_types:
            return host
    model_type = model.config.model_type
    valid = ", ".join(name for host in HOSTS for name in host.model_types)
    if model_type in ATTENTION_FREE:
        raise UserError(
            f"a model of type {model_type!r} has no attention to replace; choose a teacher of "
            f"one of the types {valid}"
        )
    raise UserError(f"no host for model type {model_type!r}; valid types: {valid}")
