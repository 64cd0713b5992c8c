"""The decoding process: hangs, crashes, ends and comes back, and costs little."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
import pytest

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.limits import Limits
from vidaug_cli.data.video.memory import Memory
from vidaug_cli.data.video.reader import ClipRequest, probe, read_clip, read_clips
from vidaug_cli.errors import VideoError

FIRST_8 = np.arange(8, dtype=np.int32)


@pytest.fixture
def guard() -> Iterator[Guard]:
    with Guard(Limits(seconds=20)) as guard:
        yield guard


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Running; a zombie that its new parent has not collected does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def modules_of(guard: Guard) -> set[str]:
    """By a builtin, as a function of this file would bring this file's imports into the child."""
    return set(guard._call(eval, "list(__import__('sys').modules)"))


def open_files() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


def read_in_worker(path: Path) -> tuple[int, int]:
    with Guard() as guard:
        clip, _ = guard.read_clip(path, FIRST_8, None, 16)
        return int(clip.sum()), guard.probe(path).frames


def test_gives_what_a_direct_call_gives(guard: Guard, make_video: Callable[..., Path]) -> None:
    path = make_video(size=(64, 48))
    crop = Crop(x=5, y=3, side=40)
    for numbers, size in ((FIRST_8, 32), (FIRST_8[::-1].copy(), 16), (np.arange(30, dtype=np.int32), 64)):
        clip, taken = guard.read_clip(path, numbers, crop, size, flip=True)
        expected, expected_taken = read_clip(path, numbers, crop, size, flip=True)
        assert np.array_equal(clip, expected)
        assert np.array_equal(taken, expected_taken)
    assert guard.probe(path) == probe(path)
    assert guard.probe(path, "header") == probe(path, "header")


def test_a_clip_outlives_the_next_call_in_out_or_in_memory_of_its_own(
    guard: Guard, make_video: Callable[..., Path]
) -> None:
    dark, bright = make_video("dark.mp4", level=lambda _: 20), make_video("bright.mp4", level=lambda _: 220)
    kept = np.empty((8, 16, 16, 3), np.uint8)
    given, _ = guard.read_clip(dark, FIRST_8, None, 16, out=kept)
    assert given is kept
    own, _ = guard.read_clip(dark, FIRST_8, None, 16)
    other, _ = guard.read_clip(bright, FIRST_8, None, 16)
    assert max(kept.max(), own.max()) < 40
    assert other.min() > 200


def test_clips_in_shared_memory_are_decoded_there_by_any_guard(make_video: Callable[..., Path]) -> None:
    """Without a copy: this process writes nothing. Memory may grow meanwhile, and other arrays are served as ever."""
    path, memory = make_video("video.avi", frames=20), Memory()
    requests = [ClipRequest(FIRST_8, None), ClipRequest(FIRST_8 + 5, Crop(x=0, y=0, side=20), flip=True)]
    wanted, _ = read_clips(path, requests, 16)
    with Guard(memory=memory) as first, Guard(memory=memory) as second:
        small = memory.array((2, 8, 16, 16, 3))
        first.read_clips(path, requests, 16, out=list(small))
        large = memory.array((100, 8, 16, 16, 3))
        np.testing.assert_array_equal(large[:2], wanted)
        for guard, place in ((first, 98), (second, 2)):
            clips, _ = guard.read_clips(path, requests, 16, out=list(large[place : place + 2]))
            assert memory.start(clips[0]) == place * small[0].size
            np.testing.assert_array_equal(large[place : place + 2], wanted)
        elsewhere = [np.zeros_like(wanted[0]), large[50]]
        first.read_clips(path, requests, 16, out=elsewhere)
        np.testing.assert_array_equal(elsewhere, wanted)
        assert not large[4:50].any()
        assert not large[51:98].any()


@pytest.mark.parametrize("size", [2**60, 2**70])
def test_more_memory_than_there_is(size: int) -> None:
    memory = Memory()
    small = memory.array((4,))
    with pytest.raises(MemoryError, match=r"Unable to share .* of memory"):
        memory.array((size,))
    small[:] = 1
    assert memory.array((4,)).tolist() == [1] * 4


def test_video_errors_arrive_as_they_are(guard: Guard, tmp_path: Path) -> None:
    (tmp_path / "empty.avi").touch()
    with pytest.raises(VideoError, match=r"empty\.avi: is empty$"):
        guard.probe(tmp_path / "empty.avi")
    with pytest.raises(VideoError, match="No such file"):
        guard.read_clip(tmp_path / "missing.avi", FIRST_8, None, 16)


def test_a_bug_in_the_child_keeps_its_traceback(guard: Guard) -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        guard._call(int, "seven")
    assert "in _answer" in caught.value.__notes__[0]


def test_a_hanging_decoder_is_stopped_and_the_next_file_read(make_video: Callable[..., Path]) -> None:
    with Guard(Limits(seconds=0.1)) as guard:
        started = time.monotonic()
        with pytest.raises(
            VideoError, match=r"^1000: did not answer for 1 s and was stopped; .*--time-limit"
        ) as caught:
            guard._call(time.sleep, 1000)
        assert time.monotonic() - started < 5
        assert caught.value.passing
    with Guard() as guard:
        assert guard.probe(make_video()).frames == 20


def test_the_time_limit_counts_the_decoders_own_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidaug_cli.data.video.limits.PATIENCE", 200)
    with Guard(Limits(seconds=0.5)) as guard:
        guard._call(time.sleep, 1.5)  # waiting for a disk, or for its turn, costs nothing
        started = time.monotonic()
        with pytest.raises(
            VideoError, match=r"took more than 0\.5 s of CPU time and was stopped; --time-limit"
        ) as caught:
            guard._call(sum, range(10**12))
        assert time.monotonic() - started > 0.4
        assert caught.value.passing
        for _ in range(3):  # each call has the whole time
            guard._call(sum, range(5 * 10**6))


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGSEGV, r"the decoder crashed \(signal 11\)$"),
        (signal.SIGABRT, r"the decoder crashed \(signal 6\)$"),
        (signal.SIGKILL, r"the decoder was killed \(signal 9\); if memory was short, take fewer with -j$"),
    ],
)
def test_a_crashing_decoder_is_an_error_of_that_file_alone(
    guard: Guard, make_video: Callable[..., Path], number: signal.Signals, message: str
) -> None:
    with pytest.raises(VideoError, match=message) as caught:
        guard._call(signal.raise_signal, number)
    assert caught.value.passing
    clip, _ = guard.read_clip(make_video(), FIRST_8, None, 16)
    assert clip[0].mean() < clip[7].mean()


def test_no_memory_in_the_child_is_no_fault_of_the_file(guard: Guard) -> None:
    with pytest.raises(VideoError, match="1000000000000000: there is not enough memory to decode it") as caught:
        guard._call(bytes, 10**15)
    assert caught.value.passing


def test_no_file_handle_for_the_child_is_one_line() -> None:
    code = (
        "import os, resource\nfrom vidaug_cli.data.video.guard import Guard\n"
        "count = len(os.listdir('/proc/self/fd')); resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))\n"
        "try: Guard()._call(len, 'abc')\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "WorkerError a process that decodes cannot be started: Too many open files; take fewer"
    )


def test_an_exit_of_the_child_is_reported(guard: Guard) -> None:
    with pytest.raises(VideoError, match=r"crashed \(exit status 7\)"):
        guard._call(os._exit, 7)


def test_an_interrupted_call_leaves_no_answer_for_the_next(guard: Guard) -> None:
    assert guard._call(len, "abc") == 3
    pid = guard._call(os.getpid)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            guard._call(time.sleep, 0.6)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert not alive(pid)
    assert guard._call(len, "abcde") == 5


def test_the_child_keeps_no_frames(guard: Guard, make_video: Callable[..., Path]) -> None:
    """Else those of a hundred clips, of 50 MB each in 8K, would wait until Python looks for garbage."""
    video = make_video()
    for number in range(41):
        guard.read_clip(video, FIRST_8, None, 16)
        if not number:
            guard._call(gc.collect)  # what imports left
    assert guard._call(gc.collect) < 8  # objects; a frame and its side data are four


def test_the_child_is_light_and_ignores_ctrl_c(guard: Guard, make_video: Callable[..., Path]) -> None:
    guard.read_clip(make_video(), FIRST_8, None, 16)
    modules = modules_of(guard)
    assert "av" in modules
    assert not modules & {"torch", "torchvision", "h5py", "click", "joblib"}
    pid = guard._call(os.getpid)
    os.kill(pid, signal.SIGINT)
    assert guard._call(os.getpid) == pid
    assert os.getpgid(pid) != os.getpgrp()


def test_the_child_starts_late_is_kept_and_ends_with_close() -> None:
    before = open_files()
    guard = Guard()
    assert open_files() == before
    pid = guard._call(os.getpid)
    assert guard._call(os.getpid) == pid
    guard.close()
    guard.close()
    assert not alive(pid)
    assert open_files() == before


def test_a_forgotten_guard_ends_its_child() -> None:
    guard = Guard()
    pid = guard._call(os.getpid)
    del guard
    assert not alive(pid)


@pytest.mark.parametrize("busy", [False, True])
def test_the_child_does_not_outlive_a_killed_parent(busy: bool) -> None:
    code = (
        "import os, time\n"
        "from vidaug_cli.data.video.guard import Guard, Limits\n"
        "guard = Guard(Limits(seconds=1)); print(guard._call(os.getpid), flush=True)\n"
        f"guard._call(time.sleep, 1000) if {busy} else time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.2)
        assert alive(child)
        parent.kill()
    wait_until(lambda: not alive(child))


def test_works_in_a_script_without_a_main_guard(make_video: Callable[..., Path], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys; from pathlib import Path; from vidaug_cli.data.video.guard import Guard\n"
        "print('once'); guard = Guard(); print(guard.probe(Path(sys.argv[1])).frames)\n"
    )
    command = [sys.executable, "-W", "error", str(script), str(make_video())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("once\n20\n", "")


def test_works_in_a_joblib_worker(make_video: Callable[..., Path]) -> None:
    path = make_video()
    direct = int(read_clip(path, FIRST_8, None, 16)[0].sum()), 20
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(read_in_worker)(path) for _ in range(3))
    assert found == [direct] * 3


def test_a_module_named_like_ours_in_the_current_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "av.py").write_text("raise SystemExit('a file of the data set was run')")
    monkeypatch.chdir(tmp_path)
    with Guard() as guard:
        assert "av" in modules_of(guard)
