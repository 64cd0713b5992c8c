"""Options that several commands share, in groups: the same name, meaning and help everywhere.

A group's methods make the library's objects from its values; they import what is heavy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from vidaug_cli.commands import names
from vidaug_cli.commands.output import Output
from vidaug_cli.commands.signature import STDOUT, OutPath, given_options, option
from vidaug_cli.errors import VideoError, cannot_write
from vidaug_cli.words import printable

if TYPE_CHECKING:
    from vidaug_cli.augment.contents import About
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.augment.render import Engine
    from vidaug_cli.data.inputs import Input
    from vidaug_cli.data.listing.tree import Quarantined
    from vidaug_cli.data.manifest import Row
    from vidaug_cli.data.sampling import ClipSpec
    from vidaug_cli.data.video.limits import Limits
    from vidaug_cli.predict.predictor import Predictor
    from vidaug_cli.recipe.recipe import Recipe
    from vidaug_cli.scores.file import Scores

SKIPPED = 3  # exit code: done, but some videos were left out, and are listed
UNFINISHED = 4  # exit code: not all is done this time, and the same command tries again
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def parse_stride(text: float | str) -> float | tuple[float, float]:
    """Return a number such as 4, or a range such as 2-6, which is one word: else `2 6` could be a 2 and a folder `6`.

    Raises click.BadParameter.
    """
    from vidaug_cli.data.sampling import read_stride

    if (stride := read_stride(str(text))) is None:
        raise click.BadParameter(f"{text!r} is neither a number such as 4 nor a range such as 2-6.")
    return stride


# Options of several groups, or of commands by themselves.

WORKERS = option("Processes; 0 takes one per core.  [default: 0]", "-j", type=click.IntRange(0), default=0)
SEED = option("Random seed.", type=click.IntRange(0, 2**32 - 1), default=0)
DEVICE = option("Device to compute on; auto is a GPU where there is one.", default="auto", metavar="auto|cpu|cuda[:N]")
ROOT = option(
    "Where a manifest's videos lie now; of a list, what its paths are relative to.", type=FOLDER, metavar="DIR"
)
CLASSES = option(
    "Fix names and numbers of the classes: classInd.txt, a csv of name and number, or a list of names; where videos are"
    " read, also a map, a .toml, that merges, renames and drops classes.",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
)
TRUTH = option(
    "Take labels from here, by path or, where it is unique, by file name. In FILE, a line is 'NAME.avi 100'.",
    type=click.Path(path_type=Path, exists=True),
    metavar="MANIFEST|OUT|FILE",
)
AMONG = option(
    "The videos that there are now: 'inspect' counts only clips that show no other, and 'status' names the others.",
    metavar="MANIFEST",
)
SUBSET = option("Only the videos of this split: train, validation, test.", metavar="NAME")
PERTURB = option(
    "Disturb each clip, too, while it plays: 'all', or such as rotation, ramped, rotation-ramped=3; may be repeated.",
    metavar="NAME[=SEVERITY]",
)
THUMB = option("Width of a frame in pixels.", type=click.IntRange(32, 1024), default=128)


def picture_option(playing: str, *, default: str, example: str) -> Any:
    """Return the option for the pictures that are drawn; `playing` is what an animation shows."""
    return option(
        f"Picture to write: .png for a contact sheet, .gif, .webp or .mp4 for {playing} playing; may be repeated.",
        "-o",
        type=OutPath(example, dir_okay=False),
        default=(Path(default),),
    )


# The groups.


@dataclass(frozen=True)
class CardOptions:
    """What the card of a data set says that only the user knows."""

    license: str = option("License of the videos: CC-BY-4.0, or a URL.", default="", show_default=False)
    creator: str = option("Maker of the data set.", default="", show_default=False)
    url: str = option("Web page of the data set.", default="", show_default=False)

    def about(self) -> About:
        """Return it."""
        from vidaug_cli.augment.contents import About

        return About(license=self.license, creator=self.creator, url=self.url)


@dataclass(frozen=True)
class RecipeOptions:
    """Which recipe."""

    recipe: tuple[str, ...] = option(
        "A recipe; given more than once, they are combined. 'vidaug recipes' lists them.",
        "-r",
        metavar="NAME|FILE",
        shell_complete=names.RECIPES,
    )
    set: tuple[str, ...] = option("Change a key: augment.0.m=7, fademixup.beta=0.4.", metavar="KEY=VALUE")

    def load(self) -> Recipe:
        """Return the recipe. Raises click.UsageError where none is given, RecipeError where one is wrong."""
        from vidaug_cli.recipe.loading import load_recipe

        if not self.recipe:
            raise click.UsageError("which recipe? Give --recipe NAME; 'vidaug recipes' lists them.")
        return load_recipe(*self.recipe, overrides=self.set)

    def each(self) -> list[Recipe]:
        """Return each recipe by itself. Raises RecipeError where one is wrong."""
        return [RecipeOptions((name,), self.set).load() for name in self.recipe]


@dataclass(frozen=True)
class ClipOptions:
    """What a clip is, with the names of ClipSpec."""

    frames: int = option("Frames of a clip.", default=64)
    stride: float | tuple[float, float] = option(
        "Take every N-th frame of the video. Of a range, a number is drawn for each clip; clean clips and views have"
        " its middle.",
        type=parse_stride,
        default=1,
        metavar="N|LOW-HIGH",
    )
    fps: float | None = option("Frames per second to resample to, instead of --stride.")
    size: int = option("Height and width of a clip in pixels.", default=160)
    crop: tuple[float, float] = option(
        "Side of the square cut out at random, as a share of the video's short side.  [default: 2/3 to 5/6]",
        default=(2 / 3, 5 / 6),
        metavar="LOW HIGH",
    )
    flip: float = option("Chance of a left-right flip.", default=0.5)
    short: Literal["repeat", "loop", "stretch"] = option(
        "What a video shorter than the clip does: repeat its last frame, loop, or run slower.", default="repeat"
    )

    def spec(self) -> ClipSpec:
        """Return it. Raises VidaugError where a value makes no sense."""
        from vidaug_cli.data.sampling import ClipSpec

        return ClipSpec(**vars(self))


@dataclass(frozen=True)
class ScanOptions:
    """How the videos of INPUT are found."""

    layout: str | None = option(
        "How INPUT is laid out, where that is not seen by itself: folders, frames, ucf101, hmdb51, kinetics,"
        " vipriors2020, vipriors2021 or list; or which folders are the classes: CLASS, SPLIT/CLASS, '*/CLASS' ...",
        metavar="NAME|PATTERN",
        shell_complete=names.LAYOUTS,
    )
    split: int | None = option(
        "Number of the official split, where a folder INPUT has several.", type=click.IntRange(1), metavar="N"
    )
    lists: Path | None = option("Folder of the split lists, if they do not lie in INPUT.", type=FOLDER, metavar="DIR")
    root: Path | None = ROOT
    follow_links: str | None = option(
        "Follow links to folders, and all links that lead into DIR; without DIR those that stay in INPUT.",
        is_flag=False,
        flag_value="",
        metavar="[=DIR]",
    )
    classes: Path | None = CLASSES
    exclude: tuple[str, ...] = option(
        "Leave out the videos that fit, as in a .gitignore: 'test/', '*_flow.avi', '!kept.avi'; may be repeated.",
        metavar="PATTERN",
    )

    @property
    def finding(self) -> dict[str, Any]:
        """These options as `scan` and `read_input` take them."""
        links = Path(self.follow_links) if self.follow_links else self.follow_links is not None
        return {each.name: getattr(self, each.name) for each in fields(ScanOptions)} | {"follow_links": links}


@dataclass(frozen=True)
class InputOptions(ScanOptions):
    """Which videos of INPUT are worked on."""

    subset: str | None = SUBSET
    limit: int | None = option("Only this many videos, drawn by the seed.", type=click.IntRange(1))

    @property
    def given(self) -> list[str]:
        """The options that were typed, as the user writes them: a variable or a file is for other runs as well."""
        typed = given_options(click.get_current_context())
        return [typed[each.name] for each in fields(self) if each.name in typed]

    def videos(
        self,
        inputs: Sequence[str],
        output: Output,
        *,
        seed: int,
        workers: int,
        limits: Limits | None = None,
        cache: bool = True,
    ) -> tuple[list[Row], Input]:
        """Return the chosen videos, and all of INPUT; name the videos that cannot be used. Raises VidaugError."""
        from vidaug_cli.data.inputs import read_input
        from vidaug_cli.data.manifest import select

        how: dict[str, Any] = {"workers": workers, "limits": limits, "cache": cache, "progress": not output.quiet}
        everything = read_input(*inputs, **self.finding, **how)
        output.note(*everything.notes)
        output.note(*(f"left out: {printable(video.path)}: {video.reason}" for video in everything.quarantined))
        rows = select(everything.rows, subset=self.subset, limit=self.limit, seed=seed)
        splits = sorted({row.split for row in rows if row.split})
        if len(splits) > 1 and self.subset is None:
            output.note(f"{' and '.join(splits)} videos go in together; --subset {splits[-1]} takes only one split")
        return rows, everything

    def fill(
        self, plan: Plan, inputs: Sequence[str], output: Output, *, limits: Limits, workers: int = 0
    ) -> tuple[Plan, Sequence[Quarantined]]:
        """Return a plan with the videos of INPUT, and the videos that cannot be used.

        What is wrong with a plan is known before hours of scanning, so it is made without videos first. Raises
        VidaugError where a video could not be read this time: the plan of a rerun would be another one.
        """
        from vidaug_cli.data.listing.tree import ThisTime

        rows, everything = self.videos(inputs, output, seed=plan.seed, workers=workers, limits=limits)
        if this_time := [each for each in everything.quarantined if isinstance(each, ThisTime)]:
            others = f" ({len(this_time)} videos in all)" if len(this_time) > 1 else ""
            hint = "try the same command again, or do without: scan into a manifest, and give that"
            raise VideoError(this_time[0].reason + others, where=this_time[0].path, hint=hint, passing=True)
        plan = replace(plan, rows=tuple(rows), classes=everything.classes)
        if absent := len(plan.classes) - len(plan.present):
            what = f"{absent} of the {len(plan.classes)} classes have no video here"
            output.note(f"{what}; labels keep a place for each")
        return plan, everything.quarantined


@dataclass(frozen=True)
class LimitOptions:
    """What one video may cost."""

    time_limit: float = option(
        "CPU seconds that decoding a video may take.", type=click.FloatRange(0.01, 100_000), default=120
    )
    max_frames: int = option("Refuse a video with more frames.", type=click.IntRange(1, 2**31 - 1), default=200_000)
    max_pixels: int = option(
        "Refuse a video with more pixels in a frame.", type=click.IntRange(1, 2**30), default=8192 * 4320
    )

    def limits(self) -> Limits:
        """Return them."""
        from vidaug_cli.data.video.limits import Limits

        return Limits(seconds=self.time_limit, frames=self.max_frames, pixels=self.max_pixels)

    def engine(self, device: str, batch: int = 1) -> Engine:
        """Return what renders `batch` clips at a time. Raises VidaugError where the device is not there."""
        from vidaug_cli.augment.render import Engine
        from vidaug_cli.device import resolve_device

        return Engine(device=resolve_device(device), batch=batch, limits=self.limits())


@dataclass(frozen=True)
class NetworkOptions:
    """How a trained network is run."""

    device: str = DEVICE
    amp: Literal["auto", "bf16", "off"] = option(
        "Precision: bfloat16 where the device has it (auto) or always (bf16), or float32 (off).", default="auto"
    )
    batch_size: int = option("Clips in the network at a time; speed only.", type=click.IntRange(1), default=8)
    workers: int = WORKERS

    def predictor(self, checkpoint: Path, limits: LimitOptions | None = None) -> Predictor:
        """Return the network of a checkpoint, a file or a run, on its device. Raises VidaugError."""
        from vidaug_cli.data.video.limits import Limits
        from vidaug_cli.device import resolve_device
        from vidaug_cli.predict.predictor import read_predictor
        from vidaug_cli.workers import worker_count

        return read_predictor(
            checkpoint,
            device=resolve_device(self.device),
            amp=self.amp,
            batch=self.batch_size,
            workers=worker_count(self.workers),
            limits=limits.limits() if limits else Limits(),
        )


def processes(workers: int, output: Output) -> int:
    """Return how many processes -j asks for; 1 where this process can have no other, with a note that says why."""
    from vidaug_cli.workers import why_alone, worker_count

    count = worker_count(workers)
    if count > 1 and (reason := why_alone()):
        output.note(f"works in one process: {reason}")
        return 1
    return count


def read_scores(path: Path) -> Scores:
    """Return the scores in a file. Raises VidaugError with what it is, where it is something else."""
    from vidaug_cli.data.kinds import Kind, expect
    from vidaug_cli.scores.file import read_scores

    expect(path, Kind.SCORES)
    return read_scores(path)


def write_text(out: Path, text: str) -> None:
    """Write UTF-8 to stdout, to a pipe or device, or to a file, of which a part is never there. Raises VidaugError."""
    from vidaug_cli.files import write_text_atomically

    if out == STDOUT:
        click.echo(text.encode(), nl=False)
    elif out.exists() and not out.is_file():  # a pipe or /dev/null has no place to be renamed into
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as error:
            raise cannot_write(error, out) from error
    else:
        write_text_atomically(out, text)
