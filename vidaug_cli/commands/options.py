"""Options that several commands share: the same name, meaning and help everywhere."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.augment.render import Engine
    from vidaug_cli.data.inputs import Input
    from vidaug_cli.data.listing.tree import Quarantined
    from vidaug_cli.data.manifest import Row
    from vidaug_cli.data.sampling import ClipSpec
    from vidaug_cli.data.video.limits import Limits
    from vidaug_cli.predict.predictor import Predictor
    from vidaug_cli.scores.file import Scores

STDOUT = Path("/dev/stdout")  # what `-` becomes where it is taken; Path("-") would be the file ./- as well
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


class OutPath(click.Path):
    """A file or folder to write. `-` is stdout, and refused where that cannot take it: no file gets this name."""

    def __init__(self, example: str, *, stdout: bool = False, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)
        self.example, self.stdout = example, stdout

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) != "-":
            return super().convert(value, param, ctx)
        if not self.stdout:
            self.fail(f"this cannot go to stdout; give a name, such as {self.example} (or ./- for one called -)", param)
        return STDOUT


def out_option(help: str, *, example: str, stdout: bool = False, required: bool = True) -> Decorator[Any]:  # noqa: A002
    """What is written. `example` is a name for it; with `stdout`, `-` is `STDOUT` and the command prints it."""
    return click.option("-o", "--out", type=OutPath(example, stdout=stdout), required=required, help=help)


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
    metavar="DIR",
    help="Where a manifest's videos lie now; of a list, what its paths are relative to.",
)
subset_option = click.option("--subset", metavar="NAME", help="Only the videos of this split: train, validation, test.")
classes_option = click.option(
    "--classes",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Fix names and numbers of the classes: classInd.txt, a csv of name and number, or a list of names.",
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
input_argument = click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
scan_options = group(
    click.option(
        "--layout",
        metavar="NAME|PATTERN",
        help="folders, frames, ucf101, hmdb51, kinetics, vipriors2020, vipriors2021 or list, instead of looking; or"
        " which folders are the classes: CLASS, SPLIT/CLASS, '*/CLASS' ...",
    ),
    click.option("--split", type=click.IntRange(1), metavar="N", help="Which official split of a folder INPUT."),
    click.option(
        "--lists",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR",
        help="Folder of a folder INPUT's split lists, if they lie elsewhere.",
    ),
    root_option,
    click.option(
        "--follow-links",
        is_flag=False,
        flag_value="",
        metavar="[=DIR]",
        help="Follow links to folders, and all links that lead into DIR; without DIR those that stay in INPUT.",
    ),
    classes_option,
)
input_options = group(
    scan_options,
    subset_option,
    click.option("--limit", type=click.IntRange(1), help="Only this many videos, drawn by the seed."),
)
limit_options = group(
    click.option(
        "--time-limit",
        type=click.FloatRange(0.01, 100_000),
        default=120,
        show_default=True,
        help="CPU seconds to decode a video in.",
    ),
    click.option(
        "--max-frames",
        type=click.IntRange(1, 2**31 - 1),
        default=200_000,
        show_default=True,
        help="Refuse a video with more frames.",
    ),
    click.option(
        "--max-pixels",
        type=click.IntRange(1, 2**30),
        default=8192 * 4320,
        show_default=True,
        help="Refuse a video with larger frames.",
    ),
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
INPUT_OPTIONS = ("layout", "split", "lists", "root", "follow_links", "classes", "subset", "limit")


def links(word: str | None) -> Path | bool:
    """What --follow-links means: the folder it names, whether it stands there at all."""
    return Path(word) if word else word is not None


def given_inputs(options: dict[str, Any]) -> list[str]:
    """The input options that were given, as the user writes them."""
    return [f"--{name.replace('_', '-')}" for name in INPUT_OPTIONS if options[name] not in (None, False)]


def clip_spec(options: dict[str, Any]) -> ClipSpec:
    """Take the clip options out of a command's keyword arguments."""
    from vidaug_cli.data.sampling import ClipSpec

    return ClipSpec(**{name: options.pop(name) for name in ClipSpec.__dataclass_fields__})


def limits(options: dict[str, Any]) -> Limits:
    """Take the limit options, where the command has them."""
    from vidaug_cli.data.video.limits import Limits

    names = {"seconds": "time_limit", "frames": "max_frames", "pixels": "max_pixels"}
    return Limits(**{name: options.pop(option) for name, option in names.items() if option in options})


def engine(options: dict[str, Any]) -> Engine:
    """Take --device, --batch-size and the limit options, and check that the device is there.

    Without --batch-size clips go one by one.
    """
    from vidaug_cli.augment.render import Engine
    from vidaug_cli.device import resolve_device

    device, batch = resolve_device(options.pop("device")), options.pop("batch_size", 1)
    return Engine(device=device, batch=batch, limits=limits(options))


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
    """Take the network options, and put the network of CHECKPOINT, a file or a run, on its device."""
    from vidaug_cli.data.kinds import Kind, expect
    from vidaug_cli.device import resolve_device
    from vidaug_cli.predict.predictor import Predictor
    from vidaug_cli.train.checkpoint import read_checkpoint

    device = resolve_device(options.pop("device"))
    expect(checkpoint, Kind.CHECKPOINT, Kind.RUN)
    if checkpoint.is_dir():
        checkpoint /= "best.safetensors"
    found = read_checkpoint(checkpoint)
    return Predictor.of(
        found,
        device=device,
        amp=options.pop("amp"),
        batch=options.pop("batch_size"),
        workers=workers(options),
        limits=limits(options),
        about={"checkpoint": checkpoint.name, "epoch": found.epoch},
    )


def scores(path: Path) -> Scores:
    """The scores in a file. Raises VidaugError with what it is, where it is something else."""
    from vidaug_cli.data.kinds import Kind, expect
    from vidaug_cli.scores.file import read_scores

    expect(path, Kind.SCORES)
    return read_scores(path)


def plan(
    sources: Sequence[str], options: dict[str, Any], *, quiet: bool, workers: int = 0, limits: Limits | None = None
) -> tuple[Plan, Sequence[Quarantined]]:
    """The plan of INPUT and a command's options, and the videos of INPUT that cannot be used (they are named)."""
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.recipe.loading import load_recipe

    names = options.pop("recipe")
    if not names:
        raise click.UsageError("which recipe? Give --recipe NAME; 'vidaug recipes' lists them.")
    recipe = load_recipe(*names, overrides=options.pop("set"))
    spec = clip_spec(options)
    choice = {name: options.pop(name) for name in INPUT_OPTIONS}
    plan = Plan(rows=(), recipe=recipe, spec=spec, **options)  # what is wrong with it is said before hours of scanning
    rows, found = videos(sources, choice, seed=plan.seed, quiet=quiet, workers=workers, limits=limits)
    plan = replace(plan, rows=tuple(rows), classes=found.classes)
    if absent := len(plan.classes) - len(set(plan.labels)):
        note(
            f"{absent} of the {len(plan.classes)} classes have no video here; labels keep a place for each", quiet=quiet
        )
    return plan, found.quarantined


def videos(
    sources: Sequence[str],
    options: dict[str, Any],
    *,
    seed: int,
    quiet: bool,
    workers: int = 0,
    limits: Limits | None = None,
) -> tuple[list[Row], Input]:
    """The videos of INPUT that the input options pick, and INPUT itself; what of it cannot be used is named."""
    from vidaug_cli.data.inputs import read_input
    from vidaug_cli.data.manifest import select
    from vidaug_cli.words import printable

    choice = {name: options.pop(name) for name in INPUT_OPTIONS}
    selecting = {name: choice.pop(name) for name in ("subset", "limit")}
    choice["follow_links"] = links(choice["follow_links"])
    found = read_input(*sources, **choice, workers=workers, progress=show_progress(quiet), limits=limits)
    for line in found.notes:
        note(line, quiet=quiet)
    for video in found.quarantined:
        note(f"left out: {printable(video.path)}: {video.reason}", quiet=quiet)
    rows = select(found.rows, **selecting, seed=seed)
    splits = sorted({row.split for row in rows if row.split})
    if len(splits) > 1 and selecting["subset"] is None:
        note(f"{' and '.join(splits)} videos go in together; --subset {splits[-1]} takes only one split", quiet=quiet)
    return rows, found


def name_variable(error: click.BadParameter) -> None:
    """Make the error of a value that came from the environment name its variable."""
    if error.ctx is None or error.param is None or not error.param.name:
        return
    if error.ctx.get_parameter_source(error.param.name) is ParameterSource.ENVIRONMENT:
        variable = f"{error.ctx.auto_envvar_prefix}_{error.param.name.upper()}"
        error.param_hint = f"{variable} ({error.param.get_error_hint(error.ctx)})"


def variables(command: click.Command, prefix: str, message: str) -> str:
    """` (from VIDAUG_AUGMENT_RECIPE)` where a message is about an option or value of the environment; else nothing."""
    found = []
    for option in (param for param in command.params if isinstance(param, click.Option)):
        name = f"{prefix}_{option.name}".upper()
        words = os.environ.get(name, "").split()
        about = [
            *option.opts,
            *([f"{option.name} = ("] if option.nargs > 1 else []),
            *(word if re.search(r"[^\W\d]", word) else f"{option.name} = {word}" for word in words),
        ]
        if option.nargs > 1:
            about.append(f"{option.name} =")  # of which a message shows the values as Python writes them
        if words and any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", message) for word in about):
            found.append(name)
    return f" (from {', '.join(found)})" if found else ""


def note(message: str, *, quiet: bool = False) -> None:
    """One line for a person, on stderr."""
    if not quiet:
        from vidaug_cli.words import readable

        click.echo(readable(message), err=True)


def show_progress(quiet: bool) -> bool:
    """Whether to say how far a job is: with a bar, or where stderr is no terminal in lines."""
    return not quiet
