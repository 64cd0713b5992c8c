"""What is in the `result` that a command prints with --json: its type.

A type is a dataclass, a named tuple or a `TypedDict`; the comment beside a field says what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NotRequired, Required, TypedDict

from vidaug_cli.augment.inspect import Summary
from vidaug_cli.augment.merge import Merged
from vidaug_cli.augment.replay import Replayed
from vidaug_cli.augment.run import Estimate, Report
from vidaug_cli.augment.status import Status
from vidaug_cli.augment.verify import Fault
from vidaug_cli.bench.measure import Figure
from vidaug_cli.commands.json_schema import Schema, either, object_schema, schema_of
from vidaug_cli.data.listing.tree import Quarantined
from vidaug_cli.data.scan_summary import ScanSummary
from vidaug_cli.doctor import Finding
from vidaug_cli.export.run import Exported
from vidaug_cli.predict.cam import Localisation
from vidaug_cli.scores.compare import ComparedRow
from vidaug_cli.scores.evaluation import WorstClass
from vidaug_cli.scores.file import Failed
from vidaug_cli.scores.statistics import Interval
from vidaug_cli.scores.verdict import Verdict
from vidaug_cli.sweep.halving import Rung
from vidaug_cli.train.estimate import RunEstimate
from vidaug_cli.train.record import RunSummary


class Written(TypedDict):
    """Files that were written."""

    wrote: list[Path]


class Sample(TypedDict):
    """Videos to try everything with."""

    folder: Path
    videos: int
    classes: list[str]


class Made(TypedDict):
    """What a run of `augment` made."""

    made: list[Report]  # the folder; with --extend its parts
    quarantined: list[Quarantined]  # videos that cannot be used


class Planned(TypedDict):
    """What a run of `augment` would make."""

    planned: list[Estimate]  # of the folder; with --extend of its parts


class Statuses(TypedDict):
    """How far a folder is."""

    folders: list[Status]  # the folder, and the parts that it was extended by


class Verified(TypedDict):
    """What is wrong with a folder: nothing, where there are no faults."""

    shards: int
    faults: list[Fault]


class Compared(TypedDict):
    """How clips compare with themselves rendered again."""

    clips: list[Replayed]


class Trained(TypedDict):
    """A run."""

    run: Path
    epochs: int  # that are done
    metrics: dict[str, float | None]  # of the last epoch, by name


class Rates(TypedDict, total=False):
    """Shares of the videos; with fewer than five classes the second rank is their number."""

    top1: float
    top2: float
    top3: float
    top4: float
    top5: float
    mean_class_top1: float  # mean over the classes of the share of each
    mean_class_top2: float
    mean_class_top3: float
    mean_class_top4: float
    mean_class_top5: float


class Baseline(TypedDict):
    """What is reached without looking at a pixel."""

    training_rows: int
    shared: int  # scored videos that were trained on
    majority_class: str
    majority: Rates  # by always naming that class
    nearest: NotRequired[Rates]  # by the training video nearest in length and size


class Disturbed(TypedDict):
    """What is left on disturbed videos."""

    table: str  # version of the disturbances
    clean_top1: float
    top1: dict[str, float]  # by disturbance
    kept: dict[str, float]  # the share of `clean_top1`, by disturbance
    mean_top1: dict[str, float]  # by kind, or kind and course
    mean_kept: dict[str, Interval | None]  # by course, and the gap between the two


class Evaluated(Rates, total=False):
    """What scores are worth."""

    videos: Required[int]  # with a label
    failed: Required[int]  # of them: they count as wrong
    unlabelled: Required[int]  # besides, left out
    top1_standard_error: Required[float]
    worst: Required[list[WorstClass]]
    verdict: Required[Verdict]
    baselines: Baseline  # with --train
    robustness: Disturbed  # where scores of disturbed videos are there


class Scored(Rates):
    """What a submission is worth."""

    videos: Required[int]
    missing: Required[int]  # videos without a line, which count as wrong


class Predicted(TypedDict):
    """What was scored."""

    wrote: Path
    videos: int  # with scores
    views: int  # of each
    clips: int  # that went through the network
    seconds: float
    top1: float | None  # null without labels
    notes: list[str]
    disturbances: NotRequired[list[str]]
    failures: list[Failed]


class Ensembled(TypedDict):
    """A mean of scores."""

    wrote: Path
    files: int  # that it is the mean of
    videos: int  # with scores
    failures: list[Failed]


class Submitted(TypedDict):
    """A submission."""

    wrote: Path
    videos: int  # with a line
    failures: list[Failed]  # without one: they will count as wrong


class Activation(TypedDict):
    """A class of a clip, in truth and as the network sees it."""

    clip: int
    label: str
    softmax: float
    predicted: dict[str, float]  # the first answers of the network
    videos: list[str]  # with this class
    others: list[str]  # without it
    correlation: float | None  # null where the weights stay the same
    weights: list[float]  # true share of the class in each frame
    activation: list[float]  # for each frame


class Seen(TypedDict, total=False):
    """What a network sees."""

    wrote: list[Path]
    classes: list[Activation]  # with --clip
    localisation: Localisation  # with --measure


class Comparison(TypedDict):
    """Runs beside a baseline."""

    baseline: str  # name of its row
    interval: str  # what intervals are
    test: str  # what p is
    rows: list[ComparedRow]
    notes: list[str]  # what to know before believing it


class Best(TypedDict):
    """The best configuration of a sweep."""

    values: dict[str, Any]  # by what was varied
    settings: dict[str, Any]
    recipe: Path


class Swept(Comparison):
    """What a sweep came to."""

    best: Best
    schedule: list[Rung]
    failed: dict[str, str]  # why, by run


class ToSweep(TypedDict):
    """What a sweep would do."""

    runs: list[str]
    schedule: list[str]
    seconds: float  # about


class Benched(TypedDict):
    """Where the time goes."""

    machine: dict[str, Any]
    clips: dict[str, Any]
    figures: list[Figure]
    stages: dict[str, float]  # milliseconds a clip
    verdict: str  # what limits
    notes: list[str]


class Measured(TypedDict):
    """What a recipe was measured to do."""

    on: str
    found: str


class Row(TypedDict):
    """A recipe."""

    name: str
    summary: str
    reference: str
    measured: Measured | None
    caution: dict[str, Any] | None  # when it hurts


class Recipes(TypedDict):
    """The recipes that ship."""

    recipes: list[Row]


class About(Row):
    """All that is known of a recipe."""

    recipe: str  # its TOML


class Shown(TypedDict):
    """The text of a recipe."""

    name: str
    recipe: str  # its TOML


class Checked(TypedDict):
    """What is wrong with recipes: nothing, where there are no faults."""

    good: list[str]
    faults: list[str]


class Explained(TypedDict):
    """What a recipe does."""

    recipe: str
    summary: str
    words: list[str]
    preview: str  # the command that draws it


class Meaning(TypedDict):
    """What the code of an error means."""

    code: str
    title: str
    means: str
    why: list[str]
    do: list[str]
    example: str  # of the error


class Described(TypedDict):
    """What --json prints."""

    schema: dict[str, Any]  # a JSON Schema


class Examined(TypedDict):
    """Whether a machine can do the work."""

    works: bool
    findings: list[Finding]


class OptionValue(TypedDict):
    """The value of an option where nothing is typed."""

    command: str  # as its table in the file is called: augment, config.show
    option: str  # as it is typed, without the --
    value: Any  # null where there is none
    origin: str  # a variable, `FILE: [TABLE] KEY`, default, or required: it has to be given


class OptionValues(TypedDict):
    """Options, and where their values are from."""

    options: list[OptionValue]


class Template(TypedDict):
    """A file for --config."""

    toml: str  # with every line commented out but the names of tables


class Script(TypedDict):
    """What completes words."""

    shell: str
    script: str


class Demo(TypedDict):
    """What the demo left."""

    folder: Path
    report: Path  # the page
    commands: list[str]  # that made it


class Error(TypedDict):
    """What ended the run."""

    code: str  # stable: see docs/errors.md
    message: str
    hint: str  # what to try; may be empty


# What each command prints; where there are several, the options say which.
RESULTS: dict[str, tuple[Any, ...]] = {
    "scan": (ScanSummary,),
    "inspect": (Summary, RunSummary),
    "preview": (Written,),
    "report": (Written,),
    "recipes": (Recipes,),
    "recipes NAME": (About,),
    "recipes show": (Shown,),
    "recipes check": (Checked,),
    "explain": (Explained, Meaning, Described),
    "augment": (Made, Planned),
    "status": (Statuses,),
    "merge": (Merged,),
    "verify": (Verified,),
    "replay": (Compared,),
    "export": (Exported,),
    "train": (Trained, RunEstimate),
    "sweep": (Swept, ToSweep),
    "cam": (Seen,),
    "predict": (Predicted,),
    "evaluate": (Evaluated,),
    "compare": (Comparison,),
    "ensemble": (Ensembled,),
    "submit": (Submitted,),
    "score": (Scored,),
    "demo": (Demo,),
    "sample": (Sample,),
    "bench": (Benched,),
    "doctor": (Examined,),
    "config": (OptionValues,),
    "config show": (OptionValues,),
    "config template": (Template,),
    "completion": (Script,),
}


def schema() -> Schema:
    """Return a JSON Schema, draft 7, of what --json prints: the envelope of each command, or that of an error."""
    definitions: Schema = {}
    envelopes = []
    for command, kinds in RESULTS.items():
        result = either([schema_of(kind, definitions) for kind in kinds])
        parts = {"vidaug": _VERSION, "command": {"const": command}, "result": result, "next": _NEXT}
        envelopes.append(object_schema(parts, f"What 'vidaug {command}' prints."))
    failed = {"vidaug": _VERSION, "command": {"type": "string"}, "error": schema_of(Error, definitions)}
    envelopes.append(object_schema(failed, "What a command prints that fails."))
    return {"$schema": "http://json-schema.org/draft-07/schema#", "anyOf": envelopes, "definitions": definitions}


_VERSION = {"type": "string", "description": "version of the program"}
_NEXT = {"type": ["string", "null"], "description": "a command that makes sense after this one"}
