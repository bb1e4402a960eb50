"""The stage `distill`: from the activation store to bundles of trained students."""

import dataclasses
from pathlib import Path

import psutil
import torch

from attnreplace.activations.store import ActivationStore
from attnreplace.checkpoint import load_state, load_tensors, save_tensors
from attnreplace.digest import digest_json
from attnreplace.distill.config import DistillConfig
from attnreplace.distill.cuts import Cut, target_spreads, tensor_names
from attnreplace.distill.loop import Loop, checkpointed_trainees
from attnreplace.distill.objectives import TargetSpread
from attnreplace.distill.trainee import BYTES_PER_PARAMETER, Trainee, TraineeKey
from attnreplace.errors import UserError
from attnreplace.hosts import Location, Site, host_for
from attnreplace.methods import get_method
from attnreplace.progress import NullProgress, Progress
from attnreplace.rundir import RunDir, read_json, write_json
from attnreplace.splice.bundle import BundleConfig, build_students, save_bundle
from attnreplace.students import build_student, student_config
from attnreplace.teacher.load import Teacher, load_teacher
from attnreplace.versions import versions

MEMORY_SHARE = 0.6
"""Of the free memory, what students in training may fill."""


def distill(
    run: RunDir,
    config: DistillConfig,
    *,
    overwrite: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008
) -> list[str]:
    """Train a bundle for every method and size, all of them on one reading of the store.

    As many students as the memory holds train side by side, each on the teacher's own
    activations with an optimiser of its own, exactly as if it were alone. An interrupted
    training goes on from its checkpoint. Finished bundles of the same settings are kept.

    Returns:
        Names of the bundles asked for.

    Raises:
        UserError: no teacher, no store, a store of another teacher, or a bundle of that name with
            other settings while `overwrite` is False.
    """
    teacher = load_teacher(run.teacher)
    store = ActivationStore.open(run.activations)
    store.require(teacher_digest=teacher.digest, tokenizer_digest=teacher.tokenizer_digest)
    return _Distillation(run, teacher, store, config, progress).execute(overwrite)


class _Distillation:
    def __init__(
        self,
        run: RunDir,
        teacher: Teacher,
        store: ActivationStore,
        config: DistillConfig,
        progress: Progress,
    ) -> None:
        self.run, self.teacher, self.store = run, teacher, store
        self.config, self.progress = config, progress
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = teacher.model
        model.to(self.device)  # type: ignore[arg-type]
        host = host_for(model)
        self.locations: dict[str, Location] = {
            name: host.locate(model, Site.parse(name)) for name in store.identity.sites
        }
        settings = dataclasses.asdict(config)
        # What else is trained beside a student, and how often it is saved, changes nothing in it.
        for irrelevant in ("methods", "sizes", "max_students", "checkpoint_minutes"):
            del settings[irrelevant]
        self.settings = settings
        self.inputs = digest_json({"store": store.identity.to_json(), "settings": settings})
        self.parts = run.path / "distill.parts"
        self.checkpoint = run.path / "distill.checkpoint.safetensors"

    def execute(self, overwrite: bool) -> list[str]:
        bundles = {
            bundle.name: bundle
            for method in self.config.methods
            for size in self.config.sizes
            for bundle in [self._bundle(method, size)]
        }
        missing = [name for name in bundles if not self._finished(name, overwrite)]
        if missing:
            self.run.update_config(distill=self.config)
        spreads = self._spreads([bundles[name] for name in missing])
        for names in self._passes([bundles[name] for name in missing]):
            self._train([(key, bundles[key.bundle]) for key in names], spreads)
        for name in missing:
            self._assemble(bundles[name])
            self.progress.note(f"students: {self.run.students / name}")
        return list(bundles)

    def _bundle(self, method_name: str, size: str) -> BundleConfig:
        method = get_method(method_name)
        positions = self.teacher.max_length
        students = {
            site: student_config(method, size, location, positions)
            for site, location in self.locations.items()
        }
        return BundleConfig(
            name=f"{method.name}-{size}",
            method=method.name,
            family="shallow_ff",
            size=size,
            positions=positions,
            students=students,
            teacher_digest=self.teacher.digest,
            tokenizer_digest=self.teacher.tokenizer_digest,
            recipe=self.config.recipe,
            seed=self.config.seed,
            versions=versions(),
        )

    def _finished(self, name: str, overwrite: bool) -> bool:
        path = self.run.students / name / "config.json"
        if not path.is_file():
            return False
        if read_json(path).get("training", {}).get("inputs_digest") == self.inputs:
            self.progress.note(f"{path.parent} is finished: nothing to do")
            return True
        if not overwrite:
            raise UserError(
                f"{path.parent} holds students of other settings or another teacher; "
                "add --overwrite to replace them"
            )
        return False

    def _cut(self, bundle: BundleConfig, site: str) -> Cut:
        return Cut(get_method(bundle.method), self.locations[site])

    def _spreads(self, bundles: list[BundleConfig]) -> dict[str, TargetSpread]:
        cuts = [self._cut(bundle, site) for bundle in bundles for site in bundle.sites]
        if not cuts:
            return {}
        batches = self.store.batches(
            "validation", tensor_names(cuts), batch_tokens=self.config.batch_tokens, seed=None
        )
        return target_spreads(batches, {cut.name: cut for cut in cuts}, self.device)

    def _passes(self, bundles: list[BundleConfig]) -> list[list[TraineeKey]]:
        """Students that train side by side, an interrupted pass first."""
        sizes = {
            TraineeKey(bundle.name, site): student.num_parameters() * BYTES_PER_PARAMETER
            for bundle in bundles
            for site, student in bundle.students.items()
            if not self._part_done(TraineeKey(bundle.name, site))
        }
        held = set(checkpointed_trainees(self.checkpoint, self.inputs))
        first = [key for key in sizes if str(key) in held]
        passes = [first] if first else []
        room = self._memory() * MEMORY_SHARE
        most = self.config.max_students or len(sizes)
        filled = room  # Nobody joins an interrupted pass: it stands somewhere in an epoch.
        for key, size in sizes.items():
            if key in first:
                continue
            if filled + size > room or len(passes[-1]) >= most:
                passes.append([])
                filled = 0.0
            passes[-1].append(key)
            filled += size
        if len(passes) > 1:
            self.progress.note(
                f"{len(sizes)} students need {sum(sizes.values()) / 2**30:.1f} GiB to train and "
                f"{room / 2**30:.1f} GiB are free: {len(passes)} passes"
            )
        return passes

    def _memory(self) -> int:
        if self.device.type == "cuda":
            return torch.cuda.mem_get_info(self.device)[0]
        return psutil.virtual_memory().available

    def _train(
        self, keys: list[tuple[TraineeKey, BundleConfig]], spreads: dict[str, TargetSpread]
    ) -> None:
        trainees = []
        for key, bundle in keys:
            cut, spread = self._cut(bundle, key.site), spreads[self._cut(bundle, key.site).name]
            one_site = dataclasses.replace(bundle, students={key.site: bundle.students[key.site]})
            (student,) = build_students(one_site, self.config.seed).values()
            width = bundle.students[key.site].d_out
            variance = max(spread.total / max(1, spread.count * width), 1e-12)
            trainees.append(
                Trainee(
                    key,
                    cut.method,
                    cut.location,
                    student.to(self.device),
                    self.config,
                    variance,
                )
            )
        loop = Loop(
            self.store,
            trainees,
            spreads,
            self.config,
            self.device,
            self.checkpoint,
            self.inputs,
            self.progress,
        )
        seconds = loop.run()
        for trainee in trainees:
            state = {
                "inputs_digest": self.inputs,
                "errors": trainee.errors,
                "train_losses": trainee.train_losses,
                "best_epoch": trainee.best_epoch,
                "seconds": seconds,
                "students_in_pass": len(trainees),
            }
            save_tensors(self._part(trainee.key), trainee.student.state_dict(), state)
        self.checkpoint.unlink(missing_ok=True)

    def _part(self, key: TraineeKey) -> Path:
        return self.parts / f"{key.bundle}.{key.site}.safetensors"

    def _part_done(self, key: TraineeKey) -> bool:
        path = self._part(key)
        return path.exists() and load_state(path)["inputs_digest"] == self.inputs

    def _assemble(self, bundle: BundleConfig) -> None:
        """Join the finished students of a bundle and write it."""
        students, states = {}, {}
        for site, shape in bundle.students.items():
            tensors, states[site] = load_tensors(self._part(TraineeKey(bundle.name, site)))
            with torch.device("meta"):
                student = build_student(shape)
            student.load_state_dict(tensors, assign=True)
            students[Site.parse(site)] = student
        training = {
            "inputs_digest": self.inputs,
            "settings": self.settings,
            "relative_mse": {
                s: state["errors"][state["best_epoch"]] for s, state in states.items()
            },
            "best_epoch": {site: state["best_epoch"] + 1 for site, state in states.items()},
            "parameters": sum(shape.num_parameters() for shape in bundle.students.values()),
            "sentences": self.store.sentences("train"),
            "tokens": self.store.tokens("train"),
            "seconds": max(state["seconds"] for state in states.values()),
            "students_in_pass": max(state["students_in_pass"] for state in states.values()),
            "device": str(self.device),
        }
        folder = self.run.students / bundle.name
        save_bundle(folder, dataclasses.replace(bundle, training=training), students)
        epochs = max(len(state["errors"]) for state in states.values())
        history = [
            {
                "epoch": epoch + 1,
                "train_loss": {
                    s: st["train_losses"][epoch]
                    for s, st in states.items()
                    if epoch < len(st["errors"])
                },
                "relative_mse": {
                    s: st["errors"][epoch] for s, st in states.items() if epoch < len(st["errors"])
                },
            }
            for epoch in range(epochs)
        ]
        write_json(folder / "history.json", history)
        for site in bundle.sites:
            self._part(TraineeKey(bundle.name, site)).unlink()
        if not any(self.parts.iterdir()):
            self.parts.rmdir()
