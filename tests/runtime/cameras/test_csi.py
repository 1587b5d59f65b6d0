"""Both boards' own cameras, played by fakes of the libraries that only exist there."""

import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from edge_sdk_runtime import UsageError
from edge_sdk_runtime.cameras import CameraSettings, Flip, open_camera
from edge_sdk_runtime.cameras.jetson import JetsonPipeline, open_jetson
from edge_sdk_runtime.cameras.picamera import PiCameraReader
from edge_sdk_runtime.cameras.sources import JetsonCsiSource, PiCameraSource
from edge_sdk_runtime.errors import CameraError, CameraUnavailableError
from tests.runtime.cameras.players import FakeCapture, picture

WITH_GSTREAMER = "Video I/O:\n    FFMPEG: YES\n    GStreamer:                   YES (1.20.3)\n"
WITHOUT_GSTREAMER = "Video I/O:\n    FFMPEG: YES\n    GStreamer:                   NO\n"


def test_the_jetsons_pipeline_is_built_from_its_settings() -> None:
    assert JetsonPipeline(1, (1920, 1080), (960, 540), 60, Flip.ROTATE_180).text() == (
        "nvarguscamerasrc sensor-id=1 ! "
        "video/x-raw(memory:NVMM), width=(int)1920, height=(int)1080, framerate=(fraction)60/1 ! "
        "nvvidconv flip-method=2 ! video/x-raw, width=(int)960, height=(int)540, format=(string)BGRx ! "
        "videoconvert ! video/x-raw, format=(string)BGR ! appsink drop=true max-buffers=1 sync=false"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (CameraSettings(fps=29.97), r"whole frames per second. Received: 29.97. Write 30"),
        (CameraSettings((641, 480)), "even sizes"),
    ],
)
def test_what_argus_does_not_take_is_refused(settings: CameraSettings, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_jetson(JetsonCsiSource(0), settings, FakeCapture([]), WITH_GSTREAMER)


@pytest.mark.parametrize("size", [None, (640, 480)])
def test_a_jetsons_camera_keeps_the_aspect_ratio_of_what_its_sensor_is_asked_for(size: tuple[int, int] | None) -> None:
    capture = FakeCapture([picture(3)], {})
    reader = open_jetson(JetsonCsiSource(0), CameraSettings(size, flip=Flip.VERTICAL), capture, WITH_GSTREAMER)
    pipeline, backend = capture.arguments
    assert backend == cv2.CAP_GSTREAMER
    sides = [int(side) for side in re.findall(r"\(int\)(\d+)", pipeline)]
    assert sides[0] * sides[3] == sides[1] * sides[2]
    assert "flip-method=6" in pipeline
    np.testing.assert_array_equal(reader.read().image, picture(3))


def test_what_a_jetson_lacks_is_said_with_the_command_that_mends_it() -> None:
    with pytest.raises(
        CameraUnavailableError, match=r"built with GStreamer. .*Run: sudo apt-get install --yes python3-opencv"
    ):
        open_jetson(JetsonCsiSource(0), CameraSettings(), FakeCapture([]), WITHOUT_GSTREAMER)
    with pytest.raises(CameraUnavailableError, match="Run: sudo systemctl restart nvargus-daemon"):
        open_jetson(JetsonCsiSource(0), CameraSettings(), FakeCapture([], opens=False), WITH_GSTREAMER)


class FakePicamera2:
    """As much of picamera2 as is used; its main stream lies in memory as B, G, R under the name RGB888."""

    cameras: ClassVar = [{"Model": "imx708", "Num": 0}]
    failure: Exception | None = None
    made: ClassVar[list["FakePicamera2"]] = []

    def __init__(self, index: int) -> None:
        if self.failure:
            raise self.failure
        self.index = index
        self.started = self.closed = False
        self.released = 0
        self.configuration: dict[str, Any] = {}
        self.images = iter([picture(5), picture(6)])
        self.made.append(self)

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.cameras

    def create_video_configuration(self, **configuration: Any) -> dict[str, Any]:
        return configuration

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration

    def camera_configuration(self) -> dict[str, Any]:
        return self.configuration

    def start(self) -> None:
        self.started = True

    def capture_request(self) -> Any:
        image = next(self.images, None)
        if image is None:
            raise RuntimeError("Camera frontend has timed out!")

        def release() -> None:
            self.released += 1

        return SimpleNamespace(
            make_array=lambda name: image, get_metadata=lambda: {"SensorTimestamp": 123}, release=release
        )

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    kind = type("FakePicamera2", (FakePicamera2,), {"made": []})
    module, libcamera = ModuleType("picamera2"), ModuleType("libcamera")
    module.Picamera2 = kind  # type: ignore[attr-defined]
    libcamera.Transform = lambda **mirrors: mirrors  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    return kind


def test_a_pis_camera_gives_bgr_by_the_name_that_libcamera_has_for_it(picamera2: type[FakePicamera2]) -> None:
    with open_camera("picamera2:0", size=(1280, 720), fps=15, flip="rotate-180", reconnect_s=0) as camera:
        frame = camera.read()
        assert frame.image[0, 0, 0] in (5, 6)
        assert str(camera.grant) == "1280 × 720, 15 fps, BGR"
        with pytest.raises(CameraError, match="Camera frontend has timed out"):
            list(camera)
    (made,) = picamera2.made
    assert made.configuration["main"] == {"size": (1280, 720), "format": "RGB888"}
    assert made.configuration["transform"] == {"hflip": 1, "vflip": 1}
    assert made.configuration["controls"] == {"FrameRate": 15}
    assert made.configuration["queue"] is False
    assert made.started and made.closed and made.released == 2


def test_a_pi_without_that_camera_says_how_to_look(picamera2: type[FakePicamera2]) -> None:
    with pytest.raises(
        CameraUnavailableError, match=r"picamera2:1, where libcamera finds imx708. Run: rpicam-hello --list-cameras"
    ):
        PiCameraReader(PiCameraSource(1), CameraSettings())


def test_a_pis_camera_that_is_busy_says_who_has_it(
    picamera2: type[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picamera2, "failure", RuntimeError("Failed to acquire camera: Device or resource busy"))
    with pytest.raises(
        CameraUnavailableError, match=r"must be free.*resource busy\). Run: sudo fuser --verbose /dev/media"
    ):
        PiCameraReader(PiCameraSource(0), CameraSettings())


@pytest.mark.parametrize("in_environment", [True, False])
def test_without_picamera2_its_install_line_is_given(monkeypatch: pytest.MonkeyPatch, in_environment: bool) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr(sys, "base_prefix", "/elsewhere" if in_environment else sys.prefix)
    with pytest.raises(CameraUnavailableError, match="Run: sudo apt-get install --yes python3-picamera2") as info:
        open_camera("picamera2:0")
    assert ("--system-site-packages" in str(info.value)) is in_environment
