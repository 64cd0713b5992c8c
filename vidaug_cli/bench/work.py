"""The pieces of work that are measured: what the stages of `augment` do, one by one, and all of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch

from vidaug_cli.augment.render import clip_shape, draw_mixture
from vidaug_cli.augment.run import run
from vidaug_cli.bench.measure import Case
from vidaug_cli.bench.setting import CLIPS, Setting, request_of
from vidaug_cli.bench.verdict import DECODE, FROM, MIX, OPS, READ, TO, WRITE
from vidaug_cli.data.shard.codecs import PIECES
from vidaug_cli.data.shard.format import Codec, Record, ShardHeader, finished_shards
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.ops.blend import UNMIXED, Blend, mix
from vidaug_cli.ops.clips import Clips

COPY = "copy of the clip"
SMALLEST = 8  # pixels: to decode a clip's frames and make next to nothing of them
CODED = 2  # clips that are encoded and decoded
WRITTEN = 16  # clips of the shards that are written and read


def decoding(setting: Setting) -> Case:
    """Decode up to the last frame of each cut."""
    ends = [np.array([cut.frames.min(), cut.frames.max()], np.int32) for cut in setting.cuts]

    def decode() -> None:
        for cut, frames in zip(setting.cuts, ends, strict=True):
            request = request_of(cut)._replace(frames=frames)
            setting.guard.read_clips(setting.plan.rows[cut.slot.row], [request], SMALLEST)

    return Case(what=DECODE, call=decode, clips=CLIPS, frames=sum(int(last) + 1 for _, last in ends))


def reading(setting: Setting, cuts: int) -> Case:
    """Make so many clips of each video in one pass of the decoder."""
    plan = setting.plan
    out = [np.empty((*clip_shape(plan), 3), np.uint8) for _ in range(cuts)]
    requests = [[request_of(setting.cut(video, copy)) for copy in range(cuts)] for video in range(CLIPS)]

    def read() -> None:
        for cut, each in zip(setting.cuts, requests, strict=True):
            setting.guard.read_clips(plan.rows[cut.slot.row], each, plan.spec.size, out=out)

    return Case(what=READ.format(cuts), call=read, clips=cuts * CLIPS)


def copying(setting: Setting) -> Case:
    """Copy the clips into memory that is there: few ops can be faster."""
    out = torch.empty_like(setting.video)

    def copy() -> None:
        for part in setting.batches:
            out[part].copy_(setting.video[part])

    return Case(what=COPY, call=copy, clips=CLIPS)


def recipe_ops(setting: Setting) -> Iterator[Case]:
    """Yield the ops of the recipe, where it has some."""
    draws = [cut.augment for cut in setting.cuts]

    def apply() -> None:
        for part in setting.batches:
            setting.plan.recipe.apply_augment(setting.video[part], draws[part])

    if setting.plan.recipe.augment:
        yield Case(what=OPS, call=apply, clips=CLIPS)


def mixing(setting: Setting, what: str, blends: Sequence[Blend]) -> Case:
    """Mix each clip with the next, as the blends say."""
    target = torch.eye(CLIPS, device=setting.engine.device)
    partner = torch.roll(setting.video, -1, 0)

    def apply() -> None:
        for part in setting.batches:
            mix(Clips(setting.video[part], target[part]), Clips(partner[part], target[part]), blends[part])

    return Case(what=what, call=apply, clips=CLIPS)


def recipe_mix(setting: Setting) -> Iterator[Case]:
    """Yield the mixing of the recipe, where it mixes."""
    if setting.plan.recipe.mix:
        drawn = [draw_mixture(setting.plan, cut.slot) for cut in setting.cuts]
        yield mixing(setting, MIX, [mixture.blend if mixture else UNMIXED for mixture in drawn])


def moving(setting: Setting) -> Iterator[Case]:
    """Yield the ways to a GPU and back, where there is one."""
    if setting.engine.kind == "cuda":
        video, host = setting.video, setting.video.cpu().pin_memory()
        yield Case(what=TO, call=lambda: video.copy_(host, non_blocking=True), clips=CLIPS)
        yield Case(what=FROM, call=lambda: host.copy_(video, non_blocking=True), clips=CLIPS)


def storing(setting: Setting, codec: Codec) -> tuple[Case, Case]:
    """Write a shard, with all checks, to the disk, and read it."""
    first = next(iter(finished_shards(setting.shards).values()))
    with Shard(first) as shard:
        header, records = shard.header, [shard.record(index) for index in range(min(WRITTEN, len(shard)))]
    path = setting.folder / f"{codec}.h5"
    write = partial(_write, path, replace(header, codec=codec), records)
    write()
    size = path.stat().st_size / len(records)
    return (
        Case(what=WRITE.format(codec), call=write, clips=len(records), bytes=size),
        Case(what=f"read {codec}", call=partial(_read, path), clips=len(records)),
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
