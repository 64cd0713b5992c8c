"""The command line as a stranger meets it: help, pipes, signals, exit codes, and what it leaves behind."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from console import vidaug

from vidaug_cli.data.manifest import read_rows
from vidaug_cli.data.shard.format import shard_path
from vidaug_cli.data.shard.reader import Shard
from vidaug_cli.main import COMMANDS, GROUPS, cli

SCRIPT = Path(sys.executable).with_name("vidaug")
FADE = ["--frames", "8", "--size", "32", "-r", "fademixup", "-j", "1"]


@pytest.fixture(scope="module")
def manifest(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "manifest.jsonl"
    assert vidaug("scan", video_folder, "-o", path).code == 0
    return path


def commands() -> Iterator[tuple[str, click.Command]]:
    for name, command in cli.commands.items():
        yield name, command
        for below, subcommand in getattr(command, "commands", {}).items():
            yield f"{name} {below}", subcommand


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=[name for name, _ in commands()])
def test_help(name: str, command: click.Command) -> None:
    done = vidaug(*name.split(), "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: vidaug {name} ")
    assert max(map(len, done.out.splitlines())) <= 80
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
    for option in options:
        (long,) = (word for word in option.opts if word.startswith("--"))
        assert long in done.out
        assert option.name == long[2:].replace("-", "_")  # the environment variable is called like the option


def test_the_first_help_says_everything_in_whole_sentences() -> None:
    text = vidaug("--help").out.replace("[ARGS]...", "")
    assert "..." not in text
    lists = (text.split(f"\n{job}:\n")[1].split("\n\n")[0].splitlines() for job in GROUPS)
    assert [line.split()[0] for lines in lists for line in lines] == list(COMMANDS)
    assert max(map(len, text.splitlines())) <= 80
    assert "VIDAUG_AUGMENT_WORKERS" in text
    assert "3 done but some videos were left out" in " ".join(text.split())


def seconds(*words: str | Path) -> float:
    started = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def test_help_is_quick_and_it_and_recipes_load_nothing_heavy() -> None:
    bare = min(seconds(sys.executable, "-c", "pass") for _ in range(5))
    helped = min(seconds(SCRIPT, "--help") for _ in range(5))
    assert helped < 0.15 * max(1.0, bare / 0.02)  # 0.15 s is the promise, where bare Python takes 0.02
    heavy = "print('loaded:', *{'torch', 'av', 'h5py', 'joblib', 'numpy', 'PIL'} & {*sys.modules})"
    for words in (["--help"], ["recipes"]):
        code = f"import sys; from vidaug_cli.main import cli; cli.main({words}, standalone_mode=False); {heavy}"
        assert subprocess.check_output([sys.executable, "-c", code], text=True).endswith("\nloaded:\n")


def test_as_a_module() -> None:
    module = subprocess.check_output([sys.executable, "-m", "vidaug_cli", "--version"], text=True)
    assert module == vidaug("--version").out
    assert module.startswith("vidaug, version ")


def test_no_command_is_wrong_usage() -> None:
    assert "Look at data:" in "".join(map(str, vidaug()))  # click before 8.2 calls it help, on stdout, and exits with 0
    done = vidaug("agument")
    assert (done.code, done.out) == (2, "")
    assert "No such command 'agument'" in done.err


def clips_of(out: Path) -> int:
    with Shard(shard_path(out, 0)) as shard:
        return len(shard)


def test_scan_grep_augment(video_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = f"vidaug scan {video_folder} -q | grep class_1 | vidaug augment - -o {out} {shlex.join(FADE)}"
    path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(line, shell=True, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert f"{out}: 12 clips of 12 videos in 1 class, 1 of 1 shard" in done.stderr
    assert clips_of(out) == 12


def test_a_folder_a_manifest_and_a_list_give_the_same_clips(video_folder: Path, manifest: Path, tmp_path: Path) -> None:
    rows = read_rows(manifest.read_text().splitlines(), "manifest")
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{row.path} {row.label}\n" for row in rows))
    for name, source in (
        ("folder", [video_folder]),
        ("manifest", [manifest]),
        ("list", [listed, "--root", video_folder]),
    ):
        assert vidaug("augment", *source, "-o", tmp_path / name, *FADE).code == 0
    shards = {shard_path(tmp_path / name, 0).read_bytes() for name in ("folder", "manifest", "list")}
    assert len(shards) == 1


def test_dry_run_writes_nothing(manifest: Path, tmp_path: Path) -> None:
    words = ["augment", manifest, "-o", tmp_path / "out", *FADE, "--copies", "3", "--dry-run"]
    assert vidaug(*words).out.startswith("108 clips of 36 videos in 3 classes, 3 shards, about 3.1 MB (")
    found = vidaug(*words, "--json").made
    assert found.keys() == {
        "videos",
        "classes",
        "clips",
        "shards",
        "bytes",
        "free",
        "seconds",
        "part",
        "clips_by_class",
    }
    assert (found["clips"], found["shards"]) == (108, 3)
    assert found["seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_refuses_what_the_run_would(manifest: Path, video_folder: Path) -> None:
    done = vidaug("augment", manifest, "-o", video_folder, *FADE, "--dry-run")
    assert (done.code, done.out) == (1, "")
    assert "is not empty and was not written by vidaug" in done.err


def test_augment_prints_json_and_is_silent_with_q(manifest: Path, tmp_path: Path) -> None:
    words = ["augment", manifest, "-o", tmp_path / "out", *FADE, "--limit", "10", "-q"]
    done = vidaug(*words, "--json")
    found = done.made
    assert done.err == ""
    assert (found["out"], found["videos"], found["clips"], found["rendered"]) == (str(tmp_path / "out"), 10, 10, 10)
    assert (found["shards"], found["planned_shards"], found["failures"], done.result["quarantined"]) == (1, 1, [], [])
    assert found["bytes"] == shard_path(tmp_path / "out", 0).stat().st_size
    again = vidaug(*words)
    assert (again.code, again.out, again.err) == (0, "", "")


def test_originals_in_jpeg(manifest: Path, tmp_path: Path) -> None:
    words = ["--keep-original", "--copies", "0", "--codec", "jpeg", "--quality", "90", "--limit", "5"]
    assert vidaug("augment", manifest, "-o", tmp_path / "out", *FADE, *words).code == 0
    found = vidaug("inspect", tmp_path / "out", "--json").result
    assert (found["clips"], found["originals"], found["codecs"], found["mixed"]) == (5, 5, ["jpeg"], 0)


@pytest.fixture
def split_folder(video_folder: Path, tmp_path: Path) -> Path:
    """Ten videos as UCF101 has them: six to train, four to test."""
    folder = tmp_path / "ucf"
    for number in range(10):
        label = f"class_{number % 3}"
        (folder / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(video_folder / label / f"video_{number:02d}.avi", folder / label)
    names = [f"class_{number % 3}/video_{number:02d}.avi" for number in range(10)]
    (folder / "splits").mkdir()
    (folder / "splits/classInd.txt").write_text("".join(f"{index + 1} class_{index}\n" for index in range(3)))
    (folder / "splits/trainlist01.txt").write_text("".join(f"{name} {int(name[6]) + 1}\n" for name in names[:6]))
    (folder / "splits/testlist01.txt").write_text("".join(f"{name}\n" for name in names[6:]))
    return folder


def test_an_interrupt_in_a_callback_is_not_lost() -> None:
    """Python drops what is raised in the callback of a weak reference, Ctrl-C too."""
    code = (
        "import signal, sys, time, weakref\n"
        "from vidaug_cli import main\n"
        "def work(**_):\n"
        "    thing = type('Thing', (), {})()\n"
        "    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))\n"
        "    del thing\n"
        "    time.sleep(20)\n"
        "main.cli.main = work\n"
        "main.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "vidaug: interrupted; what is finished is kept\n")


def test_splits(split_folder: Path, tmp_path: Path) -> None:
    words = [*FADE, "--json"]
    both = vidaug("augment", split_folder, "--split", "1", "-o", tmp_path / "both", *words)
    assert both.made["clips"] == 10
    assert "test and train videos go in together; --subset train takes only one split" in both.err
    train = vidaug("augment", split_folder, "--split", "1", "--subset", "train", "-o", tmp_path / "train", *words)
    assert train.made["clips"] == 6
    assert "together" not in train.err
    none = vidaug("augment", split_folder, "-o", tmp_path / "all", *words)
    assert "split lists found in splits/ and not used: --split 1 would use them" in none.err


def test_videos_left_out_are_named_and_exit_3(split_folder: Path, tmp_path: Path) -> None:
    (split_folder / "class_0/broken.avi").write_bytes(b"RIFF nothing")
    done = vidaug("augment", split_folder, "-o", tmp_path / "out", *FADE, "--json")
    assert done.code == 3
    assert "left out: class_0/broken.avi: " in done.err
    (quarantined,) = done.result["quarantined"]
    assert quarantined["path"] == "class_0/broken.avi"
    manifest = tmp_path / "m.jsonl"
    assert vidaug("scan", split_folder, "-o", manifest).code == 3
    (split_folder / "class_0/video_00.avi").unlink()
    later = vidaug("augment", manifest, "-o", tmp_path / "later", *FADE)
    assert later.code == 3
    assert "1 clip left out, as" in later.err
    assert "  class_0/video_00.avi: cannot be read: No such file" in later.err


def test_a_manifest_moves_with_its_videos(split_folder: Path, tmp_path: Path) -> None:
    manifest, out = tmp_path / "m.jsonl", tmp_path / "out"
    vidaug("scan", split_folder, "-o", manifest)
    moved = split_folder.rename(tmp_path / "moved")
    words = ["augment", manifest, "-o", out, *FADE]
    done = vidaug(*words)
    assert (done.code, out.exists()) == (1, False)
    assert f"{split_folder}: none of the 10 videos of the manifest is there; --root says where" in done.err
    assert vidaug(*words, "--root", moved).code == 0
    moved = moved.rename(tmp_path / "again")
    assert vidaug("replay", out).code == 1
    assert "10 clips are what" not in vidaug("replay", out, "--all").err
    assert "10 of 10 clips are what their numbers say" in vidaug("replay", out, "--all", "--root", moved).err
    shard_path(out, 0).unlink()
    assert vidaug(*words, "--root", moved).code == 0  # a rerun looks where the videos lie now, too
    assert clips_of(out) == 10


def test_options_come_from_the_environment(manifest: Path, tmp_path: Path) -> None:
    variables = {"WORKERS": "1", "RECIPE": "cutmix randaugment_t", "SET": "cutmix.beta=0.5 mix_p=0.25", "FRAMES": "8"}
    variables |= {"SIZE": "32", "LIMIT": "4", "JSON": "1"}
    done = vidaug(
        "augment", manifest, "-o", tmp_path, **{f"VIDAUG_AUGMENT_{name}": value for name, value in variables.items()}
    )
    assert done.made["clips"] == 4
    recipe = vidaug("inspect", tmp_path, "--recipe").out
    assert "mix_p = 0.25" in recipe
    assert "beta = 0.5" in recipe


def test_recipes(tmp_path: Path) -> None:
    names = [entry["name"] for entry in vidaug("recipes", "--json").result["recipes"]]
    assert [line.split()[0] for line in vidaug("recipes").out.splitlines()] == names
    own = tmp_path / "mine.toml"
    own.write_text(vidaug("recipes", "show", "fademixup").out)
    assert vidaug("recipes", "check", own, *names).code == 0
    assert vidaug("recipes", "show", "FadeMixUp").out == vidaug("recipes", "show", own).out
    own.write_text(own.read_text() + "gamma = 2\n")
    done = vidaug("recipes", "check", "none", own)
    assert done.code == 1
    assert "gamma: unknown key" in done.out


WHILE_IMPORTING = """
class Striker:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            strike()
sys.meta_path.insert(0, Striker())
"""
WHILE_SCANNING = """
from vidaug_cli.data.video.guard import Guard
probe = Guard.probe
def struck(self, path, *how):
    strike()
    return probe(self, path, *how)
Guard.probe = struck
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", ["torch", "h5py", "joblib", "scanning"])
def test_signals_at_any_moment(
    video_folder: Path, tmp_path: Path, number: signal.Signals, code: int, moment: str
) -> None:
    words = ["vidaug", "augment", str(video_folder), "-o", str(tmp_path / "out"), *FADE]
    program = (
        f"import os, sys, vidaug_cli.main\ndef strike(): os.kill(os.getpid(), {int(number)})\nsys.argv = {words}\n"
    )
    program += WHILE_SCANNING if moment == "scanning" else WHILE_IMPORTING.format(module=moment)
    done = subprocess.run(
        [sys.executable, "-c", program + "vidaug_cli.main.main()"],
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    word = "interrupted" if number == signal.SIGINT else "terminated"
    assert done.stderr.strip() == f"vidaug: {word}; what is finished is kept"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["--help", "recipes", "scan {folder}", "augment {folder} -o {out} --dry-run"])
def test_a_reader_that_went_away(video_folder: Path, tmp_path: Path, words: str) -> None:
    """`vidaug ... | head -1`, when head is gone before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    line = shlex.split(words.format(folder=video_folder, out=tmp_path / "out"))
    line += FADE if line[0] == "augment" else []
    done = subprocess.run([SCRIPT, *line], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "rror" not in done.stderr


def test_demo(tmp_path: Path) -> None:
    done = vidaug("demo", tmp_path / "demo")
    assert done.code == 0
    assert done.out.endswith(f"{tmp_path / 'demo' / 'report.html'}\n")
    for name in ("preview.png", "preview.webp", "manifest.jsonl", "shards/plan.json", "report.html"):
        assert (tmp_path / "demo" / name).stat().st_size > 0
    assert [line.split()[2] for line in done.err.splitlines() if line.startswith("$")] == [
        "sample", "scan", "augment", "inspect", "preview", "report",
    ]  # fmt: skip
    assert done.err.splitlines()[-1].startswith(f"Open {tmp_path / 'demo' / 'report.html'} in a browser")
    assert done.next == "vidaug scan VIDEOS -o manifest.jsonl"
    assert "next: " not in done.err  # of the steps
    again = vidaug("demo", tmp_path / "demo", "--json", "-q")
    assert (again.code, again.err) == (0, "")
    assert again.result["report"] == str(tmp_path / "demo/report.html")
    assert again.result["commands"][0].startswith("vidaug scan ")  # of the videos that are there
