"""`vidaug explain RECIPE`: words that follow from the recipe's settings."""

from __future__ import annotations

import pytest
from console import vidaug

from vidaug_cli.recipe.loading import load_recipe, parse_recipe, shipped_recipes
from vidaug_cli.recipe.prose import in_words


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_that_ships_has_words_of_its_own(name: str) -> None:
    words = in_words(load_recipe(name))
    others = [in_words(load_recipe(other)) for other in shipped_recipes() if other != name]
    assert words not in others
    assert "of another package" not in " ".join(words)
    done = vidaug("explain", name)
    assert done.code == 0
    assert done.out.endswith(f"  vidaug preview VIDEOS -r {name} -o preview.png\n")
    assert max(map(len, done.out.splitlines()[1:])) < 80


@pytest.mark.parametrize(
    ("recipe", "change", "before", "after"),
    [
        ("randaugment_t", "randaugment_t.m=8", "around 5 and by as much as 2.5", "around 8 and by as much as 4"),
        ("randaugment_t", "randaugment_t.n=1", "through 2 ops", "through 1 op,"),
        ("randaugment_t", 'randaugment_t.ops=["rotate"]', "one of the 15 of the official table", "one of rotate"),
        ("randaugment_t", "randaugment_t.p=0.25", "Each clip goes", "25 % of the clips"),
        ("cutout", "cutout.h=0.25", "50 % of the height", "25 % of the height"),
        ("cutmix", 'cutmix.box="inside"', "is cut off", "moves it inside"),
        ("fademixup", "mix_p=0.5", "Every clip is mixed", "50 % of the clips, drawn at random, are mixed"),
        ("mixup", "mixup.beta=0.2", "Beta(1, 1), all alike", "Beta(0.2, 0.2), mostly near 0 or 1"),
        ("cutmixup", "cutmixup.mixup_p=0.75", "in 50 % of these clips", "in 25 % of these clips"),
        ("vipriors2020", "mix.0.weight=9", "cutmix, 12.5 %", "cutmix, 56.2 %"),
    ],
)
def test_each_setting_changes_the_words(recipe: str, change: str, before: str, after: str) -> None:
    plain, changed = (" ".join(in_words(load_recipe(recipe, overrides=keys))) for keys in ((), (change,)))
    assert before in plain
    assert after in changed
    assert after not in plain


def test_a_ramp_and_the_command_that_draws_it() -> None:
    text = '[[augment]]\nop = "ramp"\nname = "rotate"\nfirst = -10\nlast = 20\n'
    assert (
        "rotate, whose value runs evenly from -10 in the first frame to 20 in the last"
        in in_words(parse_recipe(text, "mine.toml"))[0]
    )
    said = vidaug("explain", "mixup", "--set", "mixup.beta=2", "--json").result
    assert said["preview"] == "vidaug preview VIDEOS -r mixup --set mixup.beta=2 -o preview.png"
    assert "Beta(2, 2)" in said["words"][1]
