"""What a clip of a 20-minute video costs beside one of a 20-second video, and what noting key frames costs a scan.

    python benchmarks/long_videos.py

CPU time, of random cuts of 64 frames scaled to 160 x 160; both videos are made first, H.264 of 320 x 240 at 25 frames
per second with libx264's own choice of key frames. Repeats are interleaved; the figures are medians.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TypeVar

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec, draw_sample, frame_numbers
from vidaug_cli.data.scan import scan
from vidaug_cli.data.video.keyframes import find_keys
from vidaug_cli.data.video.limits import LIMITS
from vidaug_cli.data.video.reader import ClipRequest, look, read_clips

SPEC = ClipSpec()
T = TypeVar("T")


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24, help="of each video and repeat")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name, seconds in (("20 seconds", 20), ("20 minutes", 1200)):
            write(Path(temporary) / "a" / f"{name}.mp4", 25 * seconds)
        long, short = scan(Path(temporary), cache=False, progress=False).rows
        print(f"{long.frames} frames, {len(long.keys or ())} key frames noted; {short.frames} frames")
        rows = {"20 s": short, "20 min": long, "20 min, from the first frame": replace(long, keys=None)}
        times: dict[str, list[float]] = {name: [] for name in rows}
        for repeat in range(options.repeats):
            for name, row in rows.items():
                clips = options.clips if row.keys or row is short else 3
                times[name].append(cpu_time(read_random, row, clips, repeat) / clips)
        for name, taken in times.items():
            print(f"{name}: {1e3 * median(taken):.1f} ms a clip, {median(taken) / median(times['20 s']):.2f} times")
        looked, seen = timed(look, long.file)
        found, _ = timed(find_keys, long.file, seen[1], LIMITS)
        plain, _ = timed(decode, long.file)
        print(f"scan of 20 min: decoding {plain:.1f} s, a look {looked:.1f} s, and finding key frames {found:.1f} s")


def write(path: Path, frames: int) -> None:
    """Write a video in which a picture wanders."""
    path.parent.mkdir(exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (50, 65, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        reformatter = VideoReformatter()
        for number in range(frames):
            y, x = (round(80 + 79 * wave(number / pace)) for wave, pace in ((np.sin, 61), (np.cos, 43)))
            frame = av.VideoFrame.from_ndarray(noise[y : y + 240, x : x + 320], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(reformatter.reformat(frame, format="yuv420p")))
        container.mux(stream.encode())


def read_random(row: Row, clips: int, seed: int) -> None:
    """Read random cuts one by one."""
    rng = np.random.default_rng(seed)
    for _ in range(clips):
        sample = draw_sample(rng, SPEC, row)
        request = ClipRequest(frame_numbers(sample, SPEC, row), sample.crop, sample.flip)
        read_clips(row.file, [request], SPEC.size, row=row)


def decode(path: Path) -> None:
    """Decode all frames with PyAV."""
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass


def timed(work: Callable[..., T], *given: object) -> tuple[float, T]:
    """Return the seconds of CPU time that work took, and what it returned."""
    start = time.process_time()
    result = work(*given)
    return time.process_time() - start, result


def cpu_time(work: Callable[..., object], *given: object) -> float:
    """Return the seconds of CPU time that work took."""
    return timed(work, *given)[0]


if __name__ == "__main__":
    main()
