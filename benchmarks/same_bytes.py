"""Whether shards are the same bytes however they are made: for each codec, by one process and by two, in batches of 1
and 4, killed and run again, and killed parts; and whether `verify` and `replay` find them as they should be.

    TMPDIR=/dev/shm python benchmarks/same_bytes.py VIDEOS --copies 2

Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import get_args

from vidaug_cli.data.shard.format import Codec, finished_shards

WAYS = {  # options, and after how many shards it is killed
    "-j 1": ("-j 1", 0),
    "-j 2": ("-j 2", 0),
    "batches of 1": ("-j 1 --batch-size 1", 0),
    "killed": ("-j 1", 1),
    "two killed": ("-j 2", 1),
}


def main() -> None:
    """Make shards each way, and print what is the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--limit", type=int, default=40, help="only so many of the videos")
    parser.add_argument("--recipes", nargs="*", default=["randaugment_t", "fademixup"])
    parser.add_argument("--codecs", nargs="*", default=get_args(Codec))
    options = parser.parse_args()
    wrong = 0
    made = ["--copies", options.copies, "--limit", options.limit, "--clips-per-shard", 32, "--device", "cpu"]
    made += [word for recipe in options.recipes for word in ("-r", recipe)]
    for codec in options.codecs:
        with tempfile.TemporaryDirectory() as temporary:
            hashes: dict[str, dict[str, str]] = {}
            for way, (words, killed_after) in WAYS.items():
                out = Path(temporary) / way.replace(" ", "_")
                command = ["augment", options.videos, "-o", out, "--codec", codec, *made, *words.split(), "-q"]
                if killed_after:
                    kill(command, out, killed_after)
                vidaug(*command)
                hashes[way] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in shards(out)}
            for way, found in hashes.items():
                same = found == hashes["-j 1"]
                wrong += not same
                print(f"{codec}, {way}: {len(found)} shards, {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
            for command_name in ("verify", "replay"):
                vidaug(command_name, Path(temporary) / "-j_1", "-q")
                print(f"{codec}, {command_name}: clean", flush=True)
    sys.exit(1 if wrong else 0)


def shards(out: Path) -> list[Path]:
    """Return the finished shards of a folder."""
    return list(finished_shards(out).values())


def vidaug(*words: object) -> None:
    """Run a command that has to succeed."""
    subprocess.run([sys.executable, "-m", "vidaug_cli", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def kill(command: list[object], out: Path, after: int) -> None:
    """Run a command until so many shards are finished, and then kill it with no time to clean up."""
    with subprocess.Popen([sys.executable, "-m", "vidaug_cli", *map(str, command)], stdout=subprocess.DEVNULL) as run:
        while run.poll() is None and len(shards(out)) < after:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()
