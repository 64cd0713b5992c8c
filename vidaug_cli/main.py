"""The command group, and in one place what happens when a command does not end well."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from vidaug_cli.commands import options
from vidaug_cli.errors import VidaugError

COMMANDS = (
    *("scan", "augment", "recipes", "inspect", "verify", "replay", "preview"),
    *("train", "predict", "evaluate", "ensemble", "submit", "score", "cam"),
    *("sample", "demo"),
)
DONE, FAILED, INTERRUPTED, TERMINATED = 0, 1, 130, 143  # and click has 2 for wrong usage, 1 for a broken pipe


class Terminated(BaseException):
    """SIGTERM arrived: unwinds like a Ctrl-C, so that files half-written are removed."""


class InOrder(click.Group):
    """Lists its commands in the order of the work, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "auto_envvar_prefix": "VIDAUG"},
    epilog="Every option may come from the environment: VIDAUG_AUGMENT_WORKERS=4 is 'vidaug augment --workers 4'. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but some videos were left out, 130 interrupted, "
    "143 terminated.",
)
@click.version_option(package_name="vidaug-cli", prog_name="vidaug")
def cli() -> None:
    """Temporal video augmentation with soft labels: from raw videos to HDF5 shards, trained networks and submissions.

    Try it with no data of your own: vidaug demo
    """


for _name in COMMANDS:
    cli.add_command(import_module(f"vidaug_cli.commands.{_name}").command, _name)


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(prog_name="vidaug", standalone_mode=False)
    except VidaugError as error:
        click.echo(f"vidaug: error: {error}{_variables(str(error))}", err=True)
        code = FAILED
    except click.ClickException as error:
        if isinstance(error, click.BadParameter):
            options.name_variable(error)
        elif type(error) is click.UsageError:
            error = click.UsageError(error.message + _variables(error.message), error.ctx)
        error.show()
        code = error.exit_code
    except (OSError, MemoryError) as error:  # a full or read-only disk, a folder of somebody else's: no bug of ours
        place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        click.echo(f"vidaug: error: {place}{getattr(error, 'strerror', None) or error}", err=True)
        code = FAILED
    except (click.Abort, KeyboardInterrupt):
        click.echo("vidaug: interrupted; what is finished is kept", err=True)
        code = INTERRUPTED
    except Terminated:
        click.echo("vidaug: terminated; what is finished is kept", err=True)
        code = TERMINATED
    sys.exit(code if isinstance(code, int) else DONE)


def _variables(message: str) -> str:
    """Where in the environment a value is from that the message is about."""
    name = next((word for word in sys.argv[1:] if word in COMMANDS), None)
    return options.variables(cli.commands[name], f"vidaug_{name}", message) if name else ""


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
