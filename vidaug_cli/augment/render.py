"""The clips of a group: decode -> device -> ops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import getitem
from threading import get_ident
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int32, UInt8

from vidaug_cli.augment.plan import ORIGINAL, Group, Plan, Slot
from vidaug_cli.augment.rounds import GROUP
from vidaug_cli.data.sampling import Sample, clean_sample, draw_sample, frame_numbers
from vidaug_cli.data.shard.format import DeviceKind, Failure, Record
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import LIMITS, Limits
from vidaug_cli.data.video.memory import Memory
from vidaug_cli.data.video.reader import ClipRequest
from vidaug_cli.errors import VideoError
from vidaug_cli.ops.blend import UNMIXED, Blend, mix
from vidaug_cli.ops.clips import Clips, Draw, Shape, Video
from vidaug_cli.ops.upload import upload
from vidaug_cli.recipe.recipe import Mixture
from vidaug_cli.rng import Step, generator
from vidaug_cli.schema import parse

Frames = UInt8[np.ndarray, "frames height width 3"]
Pixels = UInt8[np.ndarray, "clips frames height width 3"]
GroupPixels = UInt8[np.ndarray, "rings clips frames height width 3"]


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


def thread_guard(limits: Limits) -> tuple[Guard, Memory]:
    """Return this thread's decoder and the memory for its clips.

    They are kept from shard to shard: a start costs as much as several clips, and new memory is slow at first touch.
    """
    return _guard(limits, get_ident())


@lru_cache(maxsize=64)  # threads that a worker of a cluster may have
def _guard(limits: Limits, thread: int) -> tuple[Guard, Memory]:
    memory = Memory()
    return Guard(limits, memory), memory


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


def decode(plan: Plan, guard: Guard, cuts: Sequence[Cut], out: Sequence[Frames]) -> list[Cut]:
    """Put the pixels of all cuts of one video into `out`, uint8 (T, H, W, 3) each; the video is decoded once.

    Returns the cuts with the frames that were taken: of a video whose manifest row is an estimate, these may be others.
    Raises VideoError when the video cannot be read or is no longer what was scanned, be it for one of the cuts.
    """
    row = plan.rows[cuts[0].slot.row]
    requests = [ClipRequest(cut.frames, cut.sample.crop, cut.sample.flip) for cut in cuts]
    _, taken = guard.read_clips(row, requests, plan.spec.size, out=out)
    return [cut._replace(frames=frames) for cut, frames in zip(cuts, taken, strict=True)]


class Gathering:
    """A group while its videos are decoded, each on its own and in any thread; then its clips.

    Args:
        plan: what the group is of.
        group: its rings.
        pixels: for each ring room for its clips and one more.
    """

    def __init__(self, plan: Plan, group: Group, pixels: GroupPixels) -> None:
        self.plan, self.group, self.pixels = plan, group, pixels
        self._places = [{slot.row: place for place, slot in enumerate(ring)} for ring in group]
        self._rings: list[list[Cut | None]] = [[None] * len(ring) for ring in group]
        self._lost: list[Failure] = []

    @property
    def rows(self) -> list[int]:
        """The videos, as rows of the manifest."""
        return [*self._places[0]] if self.group else []

    @property
    def failures(self) -> list[Failure]:
        """The clips of videos that could not be decoded, in plan order."""
        return sorted(self._lost, key=lambda failure: failure.clip)

    def decode(self, guard: Guard, row: int) -> None:
        """Draw and decode the clips of one video. One that fails is left out of all rings.

        Raises VideoError where it could only not be read this time: without it, others would get other partners.
        """
        at = [place[row] for place in self._places]
        slots = [ring[place] for ring, place in zip(self.group, at, strict=True)]
        try:
            cuts = decode(
                self.plan, guard, [draw_cut(self.plan, slot) for slot in slots], [*map(getitem, self.pixels, at)]
            )
            for ring, place, cut in zip(self._rings, at, cuts, strict=True):
                ring[place] = cut
        except VideoError as error:
            if error.passing:
                where = self.plan.rows[row].name
                raise VideoError(error.what, where=where, hint=error.hint, passing=True) from error
            self._lost += [failure_of(self.plan, slot, error) for slot in slots]

    def clips(self, engine: Engine) -> Iterator[Record]:
        """Yield the clips in plan order, in each ring a clip mixed with the next and the last with the first.

        On the CPU, the pixels of a record are good until those of the group are written over.
        """
        for ring, pixels in zip(self._rings, self.pixels, strict=False):
            yield from _mixed_ring(self.plan, engine, ring, pixels)


def render_group(plan: Plan, engine: Engine, group: Group, failures: list[Failure]) -> Iterator[Record]:
    """Yield the clips of one group as `Gathering` does, with those of videos that fail added to `failures`.

    The pixels of a record are good until this thread renders its next group. Raises VideoError as `decode` of it does.
    """
    guard, memory = thread_guard(engine.limits)
    gathering = Gathering(plan, group, group_pixels(plan, memory, len(group)))
    for row in gathering.rows:
        gathering.decode(guard, row)
    failures += gathering.failures
    yield from gathering.clips(engine)


def group_pixels(plan: Plan, memory: Memory, rings: int = 0, groups: int = 1) -> GroupPixels:
    """Return room in `memory` for groups of so many rings, or as most have, with room for one clip more in each."""
    rings = groups * max(plan.rounds.at_once, rings)
    return memory.array((rings, GROUP + 1, *clip_shape(plan), 3))


def _mixed_ring(plan: Plan, engine: Engine, ring: Sequence[Cut | None], pixels: Pixels) -> Iterator[Record]:
    """Yield the clips whose pixels lie in order in `pixels`, with room for one more, augmented and mixed."""
    there = [place for place, cut in enumerate(ring) if cut]
    cuts = [cut for cut in ring if cut]
    if not cuts:
        return
    if len(cuts) < len(ring):  # the others move together
        pixels[: len(cuts)] = pixels[there]
    video = torch.from_numpy(pixels[: len(cuts) + 1]).to(engine.device, non_blocking=True)
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


def failure_of(plan: Plan, slot: Slot, error: VideoError) -> Failure:
    """Return that a clip is left out, and why."""
    path = plan.rows[slot.row].name
    return Failure(clip=slot.clip, copy=slot.copy, path=path, reason=error.reason)


def _mix_neighbours(
    plan: Plan, video: Video, cuts: Sequence[Cut], mixtures: Sequence[Mixture | None]
) -> Iterator[Record]:
    """Yield clip i of `video` mixed with clip i + 1 as `mixtures[i]` says; of B + 1 clips, B come out."""
    (labels,) = upload(video.device, np.array([plan.labels[cut.slot.row] for cut in cuts], np.int64))
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
                "mix": mixture and {"op": mixture.op, **vars(mixture.blend), "box": vars(mixture.blend.box)},
            },
            copy=cut.slot.copy,
            clip=cut.slot.clip,
        )


def _cut_json(plan: Plan, cut: Cut) -> dict[str, Any]:
    steps = zip(plan.recipe.augment, cut.augment, strict=True)
    sample = vars(cut.sample) | {"crop": vars(cut.sample.crop)}  # not asdict, which takes longer than all the drawing
    return {"sample": sample, "augment": [{"op": step.name, "draw": draw} for step, draw in steps]}


def _cut_from_json(record: Record, index: int, params: dict[str, Any]) -> Cut:
    """Return the own video (index 0) or the partner (1) of a stored clip."""
    slot = Slot(record.clip, record.copy, record.sources[index])
    draws = [step["draw"] for step in params["augment"]]
    return Cut(slot, parse(Sample, params["sample"], where="sample"), record.frames[index], draws)


def decode_sources(plan: Plan, limits: Limits, record: Record) -> tuple[list[Cut], Pixels]:
    """Return the cuts that a clip was made of, its own and its partner's, and their pixels before anything was done.

    Of a clip without a partner, both are its own. Raises VideoError when a source is gone or changed.
    """
    mixed, stored = record.params["mix"], [record.params["own"], record.params["partner"] or record.params["own"]]
    cuts = [_cut_from_json(record, index if mixed else 0, params) for index, params in enumerate(stored)]
    guard, _ = thread_guard(limits)
    pixels = np.empty((2, *clip_shape(plan), 3), np.uint8)
    for cut, out in zip(cuts, pixels, strict=True):
        decode(plan, guard, [cut], [out])
    return cuts, pixels


def replay(plan: Plan, engine: Engine, record: Record) -> Record:
    """Render a stored clip again from its source videos and its stored numbers; nothing is drawn.

    Raises VideoError when a source is gone or changed.
    """
    cuts, pixels = decode_sources(plan, engine.limits, record)
    mixed = record.params["mix"]
    mixture = Mixture(mixed["op"], parse(Blend, mixed, extra=True)) if mixed else None
    video = plan.recipe.apply_augment(torch.from_numpy(pixels).to(engine.device), [cut.augment for cut in cuts])
    (again,) = _mix_neighbours(plan, video, cuts, [mixture])
    return again
