"""What INPUT may be, which of its videos are taken, and that their classes keep their numbers."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_makers import made
from conftest import write_video
from console import Done, vidaug
from network_makers import random_network, save
from score_makers import row_of, scores_of

from vidaug_cli.augment.plan import read_plan
from vidaug_cli.data.manifest import distinct_names, read_rows, rows_text, select
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.errors import VidaugError
from vidaug_cli.scores.file import read_scores, write_scores

LABELS = ("bow", "jump", "run", "sit", "turn", "walk")
SMALL = ["--frames", "8", "--size", "32", "-j", "1", "-r", "none", "--json"]


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of each of six classes."""
    folder = tmp_path_factory.mktemp("six")
    for number, label in enumerate(2 * LABELS):
        write_video(folder / label / f"{number}.avi", 9, level=lambda frame, number=number: 10 + number + 15 * frame)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run, with a network for the six classes in an order that is none of their names'."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    folder.mkdir()
    save(folder / "best.safetensors", random_network(6), LABELS[::-1], ClipSpec(frames=8, size=32))
    return folder


def augment(*words: object, **how: Any) -> Done:
    return vidaug("augment", *words, *SMALL, **how)


def complaint(done: Done, code: int = 1) -> str:
    assert (done.code, done.out) == (code, "")
    return done.err.splitlines()[-1].removeprefix("vidaug: error: ").removeprefix("Error: ")


# Classes


@pytest.mark.parametrize("choice", [["--limit", "4"], ["--subset", "test"]])
def test_a_choice_of_videos_keeps_the_classes_of_all(six: Path, tmp_path: Path, choice: list[str]) -> None:
    rows = [json.loads(line) for line in vidaug("scan", six).out.splitlines()]
    manifest = tmp_path / "all.jsonl"
    manifest.write_text(
        "".join(json.dumps(row | {"split": "test" if "2" in row["path"] else None}) + "\n" for row in rows)
    )
    done = augment(manifest, "-o", tmp_path / "out", *choice)
    assert done.code == 0
    chosen = {row.label for row in read_plan(tmp_path / "out").rows}
    assert 0 < len(chosen) < 6
    assert ShardDataset(tmp_path / "out").classes == LABELS
    assert f"{6 - len(chosen)} of the 6 classes have no video here; labels keep a place for each\n" in done.err
    assert list(vidaug("inspect", tmp_path / "out", "--json").result["label_mass"]) == list(LABELS)
    assert vidaug("verify", tmp_path / "out", "-j", 1).code == 0
    assert augment(manifest, "-o", tmp_path / "out", *choice).code == 0  # it is the same plan


def test_the_classes_of_a_plan_are_part_of_its_hash(six: Path, tmp_path: Path) -> None:
    (tmp_path / "classes").write_text("\n".join(LABELS))
    (tmp_path / "more").write_text("\n".join([*LABELS, "zoom"]))
    assert augment(six, "-o", tmp_path / "out", "--classes", tmp_path / "classes").code == 0
    other = augment(six, "-o", tmp_path / "out", "--classes", tmp_path / "more")
    assert "holds the shards of another plan, which differs in classes (1 added, 0 removed); choose" in complaint(other)
    header = tmp_path / "out/plan.json"
    whole = header.read_text()
    for old, new, what in (
        ('"walk"', '"wlak"', "was changed since it was made (plan.json)"),
        ('"bow"', '"jump"', "was changed since it was made (classes = "),
        ('"classes"', '"klasses"', "plan.json: classes: is missing; make the shards again"),
    ):
        header.write_text(whole.replace(old, new))
        assert what in complaint(vidaug("verify", tmp_path / "out", "-j", 1))


def test_a_file_fixes_the_classes(six: Path, tmp_path: Path) -> None:
    """Manifests cut by grep, one folder of several and numbers in place of names: the same classes for all."""
    file = tmp_path / "classInd.txt"
    file.write_text("".join(f"{10 - number} {label}\n" for number, label in enumerate([*LABELS, "zoom"])))
    listed = tmp_path / "list.txt"
    listed.write_text("jump/1.avi 9\nwalk/5.avi 05\n")
    manifest = tmp_path / "cut.jsonl"
    manifest.write_text("".join(line for line in vidaug("scan", six).out.splitlines(True) if "run" in line))
    sources: dict[str, list[Any]] = {"cut": [manifest], "listed": [listed, "--root", six], "all": [six]}
    sources["one"] = [six, "--limit", 1]
    for name, words in sources.items():
        done = augment(*words, "-o", tmp_path / name, "--classes", file)
        assert done.code == 0
        assert ShardDataset(tmp_path / name).classes == ("zoom", *LABELS[::-1])
        assert {row.class_id for row in read_plan(tmp_path / name).rows} <= set(range(5, 11))
    assert (
        "5 of the 7 classes have no video here"
        in vidaug("preview", listed, "--root", six, "--classes", file, "-r", "none", "-o", tmp_path / "p.png").err
    )
    assert [row.label for row in read_plan(tmp_path / "listed").rows] == ["jump", "walk"]
    scanned = vidaug("scan", six, "--classes", file)
    assert {row.label: row.class_id for row in read_rows(scanned.out.splitlines(), "out")} == {
        label: 10 - number for number, label in enumerate(LABELS)
    }
    file.write_text("1 bow\n2 jmp\n")
    for command in (
        augment(six, "-o", tmp_path / "no", "--classes", file),
        vidaug("scan", six, "--classes", file, "-q"),
    ):
        said = complaint(command)
        what = "has no class 'jump', and jump/1.avi is of it; did you mean 'jmp'?"
        assert said == f"{file}: {what} it has 2 classes: 1 'bow' to 2 'jmp'"
    assert "'--classes': File 'nowhere' does not exist" in complaint(augment(six, "-o", "x", "--classes", "nowhere"), 2)


def test_rows_that_number_one_class_twice(six: Path, tmp_path: Path) -> None:
    rows = read_rows(vidaug("scan", six).out.splitlines(), "out")
    manifest = tmp_path / "m.jsonl"
    manifest.write_text(rows_text(replace(row, class_id=number) for number, row in enumerate(rows)))
    said = "class 'bow' has the number 0, and 1 at bow/6.avi; --classes FILE fixes names and numbers"
    assert complaint(augment(manifest, "-o", tmp_path / "out")) == said
    (tmp_path / "classes").write_text("\n".join(LABELS))
    assert augment(manifest, "-o", tmp_path / "out", "--classes", tmp_path / "classes").code == 0


# Splits


@pytest.mark.parametrize(
    ("said", "found"),
    [("val", "2"), ("Valid", "2"), ("dev", "2"), ("validation", "2"), ("Val ", "2"), ("TRAIN", "1"), ("training", "1")],
)
def test_a_split_goes_by_any_of_its_names(said: str, found: str) -> None:
    rows = [row_of("1", "a", split="Train"), row_of("2", "a", split="val"), row_of("3", "a", split="Fold 1")]
    assert [row.path for row in select(rows, subset=said, limit=None, seed=0)] == [found]
    assert [row.path for row in select(rows, subset="Fold 1", limit=None, seed=0)] == ["3"]


def test_a_split_that_is_not_there() -> None:
    rows = [row_of("1", "a", split="train"), row_of("2", "a", split="validation")]
    for said, near in (
        ("vall", "; did you mean 'val'?"),
        ("fold", ""),
        ("test", ""),
        ("trian", "; did you mean 'train'?"),
    ):
        with pytest.raises(VidaugError) as caught:
            select(rows, subset=said, limit=None, seed=0)
        between = " " if near else "; "
        assert str(caught.value) == f"no video has split '{said}'{near}{between}there is train, validation"


# Sources


def test_one_video(six: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = Path(shutil.copy(six / "jump/1.avi", tmp_path / 'a "b" c.AVI'))
    (tmp_path / "link.avi").symlink_to(six / "jump/1.avi")
    for file, name in ((odd, odd.name), (tmp_path / "link.avi", "1.avi")):
        done = vidaug("predict", run, file, "-o", tmp_path / "s.h5")
        assert done.code == 0
        assert read_scores(tmp_path / "s.h5").videos == (name,)
        assert read_scores(tmp_path / "s.h5").labels.tolist() == [-1]
    monkeypatch.chdir(six / "jump")
    assert vidaug("predict", run, "1.avi", "-o", tmp_path / "s.h5").code == 0
    said = "no label is known of 1 of 1 video, such as 1.avi; "
    assert complaint(augment("1.avi", "-o", tmp_path / "out")).startswith(said)
    said = "1.avi: layout video takes no --split"
    assert said in complaint(augment("1.avi", "-o", tmp_path / "out", "--split", 1))
    (tmp_path / "no.mp4").write_bytes(b"RIFF")
    assert "no usable video, 1 quarantined; the first, no.mp4: " in complaint(
        vidaug("predict", run, tmp_path / "no.mp4", "-o", tmp_path / "s.h5")
    )


def test_paths_on_stdin(six: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`find . -name '*.avi' | vidaug predict run -`, with a list that begins with blank lines, too."""
    monkeypatch.chdir(six)
    for listed in (f"\n./jump/1.avi\n{six}/run/2.avi\n", f"./jump/1.avi\0{six}/run/2.avi\0"):
        done = vidaug("predict", run, "-", "-o", tmp_path / "s.h5", stdin=listed.encode())
        assert done.code == 0
        assert sorted(read_scores(tmp_path / "s.h5").videos) == ["jump/1.avi", "run/2.avi"]
    binary = (six / "jump/1.avi").read_bytes() + b"\n"
    assert complaint(vidaug("predict", run, "-", "-o", tmp_path / "s.h5", stdin=binary)).startswith(
        "stdin: is not a text"
    )
    monkeypatch.chdir(tmp_path)
    done = vidaug("predict", run, "-", "--root", six, "-o", tmp_path / "s.h5", stdin=b"jump/1.avi\njump/no.avi")
    assert done.code == 3
    assert "left out: jump/no.avi: listed in stdin:2 but not found" in done.err
    rows = vidaug("scan", six).out.encode()
    for head in (b"\n", b"\xef\xbb\xbf"):
        assert vidaug("predict", run, "-", "-o", tmp_path / "s.h5", stdin=head + rows).code == 0
        assert len(read_scores(tmp_path / "s.h5").videos) == 12
    said = complaint(vidaug("predict", run, "-", "--split", 1, "-o", tmp_path / "s.h5", stdin=rows))
    assert said.startswith("stdin: --split goes with a folder, and this was scanned already; give it to 'vidaug scan'")


def test_another_pipe_is_read_as_stdin_is(six: Path, tmp_path: Path) -> None:
    """`vidaug augment <(vidaug scan videos)`."""
    reader, writer = os.pipe()
    os.write(writer, vidaug("scan", six).out.encode())
    os.close(writer)
    done = augment(f"/dev/fd/{reader}", "-o", tmp_path / "out")
    os.close(reader)
    assert (done.code, done.made["clips"]) == (0, 12)


def test_several_inputs(six: Path, run: Path, tmp_path: Path) -> None:
    """Folders whose videos have the same paths are told apart, in scores and where they are held against the truth."""
    other = tmp_path / "other"
    for name in ("bow/0.avi", "walk/5.avi", "zoom/7.avi"):
        (other / name).parent.mkdir(parents=True)
        shutil.copy(six / "run/2.avi", other / name)
    (other / "jump").mkdir()
    (other / "jump/1.avi").write_bytes(b"RIFF")
    both = [six, other]
    done = augment(*both, "-o", tmp_path / "out")
    assert done.code == 3
    assert done.made["clips"] == 15
    assert "/other/jump/1.avi: " in done.err
    assert read_plan(tmp_path / "out").classes == (*LABELS, "zoom")
    for sources in (both, [tmp_path / "out"]):
        done = vidaug("predict", run, *sources, "-o", tmp_path / "s.h5")
        assert done.code == (3 if sources == both else 0)
        scores = read_scores(tmp_path / "s.h5")
        assert {f"six0/{label}/{n}.avi" for n, label in enumerate(sorted(LABELS))} < set(scores.videos)
        assert {f"{tmp_path.name}/other/{video}.avi" for video in ("bow/0", "walk/5", "zoom/7")} < set(scores.videos)
        assert len(set(scores.videos)) == 15
        assert "1 video of 1 other classes, such as 'zoom', count as unlabelled" in done.err
    manifests = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    for folder, manifest in zip(both, manifests, strict=True):
        vidaug("scan", folder, "-o", manifest)
    assert augment(*manifests, "-o", tmp_path / "again").made["clips"] == 15
    for source in (six, "-", six / "bow/0.avi"):
        said = complaint(augment(source, source, "-o", tmp_path / "x", stdin=manifests[0].read_bytes()))
        assert said == f"{source}: is given twice; give each video once"
    said = complaint(augment(six, manifests[0], "-o", tmp_path / "x"))
    assert said.endswith(f"0.avi is in {manifests[0]} too; give each video once")
    done = augment(six, six / "bow/0.avi", "-o", tmp_path / "y")
    assert "1 listed in several inputs: the first counts" in done.err
    assert done.made["clips"] == 12
    assert complaint(vidaug("predict", run, six, tmp_path / "out", "-o", tmp_path / "s.h5"), 2) == (
        f"{tmp_path / 'out'} holds shards: give nothing beside them."
    )


def test_several_videos(six: Path, run: Path, tmp_path: Path) -> None:
    """`vidaug predict run videos/*/*.avi`: one that cannot be read costs no other."""
    (tmp_path / "no.mp4").write_bytes(b"RIFF")
    files = [six / "bow/0.avi", tmp_path / "no.mp4", six / "jump/1.avi", six / "bow/6.avi"]
    assert vidaug("predict", run, *files, "-o", tmp_path / "s.h5").code == 3
    scores = read_scores(tmp_path / "s.h5")
    assert scores.videos == ("six0/bow/0.avi", "six0/bow/6.avi", "six0/jump/1.avi")
    assert [failed.video for failed in scores.failures] == [f"{tmp_path.name}/no.mp4"]
    (tmp_path / "no2.mp4").write_bytes(b"RIFF")
    said = complaint(vidaug("predict", run, tmp_path / "no.mp4", tmp_path / "no2.mp4", "-o", tmp_path / "s.h5"))
    assert "no usable video, 2 quarantined; the first, no" in said


def test_names_that_tell_videos_apart() -> None:
    rows = [row_of(path, None, root=root) for root, path in (
        ("/d/a/x", "1"), ("/d/b/x", "1"), ("/d/a/x", "2"), ("/d", "x/1"), ("/d/c", "2"), ("/", "3"), ("/e", "3")
    )]  # fmt: skip
    assert distinct_names(rows) == ["a/x/1", "b/x/1", "x/2", "x/1", "c/2", "3", "e/3"]
    cut = [row_of("a.mp4", None, start=1.5, end=end) for end in (2.0, None)]
    assert distinct_names([*cut, row_of("a.mp4", None)]) == ["a.mp4#t=1.5,2", "a.mp4#t=1.5", "a.mp4"]


def test_segments_of_one_file_are_videos_of_their_own(six: Path, run: Path, tmp_path: Path) -> None:
    """In scores, where they are held against the truth and the training data, in a submission and among failures."""
    (row,) = [row for row in read_rows(vidaug("scan", six).out.splitlines(), "out") if row.path == "jump/1.avi"]
    (tmp_path / "cuts.csv").write_text("path,label,start,end\njump/1.avi,jump,,0.3\njump/1.avi,walk,0.1,0.3\n")
    assert vidaug("scan", tmp_path / "cuts.csv", "--root", six, "-o", tmp_path / "m.jsonl").code == 0
    cuts = read_rows((tmp_path / "m.jsonl").read_text().splitlines(), "m")
    names = ("jump/1.avi#t=0,0.3", "jump/1.avi#t=0.1,0.3")
    assert vidaug("predict", run, tmp_path / "m.jsonl", "-o", tmp_path / "s.h5").code == 0
    scores = read_scores(tmp_path / "s.h5")
    assert scores.videos == names
    write_scores(tmp_path / "bare.h5", replace(scores, labels=np.full(2, -1)))
    given = ["evaluate", tmp_path / "bare.h5", "--truth", tmp_path / "m.jsonl", "--train", tmp_path / "m.jsonl"]
    assert complaint(vidaug(*given)).startswith(
        f"{tmp_path / 'm.jsonl'}: none of its 2 videos is of a class of the scores"
    )
    assert vidaug(*given[:4], "--json").result["videos"] == 2
    assert vidaug("submit", tmp_path / "s.h5", "-o", "-", "--format", "csv").out.count("#t=0") == 2
    (tmp_path / "lost.jsonl").write_text(rows_text([row, *(replace(cut, path="no.avi") for cut in cuts)]))
    done = augment(tmp_path / "lost.jsonl", "-o", tmp_path / "out")
    assert done.code == 3
    assert {failure["path"] for failure in done.made["failures"]} == {"no.avi#t=0,0.3", "no.avi#t=0.1,0.3"}
    assert vidaug("predict", run, tmp_path / "lost.jsonl", "-o", tmp_path / "s.h5").code == 3
    assert [failed.video for failed in read_scores(tmp_path / "s.h5").failures] == [
        "no.avi#t=0,0.3",
        "no.avi#t=0.1,0.3",
    ]


# What is none


def test_what_holds_no_videos_is_called_by_its_name(run: Path, tmp_path: Path) -> None:
    write_scores(tmp_path / "s.h5", scores_of())
    made(tmp_path / "x.pt")
    (tmp_path / "r.toml").touch()
    wanted = "INPUT is a folder, a list, a manifest, a video or - for stdin"
    for path, what in {
        run: "a run of 'vidaug train'",
        tmp_path / "s.h5": "a file of scores",
        tmp_path / "x.pt": "a checkpoint",
        tmp_path / "r.toml": "a recipe",
    }.items():
        assert complaint(augment(path, "-o", tmp_path / "out")) == f"{path}: is {what}; {wanted}"


def test_wrong_files_are_called_by_their_names(six: Path, run: Path, tmp_path: Path) -> None:
    write_scores(tmp_path / "s.h5", scores_of())
    manifest = tmp_path / "m.jsonl"
    vidaug("scan", six, "-o", manifest)
    assert augment(manifest, "-o", tmp_path / "shards", "--limit", 1).code == 0
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun/metrics.jsonl").touch()
    scores = "a file of scores is wanted here: 'vidaug predict' writes one"
    network = "a checkpoint or a run of 'vidaug train' is wanted here: 'vidaug train' writes one"
    rows = "a manifest or a folder of shards is wanted here: 'vidaug scan' or 'vidaug augment' writes one"
    out = ["-o", tmp_path / "new"]
    for words, path, what in (
        (["evaluate", run], run, f"is a run of 'vidaug train'; {scores}"),
        (["evaluate", tmp_path / "shards"], tmp_path / "shards", f"is a folder of shards; {scores}"),
        (["evaluate", tmp_path / "no"], tmp_path / "no", f"does not exist; {scores}"),
        (["ensemble", tmp_path / "s.h5", manifest, *out], manifest, f"is a manifest; {scores}"),
        (["submit", six, *out], six, f"is a folder of videos; {scores}"),
        (["predict", six, six, *out], six, f"is a folder of videos; {network}"),
        (["predict", tmp_path / "s.h5", six, *out], tmp_path / "s.h5", f"is a file of scores; {network}"),
        (["cam", manifest, tmp_path / "shards", "--measure"], manifest, f"is a manifest; {network}"),
        (["evaluate", tmp_path / "s.h5", "--train", run], run, f"is a run of 'vidaug train'; {rows}"),
        (
            ["evaluate", tmp_path / "s.h5", "--truth", run],
            run,
            "is a run of 'vidaug train'; a file of annotations, a manifest or a folder of shards is wanted here",
        ),
        (
            ["predict", tmp_path / "begun", six, *out],
            tmp_path / "begun/best.safetensors",
            "does not exist; a checkpoint is what 'vidaug train' writes",
        ),
    ):
        assert complaint(vidaug(*words)) == f"{path}: {what}"
    assert not (tmp_path / "new").exists()
