"""Teachers that are encoders alone, by name: the papers' models and small ones of each kind."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from transformers import BertConfig, PreTrainedConfig, ViTConfig

from attnreplace.errors import UserError
from attnreplace.models import FFOnlyConfig, GMLPTextConfig, GMLPVisionConfig
from attnreplace.models.presets import PRESETS


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of an encoder of texts or images. A model has some of the fields; others are refused.

    Fields that are not given are those of the named model.
    """

    model: str
    """For images vit, ff-only, attention-only, gmlp, amlp, for texts bert, gmlp, amlp: small ones;
    and the papers' by their names, as ff-only-tiny, gmlp-ti, amlp-base."""
    d_model: int | None = None
    """Width of the residual stream."""
    layers: int | None = None
    """Layers, or blocks."""
    num_heads: int | None = None
    """Heads of every attention; divides `d_model`."""
    d_ff: int | None = None
    """Hidden width of the feed-forward layers; in gMLP that before the gate splits it."""
    mlp_ratio: int | None = None
    """FF-only: hidden width of both networks, in multiples of their inputs."""
    dropout: float | None = None
    """ViT and BERT: on sub-layer outputs and attention weights; gMLP: before the classifier."""
    drop_path: float | None = None
    """FF-only and gMLP: stochastic depth of the last block, rising linearly from the first."""
    gate: str | None = None
    """gMLP: split, multiplicative, additive or linear."""
    spatial: str | None = None
    """gMLP: weights over the tokens, toeplitz or dense."""
    attention_size: int | None = None
    """gMLP: channels of the tiny attention of aMLP; 0: none."""
    image_size: int | None = None
    """Height and width that images are resized to; not given: those of the first image."""
    patch_size: int | None = None
    """Height and width of a patch; not given: the greatest power of two that is not over the root
    of `image_size`."""
    position_grid: int | None = None
    """FF-only: side of the grid of learned positions, where it is not the patches' own."""
    vocab_size: int | None = None
    """Pieces of the byte-level BPE, at most; 261 are single bytes."""
    max_length: int | None = None
    """Longest text in tokens, special ones included; students have as many positions."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = {"max_length": 2, "attention_size": 0}.get(field.name, 1)
            if isinstance(value, int) and value < least:
                raise UserError(f"teacher.{field.name} must be at least {least}; got {value}")
        for name in ("dropout", "drop_path"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1:
                raise UserError(f"teacher.{name} must be in [0, 1); got {value}")

    @property
    def given(self) -> dict[str, Any]:
        """The fields of the shape that are given."""
        fields = dataclasses.asdict(self)
        return {n: v for n, v in fields.items() if v is not None and n != "model"}


ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "d_model": ("hidden_size",),
    "layers": ("num_hidden_layers",),
    "num_heads": ("num_attention_heads",),
    "d_ff": ("intermediate_size",),
    "dropout": ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    "drop_path": ("drop_path_rate",),
    "max_length": ("max_position_embeddings",),
    **{
        name: (name,)
        for name in (
            "mlp_ratio",
            "gate",
            "spatial",
            "attention_size",
            "image_size",
            "patch_size",
            "position_grid",
            "vocab_size",
        )
    },
}
"""What the library's configurations call a field."""

FIELDS = {attribute: field for field, names in ATTRIBUTES.items() for attribute in names}


@dataclass(frozen=True)
class Named:
    """A model by name."""

    config: type[PreTrainedConfig]
    shape: Mapping[str, Any]
    """Fields of an `EncoderConfig`."""
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of the library's configuration that are no such fields."""

    def attributes(self, field: str) -> list[str]:
        """What the library's configuration has of a field; nothing where it does not apply."""
        known = self.config().to_dict()
        return [name for name in ATTRIBUTES[field] if name in known]


_SMALL = {"d_model": 64, "layers": 4}
_TEXT = {"vocab_size": 2000, "max_length": 64}
_ATTENTION = {"num_heads": 4, "d_ff": 256, "dropout": 0.0}
_GATED = {"d_model": 64, "layers": 6, "d_ff": 256, "gate": "split", "attention_size": 0}
_TINY_ATTENTION = {"attention_size": 16}


def _of_the_papers(*configs: type[PreTrainedConfig]) -> dict[str, Named]:
    """The presets of these classes, all of their settings as fields."""
    named = {}
    for name, (config, settings) in PRESETS.items():
        if config in configs:
            # How many classes there are, the corpus says.
            chosen = {key: value for key, value in settings.items() if key != "num_labels"}
            shape = {
                FIELDS[key]: value
                for key, value in config(**chosen).to_dict().items()
                if key in FIELDS and value is not None
            }
            named[name] = Named(config, shape, {k: v for k, v in chosen.items() if k not in FIELDS})
    return named


MODELS: dict[str, dict[str, Named]] = {
    "image": {
        "vit": Named(ViTConfig, _SMALL | _ATTENTION),
        "ff-only": Named(FFOnlyConfig, _SMALL | {"mlp_ratio": 4, "drop_path": 0.0}),
        "attention-only": Named(
            FFOnlyConfig, _SMALL | {"num_heads": 4, "drop_path": 0.0}, {"attention_only": True}
        ),
        "gmlp": Named(GMLPVisionConfig, _GATED | {"spatial": "dense", "drop_path": 0.0}),
        "amlp": Named(
            GMLPVisionConfig, _GATED | {"spatial": "dense", "drop_path": 0.0} | _TINY_ATTENTION
        ),
        **_of_the_papers(FFOnlyConfig, GMLPVisionConfig),
    },
    "text": {
        "bert": Named(BertConfig, _SMALL | _ATTENTION | _TEXT),
        # The library's spread of initial weights, 0.02, suits a width of 768: at a width of 64
        # attention begins as next to nothing beside the residual.
        "bert-tiny": Named(
            BertConfig,
            _SMALL | _ATTENTION | _TEXT | {"layers": 2, "max_length": 16},
            {"initializer_range": 0.1},
        ),
        "gmlp": Named(GMLPTextConfig, _GATED | _TEXT | {"spatial": "toeplitz"}),
        "amlp": Named(GMLPTextConfig, _GATED | _TEXT | {"spatial": "toeplitz"} | _TINY_ATTENTION),
        **_of_the_papers(GMLPTextConfig),
    },
}
"""By what they read; the first of each is the default. Shapes of the papers are theirs whatever
the data."""


def find_model(reads: str, name: str | None) -> tuple[str, Named]:
    """A model by name, and the name.

    Args:
        reads: "text" or "image".
        name: None for the default.

    Raises:
        UserError: there is none; lists those that there are.
    """
    models = MODELS[reads]
    name = next(iter(models)) if name is None else name
    if name not in models:
        raise UserError(f"no model {name!r} that reads {reads}; valid: {', '.join(models)}")
    return name, models[name]


def named_shape(reads: str, name: str | None, given: Iterable[str]) -> dict[str, Any]:
    """The fields of an `EncoderConfig` that a name stands for, itself among them.

    Args:
        reads: "text" or "image".
        name: None for the default.
        given: names of fields that are to differ.

    Raises:
        UserError: no such model, or one that does not have these fields.
    """
    name, named = find_model(reads, name)
    for field in given:
        if field in ATTRIBUTES and not named.attributes(field):
            valid = ", ".join(field for field in ATTRIBUTES if named.attributes(field))
            raise UserError(f"{field} does not apply to {name}; its fields: {valid}")
    return {"model": name, **named.shape}


def library_config(reads: str, config: EncoderConfig, **settings: Any) -> PreTrainedConfig:
    """The library's configuration of a model.

    Args:
        reads: "text" or "image".
        config: fields that are not given are those of the named model.
        settings: what the data says: classes, size of the vocabulary, special tokens.

    Raises:
        UserError: no such model, or an impossible shape.
    """
    _, named = find_model(reads, config.model)
    values, shape = dict(named.fixed), dict(named.shape) | config.given
    if shape["d_model"] % (heads := shape.get("num_heads", 1)):
        raise UserError(f"num_heads = {heads} does not divide d_model = {shape['d_model']}")
    for field, value in shape.items():
        values |= dict.fromkeys(named.attributes(field), value)
    built = named.config(**values | settings)
    if getattr(built, "image_size", 0) % getattr(built, "patch_size", 1):
        raise UserError(
            f"patch_size = {built.patch_size} does not divide image_size = {built.image_size}"
        )
    return built


def default_patch(image_size: int) -> int:
    """The greatest power of two that is not over the root of the size: 2 at 8, 4 at 32."""
    return 1 << int(math.log2(math.sqrt(image_size)))
