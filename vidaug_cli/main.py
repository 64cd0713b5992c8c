"""The group of commands, and what happens when one fails."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Timer
from types import FrameType
from typing import NoReturn

import click

from vidaug_cli.commands.config_file import read_config
from vidaug_cli.commands.output import envelope
from vidaug_cli.commands.signature import CONFIG, JSON, name_origin, option, origins, with_options
from vidaug_cli.errors import (
    USAGE,
    VALUE,
    MissingPathError,
    OutOfMemoryError,
    VidaugError,
    short_of_memory,
    system_error,
    terminal_text,
)
from vidaug_cli.words import printable, readable

GROUPS = {  # the commands by what they are for, in the order of the work
    "Look at data": ("scan", "inspect", "preview", "report", "recipes", "explain"),
    "Make clips": ("augment", "status", "merge", "verify", "replay", "export"),
    "Train": ("train", "sweep", "cam"),
    "Score": ("predict", "evaluate", "compare", "ensemble", "submit", "score"),
    "Try it, and look at the machine": ("demo", "sample", "bench", "doctor", "config", "completion"),
}
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
DONE, FAILED, INTERRUPTED, SIGNALLED = 0, 1, 130, 128  # and click has 2 for wrong usage, 1 for a broken pipe


class Terminated(BaseException):
    """SIGTERM arrived, or SIGHUP of a closed terminal. It unwinds like Ctrl-C: half-written files are removed."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        """Name the signal."""
        super().__init__(number)
        self.number = number


class Program(click.Group):
    """The group of commands, in the order of the work instead of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return their names."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups."""
        room = formatter.width - max(map(len, self.commands)) - 6
        for job, names in GROUPS.items():
            with formatter.section(job):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(room)) for name in names])

    def invoke(self, ctx: click.Context) -> object:
        """Run a command. Raises RuntimeError in place of a BrokenPipeError that no reader of ours caused."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if _reader_is_gone():
                raise  # click ends quietly
            raise RuntimeError("a pipe between processes of this program broke") from error
        except (VidaugError, click.ClickException, OSError, MemoryError) as error:
            if (ctx.meta.get(JSON) or "--json" in sys.argv) and (known := _as_known(error)):
                click.echo(envelope(ctx.invoked_subcommand or "", {"error": known}))
            raise


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "auto_envvar_prefix": "VIDAUG"},
    epilog="Every option may come from the environment: VIDAUG_AUGMENT_WORKERS=4 is 'vidaug augment --workers 4'; or "
    "from FILE, with a table for each command. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some videos "
    "were left out, 4 some videos could not be read this time and the same command tries again, 130 interrupted, 143 "
    "terminated, 129 as the terminal was closed.",
)
@click.version_option(package_name="vidaug-cli", prog_name="vidaug")
@with_options
def cli(
    config: Path | None = option("Take options from this TOML file; see 'vidaug config'.", metavar="FILE"),  # noqa: B008
) -> None:
    """Temporal video augmentation with soft labels: from raw videos to HDF5 shards, trained networks and submissions.

    Try it with no data of your own: vidaug demo
    """
    if config:
        context = click.get_current_context()
        context.meta[CONFIG] = config
        context.default_map = read_config(config, cli)


for _name in COMMANDS:
    cli.add_command(import_module(f"vidaug_cli.commands.{_name}").command, _name)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _terminate)
    sys.unraisablehook = _send_again
    _prepare_streams()
    try:
        _check_current_folder()
        code = cli.main(prog_name="vidaug", standalone_mode=False)
    except VidaugError as error:
        code = _fail(terminal_text(error))
    except click.ClickException as error:
        code = _show(error)
    except OSError as error:
        if (known := system_error(error)) is None:
            raise
        code = _fail(terminal_text(known))
    except ImportError as error:
        if not short_of_memory(error):
            raise
        hint = "close other programs, or raise 'ulimit -v'"
        code = _fail(terminal_text(OutOfMemoryError("not enough memory to start", hint=hint)))
    except MemoryError as error:
        code = _fail(terminal_text(_short_of_memory(error)))
    except (click.Abort, KeyboardInterrupt) as error:
        if isinstance(error.__cause__, EOFError):
            raise error.__cause__ from None  # click takes it for a missing answer, but nothing here asks a question
        click.echo("vidaug: interrupted; what is finished is kept", err=True)
        code = INTERRUPTED
    except Terminated as error:
        with suppress(OSError):  # the terminal may be gone
            click.echo("vidaug: terminated; what is finished is kept", err=True)
        code = SIGNALLED + error.number
    sys.exit(code if isinstance(code, int) else DONE)


def _show(error: click.ClickException) -> int:
    """Print an error of click as a terminal can show it, with the variable or the key of the file that it is about."""
    if isinstance(error, click.BadParameter):
        name_origin(error)
    elif type(error) is click.UsageError and error.ctx:
        error = click.UsageError(error.message + origins(error.ctx, error.message), error.ctx)
    text = io.StringIO()
    error.show(text)
    is_help = error.message.startswith("Usage: ")  # which click shows where no command is given: nothing to look up
    shown = text.getvalue().rstrip()
    for word in sys.argv:  # a name may have line feeds in it, and click shows some as they are
        shown = shown if word.isprintable() else shown.replace(word, printable(word))
    click.echo(readable(shown) + ("" if is_help else f" [{_code_of(error)}]"), err=True)
    return error.exit_code


def _code_of(error: click.ClickException) -> str:
    return VALUE if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) else USAGE


def _short_of_memory(error: MemoryError) -> OutOfMemoryError:
    hint = "take smaller clips, or fewer processes with -j"
    return OutOfMemoryError(str(error) or "not enough memory", hint=hint)


def _as_known(error: Exception) -> dict[str, str] | None:
    """Return what --json says of an error that a user can fix; None for a bug."""
    if isinstance(error, click.ClickException):
        return {"code": _code_of(error), "message": error.format_message(), "hint": ""}
    known: Exception | None = _short_of_memory(error) if isinstance(error, MemoryError) else error
    if isinstance(error, OSError):
        known = system_error(error)
    if not isinstance(known, VidaugError):
        return None
    message = f"{known.where}: {known.what}" if known.where else known.what
    return {"code": known.code, "message": message, "hint": known.hint}


def _fail(message: str) -> int:
    click.echo(f"vidaug: error: {message}", err=True)
    return FAILED


def _prepare_streams() -> None:
    """Write UTF-8 in every locale, as manifests and JSON are, and let no file of ours take a closed stream's place."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # stdin, stdout and stderr are 0 to 2
        pass
    os.close(descriptor)


def _check_current_folder() -> None:
    """Raise VidaugError when it was removed: torch's libraries would end the process with a cryptic message."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise MissingPathError("the current folder was removed", hint="change to another with cd") from error


def _reader_is_gone() -> bool:
    """Return whether the program that read our stdout or stderr has ended, such as `head`."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _send_again(lost: sys.UnraisableHookArgs) -> None:
    """Send a signal again that arrived in a destructor or a callback, where Python drops exceptions."""
    if isinstance(lost.exc_value, KeyboardInterrupt | Terminated):
        number = getattr(lost.exc_value, "number", signal.SIGINT)
        Timer(0.05, os.kill, (os.getpid(), number)).start()  # by then the callback is over
    else:
        sys.__unraisablehook__(lost)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(signum)
