"""The clips that a run's network gets most wrong, as a report shows them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from vidaug_cli.data.kinds import is_shards
from vidaug_cli.report import charts
from vidaug_cli.report.clips import Clip, Curve, moving, rate, scaled
from vidaug_cli.report.pieces import Missing, or_missing
from vidaug_cli.train.record import RunRecord
from vidaug_cli.words import percent

if TYPE_CHECKING:
    from vidaug_cli.predict.worst import WorstClip, WorstClips


def clips_of_run(
    run: Path, record: RunRecord, most: int, missing: list[Missing], *, device: str, progress: bool
) -> tuple[tuple[Clip, ...], str]:
    """Return the clips that the network gets most wrong, and in words among which; what is not there is noted."""
    if not most:
        return (), ""
    if not (run / "best.safetensors").is_file():
        missing.append(Missing("There is no network yet, so no clip that it gets wrong."))
        return (), ""
    folders = [run / clips.path for clips in (record.validation, *record.shards) if clips is not None]
    shards = next((folder for folder in folders if is_shards(folder)), None)
    if shards is None:
        missing.append(Missing(f"The shards are no longer in {folders[0]}, so no clip that it gets wrong."))
        return (), ""
    from vidaug_cli.device import resolve_device  # torch, only where a network is run
    from vidaug_cli.predict.predictor import read_predictor
    from vidaug_cli.predict.worst import worst_clips

    def look() -> WorstClips:
        return worst_clips(read_predictor(run, device=resolve_device(device)), shards, most, progress=progress)

    found = or_missing(missing, "the worst clips", look)
    if found is None:
        return (), ""
    kind = "it was validated on" if record.validation and shards == run / record.validation.path else "it learnt from"
    among = f"all {found.there:,}" if found.looked_at == found.there else f"{found.looked_at} of {found.there:,}"
    return tuple(_clip(run, one) for one in found.clips), f"Among {among} clips {kind}."


def _clip(run: Path, one: WorstClip) -> Clip:
    """Return a clip as a page shows it, with the activations of its classes on one scale."""
    low = min(float(each.activation.min()) for each in one.classes)
    high = max(float(each.activation.max()) for each in one.classes)
    fps = rate(one.fps)
    return Clip(
        number=one.clip,
        title=" + ".join(one.label),
        shares=tuple(one.label.items()),
        own=one.own.name,
        partner=one.partner.name if one.partner else None,
        weights=tuple(round(float(weight), 4) for weight in one.weights),
        notes=(f"taken for {one.first_choice}, {one.divergence:.2f} nats from its label",),
        command=shlex.join(["vidaug", "cam", str(run), str(one.folder), "--clip", str(one.clip)]),
        keys={},
        fps=fps,
        video=moving(one.video, fps),
        curves=tuple(
            Curve(
                name=each.name,
                says=f"network {percent(each.softmax)}, truth {percent(float(each.truth.mean()))}",
                truth=charts.frames(each.truth),
                activation=charts.middles(scaled(each.activation, low, high)),
            )
            for each in one.classes
        ),
    )
