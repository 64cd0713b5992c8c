"""`docs/recipes.md` held against the code: every op, key, default, range, formula's input and example."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from console import vidaug

from vidaug_cli.augment.plan import Plan, Slot
from vidaug_cli.augment.render import draw_mixture
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.errors import RecipeError
from vidaug_cli.main import cli
from vidaug_cli.ops.clips import Clips
from vidaug_cli.ops.frame_ops import OPS, Scale
from vidaug_cli.ops.mix import ALIASES, CUTOUTS, MIXES
from vidaug_cli.ops.randaugment import RANDAUGMENT
from vidaug_cli.recipe import loading, registry
from vidaug_cli.recipe.batch import augment_batch
from vidaug_cli.recipe.loading import load_recipe, parse_recipe, shipped_recipes
from vidaug_cli.schema import as_tuples

DOCS = Path(__file__).parents[1] / "docs"
TEXT = (DOCS / "recipes.md").read_text("utf-8")
LOOP, OWN_OP = ((DOCS / f"guides/{name}.md").read_text("utf-8") for name in ("training-loop", "own-op"))
AUGMENTS: dict[str, type[Any]] = {**RANDAUGMENT, **CUTOUTS}
CODE = re.compile(r"`([^`]*)`")


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    return re.split(r"^#+ ", TEXT.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first`."""
    lines = iter(text.splitlines())
    next(line for line in lines if line.startswith(f"| {first} |"))
    next(lines)
    rows: list[list[str]] = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def documented_keys() -> Iterator[tuple[str, str, str, str]]:
    """Op, key, default and values, as the document has them."""
    for heading in re.findall(r"^### (`.*)$", TEXT, re.MULTILINE):
        names = CODE.findall(heading)
        for key, default, values, _ in table(section(heading), "key"):
            defaults = CODE.findall(default) or [default]
            for name, one in zip(names, defaults if len(defaults) > 1 else defaults * len(names), strict=True):
                yield name, key.strip("`"), one, values


KEYS = list(documented_keys())
OURS = {**AUGMENTS, **MIXES}
# Other keys that a key needs beside it.
BESIDE = {"m1": {"variant": "fixed", "m2": 1}, "m2": {"variant": "fixed", "m1": 1}}


def accepts(name: str, settings: dict[str, Any]) -> bool:
    kind = "mix" if name in MIXES else "augment"
    lines = [f"{key} = {json.dumps(value)}" for key, value in {"op": name, **settings}.items()]
    try:
        parse_recipe("\n".join([f"[[{kind}]]", *lines]), "key.toml")
    except RecipeError:
        return False
    return True


def test_every_op_and_every_key_is_documented() -> None:
    documented: dict[str, list[str]] = {}
    for name, key, *_ in KEYS:
        documented.setdefault(name, []).append(key)
    assert {name: sorted(keys) for name, keys in documented.items()} == {
        name: sorted(field.name for field in fields(op)) for name, op in OURS.items()
    }


@pytest.mark.parametrize(("name", "key", "default"), [entry[:3] for entry in KEYS])
def test_defaults(name: str, key: str, default: str) -> None:
    (found,) = (field.default for field in fields(OURS[name]) if field.name == key)
    words = {"required": MISSING, "none": None}
    wanted = words[default] if default in words else as_tuples(tomllib.loads(f"value = {default}")["value"])
    assert found is wanted if default in words else found == wanted


@pytest.mark.parametrize(("name", "key", "values"), [(name, key, values) for name, key, _, values in KEYS])
def test_values(name: str, key: str, values: str) -> None:
    hint = get_type_hints(OURS[name])[key]
    beside = BESIDE.get(key, {}) | ({"name": "rotate"} if name == "ramp" else {})
    if get_origin(hint) is Literal:
        assert tuple(json.loads(code) for code in CODE.findall(values)) == get_args(hint)
    elif ends := re.match(r"(\d+) to (\d+)", values):
        low, high = map(int, ends.groups())
        assert accepts(name, {key: low, **beside})
        assert accepts(name, {key: high, **beside})
        assert not accepts(name, {key: low - 1, **beside})
        assert not accepts(name, {key: high + 1, **beside})
    elif values.startswith("above 0"):
        assert accepts(name, {key: 0.001})
        assert not accepts(name, {key: 0})
        assert accepts(name, {key: 1})
        assert accepts(name, {key: 1.001}) == ("up to 1" not in values)
    else:
        assert values in ("a frame op", "names of frame ops in the table", 'see "`ramp` takes" above', "likewise")


def scale(cell: str) -> Scale:
    """`± 0 to 0.3` or `1 ± 0 to 0.9` as a row of the code."""
    if cell == "no value":
        return Scale()
    base, signed, low, high = re.fullmatch(r"(?:(\d+) )?(± )?(\S+) to (\S+)", cell).groups()  # type: ignore[union-attr]
    return Scale(float(Fraction(low)), float(Fraction(high)), bool(signed), float(base or 0))


def test_the_table_of_frame_ops() -> None:
    rows = table(section("Frame ops"), "op")
    assert [row[0].strip("`") for row in rows] == list(OPS)
    for name, official, monotone, limits, value, _ in rows:
        op = OPS[name.strip("`")]
        written = {"official": scale(official)} | ({} if monotone == "absent" else {"monotone": scale(monotone)})
        assert op.scales == written
        assert op.limits == (tuple(map(float, limits.split(" to "))) if limits else (0, 0))
        assert bool(value) == bool(limits)


def test_the_keys_of_the_file() -> None:
    written = {key.strip("`"): where for key, where, *_ in table(section("The file"), "key")}
    assert {key for key, where in written.items() if where == "top"} == set(loading._TOP) - {"augment", "mix"}
    assert set(written) - set(loading._TOP) == {"op", *(key for key, _ in loading._SHARES.values())}


def test_recipes_that_ship() -> None:
    others = table(section("Recipes that ship"), "recipe")
    of_ops = [name for name in OURS if name != "ramp"]
    assert sorted([*of_ops, *(row[0].strip("`") for row in others)]) == list(shipped_recipes())
    for name in of_ops:
        recipe = load_recipe(name)
        (entry,) = recipe.augment + recipe.mix
        assert (entry.name, entry.op) == (name, OURS[name]())
    for name, what in others:
        keys = tomllib.loads("\n".join(code for code in CODE.findall(what) if "=" in code))
        recipe = load_recipe(name.strip("`"))
        ops = [entry.op for entry in recipe.augment]
        assert recipe.mix_p == keys.pop("mix_p", 1)
        assert ops == ([OURS["randaugment_t"](**keys)] if "`randaugment_t`" in what else [])
    for name in ("vipriors2020", "vipriors2020_small"):
        assert {member.name: member.weight for member in load_recipe(name).mix} == dict.fromkeys(MIXES, 1)


def test_mixes_and_their_other_names() -> None:
    words = CODE.findall(section("Mixes: `[[mix]]`"))
    assert set(MIXES) | set(ALIASES) <= set(words)
    assert dict(zip(words[-8:-4], words[-4:], strict=True)) == ALIASES


@pytest.fixture
def my_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The document's first recipe as my.toml in the current folder."""
    (tmp_path / "my.toml").write_text(blocks("toml")[0])
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("my_recipe")
@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_command_lines(line: str) -> None:
    program, command, *arguments = shlex.split(line, comments=True)
    assert program == "vidaug"
    if command == "recipes":
        assert vidaug(command, *arguments).code == 0
    else:
        asked = cli.commands[command].make_context(command, arguments)
        given = {option.opts[-1]: asked.params[str(option.name)] for option in asked.command.params}
        assert load_recipe(*given["--recipe"], overrides=given["--set"])


def test_set_changes_what_the_document_says() -> None:
    one, two = (shlex.split(line) for line in blocks("sh")[1].splitlines())
    pooled = load_recipe("randaugment_t", "cutmix", "mixup", overrides=[one[-1]])
    assert [(member.name, member.weight) for member in pooled.mix] == [("cutmix", 1), ("mixup", 3)]
    changed = load_recipe("vipriors2020", overrides=two[-5::2])
    assert (vars(changed.augment[0].op)["m"], changed.mix_p) == (9, 0.5)
    assert [vars(member.op)["beta"] for member in changed.mix if member.name == "fademixup"] == [0.4]


def test_draws_are_seeded_as_shown() -> None:
    (code,) = (code for code in blocks("python") if "default_rng" in code)
    shown: dict[str, Any] = {}
    exec(code, shown)
    size: dict[str, Any] = {"frames": 70, "fps": 30.0, "width": 64, "height": 48}
    rows = tuple(Row(path=f"{i}.mp4", root="/", label="a", codec="mpeg4", **size) for i in range(2))
    plan = Plan(rows=rows, recipe=shown["recipe"], spec=ClipSpec(), seed=shown["seed"], copies=3)
    assert draw_mixture(plan, Slot(shown["clip"], shown["copy"], 0)) == (shown["op"], shown["blend"])


def test_the_training_loop() -> None:
    (code,) = (code for code in blocks("python", LOOP) if "lightning" not in code)
    shown: dict[str, Any] = {}
    torch.manual_seed(0)
    exec(code, shown)
    assert shown["first_clip"] == len(shown["videos"])
    clips: Clips = shown["clips"]
    assert clips.target.sum(1) == pytest.approx(torch.ones(8), abs=1e-6)
    assert 0 < float(clips.weights.min()) < 1
    assert shown["loss"].isfinite()


def test_a_batch_draws_by_position_and_leaves_its_argument_alone() -> None:
    recipe = load_recipe("randaugment_t", "cutmix")
    video = torch.randint(0, 256, (6, 4, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    clips, before = Clips(video, torch.eye(6), torch.ones(6, 4)), video.clone()
    whole = augment_batch(recipe, clips, seed=1, epoch=0, first_clip=10)
    assert torch.equal(video, before)
    part = Clips(video[2:], torch.eye(6)[2:], torch.ones(4, 4))
    again = augment_batch(recipe, part, seed=1, epoch=0, first_clip=12)
    assert torch.equal(again.video[:3], whole.video[2:5])  # the fourth one's partner is another
    assert torch.equal(again.target[:3], whole.target[2:5])
    for other in ({"seed": 2}, {"epoch": 1}, {"first_clip": 11}):
        moved = augment_batch(recipe, clips, **{"seed": 1, "epoch": 0, "first_clip": 10} | other)
        assert not torch.equal(moved.video, whole.video)
    alone = Clips(video[:1], torch.eye(6)[:1], torch.ones(1, 4))
    assert augment_batch(recipe, alone, seed=1, epoch=0, first_clip=0).target.tolist() == torch.eye(6)[:1].tolist()


@pytest.fixture
def example_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The document's package, as pip would install it."""
    (module,) = blocks("python", OWN_OP)
    (project,) = (tomllib.loads(text) for text in blocks("toml", OWN_OP) if "[project]" in text)
    (tmp_path / "still.py").write_text(module)
    info = tmp_path / f"vidaug_still-{project['project']['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['project']['name']}\nVersion: 1.0\n")
    [(group, ops)] = project["project"]["entry-points"].items()
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *(f"{op} = {at}" for op, at in ops.items())]))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.ops_of.cache_clear()
    yield
    monkeypatch.undo()
    sys.modules.pop("still", None)
    registry.ops_of.cache_clear()


RECIPES = [text for text in blocks("toml") + blocks("toml", OWN_OP) if "[project]" not in text]


@pytest.mark.usefixtures("example_package")
@pytest.mark.parametrize("text", RECIPES)
def test_recipes_in_the_document(text: str) -> None:
    recipe = parse_recipe(text, "documented.toml")
    assert recipe.summary
    video = torch.randint(0, 256, (8, 8, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = augment_batch(recipe, Clips(video, torch.eye(8), torch.ones(8, 8)), seed=0, epoch=0, first_clip=0)
    assert not torch.equal(made.video, video)


@pytest.mark.usefixtures("example_package")
def test_ops_of_the_example_package() -> None:
    (text,) = (text for text in RECIPES if "still" in text)
    recipe = parse_recipe(text, "still.toml")
    video = torch.arange(8, dtype=torch.uint8).view(1, 8, 1, 1, 1).repeat(2, 1, 4, 4, 3)
    draws = [[{"start": 2, "stop": 6}], [{"start": 0, "stop": 1}]]
    stood = recipe.apply_augment(video, draws)
    assert stood[:, :, 0, 0, 0].tolist() == [[0, 1, 2, 2, 2, 2, 6, 7], [*range(8)]]
    assert video[0, :, 0, 0, 0].tolist() == [*range(8)]
    made = augment_batch(recipe, Clips(video, torch.eye(2), torch.ones(2, 8)), seed=0, epoch=0, first_clip=0)
    assert made.weights.unique().tolist() == [0, 1]
    assert torch.equal(made.weights, made.weights.sort(1, descending=True).values)
    assert made.target[0, 0] == made.weights[0].mean()
    with pytest.raises(RecipeError, match=r"augment.0 \(still\): share = 2.0 should be above 0 and up to 1"):
        parse_recipe(text.replace("0.5", "2.0"), "still.toml")
