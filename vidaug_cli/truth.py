"""Labels for scores from a manifest; and a manifest as it lies on the disk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from vidaug_cli.data.manifest import Row, read_rows
from vidaug_cli.data.scores import Failed, Scores
from vidaug_cli.errors import VidaugError
from vidaug_cli.schema import nearest


def read_manifest(path: Path) -> list[Row]:
    """The rows of a manifest, or of the one in an output folder. Raises VidaugError when there is none."""
    file = path / "manifest.jsonl" if path.is_dir() else path
    try:
        with file.open("rb") as lines:
            return read_rows(lines, str(file))
    except OSError as error:
        hint = "a manifest is what 'vidaug scan' writes"
        raise VidaugError(f"cannot be read: {error.strerror}", where=file, hint=hint) from error


def with_truth(scores: Scores, rows: Sequence[Row], where: str) -> tuple[Scores, int]:
    """The scores with the labels of a manifest, and how many of those were found by file name alone.

    `where` is what an error calls the manifest.

    A video is looked up by its path; failing that by its file name, where no other scored video has it and all rows
    with it agree. Videos that are not found keep the label they have.

    Raises VidaugError when none is found, a class is none of the scores', or a video had another label already.
    """
    videos = [*scores.videos, *(failed.video for failed in scores.failures)]
    by_path, by_name = _found(videos, rows)
    if not by_path and not by_name:
        hint = f"its videos should be called like {videos[0]!r}" if videos else ""
        raise VidaugError(f"has no label for any of the {len(videos)} scored videos", where=where, hint=hint)
    named, numbers = by_name | by_path, {name: number for number, name in enumerate(scores.classes)}
    labels = [*scores.labels.tolist(), *(failed.label for failed in scores.failures)]
    for i, name in ((i, named[video]) for i, video in enumerate(videos) if video in named):
        if name not in numbers:
            what = f"class {name!r} of {videos[i]!r} is none of the scores' classes"
            raise VidaugError(what + nearest(name, numbers), where=where)
        if labels[i] not in (-1, numbers[name]):
            what = f"{videos[i]!r} is {name!r} here, and {scores.classes[labels[i]]!r} in the scores"
            raise VidaugError(what, where=where)
        labels[i] = numbers[name]
    count = len(scores.videos)
    failures = map(Failed, videos[count:], labels[count:], (failed.reason for failed in scores.failures))
    return replace(scores, labels=np.array(labels[:count], np.int64), failures=tuple(failures)), len(by_name)


def _found(videos: Sequence[str], rows: Sequence[Row]) -> tuple[dict[str, str], dict[str, str]]:
    """The class names of videos found by their path, and of those found by their file name alone."""
    paths = _agreed((row.path, row.label) for row in rows)
    names = _agreed((PurePosixPath(row.path).name, row.label) for row in rows)
    times = Counter(PurePosixPath(video).name for video in videos)
    by_path = {video: paths[video] for video in videos if video in paths}
    rest = {video: PurePosixPath(video).name for video in videos if video not in paths}
    return by_path, {video: names[name] for video, name in rest.items() if name in names and times[name] == 1}


def _agreed(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """The label of each key, where all rows with it agree."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for key, label in pairs:
        if label is not None:
            labels[key].add(label)
    return {key: found.pop() for key, found in labels.items() if len(found) == 1}
