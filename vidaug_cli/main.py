"""The command group, and in one place what happens when a command does not end well."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import NoReturn

import click

from vidaug_cli.errors import VidaugError

COMMANDS = ("scan", "augment", "recipes", "inspect", "verify", "replay", "preview", "sample", "demo")
DONE, FAILED, SKIPPED, INTERRUPTED, TERMINATED, BROKEN_PIPE = 0, 1, 3, 130, 143, 141


class Terminated(BaseException):
    """SIGTERM arrived: unwinds like a Ctrl-C, so that files half-written are removed."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "auto_envvar_prefix": "VIDAUG"}
)
@click.version_option(package_name="vidaug-cli", prog_name="vidaug")
def cli() -> None:
    """Temporal video augmentation with soft labels: from folders of raw videos to verified HDF5 shards.

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
        click.echo(f"vidaug: error: {error}", err=True)
        code = FAILED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("vidaug: interrupted; what is finished is kept", err=True)
        code = INTERRUPTED
    except Terminated:
        click.echo("vidaug: terminated; what is finished is kept", err=True)
        code = TERMINATED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit fails once more
        code = BROKEN_PIPE
    sys.exit(code if isinstance(code, int) else DONE)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
