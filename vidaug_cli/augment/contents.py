"""What lies in a folder of clips, and what its user says of it: what its card is made of."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from vidaug_cli.augment.output import finished_record
from vidaug_cli.augment.plan import PlanHeader, read_header
from vidaug_cli.data.kinds import parts_of
from vidaug_cli.data.rows import MANIFEST, StoredRows
from vidaug_cli.data.shard.format import done_path, finished_shards
from vidaug_cli.words import count, printable


@dataclass(frozen=True, kw_only=True)
class About:
    """What only the user knows of a data set; empty where nobody says it."""

    license: str = ""  # of the videos, and so of the clips: an SPDX name such as CC-BY-4.0, or a URL
    creator: str = ""
    url: str = ""

    def or_else(self, other: About) -> About:
        """Return this, and what the other one says where this says nothing."""
        return replace(other, **{name: value for name, value in vars(self).items() if value})


UNSAID = About()


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What lies in a folder of shards and its parts. Raises VidaugError where a plan or a record is damaged."""

    headers: Sequence[PlanHeader]
    sources: tuple[str, ...]  # names of the folders that the videos came from
    videos: Mapping[str, int]  # of each class, in label order
    clips: int
    left_out: int
    bytes: int
    day: str  # on which the last shard was made, such as 2026-11-29; by UTC

    @classmethod
    def of(cls, folder: Path) -> Contents:
        """Return what lies there: of shards what their done records say."""
        headers = {part: read_header(part) for part in parts_of(folder)}
        rows = {part: StoredRows(part, header.classes) for part, header in headers.items()}
        videos = Counter(dict.fromkeys(chain.from_iterable(header.classes for header in headers.values()), 0))
        for part, header in headers.items():
            videos.update(header.classes[label] for label in rows[part].labels.tolist())
        paths = list(chain.from_iterable(finished_shards(part).values() for part in headers))
        records = [record for path in paths if (record := finished_record(path))]
        last = max((done_path(path).stat().st_mtime for path in paths), default=0.0)
        return cls(
            headers=list(headers.values()),
            sources=tuple(dict.fromkeys(name for part in headers for name in _roots(part / MANIFEST))),
            videos=videos,
            clips=sum(record.clips for record in records),
            left_out=sum(len(record.failures) for record in records),
            bytes=sum(record.bytes for record in records),
            day=time.strftime("%Y-%m-%d", time.gmtime(last)),
        )

    @property
    def recipes(self) -> list[str]:
        """The recipes by which the clips were made, as TOML."""
        return list(dict.fromkeys(header.recipe for header in self.headers))

    @property
    def text(self) -> str:
        """One sentence for people."""
        clip = self.headers[0].clip
        used = sum(number > 0 for number in self.videos.values())
        what = f"{count(self.clips, 'clip')} of {clip.frames} frames of {clip.size} x {clip.size} pixels"
        return (
            f"{what}, augmented from {count(sum(self.videos.values()), 'video')} of {count(used, 'class')} "
            f"({', '.join(map(printable, self.sources))}) by vidaug, each with a soft label."
        )


def _roots(manifest: Path) -> list[str]:
    """Return the names of the folders of a manifest: of the last key of each row alone, a million in a second."""
    with manifest.open("rb") as lines:
        ends = dict.fromkeys(line[line.rfind(b', "root": ') + 2 :] for line in lines)
    return [Path(json.loads(b"{" + end)["root"]).name for end in ends]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """In which files the clips lie, and how they are read."""

    files: str  # what there is, in a sentence
    loading: str  # a few lines of Python
    data_files: str = ""  # pattern by which `datasets.load_dataset(FOLDER)` finds them; empty: it cannot read them
    bytes: int
    distribution: list[dict[str, Any]]  # of Croissant
    record_sets: list[dict[str, Any]] = field(default_factory=list)
