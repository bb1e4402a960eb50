"""What a tuning begins with: students of a run, a model that was tuned before, or the teacher."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from attnreplace.digest import digest_json, short
from attnreplace.errors import UserError
from attnreplace.evaluate.record import LONGEST_NAME
from attnreplace.evaluate.specs import Chosen, bundle_parts, canonical, choose
from attnreplace.rundir import RunDir
from attnreplace.splice.bundle import (
    build_students,
    bundle_digest,
    check_bundle,
    load_bundle_config,
)
from attnreplace.splice.splice import load_spliced, splice
from attnreplace.teacher.build import TeacherConfig, build_teacher
from attnreplace.teacher.load import Teacher, load_config
from attnreplace.tune.config import TuneConfig
from attnreplace.tune.folder import (
    TEACHER,
    TUNED,
    load_tuned,
    tuned_of,
    tuned_parts,
    tuned_seed,
    tuned_summary,
)


@dataclass(frozen=True)
class Start:
    """A model before its tuning."""

    run: RunDir
    teacher: Teacher
    config: TuneConfig
    parts: Sequence[Chosen]
    """The students in it; none in the teacher."""
    before: dict[str, Any] | None = None
    """The record of the tuning that it came from; None where its students come from bundles."""

    @classmethod
    def of(cls, run: RunDir, teacher: Teacher, config: TuneConfig) -> "Start":
        """What `tune.system` names.

        Raises:
            UserError: nothing of that name; students, or a tuned model, of another teacher; a tuned
                model that is not to be begun with, or to be replaced; for the teacher, what is of
                use to students only.
        """
        if not config.system:
            raise UserError("tune.system is empty; name what to tune, as in --bundle alr-m")
        if config.system == TEACHER:
            return cls(run, teacher, config, [])._checked()
        if not config.system.startswith(TUNED):
            there = {name: load_bundle_config(run.students / name) for name in run.bundles()}
            parts = choose(config.system, there)
            for part in parts:
                check_bundle(run.students / part.bundle, teacher.digest)
            return cls(run, teacher, config, parts)
        name = config.system.removeprefix(TUNED)
        before = tuned_of(run, name, teacher.digest)
        if config.name == name:
            raise UserError(f"{config.system} cannot take its own place; choose another --name")
        return cls(run, teacher, config, tuned_parts(run, name), before)._checked()

    def _checked(self) -> "Start":
        """This, unless what is asked for is not for a model that was trained as a whole."""
        config = self.config
        if config.start != "distilled":
            raise UserError(
                f"tune.start is {config.start}, but {config.system} is tuned on from its weights; "
                "name bundles to begin anew"
            )
        if not self.parts:
            refused = {
                "tune.train = students": config.train == "students",
                "tune.order": bool(config.order),
                "tune.losses = forced": "forced" in config.losses,
                # The others are least where the teacher is.
                "tune.losses without ce": "ce" not in config.losses,
            }
            if wrong := [words for words, said in refused.items() if said]:
                raise UserError(
                    f"{wrong[0]} is for students, of which the teacher has none; tune it with "
                    "--train all, norms or lora and --loss kl,ce or ce"
                )
        return self

    def build(self) -> PreTrainedModel:
        """The spliced model."""
        if self.before is not None:
            return load_tuned(self.run, self.config.system.removeprefix(TUNED))
        if not self.parts:
            return copy.deepcopy(self.teacher.model)
        if self.config.start == "distilled":
            return load_spliced(self.teacher.model, bundle_parts(self.run, self.parts))
        scratch = self.config.start == "scratch"
        model = self._new_teacher() if scratch else copy.deepcopy(self.teacher.model)
        for part in self.parts:
            splice(model, part.config, build_students(part.config, self.config.seed))
        return model

    def _new_teacher(self) -> PreTrainedModel:
        """A model like the teacher that was never trained."""
        shape = self.run.config().teacher
        if isinstance(shape, TeacherConfig):
            return build_teacher(shape, self.teacher.tokenizer)
        config, auto_class = load_config(self.run.teacher)
        model: PreTrainedModel = auto_class.from_config(config)
        return model

    @property
    def digests(self) -> dict[str, str]:
        """Of what goes into it, by name: the bundles, or the tuned model."""
        if self.before is not None:
            return {self.config.system: self.before["inputs_digest"]}
        return {part.name: bundle_digest(self.run.students / part.bundle) for part in self.parts}

    @property
    def record(self) -> dict[str, Any]:
        """What the record of the tuning says of it."""
        before, config, system = self.before, self.config, canonical(self.parts) or TEACHER
        if before is None:
            return {"system": system, "summary": config.summary, "bundles": self.digests}
        (start, digest), seed = *self.digests.items(), tuned_seed(before, self.parts)
        return {
            "system": system,
            "summary": f"{tuned_summary(before)}, then {config.stage}",
            "bundles": before["bundles"],
            "start": {"name": start, "digest": digest, "seed": seed},
        }

    @property
    def name(self) -> str:
        """The name of the tuned model: its system, and what was done to it.

        "alr-m+alr-m-decoder-kl-ce" and, with what is not usual, "-norms", "-lora8" (of that rank)
        or "-all", "-encoder.decoder" for the order, "-own" for the teacher's translations,
        "-untrained" or "-scratch", "-seed2". What is tuned further has the name of its start before
        that: "alr-m-forced-then-kl-ce". A long name is cut and told apart by its digest.
        """
        config = self.config
        words = [(canonical(self.parts) or TEACHER).replace(":", "@").replace(",", ".")]
        if self.before is not None:
            words = [config.system.removeprefix(TUNED), "then"]
        words += config.losses
        rank = config.lora_rank if config.train == "lora" else ""
        words += [f"{config.train}{rank}"] if config.train != "students" else []
        words += [".".join(config.order)] if config.order else []
        words += ["own"] if config.targets == "teacher" else []
        words += [config.start] if config.start != "distilled" else []
        words += [f"seed{config.seed}"] if config.seed else []
        name = "-".join(words)
        if len(name) <= LONGEST_NAME:
            return name
        return f"{name[:LONGEST_NAME]}-{short(digest_json(name))}"
