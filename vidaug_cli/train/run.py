"""What is trained, on which clips, and the folder it goes to; and what tells a run from every other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vidaug_cli.augment.plan import Plan, read_plan
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import Report
from vidaug_cli.augment.run import run as augment
from vidaug_cli.data.kinds import is_shards
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import finished_shards
from vidaug_cli.errors import ShardError, VidaugError
from vidaug_cli.files import leftovers
from vidaug_cli.ops.clips import Shape
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.train.pretrained import stored_architecture
from vidaug_cli.train.settings import Settings
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture
from vidaug_cli.words import nearest
from vidaug_cli.workers import worker_count


class ShardFolders:
    """The clips of one or several folders of `vidaug augment`, and how they were made.

    Raises ShardError when a folder is not one of shards, not finished, or unlike the first.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders, self.plans = folders, [read_plan(folder) for folder in folders]
        for folder, plan in zip(folders, self.plans, strict=True):
            there = len(finished_shards(folder).keys() & set(range(len(plan.shards))))
            if there < len(plan.shards):
                what = f"holds {there} of {len(plan.shards)} shards"
                raise ShardError(what, where=folder, hint="the same 'vidaug augment' command makes the others")
        self.spec = self.plans[0].spec  # what a clip is
        self.dataset = ShardDataset(folders, with_weights=True)

    @property
    def labels(self) -> set[str]:
        """Names of the classes that have clips."""
        return {str(row.label) for plan in self.plans for row in plan.rows}

    @property
    def mixed(self) -> Path | None:
        """A folder that has clips with two videos in them."""
        pairs = zip(self.folders, self.plans, strict=True)
        return next((folder for folder, plan in pairs if plan.recipe.mix and plan.copies), None)

    @property
    def identity(self) -> list[Any]:
        """What tells these clips from others, wherever the folders lie, as JSON."""
        return [plan.sha256 for plan in self.plans] + [len(self.dataset)]


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One run of training. Raises VidaugError where its parts do not fit each other."""

    folder: Path  # of the checkpoints and the history
    settings: Settings
    shards: ShardFolders
    validation: ShardFolders | None = None  # one clean clip of each video
    recipe: Recipe | None = None  # for each batch, besides what made the shards
    init: Path | None = None  # weights to start from

    def __post_init__(self) -> None:
        network = self.settings.network
        if network not in ARCHITECTURES:
            hint = f"there is {', '.join(ARCHITECTURES)}"
            raise VidaugError(f"no network {network!r}{nearest(network, ARCHITECTURES)}", hint=hint)
        have, want = self.shards.spec, self.clip
        self._check_size(self.shards, "make larger ones, or lower --frames and --size")
        if (want.frames, want.size) != (have.frames, have.size) and self.shards.mixed:
            what = "has mixed clips, and a cut of one would not show what its label says"
            hint = "leave out --frames and --size, or make clips with -r none and mix them here with --recipe"
            raise VidaugError(what, where=self.shards.mixed, hint=hint)
        if self.validation is not None:
            hint = "make clean clips: vidaug augment ... -r none --copies 0 --keep-original"
            if mixed := self.validation.mixed:
                raise VidaugError("has mixed clips, which have no one right class", where=mixed, hint=hint)
            self._check_size(self.validation, hint)
            self.check_classes(self.validation.dataset.classes, self.validation.folders[0])

    def _check_size(self, clips: ShardFolders, hint: str) -> None:
        have, want = clips.spec, self.clip
        if have.frames < want.frames or have.size < want.size:
            what = f"clips have {have.frames} frames of {have.size} pixels, fewer than {want.frames} of {want.size}"
            raise VidaugError(what, where=clips.folders[0], hint=hint)

    def check_classes(self, names: Iterable[str], where: object) -> None:
        """Raise VidaugError when clips or videos to test on have classes that training has not."""
        if other := sorted(set(names) - set(self.classes)):
            what = f"has classes that training has not, such as {other[0]!r}"
            raise VidaugError(what, where=where, hint=f"training has {', '.join(self.classes)}"[:200])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names in label order."""
        return self.shards.dataset.classes

    @cached_property
    def architecture(self) -> Architecture:
        """The network's, with the dropout and the input of the settings, or the input of the weights to start from."""
        settings, stored = self.settings, self.init and stored_architecture(self.init)
        chosen = {"dropout": settings.dropout, "input": settings.input or (stored and stored.input)}
        given = {name: value for name, value in chosen.items() if value is not None}
        return replace(ARCHITECTURES[settings.network], **given)  # type: ignore[arg-type]

    @property
    def clip(self) -> ClipSpec:
        """What a clip is for the network: that of the shards, or the cut of it that the settings ask for."""
        spec = self.shards.spec
        size = self.settings.size or spec.size
        crop = (spec.crop[0] * min(1, size / spec.size), spec.crop[1] * min(1, size / spec.size))
        return replace(spec, frames=self.settings.frames or spec.frames, size=size, crop=crop, flip=0.0)

    @property
    def shape(self) -> Shape:
        """Frames, rows and columns of a clip for the network."""
        return Shape(self.clip.frames, self.clip.size, self.clip.size)

    @property
    def pathway_frames(self) -> tuple[int, int]:
        """Frames of a clip in the Slow pathway and in the Fast one."""
        slow, fast = self.architecture.frames_taken(self.clip.frames)
        return len(slow), len(fast)

    @property
    def validation_folder(self) -> Path:
        """Where the clips of validation videos are rendered."""
        return self.folder / "validation"

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint to predict with: of the epoch that did best in validation, or else of the last."""
        return self.folder / "best.safetensors"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the weights follow from, as JSON: a run is only continued by one of the same identity."""
        return asdict(self.settings) | {
            "shards": self.shards.identity,
            "validation": self.validation and self.validation.identity,
            "recipe": self.recipe and self.recipe.text,
            "init": self.init and hashlib.sha256(self.init.read_bytes()).hexdigest(),
        }


def prepare_folder(folder: Path) -> None:
    """Make the folder of a run, without what killed writers left in it. Raises VidaugError if it is something else."""
    if folder.exists() and not folder.is_dir():
        raise VidaugError("is a file", where=folder, hint="name a folder with -o")
    if is_shards(folder):
        raise VidaugError("is a folder of shards", where=folder, hint="choose another folder for the run")
    folder.mkdir(parents=True, exist_ok=True)
    for path in leftovers(folder):
        path.unlink(missing_ok=True)


def render_validation(
    run: TrainingRun, rows: Sequence[Row], *, where: object, overwrite: bool, progress: bool
) -> Report:
    """Render the middle of each video in time and space into the run's folder; clips that are there already stay.

    The square is as large as the smallest of training, so that things have the size at which the network saw them
    largest (arXiv:2008.05721's released protocol tests like this).

    Raises VidaugError when the videos, which come from `where`, have classes that training has not, and ShardError when
    the folder holds other clips.
    """
    run.check_classes((row.label for row in rows if row.label is not None), where)  # rendering may take hours
    spec = replace(run.clip, crop=(run.clip.crop[0], run.clip.crop[0]), flip=0.0)
    plan = Plan(rows=tuple(rows), recipe=load_recipe("none"), spec=spec, copies=0, keep_original=True)
    workers = worker_count(0)
    return augment(plan, run.validation_folder, Engine(), workers=workers, overwrite=overwrite, progress=progress)
