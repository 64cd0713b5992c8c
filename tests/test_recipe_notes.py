"""Notes of recipes: what was measured and when a recipe hurts, who is told, and that no clip follows from them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from console import vidaug
from train_makers import NETWORK, make_shards, run_of

from vidaug_cli.errors import RecipeError
from vidaug_cli.recipe.loading import load_recipe, parse_recipe, shipped_recipes, stored_cautions
from vidaug_cli.recipe.notes import Caution, caution_notes
from vidaug_cli.train.slowfast import ARCHITECTURES

# The first digits of the SHA-256 of the texts that plans and shards of these recipes have had since before notes.
TEXTS = {
    "cubecutmix": "cf22aad1990ef597",
    "cubecutmixup": "07df452f98f66a92",
    "cubecutout": "e45107e0275fad65",
    "cutmix": "a1067a0bb35bc5b1",
    "cutmixup": "10d55f0e859d785c",
    "cutout": "b8b3b3b5d21aa868",
    "fademixup": "d430297b49f2fa9f",
    "framecutmix": "290fd278ec0f37db",
    "framecutmixup": "dc30f493d47a06a3",
    "framecutout": "fa44c16ec0949997",
    "mixup": "d88a35d4d829789e",
    "none": "8c58546c534bd63e",
    "randaugment": "54217e4587493b3b",
    "randaugment_fixed": "189af525885c8dd8",
    "randaugment_mix": "2b6a1b5c0b698e9d",
    "randaugment_t": "3804b2f4e1b75fe5",
    "randaugment_temporal": "6aed88788e33fbea",
    "vipriors2020": "cbbfe7b604d6dc03",
}


def test_notes_change_no_stored_text() -> None:
    assert {name: sha256(load_recipe(name).text.encode()).hexdigest()[:16] for name in TEXTS} == TEXTS
    assert {name for name in shipped_recipes() if name not in TEXTS} == {
        "framecutmix_small",
        "randaugment_small",
        "randaugment_t_small",
        "vipriors2020_small",
    }


OWN = """
[[augment]]
op = "cutout"
[measured]
on = "two videos"
found = "nothing"
[caution]
below_clips_seen = 500
text = "loses all"
"""


def test_a_caution_is_said_below_its_budget_only() -> None:
    recipe = parse_recipe(OWN, "mine.toml")
    assert recipe.cautions == {"mine": Caution(below_clips_seen=500, text="loses all")}
    said = ["recipe mine is known to hurt where fewer than 500 clips are seen: loses all"]
    assert caution_notes(recipe.cautions, 499) == said
    assert caution_notes(recipe.cautions, 500) == []
    assert parse_recipe(recipe.text, "stored") == recipe
    assert "loses" not in recipe.text


def test_combined_recipes_have_the_cautions_of_all() -> None:
    assert set(load_recipe("randaugment_t", "fademixup", "framecutmix").cautions) == {"randaugment_t", "framecutmix"}
    assert not load_recipe("randaugment_t_small", "fademixup").cautions


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("measured = 'much'", "measured: 'much' should be an object with keys"),
        ("[measured]\non = 3\nfound = ''", "measured: on: 3 should be a string"),
        ("[caution]\ntext = 'bad'", "caution: below_clips_seen: is missing"),
        ("[caution]\nbelow_clips_seen = 5\ntext = ''\nwhy = 1", "caution: why: unknown key"),
    ],
)
def test_faults_of_notes(text: str, fault: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(text, "my.toml")
    assert str(error.value) == f"my.toml: {fault}"


def test_a_stored_recipe_has_the_cautions_of_the_shipped_one_it_is() -> None:
    pair, set_ = load_recipe("randaugment_t", "fademixup"), load_recipe("framecutmix", overrides=["mix_p=0.5"])
    assert stored_cautions(parse_recipe(pair.text, "stored")) == pair.cautions != {}
    assert not stored_cautions(parse_recipe(set_.text, "stored"))
    assert not stored_cautions(parse_recipe(OWN, "mine.toml"))


def test_recipes_says_what_was_measured() -> None:
    (line,) = (line for line in vidaug("recipes").out.splitlines() if line.startswith("framecutmix "))
    assert line.endswith("[measured: 11.4 ± 2.0 points fewer than crop and flip, 3 runs]")
    whole = vidaug("recipes", "FrameCutMix").out
    assert "measured on UT-Interaction, 84 videos" in whole
    assert "is known to hurt where fewer than 20,000 clips are seen" in whole
    assert load_recipe("framecutmix").text in whole
    told, small = (vidaug("recipes", name, "--json").result for name in ("cutout", "framecutmix_small"))
    assert (told["measured"], told["caution"]) == (None, None)
    assert "points fewer" in small["measured"]["found"]
    assert "mix_p = 0.5" in small["recipe"]
    missed = vidaug("recipes", "framecutmx")
    assert (missed.code, "did you mean 'framecutmix'" in missed.err) == (1, True)


def test_augment_says_once_that_a_recipe_hurts(tmp_path: Path) -> None:
    vidaug("sample", tmp_path / "videos", "--per-class", 1)

    def said(*words: object) -> int:
        out = tmp_path / str(len(words))
        made = vidaug("augment", tmp_path / "videos", "-o", out, "--frames", 8, "--size", 16, "-j", 1, *words)
        assert made.code == 0, made.err
        return made.err.count("is known to hurt")

    assert said("-r", "framecutmix") == 1
    assert said("-r", "framecutmix", "--dry-run") == 1
    assert said("-r", "framecutmix", "--copies", 0, "--keep-original") == 0
    assert said("-r", "framecutmix_small", "-q", "--overwrite", "--force") == 0


def test_a_run_knows_the_cautions_of_its_shards_and_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    hard = make_shards(tmp_path / "hard", recipe="framecutmix")
    mild = make_shards(tmp_path / "mild")  # 12 clips
    assert [line.split()[1] for line in run_of(tmp_path / "1", hard).cautions] == ["framecutmix"]
    assert run_of(tmp_path / "2", mild).cautions == []
    mine = load_recipe("randaugment_t", "cutmix")
    assert [line.split()[1] for line in run_of(tmp_path / "3", mild, recipe=mine, epochs=1666).cautions] == [
        mine.name[:13]
    ]
    assert run_of(tmp_path / "4", mild, recipe=mine, epochs=1667).cautions == []  # 20,004 clips seen


def test_train_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", NETWORK)
    hard = make_shards(tmp_path / "hard", recipe="framecutmix")
    words = ("train", hard, "-o", tmp_path / "run", "--network", "tiny", "--epochs", 1, "--threads", 1)
    assert [vidaug(*words).err.count("is known to hurt") for _ in range(2)] == [1, 0]
