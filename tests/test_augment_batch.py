"""Recipes in a training loop: the same position draws the same, the argument stays, and labels follow the pixels."""

from __future__ import annotations

import pytest
import torch

from vidaug_cli import Clips, augment_batch, load_recipe
from vidaug_cli.errors import ClipsError

RECIPES = ["none", "randaugment_t", "cutout", "fademixup", "cutmix", "vipriors2020"]


def grey_clips(count: int, device: torch.device) -> Clips:
    """Clip i is flat grey 10 + 20 i and of class i mod 3."""
    level = torch.arange(count, dtype=torch.uint8) * 20 + 10
    video = level.view(-1, 1, 1, 1, 1).expand(count, 6, 24, 24, 3).contiguous()
    target = torch.nn.functional.one_hot(torch.arange(count) % 3, 3).float()
    return Clips(*(part.to(device) for part in (video, target, torch.ones(count, 6))))


@pytest.mark.parametrize("name", RECIPES)
def test_the_same_position_draws_the_same(name: str, device: torch.device) -> None:
    recipe, clips = load_recipe(name), grey_clips(5, device)
    first, again, later = (augment_batch(recipe, clips, seed=1, epoch=epoch, first_clip=40) for epoch in (2, 2, 3))
    for part in ("video", "target", "weights"):
        assert torch.equal(getattr(first, part), getattr(again, part))
    if name != "none":
        assert not torch.equal(first.video, later.video)


@pytest.mark.parametrize("name", RECIPES)
def test_the_argument_is_left_as_it_was(name: str, device: torch.device) -> None:
    clips, before = grey_clips(5, device), grey_clips(5, device)
    found = augment_batch(load_recipe(name), clips, seed=0, epoch=0, first_clip=0)
    for part in ("video", "target", "weights"):
        assert torch.equal(getattr(clips, part), getattr(before, part))
        assert getattr(found, part).shape == getattr(before, part).shape
    assert found.video.dtype == torch.uint8
    assert found.target.sum(1).cpu().tolist() == pytest.approx([1] * 5)


def test_the_partner_is_the_next_clip_and_the_label_its_share(device: torch.device) -> None:
    clips = grey_clips(6, device)
    found = augment_batch(load_recipe("fademixup"), clips, seed=3, epoch=0, first_clip=0)
    own = (10 + 20 * torch.arange(6.0)).view(6, 1)
    partner = own.roll(-1, 0)
    shown = found.video.float().mean((2, 3, 4)).cpu()
    weights = found.weights.cpu()
    assert (weights * own + (1 - weights) * partner - shown).abs().max() <= 0.5 + 1e-3  # rounded to whole levels
    targets = grey_clips(6, device).target.cpu()
    share = weights.mean(1, keepdim=True)
    assert torch.allclose(found.target.cpu(), share * targets + (1 - share) * targets.roll(-1, 0), atol=1e-5)


def test_batches_are_cut_from_the_epoch_without_trace(device: torch.device) -> None:
    """A recipe that does not mix gives a clip the same pixels, however the epoch is cut into batches."""
    recipe, clips = load_recipe("randaugment_t"), grey_clips(6, device)
    whole = augment_batch(recipe, clips, seed=0, epoch=0, first_clip=12)
    late = Clips(clips.video[4:], clips.target[4:], clips.weights[4:])
    assert torch.equal(augment_batch(recipe, late, seed=0, epoch=0, first_clip=16).video, whole.video[4:])


@pytest.mark.parametrize("name", ["seed", "epoch", "first_clip"])
def test_numbers_below_0_are_refused(device: torch.device, name: str) -> None:
    numbers = {"seed": 0, "epoch": 0, "first_clip": 0} | {name: -1}
    with pytest.raises(ClipsError, match=f"^{name}: is -1, should be 0 or more$"):
        augment_batch(load_recipe("none"), grey_clips(2, device), **numbers)


def test_one_clip_is_not_mixed_with_itself(device: torch.device) -> None:
    found = augment_batch(load_recipe("fademixup"), grey_clips(1, device), seed=0, epoch=0, first_clip=0)
    assert (found.video == 10).all()
    assert (found.weights == 1).all()
