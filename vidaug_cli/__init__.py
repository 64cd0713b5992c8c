"""Temporal video augmentation with soft labels, from raw videos to HDF5 shards, trained networks and submissions.

    from vidaug_cli import Clips, ShardDataset, load_recipe, mix

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidaug_cli.augment.plan import Plan as Plan
    from vidaug_cli.data.sampling import ClipSpec as ClipSpec
    from vidaug_cli.data.shard.dataset import ShardDataset as ShardDataset
    from vidaug_cli.errors import ClipsError as ClipsError
    from vidaug_cli.errors import RecipeError as RecipeError
    from vidaug_cli.errors import ShardError as ShardError
    from vidaug_cli.errors import VidaugError as VidaugError
    from vidaug_cli.errors import VideoError as VideoError
    from vidaug_cli.ops.blend import Blend as Blend
    from vidaug_cli.ops.blend import mix as mix
    from vidaug_cli.ops.clips import ClipOp as ClipOp
    from vidaug_cli.ops.clips import Clips as Clips
    from vidaug_cli.ops.clips import Shape as Shape
    from vidaug_cli.ops.mix import Mix as Mix
    from vidaug_cli.ops.randaugment import RandAugmentT as RandAugmentT
    from vidaug_cli.recipe.batch import augment_batch as augment_batch
    from vidaug_cli.recipe.loading import load_recipe as load_recipe
    from vidaug_cli.recipe.recipe import Recipe as Recipe
    from vidaug_cli.scores.file import Scores as Scores
    from vidaug_cli.scores.file import read_scores as read_scores
    from vidaug_cli.train.checkpoint import Checkpoint as Checkpoint
    from vidaug_cli.train.checkpoint import read_checkpoint as read_checkpoint
    from vidaug_cli.train.slowfast import ARCHITECTURES as ARCHITECTURES
    from vidaug_cli.train.slowfast import Architecture as Architecture
    from vidaug_cli.train.slowfast import SlowFast as SlowFast

_NAMES = {  # of each module; a test holds them equal to the imports above, which are for type checkers
    "augment.plan": "Plan",
    "data.sampling": "ClipSpec",
    "data.shard.dataset": "ShardDataset",
    "errors": "ClipsError RecipeError ShardError VidaugError VideoError",
    "ops.blend": "Blend mix",
    "ops.clips": "ClipOp Clips Shape",
    "ops.mix": "Mix",
    "ops.randaugment": "RandAugmentT",
    "recipe.batch": "augment_batch",
    "recipe.loading": "load_recipe",
    "recipe.recipe": "Recipe",
    "scores.file": "Scores read_scores",
    "train.checkpoint": "Checkpoint read_checkpoint",
    "train.slowfast": "ARCHITECTURES Architecture SlowFast",
}
_HOMES = {name: f"vidaug_cli.{module}" for module, names in _NAMES.items() for name in names.split()}
__all__ = sorted(_HOMES)  # noqa: PLE0605 (a list, made)


def __getattr__(name: str) -> Any:
    """Import what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
