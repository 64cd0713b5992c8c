"""Temporal video augmentation with soft labels, from raw videos to HDF5 shards, trained networks and submissions.

    from vidaug_cli import Clips, ShardDataset, load_recipe, mix

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidaug_cli.augment.plan import Plan
    from vidaug_cli.data.sampling import ClipSpec
    from vidaug_cli.data.shard.dataset import ShardDataset
    from vidaug_cli.errors import ClipsError, RecipeError, ShardError, VidaugError, VideoError
    from vidaug_cli.ops.blend import Blend, mix
    from vidaug_cli.ops.clips import ClipOp, Clips, Shape
    from vidaug_cli.ops.mix import Mix
    from vidaug_cli.ops.randaugment import RandAugmentT
    from vidaug_cli.recipe.batch import augment_batch
    from vidaug_cli.recipe.loading import load_recipe
    from vidaug_cli.recipe.recipe import Recipe
    from vidaug_cli.scores.file import Scores, read_scores
    from vidaug_cli.train.checkpoint import Checkpoint, read_checkpoint
    from vidaug_cli.train.slowfast import Architecture, SlowFast

_HOMES = {
    "Architecture": "train.slowfast",
    "Blend": "ops.blend",
    "Checkpoint": "train.checkpoint",
    "ClipOp": "ops.clips",
    "ClipSpec": "data.sampling",
    "Clips": "ops.clips",
    "ClipsError": "errors",
    "Mix": "ops.mix",
    "Plan": "augment.plan",
    "RandAugmentT": "ops.randaugment",
    "Recipe": "recipe.recipe",
    "RecipeError": "errors",
    "Scores": "scores.file",
    "Shape": "ops.clips",
    "ShardDataset": "data.shard.dataset",
    "ShardError": "errors",
    "SlowFast": "train.slowfast",
    "VidaugError": "errors",
    "VideoError": "errors",
    "augment_batch": "recipe.batch",
    "load_recipe": "recipe.loading",
    "mix": "ops.blend",
    "read_checkpoint": "train.checkpoint",
    "read_scores": "scores.file",
}

__all__ = [
    "Architecture",
    "Blend",
    "Checkpoint",
    "ClipOp",
    "ClipSpec",
    "Clips",
    "ClipsError",
    "Mix",
    "Plan",
    "RandAugmentT",
    "Recipe",
    "RecipeError",
    "Scores",
    "Shape",
    "ShardDataset",
    "ShardError",
    "SlowFast",
    "VidaugError",
    "VideoError",
    "augment_batch",
    "load_recipe",
    "mix",
    "read_checkpoint",
    "read_scores",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"vidaug_cli.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
