"""One shard: decode -> device -> ops -> file; and the fan-out over workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vidaug_cli.data.done import DoneRecord, Failure, done_path, read_done, shard_path
from vidaug_cli.data.guard import Guard
from vidaug_cli.data.header import Device, Record, ShardHeader
from vidaug_cli.data.sampling import Sample, clean_sample, draw_sample, frame_numbers
from vidaug_cli.data.shards import ShardWriter
from vidaug_cli.data.videos import Limits
from vidaug_cli.errors import ShardError, VidaugError, VideoError
from vidaug_cli.ops.clips import Clips, Draw, Shape, Video
from vidaug_cli.ops.mix import UNMIXED, Blend, mix
from vidaug_cli.plan import ORIGINAL, Group, Plan, Slot, read_header, read_plan
from vidaug_cli.rng import Step, generator
from vidaug_cli.workers import in_processes

OnError = Literal["skip", "fail"]


class Cut(NamedTuple):
    """One clip of one video, drawn and not yet mixed: with the ops of the recipe, all that its pixels follow from."""

    row: int
    sample: Sample
    frames: NDArray[np.int32]  # decoded frame numbers, (T,)
    augment: list[Draw | None]  # one per augment step


class Mixture(NamedTuple):
    """How one clip is mixed; the partner is the next clip of its group."""

    op: str
    blend: Blend


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What renders: changes the speed and, between CPU and CUDA by a level at most, the pixels; nothing else."""

    device: str = "cpu"
    batch: int = 8  # clips on the device at a time
    limits: Limits = field(default_factory=Limits)

    @property
    def kind(self) -> Device:
        """The kind of device, as a shard's header names it."""
        return "cuda" if self.device.startswith("cuda") else "cpu"

    @property
    def guard(self) -> Guard:
        return _guard(self.limits)


@lru_cache(maxsize=1)
def _guard(limits: Limits) -> Guard:
    """This process's decoder, kept from shard to shard: starting one costs as much as several clips."""
    return Guard(limits)


def resolve_device(name: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` as a device that is there. Raises VidaugError."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
        raise VidaugError(f"no device {name!r}", hint="auto, cpu, cuda or cuda:N")
    if kind == "cuda" and int(index or 0) >= count:
        raise VidaugError(f"no device {name!r}: torch sees {count} CUDA devices", hint="try --device cpu")
    return name


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
    return Cut(slot.row, sample, frame_numbers(sample, plan.spec, row.frames), draws)


def draw_mixture(plan: Plan, slot: Slot) -> Mixture | None:
    """Draw how one clip is mixed, if it is."""
    if slot.copy == ORIGINAL:
        return None
    drawn = plan.recipe.draw_mix(generator(plan.seed, slot.copy, slot.clip, Step.MIX), clip_shape(plan))
    return None if drawn is None else Mixture(*drawn)


def clip_shape(plan: Plan) -> Shape:
    return Shape(plan.spec.frames, plan.spec.size, plan.spec.size)


def decode(plan: Plan, engine: Engine, cut: Cut, out: NDArray[np.uint8]) -> Cut:
    """Put the pixels of `cut` into `out`, uint8 (T, H, W, 3).

    Returns the cut with the frames really taken: of a video whose manifest row is an estimate, they may be fewer.
    Raises VideoError when the video cannot be read or is no longer what was scanned.
    """
    row = plan.rows[cut.row]
    sample = cut.sample
    _, taken = engine.guard.read_clip(row.file, cut.frames, sample.crop, plan.spec.size, flip=sample.flip, out=out)
    if row.probe == "full" and not np.array_equal(taken, cut.frames):
        raise VideoError(
            f"has {taken.max() + 1} frames where the manifest says {row.frames}", where=row.path, hint="scan it again"
        )
    return cut._replace(frames=taken)


def render_group(plan: Plan, engine: Engine, group: Group, failures: list[Failure]) -> Iterator[Record]:
    """The clips of one group in plan order. Videos that fail are noted and left out; the ring closes without them."""
    shape = clip_shape(plan)
    pixels = np.empty((len(group), *shape, 3), np.uint8)
    slots: list[Slot] = []
    cuts: list[Cut] = []
    for slot in group:
        try:
            cuts.append(decode(plan, engine, draw_cut(plan, slot), pixels[len(cuts)]))
        except VideoError as error:
            path, reason = plan.rows[slot.row].path, error.what
            failures.append(Failure(clip=slot.clip, copy=slot.copy, path=path, reason=reason))
        else:
            slots.append(slot)
    video = torch.from_numpy(pixels[: len(cuts)]).to(engine.device)
    steps = [slice(start, start + engine.batch) for start in range(0, len(cuts), engine.batch)]
    for step in steps:
        video[step] = plan.recipe.apply_augment(video[step], [cut.augment for cut in cuts[step]])
    mixtures = [draw_mixture(plan, slot) if len(cuts) > 1 else None for slot in slots]
    for step in steps:
        own = list(range(len(cuts)))[step]
        partners = [(index + 1) % len(cuts) for index in own]
        labels = [plan.labels[cut.row] for cut in cuts]
        clips = mix_pairs(video, labels, own, partners, [mixtures[index] for index in own], len(plan.classes))
        for place, (index, other) in enumerate(zip(own, partners, strict=True)):
            partner = cuts[other] if mixtures[index] else None
            yield make_record(plan, slots[index], cuts[index], partner, mixtures[index], clips, place)


def mix_pairs(
    video: Video,
    labels: Sequence[int],
    own: Sequence[int],
    partners: Sequence[int],
    mixtures: Sequence[Mixture | None],
    classes: int,
) -> Clips:
    """Clip `own[i]` of `video` mixed with clip `partners[i]` as `mixtures[i]` says."""
    target = torch.nn.functional.one_hot(torch.tensor(labels, device=video.device), classes).float()
    ones = torch.ones(len(own), video.shape[1], device=video.device)
    if not any(mixtures):
        return Clips(video[own], target[own], ones)
    blends = [mixture.blend if mixture else UNMIXED for mixture in mixtures]
    return mix(Clips(video[own], target[own], ones), Clips(video[partners], target[partners], ones), blends)


def make_record(
    plan: Plan, slot: Slot, cut: Cut, partner: Cut | None, mixture: Mixture | None, clips: Clips, place: int
) -> Record:
    """What the shard stores of clip `place` of a batch."""
    params = {
        "own": _cut_json(plan, cut),
        "partner": partner and _cut_json(plan, partner),
        "mix": mixture and {"op": mixture.op, **mixture.blend.as_json()},
    }
    unused = np.full_like(cut.frames, -1)
    return Record(
        video=clips.video[place].cpu().numpy(),
        label=clips.target[place].cpu().numpy(),
        weights=clips.weights[place].cpu().numpy(),
        sources=(cut.row, partner.row if partner else -1),
        frames=np.stack([cut.frames, partner.frames if partner else unused]),
        params=params,
        copy=slot.copy,
        clip=slot.clip,
    )


def _cut_json(plan: Plan, cut: Cut) -> dict[str, Any]:
    steps = zip(plan.recipe.augment, cut.augment, strict=True)
    return {"sample": cut.sample.as_json(), "augment": [{"op": step.name, "draw": draw} for step, draw in steps]}


def replay(plan: Plan, engine: Engine, record: Record) -> Record:
    """Render a stored clip again from its source videos and its stored numbers; nothing is drawn.

    Raises VideoError when a source is gone or changed.
    """
    stored = [record.params["own"], record.params["partner"]]
    cuts = [
        Cut(row, Sample.from_json(params["sample"]), record.frames[index], [step["draw"] for step in params["augment"]])
        for index, (row, params) in enumerate(zip(record.sources, stored, strict=True))
        if params is not None
    ]
    pixels = np.empty((len(cuts), *clip_shape(plan), 3), np.uint8)
    for cut, out in zip(cuts, pixels, strict=True):
        decode(plan, engine, cut, out)
    video = plan.recipe.apply_augment(torch.from_numpy(pixels).to(engine.device), [cut.augment for cut in cuts])
    mixed = record.params["mix"]
    mixture = None if mixed is None else Mixture(mixed["op"], Blend.from_json(mixed))
    labels = [plan.labels[cut.row] for cut in cuts]
    clips = mix_pairs(video, labels, [0], [len(cuts) - 1], [mixture], len(plan.classes))
    slot = Slot(record.clip, record.copy, record.sources[0])
    return make_record(plan, slot, cuts[0], cuts[1] if mixture else None, mixture, clips, 0)


def render_shard(plan: Plan, out: Path, index: int, engine: Engine, on_error: OnError = "skip") -> DoneRecord:
    """Write one whole shard and its done record. The same plan and index give the same bytes, always.

    Raises VideoError for the first video that fails, when `on_error` is "fail".
    """
    header = ShardHeader(
        classes=plan.classes,
        recipe=plan.recipe.text,
        seed=plan.seed,
        shard=index,
        plan_sha256=plan.sha256,
        frames=plan.spec.frames,
        size=plan.spec.size,
        codec=plan.codec,
        quality=plan.quality,
        device=engine.kind,
    )
    path = shard_path(out, index)
    with ShardWriter(path, header) as writer:
        for group in plan.shards[index]:
            for record in render_group(plan, engine, group, writer.failures):
                writer.append(record)
            if writer.failures and on_error == "fail":
                failure = writer.failures[0]
                raise VideoError(failure.reason, where=failure.path, hint="--on-error skip leaves it out")
    return read_done(done_path(path))


def render_shards(
    out: Path, todo: Sequence[int], engine: Engine, *, workers: int = 1, on_error: OnError = "skip"
) -> Iterator[DoneRecord]:
    """Render the shards `todo` of the plan in `out`, yielding each when it is whole, in no order.

    Plans travel as a path, frames not at all: a worker reads the plan from `out` and writes its shard there.
    """
    sha256 = read_header(out)["plan_sha256"]
    return in_processes(_work, [(out, sha256, index, engine, on_error) for index in todo], workers)


def _work(out: Path, sha256: str, index: int, engine: Engine, on_error: OnError) -> DoneRecord:
    """One shard in a worker process."""
    torch.set_num_threads(1)  # the workers share the cores among them
    if engine.device == "cuda":  # a worker cannot be pinned to a GPU, so shards take them in turn
        engine = replace(engine, device=f"cuda:{index % torch.cuda.device_count()}")
    return render_shard(_plan(out, sha256), out, index, engine, on_error)


@lru_cache(maxsize=1)
def _plan(out: Path, sha256: str) -> Plan:
    """The plan in `out`, read once in a process for all its shards; the hash tells a later plan apart."""
    plan = read_plan(out)
    if plan.sha256 != sha256:
        raise ShardError("got another plan while it was being worked on", where=out)
    return plan
