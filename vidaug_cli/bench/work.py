"""The pieces of work that are measured: what the stages of `augment` do, one by one, and all of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path

import numpy as np
import torch

from vidaug_cli.augment.render import clip_shape, draw_mixture
from vidaug_cli.augment.run import run
from vidaug_cli.bench.measure import Case
from vidaug_cli.bench.setting import Setting, request_of
from vidaug_cli.bench.verdict import DECODE, FROM, MIX, OPS, READ, TO, WRITE
from vidaug_cli.data.shard.codecs import PIECES
from vidaug_cli.data.shard.format import Codec, Record, ShardHeader, finished_shards
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.ops.blend import UNMIXED, Blend, mix
from vidaug_cli.ops.clips import ClipOp, Clips
from vidaug_cli.rng import Step, generator

COPY = "copy of the clip"
SMALLEST = 8  # pixels: to decode a clip's frames and make next to nothing of them
CODED = 2  # clips that are encoded and decoded
WRITTEN = 16  # clips of the shards that are written and read


def decoding(setting: Setting) -> Case:
    """Decode each video up to the last frame of a cut."""
    firsts = [cuts[0] for cuts in setting.passes]
    ends = [np.array([cut.frames.min(), cut.frames.max()], np.int32) for cut in firsts]

    def decode() -> None:
        for cut, frames in zip(firsts, ends, strict=True):
            request = request_of(cut)._replace(frames=frames)
            setting.guard.read_clips(setting.plan.rows[cut.slot.row], [request], SMALLEST)

    return Case(what=DECODE, call=decode, clips=len(firsts), frames=sum(int(last) + 1 for _, last in ends))


def reading(setting: Setting, cuts: int) -> Case:
    """Make so many clips of each video in one pass of the decoder."""
    plan = setting.plan
    out = [np.empty((*clip_shape(plan), 3), np.uint8) for _ in range(cuts)]
    requests = [(plan.rows[each[0].slot.row], [*map(request_of, each[:cuts])]) for each in setting.passes]

    def read() -> None:
        for row, each in requests:
            setting.guard.read_clips(row, each, plan.spec.size, out=out[: len(each)])

    return Case(what=READ.format(cuts), call=read, clips=sum(len(each) for _, each in requests))


def copying(setting: Setting) -> Case:
    """Copy clips into memory that is there: few ops can be faster."""
    out = torch.empty_like(setting.video)

    def copy() -> None:
        for part, place in setting.batches(setting.held):
            out[part].copy_(setting.video[place])

    return Case(what=COPY, call=copy, clips=setting.held)


def augmenting(setting: Setting, name: str, op: ClipOp) -> Case:
    """Apply an op."""
    shape = clip_shape(setting.plan)
    draws = [op.draw(generator(0, 0, clip, Step.AUGMENT), shape) for clip in range(setting.held)]

    def apply() -> None:
        for part, place in setting.batches(setting.held):
            op.apply(setting.video[place], draws[part])

    return Case(what=name, call=apply, clips=setting.held)


def recipe_ops(setting: Setting) -> Iterator[Case]:
    """Yield the ops of the recipe as all clips of a shard get them, where it has some."""
    recipe, draws = setting.plan.recipe, [cut.augment for cut in setting.cuts]

    def apply() -> None:
        for part, place in setting.batches(len(draws)):
            recipe.apply_augment(setting.video[place], draws[part])

    if recipe.augment:
        yield Case(what=OPS, call=apply, clips=len(draws))


def mixing(setting: Setting, what: str, blends: Sequence[Blend]) -> Case:
    """Mix clips with others, as the blends say."""
    target = torch.eye(setting.held, device=setting.engine.device)
    partner = torch.roll(setting.video, -1, 0)

    def apply() -> None:
        for part, place in setting.batches(len(blends)):
            mix(Clips(setting.video[place], target[place]), Clips(partner[place], target[place]), blends[part])

    return Case(what=what, call=apply, clips=len(blends))


def recipe_mix(setting: Setting) -> Iterator[Case]:
    """Yield the mixing of the recipe as all clips of a shard get it, where it mixes."""
    if setting.plan.recipe.mix:
        drawn = [draw_mixture(setting.plan, cut.slot) for cut in setting.cuts]
        yield mixing(setting, MIX, [mixture.blend if mixture else UNMIXED for mixture in drawn])


def moving(setting: Setting) -> Iterator[Case]:
    """Yield the ways to a GPU and back, where there is one."""
    if setting.engine.kind == "cuda":
        video, host = setting.video, setting.video.cpu().pin_memory()
        yield Case(what=TO, call=lambda: video.copy_(host, non_blocking=True), clips=setting.held)
        yield Case(what=FROM, call=lambda: host.copy_(video, non_blocking=True), clips=setting.held)


def storing(setting: Setting, codec: Codec, clips: int = WRITTEN) -> tuple[Case, Case]:
    """Write a shard of so many clips, with all checks, to the disk, and read it."""
    first = next(iter(finished_shards(setting.shards).values()))
    with Shard(first) as shard:
        header, records = shard.header, [shard.record(index) for index in range(min(WRITTEN, len(shard)))]
    path = setting.folder / f"{codec}-{clips}.h5"
    write = partial(_write, path, replace(header, codec=codec), [*islice(cycle(records), clips)])
    write()
    size = path.stat().st_size / clips
    return (
        Case(what=WRITE.format(codec), call=write, clips=clips, bytes=size),
        Case(what=f"read {codec}", call=partial(_read, path), clips=clips),
    )


def _write(path: Path, header: ShardHeader, records: Sequence[Record]) -> None:
    with ShardWriter(path, header) as writer:
        for record in records:
            writer.append(record)


def _read(path: Path) -> None:
    with Shard(path) as shard:
        for index in range(len(shard)):
            shard.video(index)


def coding(setting: Setting, codec: Codec) -> Iterator[Case]:
    """Yield making the pieces of clips that a codec stores, and clips from them; nothing for raw."""
    if codec in PIECES:
        coder, header = PIECES[codec].coder(), setting.plan.shard_header(0, setting.engine.kind)
        clips = [clip.numpy() for clip in setting.video[:CODED].cpu()]
        stored = [coder.encode_frames(clip, header.quality) for clip in clips]

        def encode() -> None:
            for clip in clips:
                coder.encode_frames(clip, header.quality)

        def decode() -> None:
            for pieces in stored:
                coder.decode_frames(pieces, header)

        yield Case(what=f"encode {codec}", call=encode, clips=CODED)
        yield Case(what=f"decode {codec}", call=decode, clips=CODED)


def whole(setting: Setting, what: str, workers: int, one: str = "") -> Case:
    """Run all of `augment`, from the videos to checked shards."""
    numbers = count()

    def augment() -> None:
        out = setting.folder / f"whole-{workers}-{next(numbers)}"
        run(setting.plan, out, setting.engine, workers=workers)
        shutil.rmtree(out)

    return Case(what=what, call=augment, clips=setting.plan.clips, one=one)
