"""One shard: decode -> device -> ops -> file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from operator import getitem
from pathlib import Path
from threading import get_ident
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, UInt8

from vidaug_cli.augment.output import to_retry
from vidaug_cli.augment.plan import ORIGINAL, Group, Plan, Slot, shared_plan
from vidaug_cli.augment.rounds import GROUP
from vidaug_cli.data.sampling import Sample, clean_sample, draw_sample, frame_numbers
from vidaug_cli.data.shard.format import DeviceKind, DoneRecord, Failure, Record, done_path, read_done, shard_path
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.device import within_memory
from vidaug_cli.errors import VideoError
from vidaug_cli.ops.blend import UNMIXED, Blend, mix
from vidaug_cli.ops.clips import Clips, Draw, Shape, Video
from vidaug_cli.recipe.recipe import Mixture
from vidaug_cli.rng import Step, generator
from vidaug_cli.schema import parse

OnError = Literal["skip", "fail"]
Frames = UInt8[np.ndarray, "frames height width 3"]
Pixels = UInt8[np.ndarray, "clips frames height width 3"]


class Cut(NamedTuple):
    """One clip of one video, drawn and not yet mixed: with the ops of the recipe, all that its pixels follow from."""

    slot: Slot
    sample: Sample
    frames: Int32[np.ndarray, " frames"]  # decoded frame numbers
    augment: list[Draw | None]  # one per augment step


@dataclass(frozen=True, kw_only=True)
class Engine:
    """How clips are rendered: it decides the speed and, between CPU and CUDA by a level at most, the pixels."""

    device: str = "cpu"
    batch: int = 4  # clips on the device at a time; on the CPU, few stay nearer to the cache
    limits: Limits = LIMITS

    @property
    def kind(self) -> DeviceKind:
        """The kind of device, as a shard's header names it."""
        return "cuda" if self.device.startswith("cuda") else "cpu"


@lru_cache(maxsize=4)
def _guard(limits: Limits, thread: int) -> Guard:
    """Return this thread's decoder, kept from shard to shard: starting one costs as much as several clips."""
    return Guard(limits)


def draw_cut(plan: Plan, slot: Slot) -> Cut:
    """Draw one clip: the clean middle for an original, else a random cut and the recipe's ops."""
    row = plan.rows[slot.row]
    draws: list[Draw | None] = [None] * len(plan.recipe.augment)
    if slot.copy == ORIGINAL:
        sample = clean_sample(plan.spec, row)
    else:
        at = (plan.seed, slot.copy, slot.clip)
        sample = draw_sample(generator(*at, Step.SAMPLE), plan.spec, row)
        draws = plan.recipe.draw_augment(lambda index: generator(*at, Step.AUGMENT + index), clip_shape(plan))
    return Cut(slot, sample, frame_numbers(sample, plan.spec, row), draws)


def draw_mixture(plan: Plan, slot: Slot) -> Mixture | None:
    """Draw how one clip is mixed with the next of its group, if it is."""
    if slot.copy == ORIGINAL:
        return None
    return plan.recipe.draw_mix(generator(plan.seed, slot.copy, slot.clip, Step.MIX), clip_shape(plan))


def clip_shape(plan: Plan) -> Shape:
    """Return the shape of every clip of the plan."""
    return Shape(plan.spec.frames, plan.spec.size, plan.spec.size)


def decode(plan: Plan, engine: Engine, cuts: Sequence[Cut], out: Sequence[Frames]) -> list[Cut]:
    """Put the pixels of all cuts of one video into `out`, uint8 (T, H, W, 3) each; the video is decoded once.

    Returns the cuts with the frames that were taken: of a video whose manifest row is an estimate, these may be others.
    Raises VideoError when the video cannot be read or is no longer what was scanned, be it for one of the cuts.
    """
    row, guard = plan.rows[cuts[0].slot.row], _guard(engine.limits, get_ident())
    taken = []
    for cut, pixels in zip(cuts, out, strict=True):
        crop, flip = cut.sample.crop, cut.sample.flip
        taken.append(guard.read_clip(row, cut.frames, crop, plan.spec.size, flip=flip, out=pixels)[1])
    return [cut._replace(frames=frames) for cut, frames in zip(cuts, taken, strict=True)]


def render_group(plan: Plan, engine: Engine, group: Group, failures: list[Failure]) -> Iterator[Record]:
    """Yield the clips of one group in plan order, in each ring a clip mixed with the next and the last with the first.

    Videos that fail are left out of all rings before that, and their clips added to `failures`. The pixels of a record
    are good until this thread renders its next group.
    """
    pixels = _pixels(max(plan.rounds.at_once, len(group)), clip_shape(plan), get_ident())
    places = [{slot.row: place for place, slot in enumerate(ring)} for ring in group]
    rings: list[list[Cut | None]] = [[None] * len(ring) for ring in group]
    lost: list[Failure] = []
    for row in places[0] if group else ():
        at = [place[row] for place in places]
        slots = [ring[place] for ring, place in zip(group, at, strict=True)]
        try:
            cuts = decode(plan, engine, [draw_cut(plan, slot) for slot in slots], [*map(getitem, pixels, at)])
            for ring, place, cut in zip(rings, at, cuts, strict=True):
                ring[place] = cut
        except VideoError as error:
            lost += [_failure(plan, slot, error) for slot in slots]
    failures += sorted(lost, key=lambda failure: failure.clip)
    with within_memory(engine.device, engine.batch):
        for ring, clips in zip(rings, pixels, strict=False):
            yield from _mixed_ring(plan, engine, ring, clips)


def _mixed_ring(plan: Plan, engine: Engine, ring: Sequence[Cut | None], pixels: Pixels) -> Iterator[Record]:
    """Yield the clips whose pixels lie in order in `pixels`, with room for one more, augmented and mixed."""
    there = [place for place, cut in enumerate(ring) if cut]
    cuts = [cut for cut in ring if cut]
    if not cuts:
        return
    if len(cuts) < len(ring):  # the others move together
        pixels[: len(cuts)] = pixels[there]
    video = torch.from_numpy(pixels[: len(cuts) + 1]).to(engine.device)
    mixtures = [draw_mixture(plan, cut.slot) if len(cuts) > 1 else None for cut in cuts]
    starts = range(0, len(cuts), engine.batch)
    for start in starts if plan.recipe.augment else ():
        part = slice(start, min(start + engine.batch, len(cuts)))
        video[part] = plan.recipe.apply_augment(video[part], [cut.augment for cut in cuts[part]])
    following = [*cuts, cuts[0]]
    video[-1] = video[0]
    for start in starts:
        part, with_next = slice(start, start + engine.batch), slice(start, start + engine.batch + 1)
        yield from _mix_neighbours(plan, video[with_next], following[with_next], mixtures[part])


def _failure(plan: Plan, slot: Slot, error: VideoError) -> Failure:
    path = plan.rows[slot.row].name
    return Failure(clip=slot.clip, copy=slot.copy, path=path, reason=error.reason, passing=error.passing)


@lru_cache(maxsize=1)
def _pixels(copies: int, shape: Shape, thread: int) -> UInt8[np.ndarray, "copies clips frames height width 3"]:
    """Return this thread's memory for a group, with room for one clip more in each copy.

    It is kept: new memory is slow at first touch, page by page.
    """
    return np.empty((copies, GROUP + 1, *shape, 3), np.uint8)


def _mix_neighbours(
    plan: Plan, video: Video, cuts: Sequence[Cut], mixtures: Sequence[Mixture | None]
) -> Iterator[Record]:
    """Yield clip i of `video` mixed with clip i + 1 as `mixtures[i]` says; of B + 1 clips, B come out."""
    labels = torch.tensor([plan.labels[cut.slot.row] for cut in cuts], device=video.device)
    target = torch.nn.functional.one_hot(labels, len(plan.classes)).float()
    weights = torch.ones(video.shape[:2], device=video.device)
    clips = Clips(video[:-1], target[:-1], weights[:-1])
    if any(mixtures):
        blends = [mixture.blend if mixture else UNMIXED for mixture in mixtures]
        clips = mix(clips, Clips(video[1:], target[1:], weights[1:]), blends)
    columns = (part.cpu().numpy() for part in (clips.video, clips.target, clips.weights))
    for pixels, label, share, mixture, cut, following in zip(*columns, mixtures, cuts[:-1], cuts[1:], strict=True):
        partner = following if mixture else None
        yield Record(
            video=pixels,
            label=label,
            weights=share,
            sources=(cut.slot.row, partner.slot.row if partner else -1),
            frames=np.stack([cut.frames, partner.frames if partner else np.full_like(cut.frames, -1)]),
            params={
                "own": _cut_json(plan, cut),
                "partner": partner and _cut_json(plan, partner),
                "mix": mixture and {"op": mixture.op, **asdict(mixture.blend)},
            },
            copy=cut.slot.copy,
            clip=cut.slot.clip,
        )


def _cut_json(plan: Plan, cut: Cut) -> dict[str, Any]:
    steps = zip(plan.recipe.augment, cut.augment, strict=True)
    return {"sample": asdict(cut.sample), "augment": [{"op": step.name, "draw": draw} for step, draw in steps]}


def _cut_from_json(record: Record, index: int, params: dict[str, Any]) -> Cut:
    """Return the own video (index 0) or the partner (1) of a stored clip."""
    slot = Slot(record.clip, record.copy, record.sources[index])
    draws = [step["draw"] for step in params["augment"]]
    return Cut(slot, parse(Sample, params["sample"], where="sample"), record.frames[index], draws)


def replay(plan: Plan, engine: Engine, record: Record) -> Record:
    """Render a stored clip again from its source videos and its stored numbers; nothing is drawn.

    Raises VideoError when a source is gone or changed.
    """
    mixed, stored = record.params["mix"], [record.params["own"], record.params["partner"] or record.params["own"]]
    cuts = [_cut_from_json(record, index if mixed else 0, params) for index, params in enumerate(stored)]
    pixels = np.empty((2, *clip_shape(plan), 3), np.uint8)
    for cut, out in zip(cuts, pixels, strict=True):
        decode(plan, engine, [cut], [out])
    mixture = Mixture(mixed["op"], parse(Blend, mixed, extra=True)) if mixed else None
    with within_memory(engine.device, 1):
        video = plan.recipe.apply_augment(torch.from_numpy(pixels).to(engine.device), [cut.augment for cut in cuts])
        (again,) = _mix_neighbours(plan, video, cuts, [mixture])
    return again


def render_shard(plan: Plan, out: Path, index: int, engine: Engine, on_error: OnError = "skip") -> DoneRecord:
    """Write one whole shard and its done record, and return that. The same plan and index always give the same bytes.

    Raises VideoError for the first video that fails, when `on_error` is "fail".
    """
    path = shard_path(out, index)
    with ShardWriter(path, plan.shard_header(index, engine.kind)) as writer:
        for group in plan.groups(index):
            for record in render_group(plan, engine, group, writer.failures):
                writer.append(record)
            if writer.failures and on_error == "fail":
                raise _first_failure(writer.failures)
    return read_done(done_path(path))


def _first_failure(failures: Sequence[Failure]) -> VideoError:
    """Return what ends a run in which no video may fail."""
    return VideoError(failures[0].reason, where=failures[0].path, hint="--on-error skip leaves it out")


def retry(plan: Plan, out: Path, done: DoneRecord, engine: Engine, *, every: bool) -> DoneRecord | None:
    """Try the clips again that were left out of a finished shard: those that may be readable by now, or `every` one.

    A video's clips are read together, as rendering does. Where none of them is readable, the shard stays as it is, and
    its record with the reasons of today is returned; None where the shard has to be made anew.
    """
    failures, slots = {failure.clip: failure for failure in done.failures}, plan.slots(done.shard)
    pixels = _pixels(plan.rounds.at_once, clip_shape(plan), get_ident())[:, 0]
    again_of = {failure.clip for failure in to_retry(done, every)}
    for row in dict.fromkeys(slot.row for slot in slots if slot.clip in again_of):
        cuts = [draw_cut(plan, slot) for slot in slots if slot.row == row]
        try:
            decode(plan, engine, cuts, pixels[: len(cuts)])
            return None
        except VideoError as error:
            failures |= {cut.slot.clip: _failure(plan, cut.slot, error) for cut in cuts}
    again = replace(done, failures=tuple(failures.values()))
    if again != done:
        again.write(done_path(shard_path(out, done.shard)))
    return again


def finish_shard(
    out: Path, sha256: str, engine: Engine, on_error: OnError, retry_failed: bool, index: int, done: DoneRecord | None
) -> DoneRecord:
    """Render one shard of the plan in `out`, in a worker process or in this one, and return its record.

    Of one that is `done`, the clips that were left out are tried first, and where all fail again the shard stays.
    """
    if engine.device == "cuda":  # a worker cannot be pinned to a GPU, so the GPUs share the shards
        engine = replace(engine, device=f"cuda:{index % torch.cuda.device_count()}")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the workers share the cores
    try:
        plan = shared_plan(out, sha256)
        kept = retry(plan, out, done, engine, every=retry_failed) if done else None
        if kept and on_error == "fail":
            raise _first_failure(kept.failures)
        return kept or render_shard(plan, out, index, engine, on_error)
    finally:
        torch.set_num_threads(threads)  # training may follow, and its sums depend on it
