"""What limits here, and which option changes it: a table of rules over the figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from vidaug_cli.bench.measure import Figure

# What the cases are called that the rules look at.
CUTS = 4  # of a video in one pass of the decoder, as `augment` has it
DECODE, READ = "decode only", "decode and cut: {} in a pass"
TO, FROM = "to the device", "from the device"
OPS, MIX, WRITE, WHOLE = "ops of the recipe", "mix of the recipe", "write {}", "all of it"
CACHED, STEP = "step, the same batch again", "step, clips read"


def together(work: str, processes: int) -> str:
    """Return what work in so many processes is called."""
    return f"{work}, {processes} process{'es' * (processes > 1)}"


FEW = 0.9  # of what another process could bring: below it is little
WAITING = 0.03  # of a training step: below it, reading is quick enough


class Stage(NamedTuple):
    """What a clip of `augment` goes through: how the sentence calls it, and what changes it."""

    name: str
    advice: str


STAGES = {
    "decode": Stage(
        "decoding",
        "more copies in a round (--copies, --copies-per-round), or smaller videos made beforehand, change it",
    ),
    "convert": Stage("cropping and scaling", "a smaller --size or fewer --frames change it"),
    "moving": Stage("moving clips to the device and back", "--device cpu or a smaller --size changes it"),
    "ops": Stage("applying the ops of the recipe", "fewer ops (--set), --device cuda or more processes (-j) change it"),
    "mix": Stage("mixing", "--device cuda or more processes (-j) change it"),
    "write": Stage("writing", "another --codec or a faster disk changes it"),
}


@dataclass(frozen=True)
class Known:
    """What the figures tell, for the rules; empty or None where it was not measured."""

    stages: Mapping[str, float]  # ms a clip
    whole: float | None  # ms a clip
    processes: int = 1
    gain: float | None = None  # of so many processes over one
    copying: float | None = None  # ... where all they do is copy memory
    waiting: float | None = None  # share of a training step that waits for clips
    headspace: float | None = None  # ... and that is saved where no clips are read, be it time or cores

    @classmethod
    def of(cls, figures: Sequence[Figure], codec: str, processes: int) -> Known:
        """Return what figures tell of runs with this codec and so many processes."""
        by = {(figure.part, figure.what): figure for figure in figures}
        ms = {figure.what: figure.ms for figure in figures if figure.part == "augment"}
        stages = {}
        if DECODE in ms and (reading := ms.get(READ.format(CUTS))):
            stages["decode"] = min(reading, ms[DECODE] / CUTS)  # one pass of the decoder serves all cuts
            stages["convert"] = reading - stages["decode"]
        if TO in ms and FROM in ms:
            stages["moving"] = ms[TO] + ms[FROM]
        named = {"ops": OPS, "mix": MIX, "write": WRITE.format(codec)}
        stages |= {stage: ms[what] for stage, what in named.items() if what in ms}

        def more(part: str, what: str, key: str) -> float | None:
            return by[part, what].more.get(key) if (part, what) in by else None

        return cls(
            stages,
            ms.get(WHOLE),
            processes,
            more("processes", together("augment", processes), "gain"),
            more("processes", together("copying", processes), "gain"),
            more("train", STEP, "waiting"),
            more("train", STEP, "headspace"),
        )


def _largest_stage(known: Known) -> str:
    if len(known.stages) < 2:
        return ""
    largest = max(known.stages, key=lambda stage: known.stages[stage])
    share = known.stages[largest] / sum(known.stages.values())
    stage = STAGES[largest]
    return f"{stage.name} is the largest part of a clip ({share:.0%}), and {stage.advice}"


def _memory(known: Known) -> str:
    if known.gain is None or known.copying is None or known.gain >= FEW * known.processes:
        return ""
    if known.gain >= FEW * known.copying:
        return (
            f"memory is the limit of {known.processes} processes, which do {known.gain:.1f} times what one does, where"
            f" those that only copy do {known.copying:.1f}: more with -j bring little"
        )
    return (
        f"{known.processes} processes do only {known.gain:.1f} times what one does, as if other programs were at work"
    )


def _training(known: Known) -> str:
    if known.waiting is None or known.headspace is None:
        return ""
    if known.waiting >= WAITING:
        return f"training waits {known.waiting:.0%} of its time for clips, and more reading processes (-j) change that"
    if known.headspace >= WAITING:
        return (
            f"reading clips takes cores from the network (a step is {known.headspace:.0%} shorter without): --codec raw"
            " and shards of clips no larger than those trained on change that"
        )
    return "training computes all the time: a smaller network, fewer --frames or a GPU change that"


RULES: tuple[Callable[[Known], str], ...] = (_largest_stage, _memory, _training)


def verdict(known: Known) -> str:
    """Return in one sentence what limits here, and which option changes it; empty where too little was measured."""
    told = "; ".join(filter(None, (rule(known) for rule in RULES)))
    return f"{told[0].upper()}{told[1:]}." if told else ""
