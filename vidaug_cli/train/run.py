"""What is trained, on which clips, and the folder it goes to; and what tells a run from every other."""

from __future__ import annotations

import hashlib
from collections import ChainMap
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from vidaug_cli.augment.plan import UNEQUAL, Plan, first_rows, read_plan, read_plans
from vidaug_cli.augment.render import Engine
from vidaug_cli.augment.run import Report
from vidaug_cli.augment.run import run as augment
from vidaug_cli.data.holdout import HoldOut, groups_of
from vidaug_cli.data.holdout import hold_out as held_out
from vidaug_cli.data.kinds import is_shards
from vidaug_cli.data.listing.names import first_few
from vidaug_cli.data.manifest import Row, distinct_names, relocate
from vidaug_cli.data.sampling import ClipSpec, mean_stride, span, speed
from vidaug_cli.data.shard.check import TOLERANCE
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.data.shard.format import finished_shards, mixed_labels
from vidaug_cli.errors import ClassesError, OccupiedError, UnfinishedError, UnfitError, UnknownNameError
from vidaug_cli.files import check_is_folder, leftovers
from vidaug_cli.ops.clips import Shape
from vidaug_cli.recipe.loading import load_recipe, stored_cautions
from vidaug_cli.recipe.notes import caution_notes
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.train.pretrained import stored_architecture
from vidaug_cli.train.settings import Settings, budget_of
from vidaug_cli.train.slowfast import ARCHITECTURES, Architecture
from vidaug_cli.words import count, nearest
from vidaug_cli.workers import worker_count


class ShardFolders:
    """The clips of one or several folders of `vidaug augment`, and how they were made.

    With `hold_out`, without the clips that show a video held out, be it their own or their partner.

    Raises ShardError when a folder is not one of shards, not finished, or unlike the first, and VidaugError where
    nothing can be held out or nothing is left.
    """

    def __init__(self, folders: Sequence[Path], hold_out: HoldOut | None = None) -> None:
        plans = read_plans(*folders)
        self.given, self.folders, self.plans = folders, list(plans), list(plans.values())
        for folder, plan in plans.items():
            there = len(finished_shards(folder).keys() & set(range(plan.shard_count)))
            if there < plan.shard_count:
                what = f"holds {there} of {plan.shard_count} shards"
                raise UnfinishedError(what, where=folder, hint="the same 'vidaug augment' command makes the others")
        self.spec = self.plans[0].spec  # what a clip is
        self.dataset = ShardDataset(self.folders, with_weights=True)
        self.all_clips, self.hold_out = len(self.dataset), hold_out
        self.rows = [row for plan in self.plans for row in plan.rows]
        self.held = [False] * len(self.rows)  # which of them are held out
        if hold_out is not None:
            self.held = held_out(self.rows, hold_out.share, hold_out.fold)
            shown = np.array([*self.held, False])[self._sources()]  # no partner is -1, and so the last
            if not (left := np.flatnonzero(~shown.any(axis=1)).tolist()):
                what = f"holds no clip without a video held out (a share of {hold_out.share:g})"
                raise UnfitError(what, where=folders[0], hint="hold out less, or mix clips while training: --recipe")
            self.dataset = self.dataset.only(left)

    def _sources(self) -> Int64[np.ndarray, "clips 2"]:
        """Return which of the rows are the own video and the partner of each clip; -1: no partner."""
        return self.dataset.sources(first_rows(dict(zip(self.folders, self.plans, strict=True))))

    @property
    def held_rows(self) -> list[Row]:
        """The videos held out, each once."""
        return list({row.name: row for row, out in zip(self.rows, self.held, strict=True) if out}.values())

    @property
    def notes(self) -> list[str]:
        """Classes that only some shards know, what is held out, and classes of which nothing is left, a line each."""
        widened = self.dataset.not_in_all
        lines = [f"not all shards have the classes {first_few(widened)}"] if widened else []
        if self.hold_out is None:
            return lines
        videos = len({row.name for row in self.rows})
        gone, total = self.all_clips - len(self.dataset), count(self.all_clips, "clip")
        what = f"held out: {len(self.held_rows)} of {count(videos, 'video')} ({groups_of(self.rows).text})"
        absent = sorted({str(row.label) for row in self.held_rows} - self.labels)
        nothing = f"no video of {first_few(absent)} is left to train on" if absent else ""
        return [*lines, f"{what}; {gone} of {total} show them and are left out", *filter(None, [nothing])]

    @property
    def labels(self) -> set[str]:
        """Names of the classes that have clips."""
        return {str(row.label) for row, out in zip(self.rows, self.held, strict=True) if not out}

    @property
    def mixed(self) -> Path | None:
        """A folder that has clips with two videos in them."""
        pairs = zip(self.folders, self.plans, strict=True)
        return next((folder for folder, plan in pairs if plan.recipe.mix and plan.rounds.copies), None)

    @property
    def boxed(self) -> Path | None:
        """A folder that has clips of which a part of the picture may show another video than the rest."""
        pairs = zip(self.folders, self.plans, strict=True)
        boxes = ((folder, member) for folder, plan in pairs if plan.rounds.copies for member in plan.recipe.mix)
        return next((folder for folder, member in boxes if {"y", "x"} & set(member.op.axes)), None)

    @cached_property
    def pairs(self) -> Int64[np.ndarray, "clips 2"]:
        """Class of own video and partner of each clip; of one that is not mixed, twice its own.

        Raises ShardError where labels are not the means of the frames' weights, so that parts have unknown ones.
        """
        clips, sources = self.dataset, self._sources()
        number = {name: label for label, name in enumerate(clips.classes)}
        of_row = np.concatenate([np.array([number[name] for name in plan.classes])[plan.labels] for plan in self.plans])
        pairs = of_row[np.where(sources < 0, sources[:, :1], sources)]
        labels = mixed_labels(pairs, clips.column("weights").mean(1, np.float64), len(clips.classes))
        if strange := np.flatnonzero((abs(labels - clips.column("labels")) > TOLERANCE).any(axis=1)).tolist():
            what = "has labels that are not the mean of the frames' weights, so that a part has an unknown label"
            where = clips.path_of(strange[0])
            raise UnfitError(what, where=where, hint="leave out --frames and --stride")
        return pairs

    @property
    def identity(self) -> list[Any]:
        """What tells these clips from others, wherever the folders lie, as JSON."""
        return [plan.sha256 for plan in self.plans] + [self.all_clips]

    @property
    def made(self) -> list[dict[str, Any]]:
        """How the clips were made, whatever the videos, as JSON."""
        return [
            {"recipe": plan.recipe.text, "copies": plan.copies, "keep_original": plan.keep_original}
            | {name: value for name in UNEQUAL if (value := getattr(plan, name))}
            | {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(plan.spec).items()}
            for plan in self.plans
        ]

    @property
    def videos(self) -> list[str]:
        """Names of the videos, as scores have them."""
        return [name for plan in self.plans for name in distinct_names(plan.rows)]


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One run of training. Raises VidaugError where its parts do not fit each other."""

    folder: Path  # of the checkpoints and the history
    settings: Settings
    shards: ShardFolders
    validation: ShardFolders | None = None  # one clean clip of each video
    recipe: Recipe | None = None  # for each batch, besides what made the shards
    init: Path | None = None  # weights to start from
    init_sha256: str | None = None  # ... and their hash, where it is known: of a run that goes on, they may be gone

    def __post_init__(self) -> None:
        network = self.settings.network
        if network not in ARCHITECTURES:
            hint = f"there are {', '.join(ARCHITECTURES)}"
            raise UnknownNameError(f"no network {network!r}{nearest(network, ARCHITECTURES)}", hint=hint)
        have, want = self.shards.spec, self.clip
        self._check_size(self.shards, "make larger ones, or lower --frames and --size")
        stride = self.settings.stride or 1
        longest = stride[1] if isinstance(stride, tuple) else stride
        self._check_length(self.shards, longest, "make longer ones, or lower --frames and --stride")
        if want.size != have.size and self.shards.boxed:
            what = "has clips with two videos side by side, and a cut of one would not show what its label says"
            hint = "leave out --size, or make clips with -r none and mix them here with --recipe"
            raise UnfitError(what, where=self.shards.boxed, hint=hint)
        if self.validation is not None:
            hint = "make clean clips: vidaug augment ... -r none --copies 0 --keep-original"
            if mixed := self.validation.mixed:
                raise UnfitError("has mixed clips, which have no one right class", where=mixed, hint=hint)
            self._check_size(self.validation, hint)
            if self.settings.stride is not None:
                self._check_length(self.validation, speed(self.validation.spec, want), hint)
            self.check_classes(self.validation.dataset.classes, self.validation.folders[0])

    def _check_size(self, clips: ShardFolders, hint: str) -> None:
        have, want = clips.spec, self.clip
        if have.frames < want.frames or have.size < want.size:
            what = f"clips have {have.frames} frames of {have.size} pixels, and {want.frames} of {want.size} are needed"
            raise UnfitError(what, where=clips.folders[0], hint=hint)

    def _check_length(self, clips: ShardFolders, stride: float, hint: str) -> None:
        have, want = clips.spec.frames, self.clip.frames
        if (needed := span(want, stride)) > have:
            what = f"clips have {count(have, 'frame')}, and {want} at a stride of {stride:g} take {needed}"
            raise UnfitError(what, where=clips.folders[0], hint=hint)

    def check_classes(self, names: Iterable[str], where: object) -> None:
        """Raise VidaugError when clips or videos to test on have classes that training has not."""
        if other := sorted(set(names) - set(self.classes)):
            what = f"has classes that training has not, such as {other[0]!r}"
            raise ClassesError(what, where=where, hint=f"training has {', '.join(self.classes)}"[:200])

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
        """What a clip is for the network: that of the shards, or the cut of it that the settings ask for.

        Where clips differ in their speed it is the mean one, at which the network is tested.
        """
        spec, thinned = self.shards.spec, mean_stride(self.settings.stride or 1)
        fps = None if spec.fps is None else spec.fps / thinned
        stride = mean_stride(spec.stride) * (thinned if spec.fps is None else 1)
        size = self.settings.size or spec.size
        crop = (spec.crop[0] * min(1, size / spec.size), spec.crop[1] * min(1, size / spec.size))
        frames = self.settings.frames or spec.frames
        return replace(spec, frames=frames, stride=stride, fps=fps, size=size, crop=crop, flip=0.0)

    @property
    def cuts_time(self) -> bool:
        """Whether a clip for the network has not all frames of the stored one."""
        return self.clip.frames < self.shards.spec.frames

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
    def is_rendered(self) -> bool:
        """Whether all of them are there."""
        clips = self.validation_folder
        return is_shards(clips) and len(finished_shards(clips)) == read_plan(clips).shard_count

    @property
    def last(self) -> Path:
        """The checkpoint to go on from."""
        return self.folder / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint to predict with: of the epoch that did best in validation, or else of the last."""
        return self.folder / "best.safetensors"

    @property
    def cautions(self) -> list[str]:
        """A line for each recipe, of the shards or for each batch, that is known to hurt at this budget."""
        stored = [stored_cautions(plan.recipe) for plan in self.shards.plans if plan.rounds.copies]
        every = ChainMap(*[dict(cautions) for cautions in stored], dict(self.recipe.cautions) if self.recipe else {})
        return caution_notes(every, budget_of(self.settings, len(self.shards.dataset)).clips_seen)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the weights follow from, as JSON: a run is only continued by one of the same identity."""
        settings = asdict(self.settings)
        stride = settings["stride"]
        return settings | {
            "stride": list(stride) if isinstance(stride, tuple) else stride,
            "shards": self.shards.identity,
            "validation": self.validation and self.validation.identity,
            "hold_out": self.shards.hold_out and asdict(self.shards.hold_out),
            "recipe": self.recipe and self.recipe.text,
            "init": self.init_sha256 or (self.init and hashlib.sha256(self.init.read_bytes()).hexdigest()),
        }

    @property
    def origin(self) -> dict[str, Any]:
        """What else scores should know of the network, as JSON: how clips were made, and which videos chose `best`."""
        return {"made": self.shards.made, "validation_videos": self.validation.videos if self.validation else []}


def check_folder(folder: Path) -> None:
    """Raise VidaugError if what is to be the folder of a run is something else."""
    check_is_folder(folder)
    if is_shards(folder):
        raise OccupiedError("is a folder of shards", where=folder, hint="choose another folder for the run")


def prepare_folder(folder: Path) -> None:
    """Make the folder of a run, without what killed writers left in it. Raises VidaugError if it is something else."""
    check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in leftovers(folder):
        path.unlink(missing_ok=True)


def held_videos(run: TrainingRun, root: Path | None = None) -> list[Row]:
    """Return the videos held out, in the folder `root` if they were moved there.

    Raises VidaugError when none of them is there and their clips are yet to be rendered.
    """
    rows = run.shards.held_rows
    return rows if run.is_rendered else relocate(rows, root)


def validation_plan(run: TrainingRun, rows: Sequence[Row], *, where: object) -> Plan:
    """Return the plan of clips that show the middle of each video in time and space.

    The square is as large as the smallest of training, so that things have the size at which the network saw them
    largest (arXiv:2008.05721's released protocol tests like this).

    Raises VidaugError when the videos, which come from `where`, have classes that training has not.
    """
    run.check_classes((row.label for row in rows if row.label is not None), where)  # rendering may take hours
    spec = replace(run.clip, crop=(run.clip.crop[0], run.clip.crop[0]), flip=0.0)
    return Plan(rows=tuple(rows), recipe=load_recipe("none"), spec=spec, copies=0, keep_original=True)


def render_validation(
    run: TrainingRun, rows: Sequence[Row], *, where: object, overwrite: bool, progress: bool
) -> Report:
    """Render the clips of `validation_plan` into the run's folder; those that are there already stay.

    Raises VidaugError as `validation_plan`, and ShardError when the folder holds other clips.
    """
    plan = validation_plan(run, rows, where=where)
    workers = worker_count(0)
    return augment(plan, run.validation_folder, Engine(), workers=workers, overwrite=overwrite, progress=progress)
