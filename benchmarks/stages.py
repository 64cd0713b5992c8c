"""Where the time of a clip goes: decode, transfer to the device, ops, mixing, transfer back, write.

    python benchmarks/stages.py VIDEOS --recipe vipriors2020 --device auto

One process; the least of several rounds, per clip.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vidaug_cli.augment.pipeline import render_shard
from vidaug_cli.augment.plan import Plan, write_plan
from vidaug_cli.augment.render import Engine, clip_shape, decode, draw_cut, draw_mixture, thread_guard
from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.data.shard.writer import ShardWriter
from vidaug_cli.device import resolve_device
from vidaug_cli.ops.blend import UNMIXED, mix
from vidaug_cli.ops.clips import Clips
from vidaug_cli.recipe.loading import load_recipe
from vidaug_cli.workers import at_once


def least(work: Callable[[], object], rounds: int, device: str) -> float:
    """Return the seconds of the fastest round, the device's queue included; the first round is not counted."""

    def timed() -> float:
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    return min([timed() for _ in range(rounds + 1)][1:])


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos")
    parser.add_argument("--recipe", default="vipriors2020")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    engine = Engine(device=resolve_device(options.device), batch=options.batch)
    plan = Plan(rows=tuple(read_input(options.videos).rows), recipe=load_recipe(options.recipe), spec=ClipSpec())
    group = plan.groups(0)[0][0]
    cuts = [draw_cut(plan, slot) for slot in group]
    pixels = np.empty((len(group), *clip_shape(plan), 3), np.uint8)
    parts = [slice(start, start + engine.batch) for start in range(0, len(group), engine.batch)]

    def decode_all() -> None:
        for cut, out in zip(cuts, pixels, strict=True):
            decode(plan, thread_guard(engine.limits)[0], [cut], [out])

    decode_all()
    host = torch.from_numpy(pixels)
    video = host.to(engine.device)
    target = torch.eye(len(group), device=engine.device)
    weights = torch.ones(len(group), plan.spec.frames, device=engine.device)
    clips = Clips(video, target, weights)
    partner = Clips(*(torch.roll(part, -1, 0) for part in (video, target, weights)))
    drawn = [draw_mixture(plan, slot) for slot in group]
    blends = [mixture.blend if mixture else UNMIXED for mixture in drawn]

    def part_of(clips: Clips, part: slice) -> Clips:
        return Clips(clips.video[part], clips.target[part], clips.weights[part])

    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "out"
        write_plan(plan, out)
        (out / "shards").mkdir()
        at_once(render_shard, plan, out, 0, engine)
        with Shard(shard_path(out, 0)) as shard:
            header, records = shard.header, [shard.record(index) for index in range(len(group))]

        def write() -> None:
            with ShardWriter(Path(temporary) / "again.h5", header) as writer:
                for record in records:
                    writer.append(record)

        stages: dict[str, Callable[[], object]] = {
            "decode, crop, scale": decode_all,
            "to the device": lambda: host.to(engine.device),
            "augment ops": lambda: [
                plan.recipe.apply_augment(video[part], [cut.augment for cut in cuts[part]]) for part in parts
            ],
            "mix": lambda: [mix(part_of(clips, part), part_of(partner, part), blends[part]) for part in parts],
            "from the device": lambda: [video[part].cpu() for part in parts],
            "write, check, sync": write,
        }
        print(f"{options.recipe} on {engine.device}, {len(group)} clips of {' x '.join(map(str, clip_shape(plan)))}")
        seconds = {name: least(stage, options.rounds, engine.device) for name, stage in stages.items()}
    for name, value in seconds.items():
        print(f"  {name:20} {1000 * value / len(group):7.2f} ms a clip  {value / sum(seconds.values()):6.1%}")


if __name__ == "__main__":
    main()
