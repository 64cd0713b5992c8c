"""Recipes: what ships, what is refused and how, overrides, combining, ops of other packages."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.errors import RecipeError
from vidaug_cli.ops.clips import Clips, Shape
from vidaug_cli.ops.mix import ALIASES, CUTOUTS, MIXES, CutMix, FadeMixUp
from vidaug_cli.ops.randaugment import RANDAUGMENT
from vidaug_cli.recipe import registry
from vidaug_cli.recipe.batch import augment_batch
from vidaug_cli.recipe.loading import load_recipe, parse_recipe, read_recipe, shipped_recipes
from vidaug_cli.recipe.recipe import AugmentStep, MixMember, Recipe
from vidaug_cli.rng import Step, generator
from vidaug_cli.words import same_but_for_spelling

SHAPE = Shape(6, 16, 16)


def streams(clip: int) -> Callable[[int], np.random.Generator]:
    """The generators of a clip's augment ops."""
    return lambda place: generator(0, 0, clip, Step.AUGMENT + place)


def faults_of(text: str) -> list[str]:
    with pytest.raises(RecipeError) as error:
        parse_recipe(text, "my.toml")
    return str(error.value).splitlines()


def test_the_recipes_of_the_paper_ship() -> None:
    paper = {"none", "randaugment", "randaugment_t", "randaugment_temporal", "randaugment_mix", "randaugment_fixed"}
    small = {"randaugment_small", "randaugment_t_small", "framecutmix_small", "vipriors2020_small"}
    assert paper | set(MIXES) | set(CUTOUTS) | {"vipriors2020"} | small == set(shipped_recipes())


@pytest.mark.parametrize("name", [*shipped_recipes(), *ALIASES])
def test_every_shipped_recipe_loads_and_renders(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.summary
    video = torch.randint(0, 256, (2, *SHAPE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    draws = [recipe.draw_augment(streams(clip), SHAPE) for clip in (0, 1)]
    out = recipe.apply_augment(video, json.loads(json.dumps(draws)))
    assert out.shape == video.shape
    mixed = any(recipe.draw_mix(generator(0, 0, clip, Step.MIX), SHAPE) for clip in range(16))
    assert mixed == bool(recipe.mix)


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_stored_text_is_the_same_recipe(name: str) -> None:
    recipe = load_recipe(name)
    again = parse_recipe(recipe.text, "stored")
    assert again == recipe
    assert again.text == recipe.text


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)  # any, but for halves of surrogate pairs
STEPS = st.lists(st.tuples(st.sampled_from(sorted({*RANDAUGMENT, *CUTOUTS} - {"ramp"})), st.floats(0, 1)))
MEMBERS = st.lists(st.tuples(st.sampled_from(sorted(MIXES)), st.floats(1e-9, 1e6)))


@settings(max_examples=50, deadline=None)
@given(TEXT, TEXT, TEXT, STEPS, MEMBERS, st.floats(0, 1))
def test_any_recipe_is_read_back_from_its_text(
    name: str, summary: str, reference: str, steps: list[tuple[str, float]], mixes: list[tuple[str, float]], p: float
) -> None:
    augment = tuple(AugmentStep(op, {**RANDAUGMENT, **CUTOUTS}[op](), chance) for op, chance in steps)
    mix = tuple(MixMember(op, MIXES[op](), weight) for op, weight in mixes)
    recipe = Recipe(name, summary, reference, augment, mix, p if mix else 1.0)
    assert parse_recipe(recipe.text, "stored") == recipe


def test_a_value_that_is_none_is_left_out_of_the_text() -> None:
    @dataclass(frozen=True)
    class Odd:
        some: int | None = None
        fields: tuple[tuple[int, float], ...] = ((1, 2.5),)

    table = tomllib.loads(Recipe("odd", "", "", (AugmentStep("odd", Odd(), 1.0),), (), 1.0).text)  # type: ignore[arg-type]
    assert table["augment"] == [{"op": "odd", "p": 1.0, "fields": [[1, 2.5]]}]


def test_an_alias_is_the_recipe_it_names() -> None:
    assert read_recipe("framemix") == read_recipe("framecutmix")


SPELLINGS = {
    "FadeMixUp": "fademixup",
    "CutMix": "cutmix",
    "Cube-CutMix": "cubecutmix",
    "RandAugment": "randaugment",
    "RandAugmentT": "randaugment_t",
    "RandAugment-T": "randaugment_t",
    "VIPriors 2020": "vipriors2020",
    "FrameMixUp": "framemixup",
    "NONE": "none",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_recipes_are_known_as_papers_spell_them(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_recipe(name) == read_recipe(SPELLINGS[name])
    assert load_recipe(name) == load_recipe(SPELLINGS[name])  # its stored text, and so the plan, is the same
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text('summary = "a file of this very name"')
    mine = read_recipe(name) == 'summary = "a file of this very name"'
    assert mine == (name not in ("none",))


@pytest.mark.parametrize("op", ["FadeMixUp", "Frame-MixUp", "RandAugmentT", "RandAugment-T", "FrameCutout"])
def test_ops_are_known_as_papers_spell_them(op: str) -> None:
    known = same_but_for_spelling(op, [*RANDAUGMENT, *CUTOUTS, *MIXES, *ALIASES])
    kind = "mix" if "Mix" in op else "augment"
    texts = [f"[[{kind}]]\nop = '{name}'\n" for name in (op, known)]
    assert parse_recipe(texts[0], "a") == parse_recipe(texts[1], "a")
    assert known != op


def test_overrides_know_ops_as_papers_spell_them() -> None:
    assert load_recipe("fademixup", overrides=["FadeMixUp.beta = 0.4"]).mix[0].op == FadeMixUp(beta=0.4)
    assert vars(load_recipe("randaugment_t", overrides=["RandAugment-T.m=3"]).augment[0].op)["m"] == 3


def test_an_unknown_key_hides_no_wrong_value() -> None:
    found = faults_of("""
        [[augment]]
        op = "randaugment_t"
        M = 5
        m = 99
        variant = "foo"
    """)
    assert [fault.partition("(randaugment_t): ")[2].partition(" ")[0] for fault in found] == ["M:", "variant:", "m"]
    assert found[2].endswith("m = 99 should be 0 to 30")


def test_faults_at_the_top_hide_none_of_the_ops() -> None:
    found = faults_of("""
        sumary = "wrong"
        reference = 3
        mix_p = 2
        augment = 7
        [[mix]]
        op = "cutmix"
        beta = -1
        [[mix]]
        op = "FadMixUp"
    """)
    assert found == [
        "my.toml: sumary: unknown key; did you mean 'summary'?",
        "my.toml: reference: 3 should be a string",
        "my.toml: augment: 7 should be a list",
        "my.toml: mix_p: 2 should be a chance, 0 to 1",
        "my.toml: mix.0 (cutmix): beta = -1 should be a number above 0",
        "my.toml: mix.1.op: no op 'FadMixUp'; did you mean 'fademixup'?",
    ]


def test_faults_of_several_recipes_and_overrides_come_at_once(tmp_path: Path) -> None:
    half, wrong = tmp_path / "half.toml", tmp_path / "wrong.toml"
    half.write_text("mix_p = 0.5\n[[mix]]\nop = 'mixup'\n")
    wrong.write_text("colour = 1\n[[augment]]\nop = 'cutout'\nT = 2\n")
    with pytest.raises(RecipeError) as error:
        load_recipe(str(half), str(wrong), "cutmix", overrides=["cutmix.box=round", "zoom.by=2", "mix_p"])
    assert [line.replace(f"{tmp_path}/", "") for line in str(error.value).splitlines()] == [
        "wrong.toml: colour: unknown key",
        "the recipes have different mix_p, 0.5 and 1: put them into one file with one mix_p",
        "--set zoom.by: the recipe has no such place (it has mix_p, augment.0, mix.0, mix.1, cutout, mixup, cutmix)",
        "--set mix_p: should be KEY=VALUE, such as fademixup.beta=0.4",
        "half.toml + wrong.toml + cutmix: augment.0 (cutout): T: unknown key; did you mean 't'?",
        "half.toml + wrong.toml + cutmix: mix.1 (cutmix): box: 'round' should be 'clip' or 'inside'",
    ]
    with pytest.raises(RecipeError) as error:
        load_recipe("fadmixup", str(tmp_path / "gone.toml"), "mixup")
    assert len(str(error.value).splitlines()) == 2


def test_all_faults_at_once_each_with_its_place_and_a_way_out() -> None:
    found = faults_of("""
        summary = "wrong"
        [[augment]]
        op = "randaugmnt_t"
        [[augment]]
        op = "randaugment_t"
        tabel = "official"
        n = 2.5
        [[mix]]
        op = "cutmix"
        beta = -1
        weight = -2
        [[mix]]
        op = "cutout"
    """)
    assert found == [
        "my.toml: augment.0.op: no op 'randaugmnt_t'; did you mean 'randaugment_t'?",
        "my.toml: augment.1 (randaugment_t): tabel: unknown key; did you mean 'table'?",
        "my.toml: augment.1 (randaugment_t): n: 2.5 should be a whole number",
        "my.toml: mix.0.weight: -2 should be 0 to 1e+06",
        "my.toml: mix.0 (cutmix): beta = -1 should be a number above 0",
        "my.toml: mix.1.op: no op 'cutout'; cutout stands under [[augment]]",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("augment.0.op = 'cutout'", "augment: should be one or more tables [[augment]]"),
        ("[mix]\nop = 'mixup'", "mix: should be one or more tables [[mix]]"),
        ("[[augment]]\nop = 'randaugment_t'\nM = 3", "augment.0 (randaugment_t): M: unknown key; did you mean 'm'?"),
        ("[[augment]]\nop = 'cutout'\nP = 0.5", "augment.0 (cutout): P: unknown key; did you mean 'p'?"),
        ("[[mix]]\nop = 'mixup'\nm1 = 3", "mix.0 (mixup): m1: unknown key; randaugment_t has it"),
        ("[[augment]]\nop = 3", "augment.0.op: 3 should be a string"),
        (
            "[[augment]]\nop = 'randaugment_t'\nvariant = 'Temporal-Plus'",
            "augment.0 (randaugment_t): variant: 'Temporal-Plus' should be 'spatial', 'temporal_plus', 'temporal', "
            "'mix' or 'fixed'; did you mean 'temporal_plus'?",
        ),
        ("mix = 3", "mix: 3 should be a list"),
        ("mix = [3]", "mix: should be one or more tables [[mix]]"),
        ("mixp = 1", "mixp: unknown key; did you mean 'mix_p'?"),
        ("mix_p = 2\n[[mix]]\nop = 'mixup'", "mix_p: 2 should be a chance, 0 to 1"),
        ("mix_p = nan\n[[mix]]\nop = 'mixup'", "mix_p: nan should be a number"),
        ("mix_p = 0.5", "mix_p: is the chance of [[mix]], and there is none"),
        ("[[mix]]\nop = 'zoom'", "mix.0.op: no op 'zoom'; is the package that offers it installed?"),
        ("summary = 3", "summary: 3 should be a string"),
        ("[[mix]]\nop = 'mixup'\nweight = 0", "mix: every weight is 0"),
        ("[[augment]]", "augment.0.op: is missing"),
        ("[[augment]]\nop = 'ramp'", "augment.0 (ramp): name: is missing"),
        ("[[augment]]\nop = 'cutout'\np = 'often'", "augment.0.p: 'often' should be a number"),
        ("[[augment]]\nop = 'cutout'\nfill = true", "augment.0 (cutout): fill: True should be a whole number"),
    ],
)
def test_single_faults(text: str, fault: str) -> None:
    assert faults_of(text) == [f"my.toml: {fault}"]


def test_broken_toml_says_where() -> None:
    assert faults_of("mix = [")[0].startswith("my.toml: is not TOML: ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a = " + "[" * 100_000, "my.toml: is nested too deeply"),
        ("name" + ".a" * 20_000 + " = 1", "my.toml: name: {'a': {'a': "),
        ("[[augment]]\nop" + ".a" * 20_000 + " = 1", "my.toml: augment.0.op: {'a': "),
        ("[[augment]]\nop = 'cutout'\np" + ".a" * 20_000 + " = 1", "my.toml: augment.0.p: {'a': "),
        ("mix_p = 0x" + "f" * 9999 + "\n[[mix]]\nop = 'mixup'", "my.toml: mix_p: a number of thousands of digits"),
        ("name = " + "9" * 5000, "my.toml: is not TOML: "),
        ("[[augment]]\nop = '" + "x" * 500_000 + "'", "my.toml: augment.0.op: no op 'xxxx"),
        ("x" * 500_000 + " = 1", "my.toml: xxxx"),
    ],
    ids=range(8),
)
def test_deep_long_and_huge_recipes_are_told_shortly(text: str, fault: str) -> None:
    (found,) = faults_of(text)
    assert found.startswith(fault)
    assert len(found) < 1000


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="no recipe 'fademix'; did you mean 'fademixup'"):
        load_recipe("fademix")


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    binary = tmp_path / "video.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not text in UTF-8"):
        load_recipe(str(binary))
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe(str(tmp_path / "gone.toml"))


def test_overrides() -> None:
    recipe = load_recipe("randaugment_t", "fademixup", overrides=["augment.0.m=7", "fademixup.beta=0.4", "mix_p=0.5"])
    assert vars(recipe.augment[0].op)["m"] == 7
    assert vars(recipe.mix[0].op)["beta"] == 0.4
    assert recipe.mix_p == 0.5
    assert load_recipe("cutmix", overrides=["mix.0.box=inside"]).mix[0].op == CutMix(box="inside")


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("augment.0.m", "--set augment.0.m: should be KEY=VALUE, such as fademixup.beta=0.4"),
        ("augment.3.m=7", "--set augment.3.m: the recipe has no such place; did you mean 'augment.0'?"),
        ("fadmixup.beta=1", "--set fadmixup.beta: the recipe has no such place; did you mean 'fademixup'?"),
        ("fademixup.bta=1", "fademixup): bta: unknown key; did you mean 'beta'?"),
        ("mix_p=7", "--set mix_p: 7 should be a chance, 0 to 1"),
        (
            "randaugment_fixed.m1=3",
            "--set randaugment_fixed.m1: the recipe has no such place; did you mean 'randaugment_t'? (it has mix_p, "
            "augment.0, mix.0, randaugment_t, fademixup); m1 is a key of randaugment_t: try randaugment_t.m1",
        ),
        ("cutout.h=1", "(it has mix_p, augment.0, mix.0, randaugment_t, fademixup); h is a key of cutout and "),
        ("beta=1", "; beta is a key of fademixup: try fademixup.beta"),
        ("fademixup.Beta=1", "fademixup): Beta: unknown key; did you mean 'beta'?"),
        ("fademixup.m1=1", "fademixup): m1: unknown key; randaugment_t has it"),
        ("augment.².m=1", "--set augment.².m=1: should be KEY=VALUE"),
        ("augment.\u0660.m=1", "--set augment.\u0660.m=1: should be KEY=VALUE"),
        ("augment.1.m=1", "--set augment.1.m: the recipe has no such place; did you mean 'augment.0'?"),
        (f"augment.{'9' * 5000}.m=1", "the recipe has no such place"),
        ("mix_p.x=1", "--set mix_p.x: the recipe has no such place"),
        ("fademixup.beta.x=1", "--set fademixup.beta.x: the recipe has no such place"),
        ("fademixup=3", "--set fademixup: the recipe has no such place"),
        ("=3", "--set =3: should be KEY=VALUE"),
        ("fademixup.beta={}", "fademixup): beta: '{}' should be a number"),
        ("fademixup.beta=1\nmix_p=0", "fademixup): beta: '1\\nmix_p=0' should be a number"),
        ("fademixup.beta=" + "[" * 10_000, "fademixup): beta: '[[["),
        ("fademixup.beta=0x" + "f" * 5000, "fademixup): beta: a number of thousands of digits should be a number"),
        ("fademixup.beta=" + "9" * 400, "fademixup): beta: 99999999"),
    ],
)
def test_wrong_overrides(override: str, fault: str) -> None:
    with pytest.raises(RecipeError) as error:
        load_recipe("randaugment_t", "fademixup", overrides=[override])
    assert fault in str(error.value)


def test_combined_recipes_run_in_order_and_pool_their_mixes() -> None:
    recipe = load_recipe("randaugment_t", "cutout", "cutmix", "mixup")
    assert recipe.name == "randaugment_t+cutout+cutmix+mixup"
    assert [step.name for step in recipe.augment] == ["randaugment_t", "cutout"]
    assert [member.name for member in recipe.mix] == ["cutmix", "mixup"]


def test_recipes_that_disagree_on_mix_p_are_refused(tmp_path: Path) -> None:
    half = tmp_path / "half.toml"
    half.write_text("mix_p = 0.5\n[[mix]]\nop = 'mixup'\n")
    with pytest.raises(RecipeError, match=r"different mix_p, 0\.5 and 1: put them into one file"):
        load_recipe(str(half), "cutmix")


def test_chances_and_weights_are_kept() -> None:
    text = (
        "mix_p = 0.5\n[[augment]]\nop = 'cutout'\np = 0.25\n[[mix]]\nop = 'mixup'\nweight = 3\n[[mix]]\nop = 'cutmix'\n"
    )
    recipe = parse_recipe(text, "chances")
    mixes = [recipe.draw_mix(generator(0, 0, clip, Step.MIX), SHAPE) for clip in range(4000)]
    names = [drawn[0] for drawn in mixes if drawn]
    assert len(names) / 4000 == pytest.approx(0.5, abs=0.03)
    assert names.count("mixup") / len(names) == pytest.approx(0.75, abs=0.03)
    cut = [recipe.draw_augment(streams(clip), SHAPE)[0] for clip in range(4000)]
    assert np.mean([draw is not None for draw in cut]) == pytest.approx(0.25, abs=0.03)
    video = torch.full((2, *SHAPE, 3), 7, dtype=torch.uint8)
    out = recipe.apply_augment(video, [[None], [next(draw for draw in cut if draw)]])
    assert out[0].unique().tolist() == [7]
    assert out[1].unique().tolist() == [7, 128]
    assert video.unique().tolist() == [7]


BOX = {"beta": 9.0, "box": "inside"}
MIXED_BOX = BOX | {"mixup_beta": 9.0, "mixup_p": 0.0, "blend": "inside"}
HOLE = {"t": 0.4, "h": 0.7, "w": 0.7, "fill": 200}
SAMPLED = {"interpolation": "bilinear", "fill": [255, 0, 0]}
TABLE = {"n": 3, "m": 12, "variant": "temporal", "range": 0.5, "table": "monotone", "ops": ["rotate", "solarize"]}
FIXED = {"variant": "fixed", "m1": 2, "m2": 9}

# Kind and name of an op, the settings to start from, and for each key another value.
CHANGED: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("augment", "randaugment_t", {}, TABLE | SAMPLED | {"p": 0.5}),
    ("augment", "randaugment_t", FIXED, {"m1": 3, "m2": 12}),
    ("augment", "ramp", {"name": "translate_x", "first": 0.1, "last": 0.3}, {"name": "translate_y"}),
    ("augment", "ramp", {"name": "translate_x", "first": 0.1, "last": 0.3}, {"first": 0.2, "last": 0.2} | SAMPLED),
    ("augment", "cutout", {}, HOLE),
    ("augment", "framecutout", {}, HOLE),
    ("augment", "cubecutout", {}, HOLE),
    *[("mix", name, {}, BOX) for name in ("cutmix", "framecutmix", "cubecutmix")],
    *[("mix", name, {}, {"beta": 9.0}) for name in ("mixup", "fademixup")],
    *[("mix", name, {}, MIXED_BOX) for name in ("cutmixup", "framecutmixup", "cubecutmixup")],
]


def test_every_key_of_every_op_is_tried() -> None:
    tried: dict[str, set[str]] = {}
    for _, name, _, changes in CHANGED:
        tried.setdefault(name, set()).update(set(changes) - {"p"})
    ours: dict[str, Any] = {**RANDAUGMENT, **CUTOUTS, **MIXES}
    assert tried == {name: {field.name for field in fields(op)} for name, op in ours.items()}


@pytest.mark.parametrize(
    ("kind", "name", "base", "key", "value"),
    [(kind, name, base, key, value) for kind, name, base, changes in CHANGED for key, value in changes.items()],
)
def test_every_key_changes_the_clips(kind: str, name: str, base: dict[str, Any], key: str, value: Any) -> None:
    rng = np.random.default_rng(1)
    video = torch.from_numpy(rng.integers(0, 256, (16, *SHAPE, 3), np.uint8))
    clips = Clips(video, torch.eye(16), torch.ones(16, SHAPE.t))

    def result(settings: dict[str, Any]) -> torch.Tensor:
        lines = [f"{key} = {json.dumps(value)}" for key, value in {"op": name, **settings}.items()]
        recipe = parse_recipe("\n".join([f"[[{kind}]]", *lines]), "changed.toml")
        return augment_batch(recipe, clips, seed=3, epoch=0, first_clip=0).video

    assert torch.equal(result(base), result(base))
    assert not torch.equal(result(base), result(base | {key: value}))


PACKAGE = """
from dataclasses import dataclass
from vidaug_cli import Blend, ClipOp, Mix

@dataclass(frozen=True, kw_only=True)
class Darken(ClipOp):
    by: int = 2

    def draw(self, rng, shape):
        return {"by": self.by}

    def apply(self, video, draws):
        return video // draws[0]["by"]

@dataclass(frozen=True, kw_only=True)
class Half(Mix):
    def draw(self, rng, shape):
        return Blend(0.5, 0.5)
"""


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that offers two ops, installed as pip would leave it."""
    (tmp_path / "darkness.py").write_text(PACKAGE)
    info = tmp_path / "darkness-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: darkness\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vidaug.ops]\ndarken = darkness:Darken\nhalf = darkness:Half\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.ops_of.cache_clear()
    yield "[[augment]]\nop = 'darken'\nby = 4\n[[mix]]\nop = 'half'\n"
    monkeypatch.undo()
    registry.ops_of.cache_clear()
    sys.modules.pop("darkness", None)


def test_ops_of_other_packages(other_package: str) -> None:
    assert {entry.name for entry in metadata.entry_points(group="vidaug.ops")} >= {"darken", "half"}
    recipe = parse_recipe(other_package, "dark.toml")
    video = torch.full((1, *SHAPE, 3), 100, dtype=torch.uint8)
    assert recipe.apply_augment(video, [[{"by": 4}]]).unique().tolist() == [25]
    drawn = recipe.draw_mix(generator(0, 0, 0, Step.MIX), SHAPE)
    assert drawn is not None
    name, blend = drawn
    assert (name, blend.first) == ("half", 0.5)
    assert "by = 4" in recipe.text


def test_a_package_whose_op_cannot_be_loaded_is_named(other_package: str, tmp_path: Path) -> None:
    (tmp_path / "darkness.py").write_text("raise ImportError('no light')")
    registry.ops_of.cache_clear()
    with pytest.raises(RecipeError, match="darkness:Darken: op 'darken' cannot be loaded: no light"):
        parse_recipe(other_package, "dark.toml")
