"""Every error message a user may meet: one line that says what, where and what to try; and nothing is left behind."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from console import Done, vidaug

from vidaug_cli.commands.options import write_text
from vidaug_cli.data.shard.format import done_path, shard_path
from vidaug_cli.errors import DiskSpaceError, KindError
from vidaug_cli.files import write_text_atomically

SMALL = ["--frames", "8", "--size", "32", "-j", "1"]
FADE = [*SMALL, "-r", "fademixup"]


@pytest.fixture(scope="module")
def rows(video_folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in vidaug("scan", video_folder, "-q").out.splitlines()[:6]]


@pytest.fixture(scope="module")
def made(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a manifest of six videos, `manifest`, and their shards, `out`."""
    folder = tmp_path_factory.mktemp("made")
    write(folder / "manifest", rows)
    assert vidaug("augment", folder / "manifest", "-o", folder / "out", *FADE).code == 0
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    """A copy of the shards, to be spoilt."""
    return Path(shutil.copytree(made / "out", tmp_path / "copy"))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def complaint(done: Done, code: int = 1) -> str:
    """The message of a run that failed; it is one line, the last on stderr."""
    assert (done.code, done.out) == (code, "")
    *_, last = done.err.splitlines()
    assert last.startswith(("vidaug: error: ", "Error: "))
    return last.removeprefix("vidaug: error: ").removeprefix("Error: ")


WRONG_OPTIONS = {
    "": "which recipe? Give --recipe NAME; 'vidaug recipes' lists them.",
    "-r fadmixup": "no recipe 'fadmixup'; did you mean 'fademixup'? 'vidaug recipes' lists them",
    "-r ./my.toml": "./my.toml: cannot be read: No such file or directory",
    "-r fademixup --set fademixup.bta=1": "fademixup: mix.0 (fademixup): bta: unknown key; did you mean 'beta'?",
    "-r fademixup --set beta=0.4": "--set beta: the recipe has no such place (it has mix_p, mix.0, fademixup)",
    "-r fademixup --set mix_p": "--set mix_p: should be KEY=VALUE, such as fademixup.beta=0.4",
    "-r none --device gpu": "no device 'gpu'; there are auto, cpu, cuda and cuda:N",
    "-r none --device cuda:99": "no device 'cuda:99': torch sees ",
    "-r none --part 4/4": "--part 4/4 should be I/N, with I from 0 to N - 1; such as --part 0/4",
    "-r none --clips-per-shard 40": "clips_per_shard = 40 should be a multiple of 16, the number of videos that are ",
    "-r none --frames 0": "clip: frames = 0 should be 1 to 4096",
    "-r none --copies 0": "copies = 0 should be at least 1",
    "-r none --frames many": "Invalid value for '--frames': 'many' is not a valid integer.",
}


@pytest.mark.parametrize("options", WRONG_OPTIONS)
def test_wrong_options_are_told_before_anything_is_scanned(options: str, tmp_path: Path) -> None:
    """INPUT does not even exist here."""
    done = vidaug("augment", tmp_path / "nowhere", "-o", tmp_path / "out", *options.split())
    usage = WRONG_OPTIONS[options].endswith(".")
    assert complaint(done, 2 if usage else 1).startswith(WRONG_OPTIONS[options])
    assert not (tmp_path / "out").exists()


WRONG_LINES: list[tuple[bytes | dict[str, Any], str]] = [
    (b'{"path": "\xff"}', "is not UTF-8"),
    (rb'{"path": "\ud800"}', "is not UTF-8"),
    (b"a/b.avi 3", "is not JSON"),
    (b"[" * 100_000, "is not JSON"),
    ({"path": "a\0b"}, "path = 'a\\x00b' should be the name of a file"),
    ({"path": ""}, "path = '' should be the name of a file"),
    ({"fps": float("inf")}, "fps: inf should be a number"),
    ({"frames": 10**30}, "frames = 1000000000000000000000000000000 should be 1 to 2147483647; a manifest is"),
    ({"path": "./class_0//video_00.avi"}, "./class_0//video_00.avi stands in line 1 already; keep one of them"),
]


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize(("wrong", "message"), WRONG_LINES)
def test_lines_that_cannot_be_used(
    rows: list[dict[str, Any]], tmp_path: Path, wrong: bytes | dict[str, Any], message: str, piped: bool
) -> None:
    third = wrong if isinstance(wrong, bytes) else json.dumps(rows[2] | wrong).encode()
    text = b"\n".join([json.dumps(rows[0]).encode(), b"", third])
    manifest = tmp_path / "manifest"
    manifest.write_bytes(text)
    source, name = ("-", "stdin") if piped else (manifest, manifest)
    done = vidaug("augment", source, "-o", tmp_path / "out", *FADE, stdin=text if piped else b"")
    assert complaint(done).startswith(f"{name}:3: {message}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["../../../../etc/passwd", "/etc/passwd", "concat:class_0/video_00.avi", "link.avi"])
def test_what_lies_outside_is_never_read(
    rows: list[dict[str, Any]], video_folder: Path, tmp_path: Path, path: str
) -> None:
    root = Path(shutil.copytree(video_folder, tmp_path / "videos"))
    (root / "link.avi").symlink_to(video_folder / "class_0/video_00.avi")
    rows = [row | {"root": str(root)} for row in rows]
    manifest = write(tmp_path / "manifest", [*rows, rows[0] | {"path": path}])
    done = vidaug("augment", manifest, "-o", tmp_path / "out", *FADE, "--json")
    assert done.code == 3
    ((failure),) = done.made["failures"]
    assert failure["path"] == path
    reasons = (f"lies outside the data set's folder; copy it into {root}", "cannot be read: No such file or directory")
    assert failure["reason"] in reasons
    assert "1 clip left out" in done.err


def test_inputs_that_cannot_be_used(made: Path, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    def refused(source: object, *options: object, stdin: bytes = b"") -> str:
        return complaint(vidaug("augment", source, "-o", tmp_path / "out", *FADE, *options, stdin=stdin))

    assert (
        refused("nowhere") == "nowhere: does not exist; INPUT is a folder, a list, a manifest, a video or - for stdin"
    )
    assert refused("-").startswith("stdin: holds no video; make one with: vidaug scan")
    bare = write(tmp_path / "bare", [row | {"label": None} for row in rows])
    assert refused(bare).startswith("no label is known of 6 of 6 videos, such as class_0/video_00.avi; folders")
    one = write(tmp_path / "one", rows[:1])
    assert refused(one) == "recipe fademixup mixes two videos and there is only one; use a recipe without [[mix]]"
    assert refused(made / "manifest", "--subset", "train") == (
        "no video has split 'train'; none has any: 'vidaug scan --split 1' reads split lists"
    )
    gone = write(tmp_path / "gone", [row | {"root": "/nowhere"} for row in rows])
    assert (
        refused(gone) == "/nowhere: none of the 6 videos of the manifest is there; --root says where the videos lie now"
    )
    assert refused(made / "manifest", "--split", "1").startswith(
        f"{made / 'manifest'}: --split goes with a folder, and"
    )
    assert not (tmp_path / "out").exists()


def test_places_that_cannot_be_written(made: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(place: Path, *options: object) -> str:
        return complaint(vidaug("augment", made / "manifest", "-o", place, *FADE, *options))

    (tmp_path / "file").touch()
    assert refused(tmp_path / "file") == f"{tmp_path / 'file'}: is a file; name a folder with -o"
    assert refused(tmp_path / "file" / "x") == (
        f"{tmp_path / 'file' / 'x'}: Not a directory; a part of this path is a file: name another"
    )
    assert refused(made) == f"{made}: is not empty and was not written by vidaug; choose another folder"
    assert refused(out, "--seed", "1") == (
        f"{out}: holds the shards of another plan, which differs in seed (0 there, 1 now);"
        " choose another folder, or --overwrite"
    )
    picture = complaint(vidaug("preview", out, "-o", tmp_path / "file" / "p.png", "-q"))
    assert picture == f"{tmp_path / 'file'}: File exists; choose another name"

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("vidaug_cli.files.sync", full)
    hint = "is the folder there and writable, and the disk not full?"
    where = tmp_path / "new" / "manifest.jsonl"
    assert refused(tmp_path / "new") == f"{where}: cannot be written: No space left on device; {hint}"
    assert list((tmp_path / "new").iterdir()) == []


READERS = (["verify", "-j", "1"], ["inspect"], ["replay"], ["preview", "-o", "p.png"])


@pytest.mark.parametrize("command", READERS, ids=lambda words: words[0])
def test_folders_that_cannot_be_read(made: Path, out: Path, tmp_path: Path, command: list[str]) -> None:
    def refused(folder: Path, code: int = 1) -> str:
        return complaint(vidaug(command[0], folder, *command[1:]), code)

    reader = command[0]
    preview = "holds no shards; to see what a recipe makes of INPUT, give --recipe NAME."
    for folder, what in ((tmp_path / "nowhere", "does not exist"), (made / "manifest", "is "), (made, "holds no ")):
        if reader == "preview":
            found = preview if folder.exists() else preview.replace("holds no shards", "does not exist")
            assert refused(folder, 2) == f"{folder} {found}"
        else:
            what = "is a folder without videos, and not" if folder == made and reader == "inspect" else what
            assert refused(folder).startswith(f"{folder}: {what}")
    if reader != "inspect":
        plan = out / "plan.json"
        whole = plan.read_text()
        plan.write_text(whole[:100])
        assert refused(out) == f"{plan}: is not JSON; make the shards again, in another folder"
        plan.write_text("{}")
        assert refused(out) == f"{plan}: is not a plan of vidaug; name another folder"
        plan.write_text(whole)
        (out / "manifest.jsonl").unlink()
        assert refused(out).endswith("No such file or directory; the same 'vidaug augment' command writes it again")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 10**400), ("copies", []), ("quality", "x"), ("codec", []), ("recipe", 3), ("recipe", "[" * 9999),
        ("clip", 3), ("clip", {"crop": 3}), ("clip", {"crop": [1]}), ("clip", {"crop": ["a", "b"]}), ("clip", []),
        ("clip", {"crop": [0.5, 0.6], "fps": []}), ("clip", {"crop": [0.5, 0.6], "zoom": 2}), ("keep_original", None),
        ("clips_per_shard", 1.5), ("version", [[]]), ("format", {}),
    ],
)  # fmt: skip
def test_plans_that_were_tampered_with(out: Path, key: str, value: object) -> None:
    header = json.loads((out / "plan.json").read_text())
    (out / "plan.json").write_text(json.dumps(header | {key: value}))
    done = vidaug("verify", out, "-j", "1")
    assert (done.code, done.out) == (1, "")
    first, *more = done.err.splitlines()
    assert first.startswith("vidaug: error: ")
    assert all(line.startswith(f"{key}.") for line in more)  # one for each fault
    assert "delete" not in done.err
    assert "remove" not in done.err


@pytest.mark.parametrize("command", READERS[1:], ids=lambda words: words[0])
def test_shards_that_cannot_be_read(out: Path, command: list[str]) -> None:
    shard = shard_path(out, 0)
    with shard.open("r+b") as file:
        file.truncate(1000)
    message = complaint(vidaug(command[0], out, *command[1:]))
    assert message.startswith(f"{shard}: is damaged or not a shard (")
    assert message.endswith("delete it with its .json and run the same 'vidaug augment' command again")
    done_path(shard).unlink()
    message = complaint(vidaug(command[0], out, *command[1:]))
    assert message == f"{out}: holds no finished shard yet; the same 'vidaug augment' command makes them"


@pytest.mark.parametrize("command", [["replay"], ["preview", "-o", "p.png"]], ids=lambda words: words[0])
def test_clips_that_are_not_there(made: Path, command: list[str]) -> None:
    message = complaint(vidaug(command[0], made / "out", "--clip", "99", *command[1:]))
    assert message == f"{made / 'out'}: has no clip 99; it has 6, from 0 to 5"


def test_previews_that_cannot_be_drawn(made: Path, tmp_path: Path) -> None:
    def refused(*words: object, code: int = 2) -> str:
        return complaint(vidaug("preview", *words, "-o", tmp_path / "p.png"), code)

    assert refused(made / "out", "-r", "cutmix").endswith(
        "holds shards, which are drawn as they are: leave --recipe out."
    )
    assert refused(made / "manifest", "-r", "cutmix", "--clip", "1").startswith("--clip picks clips of OUT; of INPUT")
    for name in ("p.jpg", "p"):
        message = complaint(vidaug("preview", made / "out", "-o", tmp_path / name))
        assert message == f"{tmp_path / name}: is not a picture that can be drawn; end it in .png, .gif, .webp or .mp4"
    assert list(tmp_path.iterdir()) == []


def test_memory_that_is_not_there(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError("Unable to allocate 3.00 TiB for an array")

    monkeypatch.setattr("vidaug_cli.augment.pipeline.group_pixels", greedy)
    done = vidaug("augment", made / "manifest", "-o", tmp_path / "out", *FADE)
    advice = "take smaller clips, or fewer processes with -j"
    assert complaint(done) == f"Unable to allocate 3.00 TiB for an array; {advice}"


ODD_NAMES = [
    "scan",
    "inspect",
    "preview",
    "explain",
    "augment -r none -o out",
    "evaluate",
    "verify",
    "report",
]


@pytest.mark.parametrize("command", ODD_NAMES)
def test_a_name_with_a_line_feed_makes_no_second_line(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("it's a\nlist").write_text("a.avi\n")
    done = vidaug(*command.split(), "it's a\nlist")
    last = done.err.splitlines()[-1]
    assert last.startswith(("vidaug: error: ", "Error: ")), done.err
    assert "it's a\\nlist" in last


def test_a_file_of_another_kind_is_no_manifest_with_ten_faults(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')
    message = complaint(vidaug("augment", other, "-o", tmp_path / "out", *FADE))
    assert message.startswith(f"{other}:1: has no path, and so is no row of a manifest; a manifest is what")


def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    for pattern in ("[z-a]", "!", "a\\"):
        message = complaint(vidaug("scan", tmp_path, "--exclude", "kept", "--exclude", pattern))
        assert message.startswith(f"--exclude {pattern!r} is no pattern of a .gitignore; such as 'test/'")


def test_click_shows_a_name_with_a_line_feed_in_one_line() -> None:
    assert vidaug("doctor", "it's a\nfile").err.splitlines()[-1].endswith(r"extra argument (it's a\nfile)")


def test_a_device_that_is_full_is_named() -> None:
    with pytest.raises(
        DiskSpaceError, match=r"^/dev/full: cannot be written: No space left on device; free some space"
    ):
        write_text(Path("/dev/full"), "text")


def test_no_file_takes_the_place_of_a_pipe(tmp_path: Path) -> None:
    """... or of /dev/null, where the user may do that."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KindError, match=r"pipe: is a pipe or a device; name a plain file"):
        write_text_atomically(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()
