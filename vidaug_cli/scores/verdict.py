"""What an evaluation comes to: above or below baselines that look at no pixel, over- or underfitted, what to try."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vidaug_cli.scores.evaluation import Baselines, Evaluation, standard_error
from vidaug_cli.scores.source import Source
from vidaug_cli.words import count

Beside = Literal["above", "below", "no better than"]
Fit = Literal["overfitted", "underfitted", "fits"]

SURE = 2.0  # standard errors: of 20 networks that are worth as much as a baseline, one is called better or worse
# Shares of the training clips, as they were trained on in the network's epoch, that it had right. In docs/results.md
# the runs that more augmentation did not hurt are above the one, those that one would train for longer below the other:
LEARNT = 0.95  # crop and flip has 98 there, and is known by heart; the best recipe 89
NOT_LEARNT = 0.6  # the recipe that lost 28 points has 36 there, mixes of two videos 61 to 76
GAP = 0.1  # that the tested videos may fall behind those learnt by heart; crop and flip is 15 points behind

# What to try, by the fit; commands of which a user fills in the words in capitals.
ADVICE: dict[Fit, str] = {
    "underfitted": "train for longer: vidaug train SHARDS {twice} -o RUN",
    "overfitted": "{other}more varied clips: vidaug train SHARDS {option} -o RUN",
    "fits": "several seeds together: vidaug train SHARDS --seed 1 -o RUN, then vidaug ensemble SCORES SCORES -o FILE",
}
BLIND = "see what it takes for what: vidaug evaluate SCORES --wrong wrong.png --videos VIDEOS"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an evaluation comes to; None: unknown."""

    beside: Beside | None  # the best of the baselines
    baseline: str | None  # its name
    points: float | None  # of accuracy that the network has more, as a share
    margin: float | None  # in standard errors of that difference; None also where no video tells the two apart
    fit: Fit | None
    training: float | None  # share of the training clips that were right
    tested: float  # accuracy
    advice: str  # one line with a command; empty where nothing is known

    def lines(self) -> Iterator[str]:
        """Yield lines for a person, none where nothing is known."""
        said = []
        if self.points is not None:
            sure = f", {abs(self.margin):.1f} standard errors" if self.margin is not None else ""
            said.append(
                f"{self.beside} the blind baselines: {100 * self.points:+.2f} points from the best of them{sure}"
            )
        if self.training is not None:
            learnt = (
                f"{100 * self.training:.2f} % of its training clips right, {100 * self.tested:.2f} % of these videos"
            )
            said.append(f"{self.fit}: {learnt}" if self.fit != "fits" else f"neither over- nor underfitted: {learnt}")
        if self.advice:
            said.append(f"to try: {self.advice}")
        for number, line in enumerate(said):
            yield f"{'' if number else 'verdict':18}  {line}"


def judge(evaluation: Evaluation, baselines: Baselines | None, source: Source) -> Verdict:
    """Return what an evaluation comes to, with the baselines if there are any."""
    right = evaluation.places < 1
    beside, name, points, margin = _beside(right, baselines)
    fit = _fit(source.top1, right)
    moving = source.training.get("input") not in (None, "rgb")  # that advice was followed already
    other, option = ("", "--recipe NAME") if moving else ("motion as the input, or ", "--input diff")
    advice = ADVICE[fit].format(twice=_twice(source), other=other, option=option) if fit else ""
    return Verdict(
        beside=beside,
        baseline=name,
        points=points,
        margin=margin,
        fit=fit,
        training=source.top1 if fit else None,
        tested=float(right.mean()),
        advice=BLIND if beside not in (None, "above") and fit != "underfitted" else advice,
    )


def _twice(source: Source) -> str:
    """Return the option of `vidaug train` for a run of twice the length."""
    known = ((name, source.training.get(name)) for name in ("epochs", "clips_seen"))
    given = [f"--{name.replace('_', '-')} {2 * length}" for name, length in known if isinstance(length, int)]
    return given[0] if given else "--epochs N"


def _beside(
    right: np.ndarray, baselines: Baselines | None
) -> tuple[Beside | None, str | None, float | None, float | None]:
    """Return where the network stands beside the best baseline, which, by how much, and in standard errors."""
    if baselines is None:
        return None, None, None, None
    name = max(baselines.right, key=lambda each: baselines.right[each].mean())
    more = right.astype(float) - baselines.right[name]  # of each video: both looked at the same ones
    error = more.std() / math.sqrt(len(more))
    margin = float(more.mean() / error) if error else None
    clear = abs(margin) >= SURE if margin is not None else bool(more.mean())
    beside: Beside = ("above" if more.mean() > 0 else "below") if clear else "no better than"
    return beside, name, float(more.mean()), margin


def _fit(training: float | None, right: np.ndarray) -> Fit | None:
    """Return how the accuracy on training clips fits that on the tested videos; None where the former is unknown."""
    if training is None or not 0 <= training <= 1:
        return None
    if training < NOT_LEARNT:
        return "underfitted"
    behind = training - right.mean()
    return "overfitted" if training >= LEARNT and behind >= max(GAP, SURE * standard_error(right)) else "fits"


def chosen_note(source: Source, videos: int) -> str:
    """Return what to know of scores of videos that chose the network; empty where they did not."""
    chosen = max((network.chosen_on for network in source.networks()), default=0)
    if not chosen:
        return ""
    what = f"{chosen} of the {count(videos, 'scored video')} chose this network among the epochs of its run"
    return f"{what}: its accuracy here is too high. 'vidaug train --hold-out 0.2' chooses on training videos instead"
