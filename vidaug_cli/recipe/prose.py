"""What a recipe does, in sentences made of its own settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from vidaug_cli.ops.clips import ClipOp
from vidaug_cli.ops.frame_ops import Ramp, op_names
from vidaug_cli.ops.mix import CutMix, CutMixUp, Cutout, Mix, MixUp
from vidaug_cli.ops.randaugment import RandAugmentT
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.words import count

_SHOW = {
    "t": "some frames in a row show",
    "yx": "a box in all frames shows",
    "tyx": "a box in some frames in a row shows",
}
_LABEL = (
    "The label is soft: each of the two classes has the share of the pixels that its video has, and each frame has its "
    "own shares, too."
)


def in_words(recipe: Recipe) -> list[str]:
    """Return what happens to a clip, in paragraphs that follow from the recipe's settings alone.

    Where a clip is mixed in one of several ways, each of these begins with `- `.
    """
    return [" ".join(_alone(recipe)), *_mixed(recipe)]


def _alone(recipe: Recipe) -> Iterator[str]:
    """Yield sentences about what happens to each clip by itself."""
    if not recipe.augment:
        yield "No op changes a clip by itself: it is cut from its video, and flipped where --flip says so."
    for place, step in enumerate(recipe.augment):
        who = "Each clip" if step.p == 1 else f"{_percent(step.p)} of the clips, drawn at random,"
        then = "then " if place else ""
        yield f"{who} {then}{_words_of(step.op, _OPS, step.name)}."
    if recipe.augment:
        yield "The label stays as it is."


def _mixed(recipe: Recipe) -> Iterator[str]:
    """Yield paragraphs about how two clips become one."""
    if not recipe.mix or not recipe.mix_p:
        yield "Videos are not mixed."
        return
    who = "Every clip is" if recipe.mix_p == 1 else f"{_percent(recipe.mix_p)} of the clips, drawn at random, are"
    total = sum(member.weight for member in recipe.mix)
    ways = [(member, _words_of(member.op, _MIXES, member.name)) for member in recipe.mix]
    if len(ways) == 1:
        yield f"{who} mixed with another video: {ways[0][1]}."
    else:
        yield f"{who} mixed with another video, in one of {len(ways)} ways:"
        yield from (f"- {member.name}, {_percent(member.weight / total)}: {words}" for member, words in ways)
    yield _LABEL


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _randaugment(op: RandAugmentT) -> str:
    which = f"one of {', '.join(op.ops)}" if op.ops else f"one of the {len(op_names(op.table))} of the {op.table} table"
    swing = 0.5 * op.range * op.m
    runs = (
        f"runs evenly from the first frame to the last, up or down, around {op.m:g} and by as much as {swing:g} to "
        "either side"
    )
    low = min(0.1, op.m)
    magnitude = {
        "spatial": f"is {op.m:g} in every frame",
        "temporal_plus": runs,
        "temporal": f"grows evenly from one drawn between {low:g} and {op.m:g} to {op.m:g} in the last frame",
        "mix": f"is {op.m:g} in every frame in half of the clips, and in the other half {runs}",
        "fixed": f"runs evenly from {op.m1} in the first frame to {op.m2} in the last",
    }[op.variant]
    return f"goes through {count(op.n, 'op')}, each {which}, whose magnitude (0 to 30) {magnitude}"


def _cutout(op: Cutout) -> str:
    frames = "all frames" if op.t == 1 else f"{_percent(op.t)} of the frames, in a row,"
    box = f"a box of {_percent(op.h)} of the height and {_percent(op.w)} of the width"
    what = "the whole picture" if op.h == op.w == 1 else box
    return f"loses {what} in {frames} at a place that is drawn: it is grey of level {op.fill}"


def _share(beta: float) -> str:
    """Return what is said of a share that is drawn from Beta(beta, beta)."""
    likely = "all alike" if beta == 1 else "mostly near a half" if beta > 1 else "mostly near 0 or 1"
    return f"the share is drawn from Beta({beta:g}, {beta:g}), {likely}"


def _mixup(op: MixUp) -> str:
    alike = "shows both, transparent, alike in all frames"
    how = "cross-fades with it from the first frame to the last" if op.axes else alike
    return f"it {how}; {_share(op.beta)}"


def _cutmix(op: CutMix) -> str:
    edge = "is cut off" if op.box == "clip" else "moves it inside"
    return f"{_SHOW[op.axes]} the other video; {_share(op.beta)}, and what would stick out {edge}"


def _cutmixup(op: CutMixUp) -> str:
    pure = "one video pure" if op.blend == "outside" else "both, and the rest the own video"
    whole = f"it shows both, transparent; {_share(op.mixup_beta)}"
    return f"{whole}; in {_percent(1 - op.mixup_p)} of these clips {_SHOW[op.axes]} {pure}; {_share(op.beta)}"


def _ramp(op: Ramp) -> str:
    values = f"from {op.first:g} in the first frame to {op.last:g} in the last"
    return f"goes through {op.name}, whose value runs evenly {values}"


_OPS: dict[type[Any], Callable[[Any], str]] = {RandAugmentT: _randaugment, Cutout: _cutout, Ramp: _ramp}
_MIXES: dict[type[Any], Callable[[Any], str]] = {CutMixUp: _cutmixup, CutMix: _cutmix, MixUp: _mixup}


def _words_of(op: ClipOp | Mix, tables: dict[type[Any], Callable[[Any], str]], name: str) -> str:
    """Return the words for an op; of one of another package its name, and its settings as they are."""
    for kind, words in tables.items():
        if isinstance(op, kind):
            return words(op)
    settings = ", ".join(f"{key} = {value}" for key, value in sorted(vars(op).items()))
    return f"goes through {name} of another package ({settings})"
