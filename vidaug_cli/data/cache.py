"""What probes found, kept between scans: a second scan of unchanged files opens none of them."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs

from vidaug_cli.data.listing.tree import IMAGES
from vidaug_cli.data.manifest import Probe
from vidaug_cli.errors import THIS_TIME, UnwritableError, VideoError, passes
from vidaug_cli.schema import parse

VERSION = 5  # of what a probe finds; a new one forgets the old


_CANNOT_KEEP = "cannot keep here what is known of videos"
# What tells an unchanged video from a changed one: files (1, or the images of a folder), bytes, newest change in ns.
Stamp = tuple[int, int, int]


def stamp(file: Path) -> Stamp:
    """Return the stamp of a video file or a folder of images. Raises VideoError when it is neither or unreadable."""
    try:
        about = file.stat()
        if stat.S_ISREG(about.st_mode):
            return 1, about.st_size, about.st_mtime_ns
        if not stat.S_ISDIR(about.st_mode):
            raise VideoError("is not a plain file", where=file)
        with os.scandir(file) as entries:
            images = [entry.stat() for entry in entries if Path(entry.name).suffix.lower() in IMAGES]
    except OSError as error:
        links = {errno.ENOENT: "is a link to nothing", errno.ELOOP: "is a link to itself"}
        if what := links.get(error.errno or 0):
            raise VideoError(what, where=file) from error
        passing = passes(error)
        what = f"{THIS_TIME if passing else 'cannot be read'}: {error.strerror}"
        raise VideoError(what, where=file, passing=passing) from error
    return len(images), sum(image.st_size for image in images), max(each.st_mtime_ns for each in (about, *images))


def default_file() -> Path:
    """Return `probes.sqlite3` in the user's cache folder, which XDG_CACHE_HOME names on macOS too.

    Raises RuntimeError where a user has no home.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(named, "vidaug") if named.startswith("/") else platformdirs.user_cache_path("vidaug", appauthor=False)
    if not folder.is_absolute():  # what older releases of platformdirs give a user without a home
        raise RuntimeError("this user has no home folder")
    return folder / "probes.sqlite3"


class ProbeCache:
    """A table of probes by path, kind of probe and stamp; one row a video, replaced when the video changes.

    Every `put` is committed by itself, so a scan that is killed goes on where it was. Without a file nothing is kept.

    Raises:
        VidaugError: the file cannot be opened or written, or is something else.
    """

    def __init__(self, file: Path | None, kind: str) -> None:
        self.file, self.fault = file, ""
        self._kind = f"{kind} {VERSION} av {version('av')}"  # another decoder finds other frames
        self._table = sqlite3.connect(":memory:")  # for a scan of which nothing is kept
        try:
            if file is not None:
                self.close()
                file.parent.mkdir(parents=True, exist_ok=True)
                self._table = sqlite3.connect(file, timeout=30, isolation_level=None)
            self._table.execute("PRAGMA synchronous = OFF")  # outlives a killed process, and need not outlive more
            self._table.execute(
                "CREATE TABLE IF NOT EXISTS probes"
                " (path TEXT, kind TEXT, stamp TEXT, found TEXT, PRIMARY KEY (path, kind))"
            )
        except (sqlite3.Error, OSError) as error:
            self.close()
            what, hint = f"{_CANNOT_KEEP}: {error}", "name another with --cache FILE, or go without: --no-cache"
            raise UnwritableError(what, where=file, hint=hint) from error

    def get(self, file: Path, seen: Stamp) -> Probe | VideoError | None:
        """Return what was found in `file` when it had this stamp, or why it cannot be used."""
        key = (str(file), self._kind, json.dumps(seen))
        rows = self._run("SELECT found FROM probes WHERE path = ? AND kind = ? AND stamp = ?", key)
        if not rows:
            return None
        content = json.loads(rows[0][0])
        return VideoError(content["error"]) if "error" in content else parse(Probe, content, where=self.file)

    def put(self, file: Path, seen: Stamp, found: Probe | VideoError) -> None:
        """Keep what was found in `file`, but for a fault that may pass."""
        if isinstance(found, VideoError) and found.passing:
            return
        content = asdict(found) if isinstance(found, Probe) else {"error": found.reason}
        row = (str(file), self._kind, json.dumps(seen), json.dumps(content))
        self._run("INSERT OR REPLACE INTO probes VALUES (?, ?, ?, ?)", row)

    def _run(self, statement: str, values: tuple[str, ...]) -> list[Any]:
        """Return the rows of a statement. A cache that fails midway must not end the scan: the rest goes without."""
        try:
            return [] if self.fault else self._table.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self.fault = f"{self.file}: {_CANNOT_KEEP} any more: {error}"
            self.close()
            return []

    def close(self) -> None:
        """Close the file."""
        self._table.close()
