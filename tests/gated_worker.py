"""What tests load into Dask workers with `--preload`: shards that wait, or kill, as long as a file is there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from vidaug_cli.augment import finish

FOLDER = Path(os.environ["VIDAUG_TEST_FOLDER"])
FREE = int(os.environ["VIDAUG_TEST_FREE"])  # shards that nothing stops
finish_shard = finish.finish_shard


def gated(out: Path, sha256: str, engine: Any, on_error: Any, index: int, done: Any) -> Any:
    """Do what `finish_shard` does, once it may."""
    while index >= FREE and (FOLDER / "closed").exists():
        time.sleep(0.01)
    if index == FREE and (FOLDER / "deadly").exists():
        os._exit(1)
    return finish_shard(out, sha256, engine, on_error, index, done)


finish.finish_shard = gated
