"""No user meets a traceback, whatever he types and whatever his machine does; a bug of ours keeps its own."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from console import Done, vidaug

from vidaug_cli.commands import recipes
from vidaug_cli.errors import VidaugError, terminal_text
from vidaug_cli.main import COMMANDS, cli
from vidaug_cli.words import LONGEST, printable, readable

SCRIPT = Path(sys.executable).with_name("vidaug")

# Nothing that would work: what a command is given lies nowhere, so that none of them begins to work for long.
HOSTILE = [
    *("", " ", "-1", "0", "1" + "0" * 40, "9" * 5000, "1e9", "1e308", "1e-300", "nan", "inf", "-inf", "0x10", "\u00b2"),
    *(
        "\u0663",
        "\u00b2/4",
        "1/\u00b2",
        "0/0",
        "-1/4",
        "cuda:\u00b2",
        "cuda:" + "9" * 5000,
        "cuda:-1",
        "\x1b[2J",
        "a\nb",
    ),
    *(
        "\udcff",
        "../..",
        "/dev/null",
        "/dev/null/x",
        "x" * 300,
        "x" * 5000,
        "~",
        "%s{}$",
        "=",
        "a=b",
        "a.b=[" + "[" * 2000,
    ),
    *("augment.\u00b2.m=1", "fademixup.beta=nan", "mix_p=1e999", ",".join("1" * 300), "\u202e\u0000".strip("\0")),
]


def options_of(command: click.Command) -> Iterator[click.Option]:
    yield from (param for param in command.params if isinstance(param, click.Option) and not param.is_flag)


def every_command() -> Iterator[tuple[str, click.Command]]:
    for name in COMMANDS:
        yield name, cli.commands[name]
    yield from ((f"recipes {name}", command) for name, command in recipes.command.commands.items())


@pytest.mark.parametrize(("name", "command"), list(every_command()), ids=[name for name, _ in every_command()])
def test_no_value_of_any_option_makes_a_traceback(
    name: str, command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`vidaug` here raises whatever would be a traceback."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a/b.avi c\n")
    needed = [word for option in options_of(command) if option.required for word in (option.opts[-1], "file/out")]
    arguments = ["file/there"] * sum(isinstance(param, click.Argument) for param in command.params)
    for option in options_of(command):
        words = [option.opts[-1]]
        for value in HOSTILE:
            refused(vidaug(*name.split(), *arguments, *needed, *words, *[value] * option.nargs))
    for place in range(len(arguments)):
        for value in HOSTILE:
            if value and not (name in ("sample", "demo") and "/dev/null/" not in value):  # they make what is named
                refused(vidaug(*name.split(), *arguments[:place], value, *arguments[place + 1 :], *needed))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]


def refused(done: Done) -> None:
    """It ended as it should, and said nothing that moves a cursor or fills a screen."""
    assert done.code in (0, 1, 2, 3), done
    assert all(line.isprintable() for line in done.err.split("\n")), done
    assert len(done.err) <= LONGEST + 200


LATER = "try the same command again later"
MENDABLE: dict[BaseException, str] = {
    OSError(errno.ENOSPC, "x"): "No space left on device; free some space, or write to another disk",
    OSError(errno.ENOSPC, "x", "/a/b"): "/a/b: No space left on device; free some space, or write to another disk",
    OSError(errno.EROFS, "x", "/a/b"): "/a/b: Read-only file system; write to another disk",
    PermissionError(errno.EACCES, "x", Path("a")): "a: Permission denied; check its permissions",
    FileNotFoundError(errno.ENOENT, "x", b"\xff"): "\\udcff: No such file or directory; is the name right?",
    OSError(errno.EMFILE, "x"): "Too many open files; raise the limit with 'ulimit -n 4096', or take fewer with -j",
    OSError(errno.ESTALE, "x", "a\nb"): f"a\\nb: Stale file handle; the network disk was lost: {LATER}",
    OSError(errno.EIO, "x"): f"Input/output error; the disk or the network does not answer: {LATER}",
    MemoryError(): "not enough memory; take smaller clips, or fewer processes with -j",
    VidaugError("line\x1b[2J\nline", where="a\nb\x07", hint="\x00"): "a\\nb\\x07: line\\x1b[2J\nline; \\x00",
}  # fmt: skip
OURS = [
    OSError("cannot write mode F as PNG"),
    OSError(errno.EBADF, "Bad file descriptor"),
    OSError(errno.EINVAL, "Invalid argument", "/a/b"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
    ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"),
    RecursionError("maximum recursion depth exceeded"),
    EOFError("Ran out of input"),
]


def failing(error: BaseException) -> Callable[[str], str]:
    def fail(name: str) -> str:
        raise error

    return fail


@pytest.mark.parametrize("error", MENDABLE, ids=repr)
def test_what_the_system_says_and_a_user_can_mend_is_a_line(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidaug_cli.recipe.loading.read_recipe", failing(error))
    done = vidaug("recipes", "show", "none")
    assert (done.code, done.out, done.err) == (1, "", f"vidaug: error: {MENDABLE[error]}\n")


@pytest.mark.parametrize("error", OURS, ids=repr)
def test_what_only_a_bug_of_ours_makes_keeps_its_traceback(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidaug_cli.recipe.loading.read_recipe", failing(error))
    with pytest.raises(type(error)) as found:
        vidaug("recipes", "show", "none")
    assert found.value is error


def test_a_pipe_of_our_own_that_breaks_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """click would take it for a reader of stdout that went away, and end without a word."""
    monkeypatch.setattr("vidaug_cli.recipe.loading.read_recipe", failing(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    with pytest.raises(RuntimeError, match="a pipe between processes of this program broke"):
        vidaug("recipes", "show", "none")


def test_endless_messages_are_cut() -> None:
    long = "x" * 10_000_000
    shown = terminal_text(VidaugError(long, where="a.txt", hint="mend it"))
    assert len(shown) <= LONGEST + 20
    assert shown.startswith("a.txt: xxx")
    assert shown.endswith("xxx; mend it [VA000]")
    lines = readable("fault\n" * 100_000).splitlines()
    assert lines[-1] == "... and 99801 lines more"
    assert len(lines) == 201


def test_what_is_printable_stays_as_it_is() -> None:
    for text in ("läuft", "漢字", "a b/c.avi: 3 %", "'quoted'\\"):
        assert printable(text) == readable(text) == text


def run(words: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [SCRIPT, *words], text=True, capture_output=True, check=False, **settings
    )
    return done


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_locale_takes_what_is_printed(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "läuft 漢.toml").write_text("summary = 'läuft 漢'\n", "utf-8")
    environment = os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    done = subprocess.run(
        [SCRIPT, "recipes", "show", tmp_path / "läuft 漢.toml"], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout.decode()) == (0, "summary = 'läuft 漢'\n")
    done = subprocess.run(
        [SCRIPT, "recipes", "show", b"./\xff.toml"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"\\udcff.toml: cannot be read: No such file or directory" in done.stderr


@pytest.mark.parametrize(("closed", "code"), [("<&-", 1), (">&-", 1), ("2>&-", 1), ("<&- >&- 2>&-", 1)])
def test_closed_streams(tmp_path: Path, closed: str, code: int) -> None:
    line = f"{SCRIPT} recipes check none {tmp_path / 'gone.toml'} {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_no_file_of_ours_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    """A library that writes to descriptor 1 or 2 would write into the first file that was opened."""
    program = (
        "import os, sys; sys.argv = ['vidaug', 'recipes', 'check', 'none']; from vidaug_cli.recipe import loading\n"
        "read = loading.read_recipe\n"
        "def look(name):\n"
        f"    descriptor = os.open({str(tmp_path / 'x')!r}, os.O_CREAT | os.O_RDWR)\n"
        "    os._exit(0 if descriptor > 2 else 9)\n"
        "loading.read_recipe = look\n"
        "from vidaug_cli.__main__ import run; run()"
    )
    done = subprocess.run(["sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, program], check=False)
    assert done.returncode == 0


def test_the_narrowest_terminal() -> None:
    for words in (["--help"], ["augment", "--help"], ["recipes"], ["augment"]):
        assert "Traceback" not in run(words, env=os.environ | {"COLUMNS": "1", "LINES": "1"}).stderr


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    line = f"mkdir {gone}; cd {gone}; rmdir {gone}; {SCRIPT} augment x -o y -r none"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "vidaug: error: the current folder was removed; change to another with cd [VA010]\n",
    )


@pytest.mark.parametrize("module", ["click", "vidaug_cli.main", "vidaug_cli.commands.scan"])
def test_ctrl_c_while_the_program_is_loading(module: str) -> None:
    program = (
        "import os, signal, sys\n"
        "class Striker:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Striker())\n"
        "from vidaug_cli.__main__ import run; run()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "vidaug: interrupted; what is finished is kept\n")
