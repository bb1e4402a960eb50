"""Bundles: trained students on disk, with all that is needed to splice them.

A bundle is a folder with `config.json` and `model.safetensors`, its keys `<site>.<parameter>`. The
configuration is written last and holds the digest of the weights, so that a folder with a
configuration is a whole bundle. Other files in the folder are left alone.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from attnreplace.checkpoint import save_tensors
from attnreplace.digest import digest_file, digest_json, short
from attnreplace.errors import UserError
from attnreplace.hosts import Group, Site, format_layers, parse_layers
from attnreplace.rundir import read_json, write_json
from attnreplace.students import Student, StudentConfig, build_student

SCHEMA = "attnreplace.bundle/1"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class BundleConfig:
    """What a bundle is and where it comes from."""

    name: str
    """As in `students/<name>`: "alrr-m"."""
    method: str
    family: str
    size: str
    positions: int
    """N, the longest sentence the students can read, in tokens."""
    students: dict[str, StudentConfig]
    """The student of every site, the site written as text."""
    teacher_digest: str
    tokenizer_digest: str
    recipe: str = ""
    seed: int = 0
    training: dict[str, Any] = field(default_factory=dict)
    """Summary of the training, `relative_mse` by site included."""
    versions: dict[str, str] = field(default_factory=dict)
    weights_digest: str = ""
    """Of the weights' file; set by `save_bundle`."""

    @property
    def sites(self) -> list[str]:
        """The sites replaced, as text."""
        return list(self.students)

    def select(self, layers: str) -> "BundleConfig":
        """The same bundle with some of its layers only.

        Args:
            layers: as "0,2-5"; empty for all.

        Raises:
            UserError: the bundle has no such layer.
        """
        if not layers.strip():
            return self
        own = {site: Site.parse(site).layer for site in self.students}
        chosen = set(parse_layers(layers, max(own.values()) + 1))
        if missing := chosen - set(own.values()):
            raise UserError(
                f"bundle {self.name!r} has no layer {min(missing)}; "
                f"choose from {format_layers(list(own.values()))}"
            )
        students = {site: s for site, s in self.students.items() if own[site] in chosen}
        return replace(self, students=students)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return {"schema": SCHEMA, "sites": self.sites, **asdict(self)}

    @classmethod
    def from_json(cls, value: Any, where: str) -> "BundleConfig":
        """Read what `to_json` gave.

        Args:
            value: parsed JSON.
            where: what it was read from, for messages.

        Raises:
            UserError: of another schema, or not a bundle's configuration.
        """
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise UserError(
                f"{where} is of schema {schema!r}, this program reads {SCHEMA!r}; "
                "distill the students again with this version"
            )
        try:
            values = {item.name: value[item.name] for item in fields(cls)}
            students = values.pop("students").items()
            return cls(students={site: StudentConfig(**s) for site, s in students}, **values)
        except (KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(
                f"{where} is not a bundle's configuration ({error}); distill the students again"
            ) from error


def bundle_name(
    method: str,
    size: str,
    group: Group,
    *,
    family: str = "shallow_ff",
    spatial: str = "toeplitz",
    cross_form: str = "per-query",
    hidden_layers: int = 1,
    layers: Sequence[int] | None = None,
) -> str:
    """The name of a bundle: its folder, and the word for it everywhere else.

    What is usual is left out: "alr-m" in the encoder, "alr-m-decoder", "alr-m-cross",
    "alr-m-cross-paper", "alr-m-h2-decoder" with two hidden layers, "alr-m-layers0.2-5"; of another
    family "alr-m-sgu-decoder", and "alr-m-sgu-dense" with free weights over the tokens.

    Args:
        method: a name of `METHODS`.
        size: a name of `SIZES`.
        group: the group of sites.
        family: a name of `FAMILIES`.
        spatial: weights over the tokens, a name of `SPATIAL`, where the student has a choice.
        cross_form: at cross-attention, the form of the student.
        hidden_layers: hidden layers of the student.
        layers: the layers replaced; None for all.
    """
    parts = [method, size]
    if family != "shallow_ff":
        parts.append(family)
    if spatial != "toeplitz":
        parts.append(spatial)
    if hidden_layers > 1:
        parts.append(f"h{hidden_layers}")
    if group != "encoder":
        parts.append(group)
    if group == "cross" and cross_form != "per-query":
        parts.append(cross_form)
    if layers is not None:
        # A comma would have to be quoted in a shell, or would separate names.
        parts.append("layers" + format_layers(layers).replace(",", "."))
    return "-".join(parts)


def build_students(config: BundleConfig, seed: int) -> dict[Site, Student]:
    """Freshly initialised students for every site of a bundle.

    Each site draws from a generator of its own, so that its student depends on the seed and on the
    site, not on which other sites are in the bundle. The global generator is left as it was.
    """
    students = {}
    with torch.random.fork_rng(devices=[]):
        for site, student in config.students.items():
            digest = hashlib.sha256(f"{seed} {site}".encode()).digest()
            torch.manual_seed(int.from_bytes(digest[:8], "big"))
            students[Site.parse(site)] = build_student(student)
    return students


def save_bundle(path: Path, config: BundleConfig, students: Mapping[Site, nn.Module]) -> None:
    """Write a bundle, in place of one that may be there. Interrupted, it leaves none.

    Args:
        path: the bundle's folder.
        config: its configuration.
        students: a student for every site of the configuration.

    Raises:
        UserError: the disk is full or not writable.
    """
    if sorted(map(str, students)) != sorted(config.sites):
        raise ValueError(f"students for {list(map(str, students))}, not for {config.sites}")
    (path / CONFIG).unlink(missing_ok=True)
    tensors: dict[str, Tensor] = {
        f"{site}.{name}": tensor
        for site, student in students.items()
        for name, tensor in student.state_dict().items()
    }
    save_tensors(path / WEIGHTS, tensors, {})
    config = replace(config, weights_digest=digest_file(path / WEIGHTS))
    write_json(path / CONFIG, config.to_json())


def load_bundle_config(path: Path) -> BundleConfig:
    """Read what a bundle is, without its weights.

    Raises:
        UserError: there is no bundle, or it is of another schema.
    """
    file = path / CONFIG
    if not file.is_file():
        raise UserError(f"no bundle in {path}; run `attnreplace distill` to make one")
    return BundleConfig.from_json(read_json(file), str(file))


def unknown_bundle(name: str, there: Iterable[str]) -> UserError:
    """The error where a run has no bundle of that name, but others."""
    valid = ", ".join(there) or "none yet; `attnreplace distill` makes them"
    return UserError(f"unknown bundle {name!r}; valid: {valid}")


def bundle_digest(path: Path) -> str:
    """Digest of a bundle's configuration as it stands in its file, that of the weights included."""
    return digest_json(read_json(path / CONFIG, dict))


def check_bundle(path: Path, teacher_digest: str) -> BundleConfig:
    """Read what a bundle is, and make sure that it can be spliced into a teacher.

    Raises:
        UserError: there is no bundle, it is damaged, of another schema, or of another teacher.
    """
    config, weights = load_bundle_config(path), path / WEIGHTS
    if config.teacher_digest != teacher_digest:
        raise UserError(
            f"the students in {path} were trained on teacher {short(config.teacher_digest)}, "
            f"this teacher is {short(teacher_digest)}; use their own teacher, or distill again"
        )
    _check_weights(config, weights)
    return config


def load_bundle(path: Path, layers: str = "") -> tuple[BundleConfig, dict[Site, Student]]:
    """Read a bundle; the students are in eval mode and in the dtype they were saved in.

    Args:
        path: the bundle's folder.
        layers: the layers wanted, as "0,2-5"; empty for all.

    Raises:
        UserError: there is no bundle, it is damaged, of another schema, or has no such layer.
    """
    config, weights = load_bundle_config(path).select(layers), path / WEIGHTS
    _check_weights(config, weights)
    tensors = load_file(weights)
    with torch.device("meta"):
        students = {Site.parse(s): build_student(c).eval() for s, c in config.students.items()}
    for site, student in students.items():
        start = f"{site}."
        state = {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}
        try:
            student.load_state_dict(state, assign=True)
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"{weights} does not fit its {CONFIG} at {site} ({reason}); "
                "distill the students again"
            ) from error
    return config, students


def whole(path: Path) -> bool:
    """Whether the weights of a bundle are those that its configuration was written for."""
    return _fits(load_bundle_config(path), path / WEIGHTS)


def _fits(config: BundleConfig, weights: Path) -> bool:
    return weights.is_file() and digest_file(weights) == config.weights_digest


def _check_weights(config: BundleConfig, weights: Path) -> None:
    if not _fits(config, weights):
        raise UserError(
            f"{weights} is missing or is not the file that {CONFIG} was written for; "
            "copy the bundle again, or distill the students again"
        )
