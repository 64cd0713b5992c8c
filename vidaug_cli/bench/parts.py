"""The parts of the benchmark: what each measures, as cases of `measure`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from vidaug_cli.augment.plan import write_plan
from vidaug_cli.augment.render import clip_shape, draw_mixture
from vidaug_cli.augment.run import run
from vidaug_cli.bench.measure import Case
from vidaug_cli.bench.processes import WORK, Phase, Together
from vidaug_cli.bench.setting import CLIPS, Setting, request_of
from vidaug_cli.bench.training import Steps
from vidaug_cli.bench.verdict import CUTS, DECODE, MIX, OPS, READ, WHOLE, together
from vidaug_cli.data.shard.format import Codec, Record, ShardHeader, finished_shards
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.ops.blend import UNMIXED, Blend, mix
from vidaug_cli.ops.clips import ClipOp, Clips, Draw
from vidaug_cli.ops.frame_ops import op_names
from vidaug_cli.ops.randaugment import RandAugmentT
from vidaug_cli.recipe.registry import aliases, ops_of
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.settings import preset_settings
from vidaug_cli.workers import why_alone

COPY = "copy of the clip"
SMALLEST = 8  # pixels: to decode a clip's frames and make next to nothing of them


@dataclass(frozen=True)
class Part:
    """A row of `PARTS`."""

    what: str
    measure: Callable[[Setting], None]


def read(setting: Setting) -> None:
    """Turn videos to pixels, in the process that decodes for every command."""
    plan, size = setting.plan, setting.plan.spec.size
    out = [np.empty((*clip_shape(plan), 3), np.uint8) for _ in range(CUTS)]
    with Guard(setting.engine.limits) as guard:

        def decode() -> None:
            for cut in setting.cuts:
                ends = np.array([cut.frames.min(), cut.frames.max()], np.int32)
                guard.read_clips(plan.rows[cut.slot.row], [request_of(cut)._replace(frames=ends)], SMALLEST)

        def read(cuts: int) -> None:
            for clip, first in enumerate(setting.cuts):
                requests = [request_of(setting.cut(clip, copy)) for copy in range(cuts)]
                guard.read_clips(plan.rows[first.slot.row], requests, size, out=out[:cuts])

        frames = sum(int(cut.frames.max()) + 1 for cut in setting.cuts)
        cases = [Case(what=DECODE, call=decode, clips=CLIPS, frames=frames)]
        cases += [
            Case(what=READ.format(cuts), call=partial(read, cuts), clips=cuts * CLIPS) for cuts in sorted({1, CUTS})
        ]
        setting.take_turns("read", cases)


def ops(setting: Setting) -> None:
    """Apply each frame op as RandAugment-T draws it, each op that needs no setting, and those of the recipe."""
    every: dict[str, ClipOp] = {name: RandAugmentT(n=1, ops=(name,)) for name in op_names("official")}
    every |= {name: kind() for name, kind in ops_of("augment").items() if _complete(kind)}
    shape, video = clip_shape(setting.plan), setting.video

    def apply(op: ClipOp, draws: list[Draw]) -> None:
        for part in setting.batches:
            op.apply(video[part], draws[part])

    def apply_recipe() -> None:
        for part in setting.batches:
            setting.plan.recipe.apply_augment(video[part], [cut.augment for cut in setting.cuts[part]])

    cases = [
        Case(
            what=name,
            call=partial(apply, op, [op.draw(generator(0, 0, clip, Step.AUGMENT), shape) for clip in range(CLIPS)]),
            clips=CLIPS,
            copy=COPY,
        )
        for name, op in every.items()
    ]
    if setting.plan.recipe.augment:
        cases.append(Case(what=OPS, call=apply_recipe, clips=CLIPS, copy=COPY))
    setting.take_turns("ops", [_copy(setting), *cases])


def mixes(setting: Setting) -> None:
    """Apply each op that mixes two clips, and that of the recipe."""
    every = {name: kind for name, kind in ops_of("mix").items() if name not in aliases() and _complete(kind)}
    shape, recipe = clip_shape(setting.plan), setting.plan.recipe
    blends = {
        name: [kind().draw(generator(0, 0, clip, Step.MIX), shape) for clip in range(CLIPS)]
        for name, kind in every.items()
    }
    if recipe.mix:
        drawn = [draw_mixture(setting.plan, cut.slot) for cut in setting.cuts]
        blends[MIX] = [mixture.blend if mixture else UNMIXED for mixture in drawn]
    target = torch.eye(CLIPS, device=setting.engine.device)
    partner = torch.roll(setting.video, -1, 0)

    def apply(blends: list[Blend]) -> None:
        for part in setting.batches:
            mix(Clips(setting.video[part], target[part]), Clips(partner[part], target[part]), blends[part])

    cases = [Case(what=name, call=partial(apply, drawn), clips=CLIPS, copy=COPY) for name, drawn in blends.items()]
    setting.take_turns("mix", [_copy(setting), *cases])


def codecs(setting: Setting) -> None:
    """Write shards to the disk, with all checks, and read them."""
    path = next(iter(finished_shards(setting.shards).values()))
    with Shard(path) as shard:
        header, records = shard.header, [shard.record(index) for index in range(min(CLIPS, len(shard)))]
    cases = []
    for codec in get_args(Codec):
        target = setting.folder / f"{codec}.h5"
        write = partial(_write, target, replace(header, codec=codec), records)
        write()
        size = target.stat().st_size / len(records)
        cases += [
            Case(what=f"write {codec}", call=write, clips=len(records), bytes=size),
            Case(what=f"read {codec}", call=partial(_read, target), clips=len(records)),
        ]
    setting.take_turns("codec", cases)


def _write(path: Path, header: ShardHeader, records: Sequence[Record]) -> None:
    with ShardWriter(path, header) as writer:
        for record in records:
            writer.append(record)


def _read(path: Path) -> None:
    with Shard(path) as shard:
        for index in range(len(shard)):
            shard.record(index)


def whole(setting: Setting) -> None:
    """Run all of `augment`, from the videos to checked shards."""
    numbers = count()

    def augment() -> None:
        out = setting.folder / f"whole-{next(numbers)}"
        run(setting.plan, out, setting.engine)
        shutil.rmtree(out)

    setting.take_turns("augment", [Case(what=WHOLE, call=augment, clips=setting.plan.clips)])


def _copy(setting: Setting) -> Case:
    """Return a plain copy of the clips, into memory that is there: few ops can be faster."""
    out = torch.empty_like(setting.video)

    def copy() -> None:
        for part in setting.batches:
            out[part].copy_(setting.video[part])

    return Case(what=COPY, call=copy, clips=CLIPS)


def _complete(kind: type) -> bool:
    """Return whether an op needs no settings."""
    try:
        kind()
    except TypeError:
        return False
    return True


def processes(setting: Setting) -> None:
    """Let several processes work, and one, and as many that only copy memory."""
    if setting.processes < 2 or why_alone():
        return
    plan = setting.folder / "plan"
    write_plan(setting.plan, plan)
    names = {Phase(work, n): together(work, n) for work in WORK for n in (1, setting.processes)}
    measured = Together(plan, setting.folder / "together", setting.engine, setting.processes, names)
    setting.measured.append(measured)
    measured.run(setting.seconds)


def training(setting: Setting) -> None:
    """Take steps of a training run on the clips of the plan."""
    settings, run = preset_settings(setting.preset, {}), setting.folder / "run"
    measured = Steps(setting.shards, run, settings, setting.engine.device, setting.readers)
    setting.measured.append(measured)
    measured.run(setting.seconds)


PARTS: dict[str, Part] = {
    "read": Part("videos to pixels", read),
    "ops": Part("ops of one clip, beside a plain copy of it", ops),
    "mix": Part("mixing two clips, beside a plain copy of one", mixes),
    "codec": Part("shards, written with all checks and read", codecs),
    "augment": Part("all of 'vidaug augment'", whole),
    "processes": Part("several processes against one", processes),
    "train": Part("a training step, with and without reading", training),
}
