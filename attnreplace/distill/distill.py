"""The stage `distill`: from the activation store to bundles of trained students."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from attnreplace.activations.source import ActivationSource
from attnreplace.activations.store import ActivationStore
from attnreplace.digest import differing, digest_json
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.cuts import Cut
from attnreplace.distill.parts import Parts, history
from attnreplace.distill.plan import plan_bundles
from attnreplace.distill.shares import Share
from attnreplace.distill.team import Team, wait_for
from attnreplace.distill.trainee import TraineeKey, peak_rate
from attnreplace.distill.training import Order, Training
from attnreplace.errors import UserError
from attnreplace.hosts import Site, host_for
from attnreplace.locks import only_one
from attnreplace.methods import get_method
from attnreplace.precision import resolved_precision
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import BundleConfig, save_bundle, whole
from attnreplace.teacher.load import Teacher, load_teacher

OF_STORE = (
    "teacher_digest",
    "tokenizer_digest",
    "data_digest",
    "dtype",
    "max_length",
    "max_train",
)
"""What of a store's identity decides how a student comes out; the other sites in it do not."""
IRRELEVANT = (
    # What else is trained beside a student, and how often it is saved.
    "methods",
    "sizes",
    "sites",
    "layers",
    "max_students",
    "checkpoint_minutes",
    "read_megabytes",
    # Who trains it and how it gets the same numbers.
    "placement",
    "online",
    # In the student's or the bundle's own configuration.
    "seeds",
    "families",
    "spatial",
    "hidden_layers",
    "cross_form",
    "positions",
)
"""Settings that do not count where students of one configuration are compared."""


def distill(
    run: RunDir,
    config: DistillConfig,
    *,
    part: Share = Share(),  # noqa: B008
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> list[str]:
    """Train a bundle for every method, family, size, seed and group of sites.

    As many students as the memory holds train side by side on one reading of the activations,
    each with an optimiser of its own, as if it were alone. On a CPU torch's threads are shared out
    among them; a student that has several to itself may come out another by rounding. An
    interrupted training goes on from its checkpoint. Finished bundles of the same settings are
    kept.

    Students of several jobs, each with a `part` of its own, meet in the run directory: whoever
    finishes last assembles the bundles. Processes that `accelerate launch` or `torchrun` started
    share the students of their job out among themselves, or the batches: see
    `DistillConfig.placement`.

    Args:
        part: the share of the students to train.
        overwrite: replace bundles of that name with other settings.

    Returns:
        Names of the bundles asked for that are there; with one part, that is all of them.

    Raises:
        UserError: no teacher, no store, a store of another teacher or without the sites asked for,
            no method and family that work there, a bundle of that name or a checkpoint with other
            settings while `overwrite` is False, or another process at work on the same students.
    """
    team = Team.launched()
    teacher = load_teacher(run.teacher)
    teacher.model.to(team.device)  # type: ignore[arg-type]
    source = _source(run, teacher, config)
    source.require(teacher_digest=teacher.digest, tokenizer_digest=teacher.tokenizer_digest)
    return _Distillation(run, teacher, source, config, part, team, progress).execute(overwrite)


def _source(run: RunDir, teacher: Teacher, config: DistillConfig) -> ActivationSource:
    if not config.online:
        return ActivationStore.open(run.activations, read_megabytes=config.read_megabytes)
    from attnreplace.activations.online import OnlineActivations

    extract = run.config().extract
    wanted = dataclasses.replace(
        extract,
        sites=config.sites or extract.sites,
        layers=config.layers or extract.layers,
    )
    return OnlineActivations(teacher, run.corpus(), wanted)


class _Distillation:
    def __init__(
        self,
        run: RunDir,
        teacher: Teacher,
        source: ActivationSource,
        config: DistillConfig,
        part: Share,
        team: Team,
        progress: Progress,
    ) -> None:
        self.run, self.teacher, self.source = run, teacher, source
        self.config, self.part, self.team = config, part, team
        self.progress = progress
        settings = dataclasses.asdict(config)
        # A checkpoint of a GPU does not go on in other numbers on a CPU.
        settings["precision"] = resolved_precision(config.precision, team.device)
        self.settings = {k: value for k, value in settings.items() if k not in IRRELEVANT}
        identity = {name: getattr(source.identity, name) for name in OF_STORE}
        # The order of the batches goes by the shards.
        identity["shard_sentences"] = source.shard_sentences
        self.inputs = digest_json({"store": identity, "settings": self.settings})
        self.parts = Parts(run.path / "distill.parts")
        self.training = self._training()

    def execute(self, overwrite: bool) -> list[str]:
        """Train this process' students and, in the first process, assemble what is complete."""
        # One process for each checkpoint; those that share one also share the batches.
        if not self.training.team.leads:
            return self._execute(overwrite)
        lock = self.training.checkpoint.with_suffix("").with_suffix(".lock")
        with only_one(lock, f"training the same students in {self.run.path}"):
            return self._execute(overwrite)

    def _execute(self, overwrite: bool) -> list[str]:
        bundles = plan_bundles(self.teacher, self.source, self.config, self.progress)
        missing = {name: b for name, b in bundles.items() if not self._done(b, overwrite)}
        # The same division for all, whatever is finished when a process or a job comes to it.
        orders = {order.key: order for bundle in bundles.values() for order in self._orders(bundle)}
        sizes = {key: order.shape.num_parameters() for key, order in orders.items()}
        ours = self.part.of(sizes)
        mine = ours
        if self.config.placement == "student":
            among = Share(self.team.index + 1, self.team.count)
            mine = among.of({key: sizes[key] for key in ours})
        wanted = [orders[key] for key in mine if key.bundle in missing]
        if wanted and not overwrite:
            self.training.check_checkpoint([orders[key] for key in mine])
        # Nobody trains or assembles before all know what is missing.
        self.team.meet()
        self.training.train(wanted)
        if self.team.leads:
            self._assemble(missing, [orders[key] for key in ours])
        elif self.part.count == 1:
            wait_for(lambda: all(map(self._finished, missing.values())))
        there = [name for name, bundle in bundles.items() if self._finished(bundle)]
        if self.team.leads and len(there) == len(bundles):
            self.parts.close()
        elif len(there) < len(bundles):
            self.progress.note(
                f"part {self.part} is done; {len(bundles) - len(there)} of {len(bundles)} bundles "
                "wait for students of other parts"
            )
        return there

    def _training(self) -> Training:
        """The training of this process, with a checkpoint of its own."""
        words, team = ["distill"], self.team
        if self.part.count > 1:
            words.append(f"part{self.part.index}of{self.part.count}")
        if self.config.placement == "student":
            if team.count > 1:
                words.append(f"process{team.index + 1}of{team.count}")
            team = Team(device=team.device, on_machine=team.on_machine)
        checkpoint = self.run.path / f"{'.'.join(words)}.checkpoint.safetensors"
        return Training(self.source, self.config, team, self.parts, checkpoint, self.progress)

    def _orders(self, bundle: BundleConfig) -> Iterator[Order]:
        model, method = self.teacher.model, get_method(bundle.method)
        for site, shape in bundle.students.items():
            digest = digest_json(
                {
                    "inputs": self.inputs,
                    "method": bundle.method,
                    "student": dataclasses.asdict(shape),
                    "seed": bundle.seed,
                    # The recipe's own may become another.
                    "learning_rate": peak_rate(self.config, bundle.method, shape),
                }
            )
            cut = Cut(method, host_for(model).locate(model, Site.parse(site)))
            yield Order(TraineeKey(bundle.name, site), bundle, cut, digest)

    def _rate(self, bundle: BundleConfig) -> float:
        return peak_rate(self.config, bundle.method, next(iter(bundle.students.values())))

    def _finished(self, bundle: BundleConfig) -> bool:
        """Whether the bundle is there, of the same inputs and the same students."""
        path = self.run.students / bundle.name / "config.json"
        if not path.is_file():
            return False
        found = read_json(path, dict)
        training, rate = found.get("training", {}), self._rate(bundle)
        if training.get("inputs_digest") != self.inputs:
            return False
        # The recipe's own may have become another.
        if training.get("learning_rate", rate) != rate:
            return False
        there = BundleConfig.from_json(found, str(path))
        return there.students == bundle.students and there.seed == bundle.seed

    def _done(self, bundle: BundleConfig, overwrite: bool) -> bool:
        """Whether there is nothing to do; refuses to replace something else unasked."""
        path = self.run.students / bundle.name
        if self._finished(bundle):
            if whole(path):
                if self.team.leads:
                    self.parts.remove(bundle)  # left by a job that was killed here
                self.progress.note(f"{path} is finished: nothing to do")
                return True
            # Now it counts as unfinished, for all processes and jobs.
            (path / "config.json").unlink(missing_ok=True)
            self.progress.note(f"{path} is damaged: its students are trained again")
        if (path / "config.json").is_file() and not overwrite:
            raise UserError(
                f"{path} holds students of other settings or another teacher"
                f"{self._differences(bundle)}; add --overwrite to replace them"
            )
        return False

    def _differences(self, bundle: BundleConfig) -> str:
        """What tells a finished bundle of that name from the one that is wanted."""
        path = self.run.students / bundle.name / "config.json"
        found = read_json(path, dict)
        training, there = found.get("training", {}), BundleConfig.from_json(found, str(path))

        def shown(one: BundleConfig, settings: dict[str, Any], rate: float) -> dict[str, Any]:
            shape = dataclasses.asdict(next(iter(one.students.values())))
            sites = ", ".join(one.students)
            return settings | {"learning_rate": rate} | shape | {"seed": one.seed, "sites": sites}

        rate = self._rate(bundle)
        return differing(
            shown(there, training.get("settings", {}), training.get("learning_rate", rate)),
            shown(bundle, self.settings, rate),
        )

    def _assemble(self, missing: Mapping[str, BundleConfig], ours: list[Order]) -> None:
        """Write every bundle whose students are all there."""
        for bundle in missing.values():
            # Students of this job may be with its other processes; those of other jobs are not
            # waited for, and a job that was quicker may have written the bundle.
            own = [order for order in ours if order.bundle is bundle]
            wait_for(partial(self._settled, own, bundle))
            if self.part.count == 1:
                self._write(bundle)
            elif self._there(orders := [*self._orders(bundle)]):
                with self.parts.claim(bundle) as claimed:
                    if claimed and not self._finished(bundle) and self._there(orders):
                        self._write(bundle)

    def _settled(self, own: list[Order], bundle: BundleConfig) -> bool:
        return self._there(own) or self._finished(bundle)

    def _there(self, orders: list[Order]) -> bool:
        return all(self.parts.done(order.key, order.digest) for order in orders)

    def _write(self, bundle: BundleConfig) -> None:
        """Join the finished students of a bundle."""
        students, states = self.parts.load(bundle)
        axis = next(iter(self._orders(bundle))).cut.location.axis
        training = {
            "inputs_digest": self.inputs,
            "settings": self.settings,
            "relative_mse": {
                site: state["errors"][state["best_epoch"]] for site, state in states.items()
            },
            "best_epoch": {site: state["best_epoch"] + 1 for site, state in states.items()},
            "learning_rate": self._rate(bundle),
            "parameters": sum(shape.num_parameters() for shape in bundle.students.values()),
            "sentences": self.source.sentences("train"),
            "tokens": self.source.tokens("train", axis),
            "seconds": max(state["seconds"] for state in states.values()),
            "students_in_pass": max(state["students_in_pass"] for state in states.values()),
            "device": str(self.team.device),
        }
        folder = self.run.students / bundle.name
        # The bundle counts as finished with its configuration, which is written last of all.
        (folder / "config.json").unlink(missing_ok=True)
        write_json(folder / "history.json", history(states))
        save_bundle(folder, dataclasses.replace(bundle, training=training), students)
        self.parts.remove(bundle)
        self.progress.note(f"students: {folder}")
