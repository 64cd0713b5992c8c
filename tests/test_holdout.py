"""Which videos are held out: groups found in names as data sets have them, and folds as one defines them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidaug_cli.data.holdout import groups_of, hold_out
from vidaug_cli.data.manifest import Row
from vidaug_cli.errors import VidaugError


def row(path: str, label: str | None = None, **more: float) -> Row:
    """A video; its class is the folder that it lies in, if no other is said."""
    made: dict[str, object] = {"root": "/", "frames": 9, "fps": 30, "width": 9, "height": 9, "codec": "-"}
    return Row(path=path, label=label or path.split("/")[-2], **made | more)  # type: ignore[arg-type]


# As published: file names, and the group of each.
NAMES: dict[str, Sequence[tuple[str, str]]] = {
    "UCF101": [
        (f"UCF-101/{name}/v_{name}_g{group:02}_c{clip:02}.avi", f"{name} {group}")
        for name in ("Biking", "YoYo")
        for group in range(1, 5)
        for clip in (1, 2)
    ],
    "UCF11": [
        (f"{folder}/v_{name}_{group:02}/v_{name}_{group:02}_{clip:02}.mpg", f"{name} {group}")
        for folder, name in (("basketball", "shooting"), ("biking", "biking"))
        for group in range(1, 5)
        for clip in (1, 2)
    ],
    "HMDB51": [
        (f"{name.replace(' ', '_')}/{title}_{name.replace(' ', '_')}_{what}_{clip}.avi", title)
        for title in ("TrumanShow", "April_09", "Turnk_r_Pippi_Michel", "AmericanGangster")
        for name, what in (("wave", "f_nm_np1_fr_med"), ("brush hair", "u_nm_np1_ba_goo"))
        for clip in (0, 1)
    ],
    "KTH": [
        (f"{name}/person{person:02}_{name}_d{scene}_uncomp.avi", f"{person}")
        for name in ("boxing", "handwaving")
        for person in range(1, 26)
        for scene in range(1, 5)
    ],
    "Weizmann": [
        (f"{name}/{person}_{name}{number}.avi", person)
        for name, number in (("bend", ""), ("jump", ""), ("pjump", ""), ("run", "1"), ("run", "2"))
        for person in ("daria", "denis", "eli", "ido", "lena")
    ],
    "UT-Interaction": [
        (f"{name}/set{part}_seq{number:02}_{number}_{number}_{label}.avi", f"{part} {number}")
        for label, name in enumerate(("handshake", "hug"))
        for part in (1, 2)
        for number in range(1, 5)
    ],
    "NTU RGB+D": [
        (f"{action:03}/S001C{camera:03}P{person:03}R001A{action:03}_rgb.avi", f"{person}")
        for action in (1, 60)
        for person in range(1, 6)
        for camera in (1, 2, 3)
    ],
    "MIRACL-VC1": [
        (f"{word}/{person}_{word}_{time:02}.mp4", person)
        for word in ("begin", "choose")
        for person in ("F01", "F02", "M01", "M02")
        for time in (1, 2)
    ],
    "AVLetters": [
        (f"{letter}/{letter}{time}_{person}.mp4", person)
        for letter in "AB"
        for person in ("Anya", "Bill", "Faye", "Yi")
        for time in (1, 2, 3)
    ],
    "scenes as folders": [
        (f"{name}/scene {scene}/{clip:04}.avi", f"{scene}")
        for name in ("fall", "walk")
        for scene in "abcd"
        for clip in range(scene == "a", 3)
    ],
    "persons around the classes": [
        (f"subject{person}/{name}/{name}_{clip}.mp4", f"{person}")
        for person in range(1, 6)
        for name in ("fall", "walk")
        for clip in (1, 2)
    ],
    "parts of recordings": [
        (f"{name}/{title}-{clip}.mp4", title)
        for name, titles in (("fall", ("park", "street")), ("walk", ("home", "shop")))
        for title in titles
        for clip in (1, 2)
    ],
}

INNER = ("UCF11", "scenes as folders")  # have a folder between class and file


def parted(groups: Sequence[str]) -> set[frozenset[int]]:
    """Return which places have the same group."""
    return {frozenset(place for place, other in enumerate(groups) if other == group) for group in groups}


@pytest.mark.parametrize("name", NAMES)
def test_groups_are_read_from_names_as_data_sets_have_them(name: str) -> None:
    found = groups_of([row(path, path.split("/")[-3 if name in INNER else -2]) for path, _ in NAMES[name]])
    assert parted(found.of) == parted([group for _, group in NAMES[name]])
    assert found.text.startswith(f"{len(set(found.of))} groups of videos, by ")


@pytest.mark.parametrize(
    "paths",
    [
        [f"{name}/{name}_{clip}.mp4" for name in ("fall", "walk") for clip in range(9)],  # ARID, EgoGestAR
        [f"{name}/clip_{clip:03}.mp4" for name in ("fall", "walk") for clip in range(9)],
        [f"{name}/{clip}.mp4" for name in ("fall", "walk") for clip in range(9)],  # Jester
        [f"train/{name}/val_{clip}.mp4" for name in ("fall", "walk") for clip in range(9)],
        [f"kind {kind}/{kind}{name}/{clip}.mp4" for kind in "abcd" for name in "xy" for clip in range(4)],  # of classes
        [f"{name}/cam{camera}_{clip:04}.mp4" for name in ("fall", "walk") for camera in (1, 2) for clip in range(9)],
    ],
)
def test_names_that_tell_nothing_make_each_video_its_own(paths: list[str]) -> None:
    found = groups_of([row(path) for path in paths])
    assert len(set(found.of)) == len(paths)
    assert found.text == f"{len(paths)} videos, each by itself, as no name tells groups"


def test_segments_of_a_file_are_of_one_group() -> None:
    rows = [row(f"walk/{file}.mp4", start=float(start), end=start + 1.0) for file in "abc" for start in range(3)]
    found = groups_of(rows)
    assert parted(found.of) == {frozenset(range(at, at + 3)) for at in (0, 3, 6)}
    assert found.text == "3 groups of videos, by the file that segments are of"
    named = [row(f"walk/{name}_walk_{n}.mp4", start=float(n)) for name in ("ann", "ben", "cy", "di") for n in (1, 2)]
    assert len(set(groups_of(named).of)) == 4


def test_a_file_that_the_rule_does_not_fit_is_a_group_of_its_own() -> None:
    rows = [row(f"walk/person{person}_{clip}.mp4") for person in range(4) for clip in (1, 2)]
    found = groups_of([*rows, row("walk/extra.mp4"), row("walk/more.mp4")])
    assert len(set(found.of)) == 6


videos = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 3)), min_size=1, max_size=60).map(
    lambda pairs: [
        row(f"c{label}/seq{group:02}_{number}.avi", f"c{label}") for number, (group, label) in enumerate(pairs)
    ]
)


@settings(deadline=None)
@given(rows=videos, folds=st.integers(2, 5), order=st.randoms(use_true_random=False))
def test_folds_are_disjoint_cover_all_and_keep_groups_together(rows: list[Row], folds: int, order: object) -> None:
    groups = groups_of(rows).of
    if len(set(groups)) < folds:
        with pytest.raises(VidaugError, match="too few for"):
            hold_out(rows, 1 / folds)
        return
    held = [hold_out(rows, 1 / folds, fold) for fold in range(folds)]
    assert all(sum(of_one) == 1 for of_one in zip(*held, strict=True))
    assert all(map(any, held))
    for one in held:
        assert not {g for g, out in zip(groups, one, strict=True) if out} & {
            g for g, out in zip(groups, one, strict=True) if not out
        }
    shuffled = list(enumerate(rows))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    again = hold_out([each for _, each in shuffled], 1 / folds)
    assert [held[0][place] for place, _ in shuffled] == again


@settings(deadline=None)
@given(sizes=st.lists(st.integers(5, 40), min_size=1, max_size=5), folds=st.integers(2, 5))
def test_single_videos_are_parted_evenly_in_every_class(sizes: list[int], folds: int) -> None:
    rows = [row(f"c{label}/{number}.avi") for label, size in enumerate(sizes) for number in range(size)]
    counts = [Counter(r.label for r, out in zip(rows, hold_out(rows, 1 / folds, fold), strict=True) if out)
              for fold in range(folds)]  # fmt: skip
    for label, size in enumerate(sizes):
        assert {count[f"c{label}"] for count in counts} <= {size // folds, -(-size // folds)}


@pytest.mark.parametrize(
    ("share", "fold", "said"),
    [
        (0.0, 0, "a share of 0 cannot be held out; take one above 0, and 0.5 at most"),
        (0.6, 0, "a share of 0.6 cannot be held out; take one above 0, and 0.5 at most"),
        (0.2, 5, "there is no fold 5; a share of 0.2 makes folds 0 to 4"),
        (0.3, -1, "there is no fold -1; a share of 0.3 makes folds 0 to 2"),
        (0.1, 0, "4 groups of videos, by names such as person01, seq2 or scene3: too few for 10 parts; hold out 1/4 or"
         " more"),
    ],
)  # fmt: skip
def test_what_cannot_be_held_out_is_said(share: float, fold: int, said: str) -> None:
    rows = [row(f"walk/person{person}_{clip}.mp4") for person in range(4) for clip in (1, 2)]
    with pytest.raises(VidaugError) as caught:
        hold_out(rows, share, fold)
    assert str(caught.value) == said
