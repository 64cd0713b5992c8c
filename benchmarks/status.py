"""How long it takes to see which of many shards are done, beside what it takes to read as many small files.

    python benchmarks/status.py [--shards 1000 10000 156000]

By `vidaug status`, and by `vidaug augment` before it begins. The shards are files of a few bytes with whole records:
neither opens a shard.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from vidaug_cli.augment.output import finished
from vidaug_cli.augment.plan import Plan, read_plan, write_plan
from vidaug_cli.data.manifest import Row
from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.data.shard.format import FORMAT, VERSION, DoneRecord, done_path, shard_path
from vidaug_cli.recipe.loading import load_recipe


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, nargs="+", default=(1000, 10_000, 156_000))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("| shards | `vidaug status` | start of `vidaug augment` | the records, read and no more |")
    print("|---:|---:|---:|---:|")
    for shards in options.shards:
        with tempfile.TemporaryDirectory() as name:
            out = Path(name)
            write_shards(out, shards)
            command = [sys.executable, "-m", "vidaug_cli", "status", str(out), "--json"]
            (found,) = json.loads(subprocess.check_output(command))["result"]["folders"]
            assert found["done"] == shards - 1, found["done"]
            plan = read_plan(out)
            assert len(finished(plan, out)) == shards - 1
            told, begun, read = (
                statistics.median(seconds(work) for _ in range(options.repeats))
                for work in (
                    lambda command=command: subprocess.check_output(command),
                    lambda plan=plan, out=out: finished(plan, out),
                    lambda out=out: read_records(out),
                )
            )
        print(f"| {shards:,} | {told:.2f} s | {begun:.2f} s | {read:.2f} s |", flush=True)


def write_shards(out: Path, shards: int) -> None:
    """Write a plan of so many shards, and all but one of them."""
    row = Row(path="-", root="/", label="-", frames=300, fps=30.0, width=340, height=256, codec="h264", bytes=1)
    rows = [replace(row, path=f"{number}.mp4", label=str(number % 2)) for number in range(160)]
    copies = shards // 10  # of 160 videos, in shards of 16 clips
    recipe = load_recipe("none")
    plan = Plan(rows=rows, recipe=recipe, spec=ClipSpec(), copies=copies, copies_per_round=1, clips_per_shard=16)
    assert plan.shard_count == shards
    write_plan(plan, out)
    for shard in range(shards - 1):
        path = shard_path(out, shard)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"shard")
        record = DoneRecord(shard=shard, bytes=5, xxh3=f"{shard:032x}", clips=16, failures=())
        done_path(path).write_text(json.dumps({"format": FORMAT, "version": VERSION} | asdict(record), indent=1))


def read_records(out: Path) -> None:
    """Read each record, as any program that wants them has to."""
    for path in out.glob("*/*.json"):
        path.read_bytes()


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
