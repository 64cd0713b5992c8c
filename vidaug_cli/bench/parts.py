"""The parts of the benchmark: which pieces of work take turns in each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from vidaug_cli.augment.plan import write_plan
from vidaug_cli.augment.render import clip_shape
from vidaug_cli.bench.measure import Case
from vidaug_cli.bench.processes import WORK, Phase, Together
from vidaug_cli.bench.setting import Setting
from vidaug_cli.bench.training import Steps
from vidaug_cli.bench.verdict import CUTS, WHOLE, together
from vidaug_cli.bench.work import (
    COPY,
    augmenting,
    coding,
    copying,
    decoding,
    mixing,
    moving,
    reading,
    recipe_mix,
    recipe_ops,
    storing,
    whole,
)
from vidaug_cli.data.shard.format import Codec
from vidaug_cli.ops.clips import ClipOp
from vidaug_cli.ops.frame_ops import op_names
from vidaug_cli.ops.randaugment import RandAugmentT
from vidaug_cli.recipe.registry import aliases, ops_of
from vidaug_cli.rng import Step, generator
from vidaug_cli.train.settings import preset_settings
from vidaug_cli.workers import why_alone


@dataclass(frozen=True)
class Part:
    """A row of `PARTS`."""

    what: str
    measure: Callable[[Setting], None]


def read(setting: Setting) -> None:
    """Turn videos to pixels, in the process that decodes for every command."""
    setting.take_turns("read", [decoding(setting), *(reading(setting, cuts) for cuts in (1, CUTS))])


def ops(setting: Setting) -> None:
    """Apply each frame op as RandAugment-T draws it, and each op that needs no setting."""
    every: dict[str, ClipOp] = {name: RandAugmentT(n=1, ops=(name,)) for name in op_names("official")}
    every |= {name: kind() for name, kind in ops_of("augment").items() if _complete(kind)}
    cases = [augmenting(setting, name, op) for name, op in every.items()]
    _beside_copy(setting, "ops", [*cases, *recipe_ops(setting)])


def mixes(setting: Setting) -> None:
    """Apply each op that mixes two clips."""
    every = {name: kind() for name, kind in ops_of("mix").items() if name not in aliases() and _complete(kind)}
    shape, cases = clip_shape(setting.plan), []
    for name, op in every.items():
        drawn = [op.draw(generator(0, 0, clip, Step.MIX), shape) for clip in range(setting.held)]
        cases.append(mixing(setting, name, drawn))
    _beside_copy(setting, "mix", [*cases, *recipe_mix(setting)])


def _beside_copy(setting: Setting, part: str, cases: Sequence[Case]) -> None:
    setting.take_turns(part, [copying(setting), *(replace(case, copy=COPY) for case in cases)])


def _complete(kind: type) -> bool:
    """Return whether an op needs no settings."""
    try:
        kind()
    except TypeError:
        return False
    return True


def codecs(setting: Setting) -> None:
    """Encode and decode, write and read clips in each codec."""
    codecs = get_args(Codec)
    setting.take_turns("codec", [case for name in codecs for case in (*coding(setting, name), *storing(setting, name))])


def augment(setting: Setting) -> None:
    """Do what the stages of `augment` do, one by one, and all of it: on the CPU with one worker."""
    write, _ = storing(setting, setting.plan.codec, len(setting.cuts))
    stages = [decoding(setting), reading(setting, CUTS), *moving(setting), *recipe_ops(setting), *recipe_mix(setting)]
    workers = 1 if setting.engine.kind == "cpu" else setting.processes
    setting.take_turns("augment", [*stages, write, whole(setting, WHOLE, workers)])


def processes(setting: Setting) -> None:
    """Let several processes work, and one, and as many that only copy memory."""
    if setting.processes < 2 or why_alone():
        return
    if setting.engine.kind == "cuda":  # its processes decode, for one that has the GPU
        one, several = (together("augment", n) for n in (1, setting.processes))
        setting.take_turns("processes", [whole(setting, one, 1), whole(setting, several, setting.processes, one=one)])
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
    "augment": Part("the stages of 'augment' one by one, and all of it", augment),
    "processes": Part("several processes against one", processes),
    "train": Part("a training step, with and without reading", training),
}
