"""Small scores for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from vidaug_cli.data.manifest import Row
from vidaug_cli.scores.file import Failed, Scores

CLASSES = ("walk", "läuft", "jump", "sit", "turn", "bow")


def scores_of(count: int = 8, *, seed: int = 0, **values: Any) -> Scores:
    """Random scores of `count` videos for six classes, not in alphabetical order; one video more has failed."""
    rng = np.random.default_rng(seed)
    classes = values.get("classes", CLASSES)
    base = {
        "classes": classes,
        "videos": tuple(f"a/v{number:02d}.avi" for number in range(count)),
        "labels": rng.integers(0, len(classes), count),
        "scores": rng.dirichlet(np.ones(len(classes)), count).astype(np.float32).reshape(count, -1),
        "shape": rng.integers(1, 400, (count, 3), np.int32),
        "failures": (Failed("b/broken.avi", 0, "holds no frame"),),
        "source": '{"checkpoint": "best.pt"}',
    }
    return Scores(**base | values)


def shares(*rows: list[float]) -> Any:
    return np.array(rows, np.float32)


def row_of(path: str, label: str | None, size: tuple[int, int, int] = (10, 64, 48), **values: Any) -> Row:
    """A row of a manifest; `size` is frames, width, height."""
    frames, width, height = size
    base: dict[str, Any] = {"root": "/videos", "fps": 25.0, "codec": "h264"}
    return Row(path=path, label=label, frames=frames, width=width, height=height, **base | values)
