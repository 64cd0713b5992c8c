"""An export from end to end: finished shards in, a folder that is there whole or not at all out.

It is made in a hidden folder beside its place, in pieces: each is a function of the settings and of some whole shards.
What a run that was broken off has made, the next one of the same settings keeps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from shutil import rmtree

from vidaug_cli.augment.card import CROISSANT, README, about_of, is_ours, write_card
from vidaug_cli.augment.contents import UNSAID, About, Contents
from vidaug_cli.augment.lock import lock_file
from vidaug_cli.augment.output import RESERVE, finished_record, free_bytes, remove
from vidaug_cli.augment.plan import read_header
from vidaug_cli.data.kinds import Kind, expect, parts_of
from vidaug_cli.data.rows import StoredRows
from vidaug_cli.data.shard.format import DoneRecord, finished_shards
from vidaug_cli.errors import ContentError, DiskSpaceError, NoClipError, OccupiedError, UnfinishedError, UnlikeError
from vidaug_cli.export.card import layout_of
from vidaug_cli.export.clips import read_clips
from vidaug_cli.export.formats import FORMATS, FormatName
from vidaug_cli.files import check_is_folder, leftovers, take_place, write_text_atomically
from vidaug_cli.schema import check, parse, parse_json
from vidaug_cli.words import count, human_bytes
from vidaug_cli.workers import Progress, in_processes

SETTINGS, CLASSES = "export.json", "classes.json"
WRITTEN = (SETTINGS, CLASSES, README, CROISSANT, "*.tar", "clips/*/*.mp4", "clips/*/metadata.jsonl", "data/*.parquet")
CALLED = {"format": "--format", "quality": "--quality", "piece_bytes": "--shard-size", "source": "its shards"}
TRIAL = 8  # clips that tell how large one is
PIECES = 16  # at least, where there are as many shards: for as many processes, and so that little is lost at an end


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an export is of, and what decides its bytes: `export.json`. Raises VidaugError on what cannot be."""

    format: FormatName
    quality: int | None  # of the H.264; None: as the shards have it, or else the default
    piece_bytes: int  # of a tar or a Parquet file, about, at most
    source: str  # hash of all the shards
    clips: int
    shards_per_piece: int = 0  # 0: not known yet

    def __post_init__(self) -> None:
        quality = self.quality is None or 1 <= self.quality <= 100
        rules = {"quality": (quality, "1 to 100"), "piece_bytes": (self.piece_bytes > 0, "above 0")}
        check(self, rules, error=ContentError)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export holds."""

    out: Path
    format: FormatName
    clips: int
    files: int  # tars, folders of MP4 files, or Parquet files
    made: int  # of these, by this run
    bytes: int

    @property
    def text(self) -> str:
        """One line for a person."""
        kept = f", {self.files - self.made} of them kept" if self.made < self.files else ""
        size = human_bytes(self.bytes)
        what = f"{FORMATS[self.format].called}, {count(self.clips, 'clip')} in {count(self.files, 'piece')}"
        return f"{self.out}: {what}{kept}, {size}"


class Source:
    """A folder of shards, and its parts, that is finished. Raises ShardError where it is not, or holds no clip."""

    def __init__(self, folder: Path) -> None:
        expect(folder, Kind.SHARDS)
        self.folder = folder
        self.headers = {part: read_header(part) for part in parts_of(folder)}
        self.classes = tuple(dict.fromkeys(chain.from_iterable(header.classes for header in self.headers.values())))
        self.shards: dict[Path, DoneRecord] = {}
        for part, header in self.headers.items():
            rows = StoredRows(part, header.classes)
            planned = header.rounds_of(len(rows), header.shares_of(rows.labels, header.classes)).shard_count
            paths = finished_shards(part).values()
            done = {path: record for path in paths if (record := finished_record(path))}
            if len(done) < planned:
                hint = "the same 'vidaug augment' command makes the others"
                raise UnfinishedError(f"holds {len(done)} of {planned} shards", where=part, hint=hint)
            self.shards |= {path: record for path, record in done.items() if record.clips}
        if not self.shards:
            raise NoClipError("holds no clip: every video was left out", where=folder, hint="failures.jsonl says why")
        shapes = {part: (header.clip.frames, header.clip.size) for part, header in self.headers.items()}
        if len(set(shapes.values())) > 1:
            raise UnlikeError("has parts with clips of different shapes", where=folder, hint="export each by itself")

    @property
    def clips(self) -> int:
        """How many there are."""
        return sum(record.clips for record in self.shards.values())

    @property
    def hash(self) -> str:
        """What tells these shards from others."""
        return hashlib.sha256("".join(record.xxh3 for record in self.shards.values()).encode()).hexdigest()


def export(
    folder: Path,
    out: Path,
    kind: FormatName,
    *,
    quality: int | None = None,
    piece_bytes: int = 100_000_000,
    overwrite: bool = False,
    about: About = UNSAID,
    workers: int = 1,
    progress: bool = False,
) -> Exported:
    """Write the clips of a folder of shards into `out`, in one of the formats, and return what is there then.

    What `about` leaves open in the card is as that of `folder` says. With `overwrite` another export goes: what is in
    `out` once the new one is whole, and what a run that was broken off has left.

    Raises ShardError where the shards are not finished or damaged, VidaugError when `out` is something else, another
    process is at it, the disk is too small, or the format needs a library that is not there.
    """
    source = Source(folder)
    wanted = Settings(format=kind, quality=quality, piece_bytes=piece_bytes, source=source.hash, clips=source.clips)
    place = out.with_name(f".{out.name}.exporting")
    out.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(out.with_name(f"{place.name}.lock")):
        if settings := _there(out, wanted, overwrite=overwrite):
            return _exported(out, settings, source, made=0)
        settings = _begin(place, source, wanted, overwrite=overwrite)
        pieces = _pieces(source, settings)
        todo = {path: shards for path, shards in pieces.items() if not (place / path).exists()}
        ready = settings.clips - sum(source.shards[path].clips for path in chain.from_iterable(todo.values()))
        work = partial(_write_piece, kind, place, folder, source.classes, quality)
        made = in_processes(work, todo.items(), workers, most=len(todo))
        try:
            with closing(made), Progress(settings.clips, "clip", "export", done=ready, show=progress) as bar:
                for clips in made:
                    bar.update(clips)
        except BaseException:
            _tidy(place)
            raise
        said = about.or_else(about_of(folder))
        write_card(place, out.absolute().name, Contents.of(folder), said, layout_of(kind, place, _size(place)))
        if overwrite and out.exists():
            _check_strange(out)
            rmtree(out)
        take_place(place, out)
        return _exported(out, settings, source, made=len(todo))


def _write_piece(
    kind: FormatName,
    place: Path,
    folder: Path,
    classes: tuple[str, ...],
    quality: int | None,
    path: str,
    shards: Sequence[Path],
) -> int:
    return FORMATS[kind].write(place / path, read_clips(folder, shards, classes, quality), classes)


def _pieces(source: Source, settings: Settings) -> dict[str, Sequence[Path]]:
    """Return the paths of the pieces, and of which shards each is made."""
    shards, each = list(source.shards), settings.shards_per_piece
    starts = range(0, len(shards), each)
    path = FORMATS[settings.format].path
    return {
        path.format(number=number, count=len(starts)): shards[start : start + each]
        for number, start in enumerate(starts)
    }


def _there(out: Path, wanted: Settings, *, overwrite: bool) -> Settings | None:
    """Return the settings of the export in `out`, if it is the wanted one; None where there is none, or it is to go.

    Raises VidaugError where there is something else.
    """
    check_is_folder(out)
    if not out.exists() or not any(out.iterdir()):
        return None
    settings = _read_settings(out)
    if settings is None:
        raise OccupiedError("is not empty, and is no export", where=out, hint="choose another folder")
    if not (differing := _differing(settings, wanted)):
        return settings
    if not overwrite:
        what = f"holds another export, which differs in {', '.join(differing)}"
        raise OccupiedError(what, where=out, hint="choose another folder, or --overwrite")
    _check_strange(out)
    return None


def _differing(settings: Settings, wanted: Settings) -> list[str]:
    """Return in what an export differs from the one that is wanted, as a user calls it."""
    return [called for name, called in CALLED.items() if getattr(settings, name) != getattr(wanted, name)]


def _check_strange(out: Path) -> None:
    """Raise OccupiedError where a folder has files that no export wrote, or that were edited: they would go with it."""
    ours = {path for pattern in WRITTEN for path in out.glob(pattern)}
    ours -= {card for name in (README, CROISSANT) if (card := out / name).exists() and not is_ours(card)}
    if strange := next((path for path in out.rglob("*") if not path.is_dir() and path not in ours), None):
        what = f"holds {strange.relative_to(out)}, which no export wrote, or was edited"
        raise OccupiedError(what, where=out, hint="choose another folder, or move that file")


def _tidy(place: Path) -> None:
    """Remove what processes that were ended have left half written."""
    for folder in (place, *place.rglob("*/")):
        remove(leftovers(folder))


def _begin(place: Path, source: Source, wanted: Settings, *, overwrite: bool) -> Settings:
    """Make the hidden folder, or go on with what is in it, and return the settings with the size of pieces."""
    settings = _read_settings(place)
    if settings and _differing(settings, wanted):
        if not overwrite:
            hint = "finish it with the command that began it, or --overwrite"
            raise OccupiedError("holds another export, which was broken off", where=place, hint=hint)
        rmtree(place)
        settings = None
    if settings:
        _tidy(place)
        return settings
    size = _clip_bytes(source, wanted)
    needed, free = int(size * wanted.clips), free_bytes(place)
    if needed + RESERVE > free:
        about, spare, left = map(human_bytes, (needed, RESERVE, free))
        hint = "a lower --quality takes less"
        raise DiskSpaceError(f"needs about {about} and {spare} to spare, and {left} are free", where=place, hint=hint)
    # Of the full shards: the last one of a round may be smaller.
    largest = max(record.clips for record in source.shards.values())
    most = FORMATS[wanted.format].most or int(wanted.piece_bytes / size)
    each = max(1, min(most // largest, len(source.shards) // PIECES))
    settings = replace(wanted, shards_per_piece=each)
    place.mkdir(exist_ok=True)
    write_text_atomically(place / CLASSES, json.dumps(source.classes, ensure_ascii=False, indent=1) + "\n")
    write_text_atomically(place / SETTINGS, json.dumps(asdict(settings), indent=1) + "\n")
    return settings


def _clip_bytes(source: Source, wanted: Settings) -> float:
    """Return about how many bytes a clip takes, by the first ones of shards that lie evenly among all."""
    shards = list(source.shards)[:: -(-len(source.shards) // TRIAL)]
    clips = [next(read_clips(source.folder, [shard], source.classes, wanted.quality)) for shard in shards]
    return sum(len(clip.mp4) + len(json.dumps(clip.about)) for clip in clips) / len(clips)


def _read_settings(folder: Path) -> Settings | None:
    """Return the settings in a folder; None where there are none."""
    try:
        content = parse_json((folder / SETTINGS).read_bytes(), dict, str(folder / SETTINGS), error=ContentError)
        return parse(Settings, content, where=folder / SETTINGS, error=ContentError, extra=True)
    except OSError:
        return None


def _exported(out: Path, settings: Settings, source: Source, *, made: int) -> Exported:
    return Exported(
        out=out,
        format=settings.format,
        clips=settings.clips,
        files=len(_pieces(source, settings)),
        made=made,
        bytes=_size(out),
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
