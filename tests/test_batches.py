"""Batches: what is in which, from where in a clip, and that neither workers nor processes make a difference."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from train_makers import make_shards

from vidaug_cli.data.shard.dataset import ShardDataset
from vidaug_cli.errors import ShardError
from vidaug_cli.ops.clips import Shape
from vidaug_cli.train.batches import MIDDLE, ClipLoader, ClipSampler, CropDataset, SampleIndex, reading_note
from vidaug_cli.train.slots import Slots

WHOLE, PART = Shape(11, 20, 24), Shape(6, 13, 24)


class Coded:
    """Clips whose voxels say where they are: (frame, row, column); the clip's number is its label and weight."""

    classes = ("a", "b", "c")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, clip: int) -> tuple[Tensor, ...]:
        video = torch.stack(torch.meshgrid(*map(torch.arange, WHOLE), indexing="ij"), -1).to(torch.uint8)
        return video, torch.eye(3)[clip], torch.arange(WHOLE.t) / 100


def cuts(**values: object) -> CropDataset:
    return CropDataset(Coded(), **{"shape": PART} | values)  # type: ignore[arg-type]


def start(video: Tensor) -> tuple[int, ...]:
    """Where a cut was, which must be whole, unflipped and in one piece."""
    first = video[0, 0, 0]
    expected = torch.stack(torch.meshgrid(*map(torch.arange, PART), indexing="ij"), -1) + first
    assert torch.equal(video.long(), expected)
    return tuple(first.tolist())


def flat(batches: Iterable[list[SampleIndex]]) -> list[SampleIndex]:
    return list(chain.from_iterable(batches))


sizes = st.integers(1, 4)


@settings(deadline=None)
@given(share=st.integers(1, 6), size=sizes, more=st.integers(0, 40), seed=st.integers(0, 5), epoch=st.integers(0, 9))
def test_processes_share_each_batch_and_a_short_one_is_left_out(
    share: int, size: int, more: int, seed: int, epoch: int
) -> None:
    batch, clips = share * size, share * size + more
    orders = [ClipSampler(clips, batch, rank=rank, size=size, seed=seed) for rank in range(size)]
    for order in orders:
        order.epoch = epoch
    alone = ClipSampler(clips, batch, seed=seed)
    alone.epoch = epoch
    parts = [list(order) for order in orders]
    assert [flat(together) for together in zip(*parts, strict=True)] == list(alone)
    assert [len(part) for part in parts] == [clips // batch] * size == [len(order) for order in orders]
    assert all(len(part) == share for batches in parts for part in batches)
    seen = flat(alone)
    assert len({place.clip for place in seen}) == len(seen) == clips // batch * batch
    assert [place.position for place in seen] == list(range(len(seen)))
    assert {place.epoch for place in seen} == {epoch}


@settings(deadline=None)
@given(clips=st.integers(1, 50), share=st.integers(1, 9), size=sizes)
def test_validation_goes_through_all_clips_once_and_in_order(clips: int, share: int, size: int) -> None:
    parts = [list(ClipSampler(clips, share * size, rank=rank, size=size, shuffle=False)) for rank in range(size)]
    seen = [place for part in parts for batch in part for place in batch]
    assert sorted(place.clip for place in seen) == list(range(clips))
    assert {place.epoch for place in seen} == {MIDDLE}
    assert [place.clip for place in flat(parts[0])] == sorted(place.clip for place in flat(parts[0]))
    runs = [[place.clip for place in batch] for part in parts for batch in part]
    assert all(run == list(range(run[0], run[-1] + 1)) for run in runs)  # the loop writes slices
    assert len(ClipSampler(clips, share * size, shuffle=False)) == len(parts[0])


def test_every_epoch_and_seed_has_an_order_of_its_own() -> None:
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        made = ClipSampler(30, 30, seed=seed)
        made.epoch = epoch
        return tuple(place.clip for place in next(iter(made)))

    orders = [order(seed, epoch) for seed in range(4) for epoch in range(4)]
    assert len(set(orders)) == 16
    assert orders == [order(seed, epoch) for seed in range(4) for epoch in range(4)]
    assert tuple(range(30)) not in orders


def test_a_clip_of_a_short_last_batch_comes_up_in_another_epoch() -> None:
    order, seen = ClipSampler(7, 3), Counter[int]()
    for epoch in range(40):
        order.epoch = epoch
        seen.update(place.clip for batch in order for place in batch)
    assert sorted(seen) == list(range(7))
    assert max(seen.values()) < 40


def test_cuts_lie_inside_and_everywhere() -> None:
    found = [start(cuts()[SampleIndex(epoch, position, 0)][0]) for epoch in range(20) for position in range(20)]
    for axis, spare in enumerate(have - want for have, want in zip(WHOLE, PART, strict=True)):
        assert set(range(spare + 1)) == {place[axis] for place in found}
    assert len({place[:2] for place in found}) == 6 * 8  # and each axis for itself


def test_a_cut_follows_from_seed_epoch_and_position_alone() -> None:
    places = [SampleIndex(epoch, position, 0) for epoch in range(6) for position in range(6)]
    found = [start(cuts()[place][0]) for place in places]
    assert found == [start(cuts()[place._replace(clip=2)][0]) for place in reversed(places)][::-1]
    assert found == [start(cuts(flip=1.0)[place][0].flip(2)) for place in places]
    assert found != [start(cuts(seed=1)[place][0]) for place in places]
    assert len({place[:2] for place in found[:6]}) > 1
    assert len({place[:2] for place in found[::6]}) > 1


def test_weights_are_cut_with_the_frames() -> None:
    video, _, weights = cuts()[SampleIndex(1, 2, 0)]
    assert torch.allclose(weights, (start(video)[0] + torch.arange(PART.t)) / 100)


def test_validation_takes_the_middle_unflipped() -> None:
    assert start(cuts(flip=1.0, seed=9)[SampleIndex(MIDDLE, 5, 1)][0]) == (2, 3, 0)


@pytest.mark.parametrize(("flip", "low", "high"), [(0.0, 0, 0), (0.3, 240, 360), (1.0, 1000, 1000)])
def test_flips_come_with_their_chance(flip: float, low: int, high: int) -> None:
    rows = [cuts(flip=flip, shape=Shape(1, 1, 24))[SampleIndex(0, place, 0)][0][0, 0, :, 2] for place in range(1000)]
    assert low <= sum(row.tolist() == list(range(24))[::-1] for row in rows) <= high
    assert all(sorted(row.tolist()) == list(range(24)) for row in rows)


def test_labels_come_in_the_order_of_the_classes_asked_for() -> None:
    ordered = cuts(classes=("x", "c", "a", "b"))
    targets = [ordered[SampleIndex(0, 0, clip)][1].tolist() for clip in range(3)]
    assert targets == [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]]
    assert cuts()[SampleIndex(0, 0, 1)][1].tolist() == [0, 1, 0]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardDataset:
    """70 clips in two files."""
    out = make_shards(tmp_path_factory.mktemp("fed") / "shards", videos=70, frames=4, size=16)
    return ShardDataset(out, with_weights=True)


def test_workers_change_nothing_in_any_epoch(shards: ShardDataset) -> None:
    def batches(workers: int) -> list[Tensor]:
        order = ClipSampler(len(shards), 16, seed=3)
        fed = ClipLoader(CropDataset(shards, Shape(3, 12, 12), flip=0.5, seed=3), order, workers=workers, pin=False)
        found = []
        for epoch in range(3):
            order.epoch = epoch
            arriving = iter(fed)
            for _ in range(len(order)):  # as the loop does: without the end
                found += [part.clone() for part in next(arriving)]
        return found

    alone = batches(0)
    assert [part.shape for part in alone[:3]] == [(16, 3, 12, 12, 3), (16, 2), (16, 3)]
    assert len(alone) == 3 * 4 * 3
    for workers in (1, 2):
        assert all(map(torch.equal, alone, batches(workers)))


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_batch_stays_until_the_next_is_asked_for(
    shards: ShardDataset, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Also over the end of an epoch, and while it is written to: others are read ahead into other memory.

    That is not in files of /dev/shm, which torch makes, and there is as much of it as batches can be at once.
    """

    def share(*_: object) -> None:
        raise AssertionError("torch shares memory")

    for name in ("_share_fd_cpu_", "_share_filename_cpu_", "_new_using_fd_cpu", "_new_using_filename_cpu"):
        monkeypatch.setattr(torch.UntypedStorage, name, share)
    order = ClipSampler(len(shards), 9, shuffle=False)
    fed = ClipLoader(CropDataset(shards, Shape(3, 13, 11)), order, workers=workers, pin=False)
    whole = [shards[clip][0][0:3, 1:14, 2:13] for clip in range(70)]
    places, before = set[int](), torch.zeros(1)
    for _ in range(4):
        arriving = iter(fed)
        for start in range(0, 70, 9):
            time.sleep(0.02)  # the others are read
            assert not before.any()
            video, target, weights = next(arriving)
            places.add(video.data_ptr())
            assert torch.equal(video, torch.stack(whole[start : start + 9]))
            assert torch.equal(weights, torch.ones(len(video), 3))
            assert torch.equal(target.sum(1), torch.ones(len(video)))
            assert all(part.is_contiguous() for part in (video, target, weights))
            before = video.zero_()
        assert next(arriving, None) is None
    assert len(places) == 2 * workers + 1


STARTED = """
import multiprocessing
import sys
sys.path.insert(0, {tests!r})
from test_batches import drawn
if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    assert drawn({shards!r}, 2) == drawn({shards!r}, 0)
    print("equal")
"""


def drawn(shards: str, workers: int, *, afresh: bool = False) -> list[bytes]:
    """The bytes of all batches of two epochs."""
    data, order = ShardDataset(shards, with_weights=True), ClipSampler(70, 16, seed=3)
    fed = ClipLoader(
        CropDataset(data, Shape(3, 12, 12), flip=0.5, seed=3), order, workers=workers, pin=False, afresh=afresh
    )
    return [part.numpy().tobytes() for _ in range(2) for batch in fed for part in batch]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_that_are_started_anew_write_to_the_same_memory(
    shards: ShardDataset, tmp_path: Path, method: str
) -> None:
    out = shards.paths[0].parents[1]
    program = tmp_path / "program.py"
    program.write_text(STARTED.format(tests=str(Path(__file__).parent), method=method, shards=str(out)))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "equal\n"), done.stderr


def test_workers_that_start_afresh_are_no_forks_and_read_the_same(shards: ShardDataset) -> None:
    """Whatever threads of this process do meanwhile."""
    out, ended = str(shards.paths[0].parents[1]), threading.Event()

    def begin_and_end() -> None:
        while not ended.is_set():
            short = threading.Thread(target=lambda: None)
            short.start()
            short.join()

    others = [threading.Thread(target=begin_and_end) for _ in range(3)]
    for other in others:
        other.start()
    try:
        assert drawn(out, 2, afresh=True) == drawn(out, 0)
    finally:
        ended.set()
        for other in others:
            other.join()
    fed = ClipLoader(CropDataset(shards, Shape(3, 12, 12)), ClipSampler(70, 16), workers=1, pin=False, afresh=True)
    assert fed.multiprocessing_context.get_start_method() == "spawn"


ORPHANS = """
import multiprocessing
import os
import sys
import time
sys.path.insert(0, {tests!r})
from test_batches import ClipLoader, ClipSampler, CropDataset, Shape, ShardDataset
if __name__ == "__main__":
    multiprocessing.set_start_method({method!r})
    data = ShardDataset({shards!r}, with_weights=True)
    batches = iter(ClipLoader(CropDataset(data, Shape(3, 12, 12)), ClipSampler(70, 16), workers=2, pin=False))
    next(batches)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_end_with_a_main_process_that_is_killed(shards: ShardDataset, tmp_path: Path, method: str) -> None:
    program, out = tmp_path / "program.py", str(shards.paths[0].parents[1])
    program.write_text(ORPHANS.format(tests=str(Path(__file__).parent), method=method, shards=out))
    with (tmp_path / "said").open("w") as said:  # that orphans hold open, too
        main = subprocess.Popen([sys.executable, program], stdout=said, stderr=said)
    while not (workers := (tmp_path / "said").read_text().split()) and main.poll() is None:
        time.sleep(0.05)
    assert len(workers) == 2
    main.kill()
    main.wait()
    end = time.monotonic() + 20  # torch looks every five seconds
    while (living := [pid for pid in workers if Path("/proc", pid).exists()]) and time.monotonic() < end:
        time.sleep(0.1)
    assert not living


def test_tensors_of_a_slot_do_not_overlap() -> None:
    item = [((3, 5), torch.uint8), ((2,), torch.float32), ((), torch.int64)]
    slots = Slots(3, 4, item)
    for slot in range(3):
        for number, part in enumerate(slots.batch(slot, 4)):
            part.fill_(10 * slot + number)
    for slot in range(3):
        parts = slots.batch(slot, 3)
        assert [part.shape for part in parts] == [(3, 3, 5), (3, 2), (3,)]
        assert [part.dtype for part in parts] == [dtype for _, dtype in item]
        assert [set(part.flatten().tolist()) for part in parts] == [{10 * slot + number} for number in range(3)]


def test_open_files_do_not_pile_up(shards: ShardDataset) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    fed = ClipLoader(
        CropDataset(shards, Shape(4, 16, 16)), ClipSampler(len(shards), 2, shuffle=False), workers=1, pin=False
    )
    counts = [files() for _ in fed]
    assert len(counts) == 35
    assert counts[-1] <= counts[3]


def test_without_semaphores_this_process_reads(shards: ShardDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError(38, "Function not implemented")

    assert reading_note(2) == ""
    monkeypatch.setattr("vidaug_cli.workers.multiprocessing.get_context", lambda _: type("", (), {"Lock": refuse}))
    assert reading_note(0) == ""
    assert reading_note(2).startswith("clips are read in the process that computes: the system gives no semaphores (")
    fed = ClipLoader(CropDataset(shards, Shape(4, 16, 16)), ClipSampler(len(shards), 35), workers=2, pin=False)
    assert fed.num_workers == 0
    assert len(list(fed)) == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_reading_draws_nothing_from_torchs_generator(shards: ShardDataset, workers: int) -> None:
    """Else dropout would differ between a run and one that goes on in the middle, where workers start anew."""
    before = torch.get_rng_state()
    fed = ClipLoader(CropDataset(shards, Shape(4, 16, 16)), ClipSampler(len(shards), 32), workers=workers, pin=False)
    assert len(list(fed)) == 2
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_clip_is_an_error_of_one_line(tmp_path: Path, workers: int) -> None:
    out = make_shards(tmp_path / "shards", frames=4, size=16)
    path = out / "000" / "shard-00000.h5"
    content = bytearray(path.read_bytes())
    where = content.find(ShardDataset(out)[7][0].numpy().tobytes())
    content[where + 5] ^= 255
    path.write_bytes(content)
    shards = ShardDataset(out, with_weights=True)
    said = ""
    try:  # pytest.raises would keep the workers until long after the test
        list(ClipLoader(CropDataset(shards, Shape(4, 16, 16)), ClipSampler(12, 6), workers=workers, pin=False))
    except ShardError as error:
        said = str(error)
    assert said.startswith(f"{path}, clip 7: ")
    assert "\n" not in said
