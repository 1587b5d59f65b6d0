from pathlib import Path
from time import perf_counter_ns

import cv2
import numpy as np
import pytest

from edge_sdk_runtime.cameras import CameraSettings, Flip, open_camera
from edge_sdk_runtime.cameras.opencv import (
    CaptureReader,
    VideoFileReader,
    believable,
    open_capture_device,
    open_stream,
    open_video,
)
from edge_sdk_runtime.cameras.sources import FileSource, StreamSource, UsbSource
from edge_sdk_runtime.errors import CameraEndedError, CameraError, CameraUnavailableError
from tests.runtime.cameras.players import FakeCapture, clip, picture, until

GRANTED = {
    cv2.CAP_PROP_FRAME_WIDTH: 640.0,
    cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
    cv2.CAP_PROP_FPS: 30.0,
    cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"MJPG")),
}


@pytest.fixture
def device(tmp_path: Path) -> UsbSource:
    """A file that may be opened in the place of a device."""
    (tmp_path / "video0").touch()
    return UsbSource(str(tmp_path / "video0"))


def test_a_usb_camera_is_asked_for_motion_jpeg_size_rate_and_one_buffer_in_this_order(device: UsbSource) -> None:
    capture = FakeCapture([picture(1)], GRANTED)
    reader = open_capture_device(device, CameraSettings((1280, 720), 15), capture)
    assert capture.arguments == (device.device, cv2.CAP_V4L2)
    assert capture.set_in_order == [
        (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG")),
        (cv2.CAP_PROP_FRAME_WIDTH, 1280),
        (cv2.CAP_PROP_FRAME_HEIGHT, 720),
        (cv2.CAP_PROP_FPS, 15),
        (cv2.CAP_PROP_BUFFERSIZE, 1),
    ]
    assert str(reader.grant) == "640 × 480, 30 fps, MJPG"
    reader.close()
    assert capture.released == 1


def test_what_is_not_told_is_not_claimed() -> None:
    assert str(CaptureReader(FakeCapture([], {}), "x").grant) == "pictures of any size"


def test_the_drivers_time_stamp_shows_how_long_a_picture_lay_there(device: UsbSource) -> None:
    lay_s = 0.25
    stamp_ms = perf_counter_ns() / 1e6 - lay_s * 1e3
    reader = open_capture_device(
        device, CameraSettings(), FakeCapture([picture(1)], {**GRANTED, cv2.CAP_PROP_POS_MSEC: stamp_ms})
    )
    shot = reader.read()
    assert abs(shot.captured_ns - stamp_ms * 1e6) < 1e6


@pytest.mark.parametrize("stamp", [-1, 0, 10**30, 5])
def test_a_stamp_by_another_clock_is_not_believed(stamp: int) -> None:
    now = 60_000_000_000
    assert believable(stamp, now) == now
    assert believable(now, now) == now
    assert believable(now - 9_000_000_000, now) == now - 9_000_000_000


@pytest.mark.parametrize("failing", [None, np.zeros((0, 0, 3), np.uint8), cv2.error("select() timeout")])
def test_a_read_that_fails_is_a_camera_error_before_anything_touches_the_picture(
    failing: np.ndarray | Exception | None,
) -> None:
    with pytest.raises(CameraError, match="cam"):
        CaptureReader(FakeCapture([failing], GRANTED), "cam").read()


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (np.full((2, 3), 9, np.uint8), (9, 9, 9)),
        (np.full((2, 3, 1), 9, np.uint8), (9, 9, 9)),
        (np.full((2, 3, 4), (1, 2, 3, 4), np.uint8), (1, 2, 3)),
        (np.full((2, 3), 9 << 8, np.uint16), (9, 9, 9)),
    ],
)
def test_grey_and_transparent_pictures_become_frames(image: np.ndarray, pixel: tuple[int, ...]) -> None:
    frame = CaptureReader(FakeCapture([image], GRANTED), "cam").read().image
    assert (frame.shape, frame.dtype) == ((2, 3, 3), np.uint8)
    assert tuple(frame[0, 0]) == pixel


@pytest.mark.parametrize(
    ("flip", "turned"),
    [
        (Flip.NONE, [[1, 2], [3, 4]]),
        (Flip.ROTATE_180, [[4, 3], [2, 1]]),
        (Flip.HORIZONTAL, [[2, 1], [4, 3]]),
        (Flip.VERTICAL, [[3, 4], [1, 2]]),
    ],
)
def test_pictures_are_turned(flip: Flip, turned: list[list[int]]) -> None:
    image = np.repeat(np.array([[1, 2], [3, 4]], np.uint8)[:, :, np.newaxis], 3, axis=2)
    shown = CaptureReader(FakeCapture([image], GRANTED), "cam", flip).read().image
    np.testing.assert_array_equal(shown[:, :, 0], turned)


def test_a_stream_has_limits_of_its_own_and_its_password_is_never_shown() -> None:
    capture = FakeCapture([], {}, opens=False)
    with pytest.raises(CameraUnavailableError, match=r"none from rtsp://host/x\.") as info:
        open_stream(StreamSource("rtsp://me:secret@host/x"), CameraSettings(), capture)
    assert "secret" not in str(info.value)
    assert capture.arguments[0] == "rtsp://me:secret@host/x"
    limits = dict(zip(capture.arguments[2][::2], capture.arguments[2][1::2], strict=True))
    assert set(limits) == {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC}


def test_a_video_file_gives_every_frame_in_order_and_ends(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.avi", range(0, 200, 20))
    with open_camera(f"file:{path}") as camera:
        assert str(camera.grant) == "64 × 48, 25 fps, MJPG"
        frames = list(camera)
        with pytest.raises(CameraEndedError, match="after 10 of 10 frames"):
            camera.read()
    assert [frame.sequence for frame in frames] == list(range(10))
    assert [round(float(frame.image.mean()), -1) for frame in frames] == pytest.approx(range(0, 200, 20), abs=10)
    assert camera.counts == (10, 0, 0, 0)


def test_an_unread_frame_of_a_file_does_not_grow_old(tmp_path: Path) -> None:
    with open_camera(f"file:{clip(tmp_path / 'clip.avi', range(3))}") as camera:
        before = perf_counter_ns()
        assert camera.read().captured_ns >= before


def test_a_file_that_plays_live_keeps_its_rate_and_drops(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.avi", range(12))
    with open_camera(f"file:{path}", live=True, fps=200) as camera:
        assert camera.grant.fps == 200
        first = camera.read()
        until(lambda: camera.counts.delivered == 12)
        frames = list(camera)
    assert first.sequence >= 0
    assert frames[-1].sequence == 11
    assert camera.counts.dropped >= 1


@pytest.mark.parametrize("content", [b"", b"junk" * 99])
def test_what_is_no_video_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip%02d.mp4"
    path.write_bytes(content)
    with pytest.raises(CameraUnavailableError, match=rf"{len(content)} bytes. Run: ffmpeg"):
        open_camera(f"file:{path}")
    with pytest.raises(CameraUnavailableError, match="No such file"):
        open_video(FileSource(tmp_path / "absent.mp4"), CameraSettings())
    with pytest.raises(CameraUnavailableError, match="Is a directory"):
        open_video(FileSource(tmp_path), CameraSettings())


def test_a_video_without_pictures_is_an_error_and_not_an_end() -> None:
    with pytest.raises(CameraError, match="must hold pictures") as info:
        VideoFileReader(FakeCapture([], GRANTED), "file:x").read()
    assert not isinstance(info.value, CameraEndedError)
