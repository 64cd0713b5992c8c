"""Recipes in somebody's own training loop: the same ops and the same draws, on a batch at a time."""

from __future__ import annotations

import torch

from vidaug_cli.errors import ClipsError
from vidaug_cli.ops.blend import UNMIXED, mix
from vidaug_cli.ops.clips import Clips, Shape
from vidaug_cli.recipe.recipe import Recipe
from vidaug_cli.rng import Step, generator


def augment_batch(recipe: Recipe, clips: Clips, *, seed: int, epoch: int, first_clip: int) -> Clips:
    """Return a batch after a recipe, on the device it was on; clip i is mixed with i + 1, the last with the first.

    Args:
        recipe: from `load_recipe`.
        clips: uint8 (B, T, H, W, C), shuffled, as training batches are: the partner of a clip is its neighbour.
        seed: of the run.
        epoch: takes the place of the copy: every epoch draws anew.
        first_clip: the position of the batch's first clip in the epoch. The same position always draws the same.

    Returns:
        A new batch; the argument is left as it was. A batch of one clip is not mixed.

    On a GPU nothing waits, and so values are not looked at: `clips.check_values()` does, once you have a batch.

    Raises ClipsError for a seed, an epoch or a position below 0; on the CPU also for labels that are not shares of 1,
    and for weights outside 0 to 1.
    """
    for name, number in (("seed", seed), ("epoch", epoch), ("first_clip", first_clip)):
        if number < 0:
            raise ClipsError(f"is {number}, should be 0 or more", where=name)
    if clips.video.device.type == "cpu":
        clips.check_values()
    return draw_and_apply(recipe, clips, seed=seed, epoch=epoch, first_clip=first_clip)


def draw_and_apply(recipe: Recipe, clips: Clips, *, seed: int, epoch: int, first_clip: int) -> Clips:
    """Return what `augment_batch` does, of clips whose values are known to be good: nothing waits for a GPU."""
    shape = Shape(*clips.video.shape[1:4])
    places = range(first_clip, first_clip + len(clips))

    def draw(place: int) -> list[dict[str, object] | None]:
        return recipe.draw_augment(lambda step: generator(seed, epoch, place, Step.AUGMENT + step), shape)

    video = recipe.apply_augment(clips.video, [draw(place) for place in places])
    augmented = Clips(video, clips.target, clips.weights)
    mixtures = [recipe.draw_mix(generator(seed, epoch, place, Step.MIX), shape) for place in places]
    if len(clips) < 2 or not any(mixtures):
        return augmented
    partner = Clips(*(torch.roll(part, -1, 0) for part in (video, clips.target, clips.weights)))
    return mix(augmented, partner, [mixture.blend if mixture else UNMIXED for mixture in mixtures])
