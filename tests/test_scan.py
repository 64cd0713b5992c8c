"""`vidaug scan` as a user meets it, and what it must never do: look twice, lose a video, follow a link out."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeVideo, write_video
from console import Done, vidaug

from vidaug_cli.data.cache import default_file
from vidaug_cli.data.manifest import Probe, Row, read_rows
from vidaug_cli.data.scan import Scan, scan
from vidaug_cli.data.scan_summary import describe
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.errors import VidaugError, VideoError


class FakeGuard:
    """Stands for the decoder: 7 frames in every file, unless its text is a reason against it."""

    opened: list[str]

    def __init__(self, limits: Limits, memory: None) -> None:
        self.limits = limits

    def close(self) -> None:
        pass

    def __enter__(self) -> FakeGuard:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def probe(self, path: Path, how: str = "full", hashing: str = "samples") -> Probe:
        FakeGuard.opened.append(path.name)
        if path.is_file() and (reason := path.read_text()):
            raise VideoError(reason, where=path)
        return Probe(
            frames=7,
            fps=30.0,
            width=64,
            height=48,
            codec="h264",
            rotation=0,
            corrupt=0,
            bytes=9,
            probe=how,  # type: ignore[arg-type]
        )


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were opened; nothing is decoded."""
    FakeGuard.opened = []
    monkeypatch.setattr("vidaug_cli.data.video.guard.Guard", FakeGuard)
    return FakeGuard.opened


Fill = Callable[..., Path]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Write files with these texts into a folder; an empty one is a good video to `FakeGuard`."""

    def make(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / "data" / name.replace("__", "/")
            path = path if path.suffix else path.with_suffix(".avi")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / "data"

    return make


def run(*arguments: object) -> Done:
    return vidaug("scan", *arguments)


def test_real_videos(make_video: MakeVideo, tmp_path: Path) -> None:
    make_video("data/wave/b10.mp4", frames=5)
    make_video("data/wave/b9.mp4", frames=12, size=(32, 48))
    make_video("data/run/a.avi", frames=3, fps=10)
    (tmp_path / "data/run/broken.avi").write_bytes(b"RIFF nothing")
    found = scan(tmp_path / "data", progress=False)
    assert [(row.path, row.label, row.frames, row.width, row.height) for row in found.rows] == [
        ("run/a.avi", "run", 3, 64, 48),
        ("wave/b9.mp4", "wave", 12, 32, 48),
        ("wave/b10.mp4", "wave", 5, 64, 48),
    ]
    assert found.rows[0].root == str(tmp_path / "data")
    assert [path for path, _ in found.quarantined] == ["run/broken.avi"]


def test_the_order_does_not_depend_on_the_workers(fill: Fill, opened: list[str]) -> None:
    data = fill(**{f"wave__v{number}": "" for number in range(23)}, run__x="", run__bad="is bad", walk__bad="is bad")
    alone, many = (scan(data, workers=workers, cache=False) for workers in (1, 5))
    assert alone == many
    assert [row.path for row in alone.rows][:4] == ["run/x.avi", "wave/v0.avi", "wave/v1.avi", "wave/v2.avi"]
    assert alone.quarantined == [("run/bad.avi", "is bad"), ("walk/bad.avi", "is bad")]
    assert len(opened) == 2 * 26


def test_a_second_scan_opens_only_what_changed(fill: Fill, opened: list[str]) -> None:
    data = fill(wave__a="", wave__b="is bad", run__c="")
    first = scan(data)
    assert sorted(opened) == ["a.avi", "b.avi", "c.avi"]
    opened.clear()
    assert scan(data).rows == first.rows
    assert scan(data).quarantined == first.quarantined == [("wave/b.avi", "is bad")]
    assert not opened
    (data / "wave/b.avi").write_text("")
    assert len(scan(data).rows) == 3
    assert opened == ["b.avi"]
    scan(data, probe="header")
    assert len(opened) == 4
    scan(data, limits=Limits(frames=10))
    assert len(opened) == 7


def test_a_folder_of_images_is_cached_by_its_images(fill: Fill, opened: list[str]) -> None:
    data = fill(**{"wave__clip__1.jpg": "", "wave__clip__2.jpg": ""})
    assert [row.path for row in scan(data).rows] == ["wave/clip"]
    scan(data)
    assert opened == ["clip"]
    (data / "wave/clip/3.jpg").touch()
    scan(data)
    assert opened == ["clip", "clip"]


def test_a_scan_that_fails_midway_keeps_what_it_found(
    fill: Fill, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fill(**{f"wave__v{number}": "" for number in range(9)})

    def probe(self: FakeGuard, path: Path, how: str = "full", hashing: str = "samples") -> Probe:
        if len(opened) == 5:
            raise KeyboardInterrupt
        return original(self, path, how)

    original = FakeGuard.probe
    with monkeypatch.context() as patch:
        patch.setattr(FakeGuard, "probe", probe)
        with pytest.raises(KeyboardInterrupt):
            scan(data, workers=1)
    kept = len(opened)
    assert kept == 5
    opened.clear()
    found = scan(data, workers=1)
    assert len(found.rows) == 9
    assert found.cached + len(opened) == 9
    assert found.cached >= 3  # the last ones may have been under way


def test_a_scan_that_is_cached_loads_no_decoder(make_video: MakeVideo, tmp_path: Path) -> None:
    make_video("data/wave/a.mp4", frames=3)
    assert len(scan(tmp_path / "data").rows) == 1
    code = (
        "import sys; from pathlib import Path; from vidaug_cli.data.scan import scan;"
        f"assert len(scan(Path({str(tmp_path / 'data')!r})).rows) == 1;"
        "print([name for name in ('av', 'torch', 'joblib', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("named", "below"), [(None, ".cache"), ("relative", ".cache"), ("/somewhere", "")])
def test_the_cache_lies_in_the_users_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str | None, below: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    if named:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    base = Path("/somewhere") if named == "/somewhere" else tmp_path / below
    if sys.platform == "linux" or named == "/somewhere":
        assert default_file() == base / "vidaug/probes.sqlite3"


@pytest.mark.parametrize("answer", ["~/.cache/vidaug", RuntimeError("no home")])
def test_a_user_without_a_home_gets_a_note(
    fill: Fill, opened: list[str], monkeypatch: pytest.MonkeyPatch, answer: str | Exception
) -> None:
    """Releases of platformdirs differ in what they make of one."""

    def cache_path(*args: object, **how: object) -> Path:
        if isinstance(answer, Exception):
            raise answer
        return Path(answer)

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("platformdirs.user_cache_path", cache_path)
    found = scan(fill(wave__a=""))
    assert len(found.rows) == 1
    assert "nothing is kept for the next scan: " in found.notes[0]
    assert "home" in found.notes[0]


def test_rows_stand_in_natural_order(fill: Fill, opened: list[str]) -> None:
    """Numbers by their value in any script, letters with accents beside those without, equals by their spelling."""
    names = ["A/01.avi", "A/1.avi", "A/२.avi", "A/१०.avi", "a/2.avi", "a/10.avi", "école/1.avi", "z/②.avi", "z/½.avi"]
    assert [row.path for row in scan(fill(**dict.fromkeys(reversed(names), ""))).rows] == names


def test_a_cache_that_cannot_be_used(fill: Fill, opened: list[str], own_cache: Path, tmp_path: Path) -> None:
    data = fill(wave__a="")
    own_cache.joinpath("vidaug").write_text("a file where the folder should be")
    found = scan(data)
    assert len(found.rows) == 1
    assert "nothing is kept for the next scan" in found.notes[0]
    foreign = tmp_path / "notes.txt"
    foreign.write_text("mine, and long enough to be taken for a data base" * 20)
    with pytest.raises(VidaugError, match="cannot keep here what is known of videos: file is not a database; name"):
        scan(data, cache=foreign)
    gc.collect()  # of what was left open Python 3.13 warns
    assert scan(data, cache=tmp_path / "new/c.sqlite3").cached == 0
    assert scan(data, cache=tmp_path / "new/c.sqlite3").cached == 1


def test_nothing_outside_is_opened(fill: Fill, opened: list[str], tmp_path: Path) -> None:
    data = fill(wave__a="", wave__z="")
    (tmp_path / "secret.avi").touch()
    (data / "wave/b.avi").symlink_to(tmp_path / "secret.avi")
    (data / "wave/c.avi").symlink_to(data / "wave/a.avi")
    (data / "wave/d.avi").symlink_to(data / "nowhere.avi")
    (data / "wave/e.avi").symlink_to(data / "wave/e.avi")
    os.mkfifo(data / "wave/f.avi")
    found = scan(data)
    assert [row.path for row in found.rows] == ["wave/a.avi", "wave/c.avi", "wave/z.avi"]
    assert found.quarantined == [
        (
            "wave/b.avi",
            f"is a link to {tmp_path}/secret.avi, outside the data set's folder;"
            f" 'vidaug scan --follow-links={tmp_path}' follows it",
        ),
        ("wave/d.avi", "is a link to nothing"),
        ("wave/e.avi", "is a link to itself"),
        ("wave/f.avi", "is not a plain file"),
    ]
    assert sorted(opened) == ["a.avi", "z.avi"]
    listed = data / "l.txt"
    listed.write_text(
        f"../secret.avi 1\n{tmp_path}/secret.avi 1\nwave/../wave/a.avi 1\nconcat:wave/a.avi|wave/z.avi 1\n"
    )
    found = scan(listed)
    assert [row.path for row in found.rows] == ["wave/../wave/a.avi"]
    assert [reason.split(";")[0] for _, reason in found.quarantined] == [
        "listed in l.txt:4 but not found",
        "lies outside the data set's folder",
        "lies outside the data set's folder",
    ]


def test_rows_on_stdout_words_on_stderr(fill: Fill, opened: list[str]) -> None:
    done = run(fill(wave__a="", run__b="", notes__x="is bad"))
    assert done.code == 3
    rows = read_rows(done.out.splitlines(), "stdout")
    assert [(row.path, row.label) for row in rows] == [("run/b.avi", "run"), ("wave/a.avi", "wave")]
    assert "2 in 2 classes, 1 each" in done.err
    assert "quarantined 1:\n  notes/x.avi: is bad\n" in done.err


def test_out_quarantine_and_json(fill: Fill, opened: list[str], tmp_path: Path) -> None:
    data = fill(wave__a="", run__b="", **{f"run__bad{number}": "is bad" for number in range(25)})
    out, reasons = tmp_path / "m.jsonl", tmp_path / "q.jsonl"
    done = run(data, "-o", out, "--quarantine", reasons, "--json")
    assert done.code == 3
    assert len(read_rows(out.read_text().splitlines(), "m")) == 2
    assert json.loads(reasons.read_text().splitlines()[1]) == {"path": "run/bad1.avi", "reason": "is bad"}
    summary = done.result
    assert (summary["videos"], summary["classes"], summary["quarantined"]) == (2, {"run": 1, "wave": 1}, 25)
    assert summary["frames"] == {"min": 7, "median": 7, "max": 7, "sum": 14}
    assert "  ... and 5 more: --quarantine FILE writes them all" in done.err
    assert run(data, "-o", out, "-q").err == ""
    assert run(data, "-o", out, "-v").err.count("is bad") == 25
    assert run(data, "-o", "/dev/null").code == 3
    assert not Path("/dev/null").is_file()


def test_only_a_manifest_is_overwritten(fill: Fill, opened: list[str], tmp_path: Path) -> None:
    data = fill(wave__a="")
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("do not lose me")
    for option in ("-o", "--quarantine"):
        done = run(data, option, thesis)
        assert done.err == f"vidaug: error: {thesis}: exists, and no scan wrote it; choose another name\n"
    assert thesis.read_text() == "do not lose me"
    assert not opened
    assert run(data, "-o", tmp_path / "m.jsonl").code == 0
    assert run(data, "-o", tmp_path / "m.jsonl").code == 0
    assert (
        run(data, "-o", tmp_path / "none/m.jsonl").err
        == f"vidaug: error: {tmp_path}/none: does not exist; make this folder first\n"
    )


def test_no_usable_video_is_an_error_with_reasons(fill: Fill, opened: list[str], tmp_path: Path) -> None:
    data = fill(wave__a="is bad", wave__b="is worse")
    done = run(data, "-o", tmp_path / "m.jsonl", "--quarantine", tmp_path / "q.jsonl")
    assert done.err.endswith(f"vidaug: error: {data}: no usable video, 2 quarantined; the first, wave/a.avi: is bad\n")
    assert "  wave/b.avi: is worse" in done.err
    assert len((tmp_path / "q.jsonl").read_text().splitlines()) == 2
    assert not (tmp_path / "m.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--json"], "--json needs -o FILE"),
        (["--cache", "c", "--no-cache"], "exclude each other"),
        (["--split", "0"], "--split"),
        (["--probe", "most"], "--probe"),
    ],
)
def test_usage_errors(fill: Fill, options: list[str], message: str) -> None:
    done = run(fill(wave__a=""), *options)
    assert done.code == 2
    assert message in done.err


def test_names_cannot_drive_the_terminal(fill: Fill, opened: list[str]) -> None:
    data = fill(wave__a="", **{"wave__b\x1b[2Jc": "is bad"})
    done = run(data)
    assert "\x1b" not in done.err
    assert r"wave/b\x1b[2Jc.avi: is bad" in done.err


def test_names_that_are_not_utf8(fill: Fill, opened: list[str]) -> None:
    data = fill(wave__a="")
    Path(os.fsdecode(os.fsencode(data) + b"/wave/\xff.avi")).touch()
    assert run(data).code == 3
    (data / "l.txt").write_bytes(b"wave/\xff.avi x\nwave/a.avi \xe9\nwave/a.avi x\n")
    found = scan(data / "l.txt")
    assert [path for path, _ in found.quarantined] == ["wave/a.avi", r"wave/\xff.avi"]


def test_ctrl_c_ends_quickly_and_keeps_what_was_found(tmp_path: Path, own_cache: Path) -> None:
    video = write_video(tmp_path / "wave/0.mp4", frames=300, size=(320, 240))
    for number in range(1, 80):
        shutil.copy(video, video.with_stem(str(number)))
    code = "import sys; from vidaug_cli.commands.scan import command; command(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), "-j", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        deadline = time.monotonic() + 20
        while not _kept(own_cache) and time.monotonic() < deadline:
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        _, words = child.communicate(timeout=5)
    assert child.returncode == 1  # click's own; `vidaug` makes it 130
    assert "Traceback" not in words
    assert 0 < scan(tmp_path).cached < 80


def _kept(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(folder / "vidaug/probes.sqlite3")) as table:
            return int(table.execute("SELECT count(*) FROM probes").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_ut_interaction(real_data: Path, tmp_path: Path) -> None:
    done = run(real_data / "ut-interaction", "-o", tmp_path / "m.jsonl", "--json")
    summary = done.result
    assert (done.code, summary["videos"]) == (0, 120)
    names = ["handshake", "hug", "kick", "point", "punch", "push"]
    assert summary["classes"] == dict.fromkeys(names, 20)
    assert (summary["frames"]["min"], summary["frames"]["max"], summary["sizes"]["count"]) == (52, 183, 116)
    run(real_data / "ut-interaction", "-o", tmp_path / "m.jsonl", "--split", 1)
    rows = read_rows((tmp_path / "m.jsonl").read_text().splitlines(), "m")
    assert (sum(row.split == "train" for row in rows), sum(row.split == "test" for row in rows)) == (84, 36)


def test_every_odd_file_is_used_or_has_a_reason(real_data: Path) -> None:
    found = scan(real_data / "odd")
    files = sum(path.is_file() for path in (real_data / "odd").rglob("*"))
    assert len(found.rows) + len(found.quarantined) == files == 63
    assert all(reason and "\n" not in reason for _, reason in found.quarantined)
    assert {"derived/zero_byte.avi", "derived/audio_only.mp4", "derived/text_named.avi"} <= dict(
        found.quarantined
    ).keys()


@pytest.mark.parametrize("number", [1, 3, 101, 700])
def test_every_class_is_printed_with_its_count(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    row: dict[str, Any] = {"root": "/", "frames": 7, "fps": 1.0, "width": 8, "height": 8, "codec": "h264"}
    names = [f"riding a bike {n}" for n in range(number)]
    rows = [
        Row(path=f"{name}/{n}", label=name, **row) for place, name in enumerate(names) for n in range(place % 3 + 1)
    ]
    found = Scan(layout="folders", root=Path("/"), rows=rows, quarantined=[], notes=[], passed_over=Counter(), cached=0)
    lines = list(describe(found))
    start = next(place for place, line in enumerate(lines) if line.startswith("  classes     "))
    listed = [line[14:] for line in lines[start:] if line.startswith("  classes") or line.startswith(" " * 14)]
    assert " ".join(listed).split(", ") == [f"{name}: {names.index(name) % 3 + 1}" for name in sorted(names)]
    assert max(map(len, lines)) <= 80 or number == 1
    warned = "  note        all videos are of one class, 'riding a bike 0': is it the one you mean?" in lines
    assert warned == (number == 1)


def test_long_names_are_cut_in_what_is_printed(fill: Fill, opened: list[str], tmp_path: Path) -> None:
    data = fill(wave__a="")
    (data / "l.txt").write_text(f"wave/a.avi {'x' * 5000}\n{'y' * 50_000} 1\n")
    done = run(data / "l.txt", "-o", tmp_path / "m.jsonl")
    assert done.code == 3
    assert max(map(len, done.err.splitlines())) < 700


def test_several_inputs_and_a_list_on_stdin(fill: Fill, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    data = fill(a__wave__1="", a__run__1="", b__wave__1="")
    rows = read_rows(run(data / "a", data / "b").out.splitlines(), "stdout")
    assert [(row.path, row.root, row.label) for row in rows] == [
        ("a/run/1.avi", str(data), "run"),
        ("a/wave/1.avi", str(data), "wave"),
        ("b/wave/1.avi", str(data), "wave"),
    ]
    monkeypatch.chdir(data)
    done = vidaug("scan", "-", stdin=b"a/wave/1.avi jump\n./b/wave/1.avi\n")
    rows = read_rows(done.out.splitlines(), "stdout")
    assert [(row.path, row.label) for row in rows] == [("a/wave/1.avi", "jump"), ("b/wave/1.avi", None)]
    assert run("--follow-links").code == 2


def test_what_links_lead_to_is_rendered_later(make_video: MakeVideo, tmp_path: Path) -> None:
    """Links to a named folder beside INPUT: the manifest names the videos where they lie."""
    make_video("store/one.mp4", frames=9)
    make_video("set/run/two.mp4", frames=9)
    (tmp_path / "set/wave").mkdir()
    (tmp_path / "set/wave/1.mp4").symlink_to(tmp_path / "store/one.mp4")
    refused = run(tmp_path / "set")
    assert refused.code == 3
    assert f"'vidaug scan --follow-links={tmp_path}' follows it" in refused.err
    (tmp_path / "m.jsonl").write_text(run(tmp_path / "set", f"--follow-links={tmp_path}/store").out)
    rows = read_rows((tmp_path / "m.jsonl").read_text().splitlines(), "m")
    assert [(row.path, row.label) for row in rows] == [("set/run/two.mp4", "run"), ("store/one.mp4", "wave")]
    done = vidaug("augment", tmp_path / "m.jsonl", "-o", tmp_path / "out", "-r", "none", "--frames", 4, "--size", 16)
    assert done.code == 0
