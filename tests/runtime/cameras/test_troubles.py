import os
from pathlib import Path

import pytest

from edge_sdk_runtime.cameras.troubles import device_trouble


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "video0").touch()
    (tmp_path / "dev" / "video2").touch()
    return tmp_path


def test_a_device_that_is_not_there_names_those_that_are(root: Path) -> None:
    said = device_trouble("/dev/video7", root=root)
    assert said.endswith("Received: no /dev/video7; there is /dev/video0, /dev/video2. Choose one of them.")


def test_no_camera_at_all_says_how_to_look(tmp_path: Path) -> None:
    assert device_trouble("/dev/video0", root=tmp_path).endswith(
        "a Raspberry Pi's CSI camera is picamera2:0. Run: lsusb"
    )


def test_a_device_that_may_not_be_opened_names_the_group(root: Path) -> None:
    asked = []

    def refuse(path: Path, mode: int) -> bool:
        asked.append((path, mode))
        return False

    said = device_trouble("/dev/video0", access=refuse, root=root)
    assert "no permission for /dev/video0. Run: sudo usermod -aG " in said
    assert asked == [(root / "dev" / "video0", os.R_OK | os.W_OK)]


def test_a_busy_device_names_the_process_that_has_it(root: Path) -> None:
    descriptors = root / "proc" / "812" / "fd"
    descriptors.mkdir(parents=True)
    (descriptors / "5").symlink_to("/dev/video0")
    (root / "proc" / "812" / "comm").write_text("cheese\n")
    assert device_trouble("/dev/video0", root=root) == ""
    said = device_trouble("/dev/video0", failed=True, root=root)
    assert said.endswith("Received: /dev/video0, in use by cheese (process 812). Run: kill 812")
    other = device_trouble("/dev/video2", failed=True, root=root)
    assert other.endswith("Run: sudo fuser --verbose /dev/video2")
    assert "\n" not in said + other
