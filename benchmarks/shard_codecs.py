"""What each codec makes of clips: bytes, how near they come back, and what writing and reading them costs.

    python benchmarks/shard_codecs.py VIDEOS [--videos 12] [--rounds 3]

Clips of 64 x 160 x 160 from the middle of videos spread over the folder. Time is the processor's on one core, medians;
the codecs take turns on the same clips. PSNR is that of the mean squared error over all clips, and the mean error says
whether a channel comes back brighter or darker.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.data.inputs import read_input
from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.shard.codecs import PIECES
from vidaug_cli.data.shard.format import Codec, ShardHeader
from vidaug_cli.data.video.reader import read_clip

T = TypeVar("T")
FRAMES, SIZE = 64, 160
CODECS: list[tuple[Codec, int]] = [("raw", 95), ("jpeg", 95), ("video", 95), ("video", 85)]


def clips(folder: str, videos: int) -> list[NDArray[np.uint8]]:
    """Return one clip of each of so many videos that are long enough, the largest square in the middle."""
    rows = [row for row in read_input(folder).rows if row.frames >= FRAMES]
    chosen = [rows[place] for place in np.linspace(0, len(rows) - 1, videos).astype(int)]
    made = []
    for row in chosen:
        side = min(row.width, row.height)
        crop = Crop(x=(row.width - side) // 2, y=(row.height - side) // 2, side=side)
        frames = np.arange(FRAMES, dtype=np.int32) + row.first + (row.frames - FRAMES) // 2
        made.append(read_clip(Path(row.file), frames, crop, SIZE)[0])
    return made


def timed(what: Callable[[], T], into: list[float]) -> T:
    """Return what a call returns, and note the milliseconds that it took of the processor."""
    began = time.process_time()
    result = what()
    into.append(1e3 * (time.process_time() - began))
    return result


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="VIDEOS")
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    made = clips(args.folder, args.videos)
    raw = made[0].nbytes
    encode: dict[object, list[float]] = {name: [] for name in CODECS}
    decode: dict[object, list[float]] = {name: [] for name in CODECS}
    sizes: dict[object, list[int]] = {name: [] for name in CODECS}
    squares: dict[object, list[float]] = {name: [] for name in CODECS}
    errors: dict[object, list[NDArray[np.float64]]] = {name: [] for name in CODECS}
    for number in range(args.rounds):
        for clip in made:
            for name in CODECS:
                codec, quality = name
                header = ShardHeader(
                    classes=("a",), recipe="", seed=0, shard=0, plan_sha256="0" * 64, frames=FRAMES, size=SIZE,
                    codec=codec, quality=quality, device="cpu",
                )  # fmt: skip
                if codec == "raw":
                    timed(clip.copy, encode[name])
                    again = timed(clip.copy, decode[name])
                    length = raw
                else:
                    coder = PIECES[codec].coder()
                    pieces = timed(lambda: coder.encode_frames(clip, quality), encode[name])  # noqa: B023
                    again = timed(lambda: coder.decode_frames(pieces, header), decode[name])  # noqa: B023
                    length = sum(map(len, pieces))
                if not number:
                    off = again.astype(np.int16) - clip
                    sizes[name].append(length)
                    squares[name].append(float((off.astype(np.float64) ** 2).mean()))
                    errors[name].append(off.mean((0, 1, 2)))
    print("| codec | bytes a clip | of raw | PSNR, dB | mean error of R, G, B | encode, ms | decode, ms |")
    print("|---|---|---|---|---|---|---|")
    for name in CODECS:
        mean = float(np.mean(sizes[name]))
        square = float(np.mean(squares[name]))
        psnr = f"{10 * np.log10(255**2 / square):.1f}" if square else "exact"
        bias = ", ".join(f"{value:+.2f}" for value in np.mean(errors[name], axis=0))
        called = name[0] if name[0] == "raw" else f"{name[0]} {name[1]}"
        times = " | ".join(f"{np.median(each[name]):.1f}" for each in (encode, decode))
        print(f"| {called} | {mean:,.0f} | 1/{raw / mean:.1f} | {psnr} | {bias} | {times} |")


if __name__ == "__main__":
    main()
