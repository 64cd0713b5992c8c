"""Options that several commands share: the same name, meaning and help everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vidaug_cli.data.listing.tree import Quarantined
    from vidaug_cli.data.manifest import Row
    from vidaug_cli.data.sampling import ClipSpec
    from vidaug_cli.plan import Plan
    from vidaug_cli.render import Engine
    from vidaug_cli.train.predictor import Predictor

SKIPPED = 3  # exit code: done, but some videos were left out, and are listed

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Command], Command]


def group(*options: Decorator[Any]) -> Decorator[Any]:
    """Several options as one decorator, listed in `--help` in this order."""

    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def out_option(help: str, *, required: bool = True) -> Decorator[Any]:  # noqa: A002 (click's own word)
    return click.option("-o", "--out", type=click.Path(path_type=Path), required=required, help=help)


workers_option = click.option(
    "-j", "--workers", type=click.IntRange(0), default=0, help="Processes; 0 takes one per core.  [default: 0]"
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of every draw."
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where ops are computed."
)
json_option = click.option("--json", is_flag=True, help="Print JSON on stdout.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but an error that ends the run.")
root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where a manifest's videos lie now; of a list, what its paths are relative to.",
)
recipe_option = click.option(
    "-r",
    "--recipe",
    multiple=True,
    metavar="NAME|FILE",
    help="A recipe; given more than once, they are combined. 'vidaug recipes' lists them.",
)
set_option = click.option(
    "--set", multiple=True, metavar="KEY=VALUE", help="Change a key: augment.0.m=7, fademixup.beta=0.4."
)
clip_options = group(
    click.option("--frames", type=int, default=64, show_default=True, help="Frames of a clip."),
    click.option("--stride", type=int, default=1, show_default=True, help="Take every n-th frame of the video."),
    click.option("--fps", type=float, help="Resample to this rate, instead of --stride."),
    click.option("--size", type=int, default=160, show_default=True, help="Height and width of a clip in pixels."),
    click.option(
        "--crop",
        type=float,
        nargs=2,
        default=(2 / 3, 5 / 6),
        metavar="LOW HIGH",
        help="Side of the random square, as a share of the short side.  [default: 2/3 to 5/6]",
    ),
    click.option("--flip", type=float, default=0.5, show_default=True, help="Chance of a left-right flip."),
    click.option(
        "--short",
        type=click.Choice(["repeat", "loop", "stretch"]),
        default="repeat",
        show_default=True,
        help="What a video shorter than the clip does: repeat its last frame, loop, or run slower.",
    ),
)
input_options = group(
    click.option("--layout", help="Layout of a folder INPUT, instead of looking; see 'vidaug scan --help'."),
    click.option("--split", type=click.IntRange(1), help="Which official split of a folder INPUT."),
    click.option(
        "--lists",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Folder of a folder INPUT's split lists, if they lie elsewhere.",
    ),
    root_option,
    click.option("--subset", metavar="NAME", help="Only the videos of this split: train, validation, test."),
    click.option("--limit", type=click.IntRange(1), help="Only this many videos, drawn by the seed."),
)

network_options = group(
    device_option,
    click.option(
        "--amp",
        type=click.Choice(["auto", "bf16", "off"]),
        default="auto",
        show_default=True,
        help="Precision: bfloat16 where the device has it, bfloat16, or float32.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=8,
        show_default=True,
        help="Clips in the network at a time; speed only.",
    ),
    workers_option,
)
INPUT_OPTIONS = ("layout", "split", "lists", "root", "subset", "limit")


def clip_spec(options: dict[str, Any]) -> ClipSpec:
    """Take the clip options out of a command's keyword arguments."""
    from vidaug_cli.data.sampling import ClipSpec

    return ClipSpec(**{name: options.pop(name) for name in ClipSpec.__dataclass_fields__})


def engine(options: dict[str, Any]) -> Engine:
    """Take --device and --batch-size, without which clips go one by one, and check that the device is there."""
    from vidaug_cli.render import Engine, resolve_device

    return Engine(device=resolve_device(options.pop("device")), batch=options.pop("batch_size", 1))


def workers(options: dict[str, Any]) -> int:
    """Take --workers, with 0 as the number of cores this process may use."""
    from vidaug_cli.workers import worker_count

    return worker_count(options.pop("workers"))


def processes(options: dict[str, Any], *, quiet: bool) -> int:
    """Take --workers where each is a process of Python, and say so where there can be none."""
    from vidaug_cli.workers import why_alone

    count = workers(options)
    if count > 1 and (reason := why_alone()):
        note(f"works in one process: {reason}", quiet=quiet)
        return 1
    return count


def predictor(checkpoint: Path, options: dict[str, Any]) -> Predictor:
    """Take the network options, and put the network of CHECKPOINT on its device."""
    from vidaug_cli.render import resolve_device
    from vidaug_cli.train.checkpoint import read_checkpoint
    from vidaug_cli.train.predictor import Predictor

    device = resolve_device(options.pop("device"))
    found = read_checkpoint(checkpoint)
    return Predictor.of(
        found,
        device=device,
        amp=options.pop("amp"),
        batch=options.pop("batch_size"),
        workers=workers(options),
        about={"checkpoint": checkpoint.name, "epoch": found.epoch},
    )


def plan(source: str, options: dict[str, Any], *, quiet: bool, workers: int = 0) -> tuple[Plan, Sequence[Quarantined]]:
    """The plan of INPUT and a command's options, and the videos of INPUT that cannot be used (they are named)."""
    from vidaug_cli.cookbook import load_recipe
    from vidaug_cli.plan import Plan

    names = options.pop("recipe")
    if not names:
        raise click.UsageError("which recipe? Give --recipe NAME; 'vidaug recipes' lists them.")
    recipe = load_recipe(*names, overrides=options.pop("set"))
    spec = clip_spec(options)
    choice = {name: options.pop(name) for name in INPUT_OPTIONS}
    plan = Plan(rows=(), recipe=recipe, spec=spec, **options)  # what is wrong with it is said before hours of scanning
    rows, quarantined = videos(source, choice, seed=plan.seed, quiet=quiet, workers=workers)
    return replace(plan, rows=tuple(rows)), quarantined


def videos(
    source: str, options: dict[str, Any], *, seed: int, quiet: bool, workers: int = 0
) -> tuple[list[Row], Sequence[Quarantined]]:
    """The videos of INPUT that the input options pick, and those that cannot be used (they are named)."""
    from vidaug_cli.augment import read_input
    from vidaug_cli.data.summary import printable
    from vidaug_cli.plan import select

    choice = {name: options.pop(name) for name in INPUT_OPTIONS}
    selecting = {name: choice.pop(name) for name in ("subset", "limit")}
    found = read_input(source, **choice, workers=workers, progress=show_progress(quiet))
    for line in found.notes:
        note(line, quiet=quiet)
    for video in found.quarantined:
        note(f"left out: {printable(video.path)}: {video.reason}", quiet=quiet)
    rows = select(found.rows, **selecting, seed=seed)
    splits = sorted({row.split for row in rows if row.split})
    if len(splits) > 1:
        note(f"{' and '.join(splits)} videos go in together; --subset {splits[-1]} takes only one split", quiet=quiet)
    return rows, found.quarantined


def note(message: str, *, quiet: bool = False) -> None:
    """One line for a person, on stderr."""
    if not quiet:
        click.echo(message, err=True)


def show_progress(quiet: bool) -> bool:
    """Whether to say how far a job is: with a bar, or where stderr is no terminal in lines."""
    return not quiet
