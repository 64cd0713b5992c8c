"""`vidaug report`: what its page says, held against the shards and scores themselves, and that it is safe and whole."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from conftest import write_video
from console import vidaug
from report_makers import CLASSES, begin_sweep, end_sweep, make_runs, numbers_in, page_of
from score_makers import scores_of

from vidaug_cli.augment.output import find_clips
from vidaug_cli.augment.plan import read_plan
from vidaug_cli.data.shard.format import done_path, shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.predict.predictor import read_predictor
from vidaug_cli.predict.worst import worst_clips
from vidaug_cli.report import charts
from vidaug_cli.report.clips import MOST_BYTES, moving
from vidaug_cli.scores.file import read_scores, write_scores
from vidaug_cli.train.batches import MIDDLE, SampleIndex
from vidaug_cli.words import percent

HARM = "<img src=x onerror=alert(1)>"  # the name of a class, and so of a folder
RECIPES = ("-r", "randaugment_t", "-r", "cubecutmix")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 clips of ten videos in two classes, one of which has a name that would do harm; one video more is broken."""
    folder = tmp_path_factory.mktemp("report")
    for number in range(10):
        name = f'{(HARM, "walk")[number % 2]}/"><script>alert({number}).avi'
        write_video(folder / "videos" / name, frames=12, level=lambda frame, number=number: 40 + 9 * number + 5 * frame)
    words = ["--copies", 4, "--frames", 8, "--size", 32, "-j", 1, "-q"]
    assert vidaug("augment", folder / "videos", "-o", folder / "shards", *RECIPES, *words).code == 0
    return folder / "shards"


@pytest.fixture(scope="module")
def page(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(shards, out=tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_runs(tmp_path_factory.mktemp("runs"))


def attributes(page: str, name: str) -> list[str]:
    return [html.unescape(value) for value in re.findall(rf'\b{name}="([^"]*)"', page)]


def test_the_numbers_are_those_of_the_shards(shards: Path, page: str) -> None:
    rows = numbers_in(page)
    assert sorted(row["clip"] for row in rows) == list(range(40))
    places = find_clips(shards, None)
    for row in rows[::7]:
        place = places[row["clip"]]
        with Shard(place.shard) as shard:
            record = shard.record(place.place)
        assert row["own"] == pytest.approx(float(record.weights.mean()), abs=1e-4)
        assert set(row["class"]) == {(HARM, "walk")[k] for k in np.flatnonzero(record.label)} | {row["class"][0]}
        assert row["op"][-1] == "cubecutmix"
        assert row["videos"].count(" + ") == 1
    summary = vidaug("inspect", shards, "--json").result
    for name, mass in summary["label_mass"].items():
        (share,) = re.findall(rf'<th scope="row">{re.escape(html.escape(name))}</th>.*?>([\d.]+) %<', page)
        assert float(share) == pytest.approx(100 * mass / 40, abs=0.051)
    assert json.loads((shards / "plan.json").read_text())["plan_sha256"] in page


def test_clips_move_as_they_are_stored(shards: Path, page: str) -> None:
    videos, keys = attributes(page, "data-video"), [json.loads(each) for each in attributes(page, "data-keys")]
    assert len(videos) == len(keys) == 24
    assert {name for each in keys for name in each["class"]} == {HARM, "walk"}
    numbers = [int(each) for each in re.findall(r'aria-label="Frame of clip (\d+)"', page)]
    assert numbers == sorted(set(numbers))
    places = find_clips(shards, None)
    for number, video in list(zip(numbers, videos, strict=True))[::8]:
        with av.open(io.BytesIO(base64.b64decode(video)), "r") as file:
            assert file.streams.video[0].codec_context.name == "h264"
            shown = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
        with Shard(places[number].shard) as shard:
            stored = shard.video(places[number].place)
        assert shown.shape == stored.shape
        assert np.abs(shown.astype(float) - stored).mean() < 8


def test_the_command_of_a_clip_renders_it_again(page: str) -> None:
    commands = [html.unescape(line) for line in re.findall(r">(vidaug replay [^<]*)</code>", page)]
    assert len(commands) == 24
    program, *words = shlex.split(commands[5])
    assert program == "vidaug"
    assert vidaug(*words).code == 0


def test_names_cannot_do_harm(page: str) -> None:
    assert HARM not in page
    assert html.escape(HARM) in page
    assert "<script>alert" not in page
    assert page.count("<script") == 2  # the numbers and the program
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}" in page
    assert "default-src 'none'" in page


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    assert not re.search(r"https?://|//[a-z]+\.[a-z]", re.sub(r'data-video="[^"]*"', "", page))
    assert {each[:1] for each in attributes(page, "href")} <= {"#", "d"}  # places in the page, and data:


def test_a_page_of_shards_needs_no_torch(shards: Path, tmp_path: Path) -> None:
    words = ["report", str(shards), "-o", str(tmp_path / "r.html"), "--clips", "1", "-q"]
    code = f"import sys; from vidaug_cli.main import cli; cli.main({words}, standalone_mode=False)"
    code += "; print({'torch', 'matplotlib'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_the_same_shards_give_the_same_page(shards: Path, page: str, tmp_path: Path) -> None:
    again = page_of(shards, out=tmp_path / "again.html")
    command = re.compile(r"<footer>.*</footer>", re.DOTALL)
    assert command.sub("", again) == command.sub("", page)


def test_fewer_clips_and_none(shards: Path, tmp_path: Path) -> None:
    assert len(attributes(page_of(shards, out=tmp_path / "r.html", words=("--clips", 3)), "data-video")) == 3
    none = page_of(shards, out=tmp_path / "r.html", words=("--clips", 0))
    assert attributes(none, "data-video") == []
    assert "clips (soft)" in none


def test_a_folder_that_is_not_finished(shards: Path, tmp_path: Path) -> None:
    part = Path(shutil.copytree(shards, tmp_path / "part"))
    done_path(shard_path(part, 0)).unlink()
    for path in part.glob("failures.jsonl"):
        path.unlink()
    said = page_of(part, out=tmp_path / "r.html")
    assert "Not finished: 0 of 1 shard done." in said
    assert "that makes what is missing" in said


def test_a_folder_whose_videos_all_failed(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    for name in ("a/1.avi", "a/2.avi", "b/3.avi"):
        write_video(videos / name)
    scanned = tmp_path / "m.jsonl"
    assert vidaug("scan", videos, "-o", scanned, "-q").code == 0
    for path in videos.rglob("*.avi"):
        path.write_bytes(path.read_bytes()[:-200] + b"x" * 200)
    assert vidaug("augment", scanned, "-o", tmp_path / "out", "-r", "none", "--frames", 4, "--size", 16, "-q").code == 3
    said = page_of(tmp_path / "out", out=tmp_path / "r.html")
    assert said.count('<th scope="row">') >= 3
    assert "its bytes have changed" in said
    assert attributes(said, "data-video") == []


def test_a_clip_that_cannot_be_read_says_why(shards: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(shards, tmp_path / "broken"))
    file = shard_path(broken, 0)
    data = bytearray(file.read_bytes())
    with h5py.File(file) as stored:
        place = stored["clips"].id.get_chunk_info(0).byte_offset
    data[place : place + 64] = bytes(255 - byte for byte in data[place : place + 64])
    file.write_bytes(data)
    said = page_of(broken, out=tmp_path / "r.html", words=("--clips", 60))
    assert said.count("has damaged pixels: their checksum is wrong") == 1
    assert len(attributes(said, "data-video")) == 39


def test_a_run_with_all_that_it_can_have(runs: list[Path], tmp_path: Path) -> None:
    said = page_of(runs[0], out=tmp_path / "r.html", words=("--worst", 3, "--device", "cpu"))
    scores = read_scores(runs[0] / "scores.h5")
    right = (scores.scores.argmax(1) == scores.labels).sum() / len(scores.all_videos)  # the failed one is wrong
    assert f"<dd>{percent(right, 1)}</dd><" in said.replace("\n", "").replace("  ", "") or percent(right, 1) in said
    assert "top-1 of 21 videos" in said
    assert said.count('class="activation"') >= 3
    assert len(attributes(said, "data-video")) == 3
    assert "Among all 6 clips it was validated on." in said
    for word in ("Curves", "Confusion", "Robustness", "rotation", "cut", "How it was trained"):
        assert word in said
    matrix = re.findall(r'<td style="--s:[\d.e-]+">(\d*)</td>', said)
    assert sum(int(each or 0) for each in matrix) == 20
    assert 'id="s1-missing"' not in said


def test_the_worst_clips_are_those_farthest_from_their_labels(runs: list[Path]) -> None:
    """By torch's own divergence, over all clips."""
    predictor = read_predictor(runs[0], device="cpu")
    mixed = runs[0].parent / "mixed"
    found = worst_clips(predictor, mixed, 2)
    assert (found.looked_at, found.there, len(found.clips)) == (6, 6, 2)
    data = predictor.cuts(mixed, read_plan(mixed).spec)
    far = {}
    for number in range(6):
        video, label, _ = data[SampleIndex(MIDDLE, 0, number)]
        answer = torch.from_numpy(predictor.softmax(video[None]))[0]
        far[number] = float(torch.nn.functional.kl_div(answer.log(), label, reduction="sum"))
    assert [one.divergence for one in found.clips] == pytest.approx(sorted(far.values())[:-3:-1], abs=1e-5)
    for one in found.clips:
        assert far[one.clip] == pytest.approx(one.divergence, abs=1e-5)
        assert one.label[str(one.own.label)] == pytest.approx(0.6)
        own = next(each for each in one.classes if each.name == one.own.label)
        assert own.truth == pytest.approx(0.6)
        assert one.first_choice in CLASSES


def test_a_run_says_what_it_lacks(runs: list[Path], tmp_path: Path) -> None:
    run = Path(shutil.copytree(runs[1], tmp_path / "run"))
    (run / "scores.h5").unlink()
    (run / "best.safetensors").unlink()
    said = page_of(run, out=tmp_path / "r.html")
    assert "No scores.h5: how good it is on test videos is not known." in said
    assert f"vidaug predict {run} VIDEOS --subset test -o {run / 'scores.h5'}" in said
    assert "There is no network yet" in said
    (run / "metrics.jsonl").write_text("{")
    (run / "run.toml").write_text("format = 1")
    said = page_of(run, out=tmp_path / "r.html")
    assert "the curves cannot be shown: " in said
    assert "how it was trained cannot be shown: " in said


def test_runs_are_compared_with_error_bars(runs: list[Path], tmp_path: Path) -> None:
    said = page_of(*runs, out=tmp_path / "r.html", words=("--worst", 0))
    compared = vidaug("compare", *runs, "--json").result
    assert said.index("Comparison") < said.index('id="s2"')
    for row in compared["rows"]:
        value, low, high = (100 * row["measures"]["top-1"][part] for part in ("value", "low", "high"))
        assert f"{value:.1f} % ({low:.1f} to {high:.1f})" in said


def test_scores_of_other_videos_are_not_compared(runs: list[Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(runs[1], tmp_path / "other"))
    strange = scores_of(9, videos=tuple(f"z/{n}.avi" for n in range(9)), failures=(), source="{}")
    write_scores(other / "scores.h5", strange)
    said = page_of(runs[0], other, out=tmp_path / "r.html", words=("--worst", 0))
    assert "The runs cannot be compared: " in said


def test_a_sweep_and_one_that_has_just_begun(tmp_path: Path) -> None:
    sweep = begin_sweep(tmp_path / "sweep")
    assert "There is no table yet: 0 runs done." in page_of(sweep, out=tmp_path / "r.html")
    table = end_sweep(sweep)
    said = page_of(sweep, out=tmp_path / "r.html")
    for text in ("50.0 % (25.0 to 75.0)", "+50.0 (+25.0 to +75.0)", "lr=9", "lost", "a note", "0.1, 0.2"):
        assert text in said
    (sweep / "table.json").write_text(json.dumps(table | {"rows": [{"name": 5}]}))
    done = vidaug("report", sweep, "-o", tmp_path / "r.html")
    assert done.code == 1
    assert done.err.startswith(f"vidaug: error: {sweep / 'table.json'}: ")
    assert done.err.count("\n") <= 6


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "does not exist; "),
        ("folder", "is a folder without videos; "),
        ("scores.h5", "is a file of scores; "),
        ("text", "is a text file; "),
    ],
)
def test_what_is_none_of_these_is_refused_in_a_line(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("a")
    write_scores(tmp_path / "scores.h5", scores_of())
    done = vidaug("report", tmp_path / name, "-o", tmp_path / "r.html")
    wanted = "a folder of shards, a run of 'vidaug train' or a sweep is wanted here"
    assert done.code == 1
    assert done.err.startswith(f"vidaug: error: {tmp_path / name}: {said}{wanted}")
    assert done.err.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


def test_what_cannot_be_looked_into_is_refused_in_a_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = vidaug("report", tmp_path / "pipe", "-o", tmp_path / "r.html")
    said = "cannot be looked into; name a folder of shards, a run or a sweep"
    assert (done.code, done.err) == (1, f"vidaug: error: {tmp_path / 'pipe'}: {said}\n")


def test_a_video_is_made_small_enough() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 160, 160, 3), np.uint8)
    assert len(base64.b64decode(moving(noise, 30))) <= MOST_BYTES
    odd = moving(noise[:3, :33, :33], 30)
    with av.open(io.BytesIO(base64.b64decode(odd)), "r") as file:
        assert (file.streams.video[0].width, file.streams.video[0].frames) == (32, 3)


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [
        ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ((0, 2.31), [0, 0.5, 1, 1.5, 2, 2.5]),
        ((-0.3, 0.1), [-0.3, -0.2, -0.1, 0, 0.1]),
    ],
)
def test_ticks_are_round(ends: tuple[float, float], wanted: list[float]) -> None:
    assert charts.ticks(*ends) == pytest.approx(wanted)


def test_a_histogram_and_whiskers_by_hand() -> None:
    made = charts.histogram("x", [0.01, 0.02, 0.06, 1.0])
    assert [one.height for one in made.bins if one.height] == [100, 50, 50]
    assert (made.bins[0].left, made.bins[-1].height, made.most) == (0, 50, 2)
    (one, other), low, high = charts.whiskers([(0.5, 0.4, 0.6), (0.2, 0.0, 0.3)])
    assert (low, high) == (0, 0.6)
    assert one == pytest.approx((83.333, 66.667, 100), abs=1e-3)
    assert other == pytest.approx((33.333, 0, 50), abs=1e-3)
    assert charts.frames([1, 0.5]) == "0,100 0,0 50,0 50,50 100,50 100,100"
    assert charts.middles([0, 1]) == "25,100 75,0"
