from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_sdk_devices.deploy import Service
from edge_sdk_devices.deploy.service import install_service, restart_service, unit_text
from edge_sdk_devices.errors import DeployError, DeviceError
from edge_sdk_devices.logs import read_logs
from edge_sdk_devices.transports import FakeTransport, Result


def answering(**answers: Result) -> FakeTransport:
    """A device that succeeds at everything but commands that hold one of some words."""

    def answer(command: str, data: bytes) -> Result:
        fitting = (result for word, result in answers.items() if word.replace("_", "-") in command)
        return next(fitting, Result(0, b""))

    return FakeTransport(answer)


def test_a_unit_says_what_systemd_takes(tmp_path: Path) -> None:
    text = unit_text("mugs", Service('file:100% "real"\\$HOME.mp4', ":8080"))
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert line.endswith(r'camera "--source" "file:100%% \"real\"\\$$HOME.mp4" "--preview" ":8080"')
    assert "@NAME@" not in text and "@ARGUMENTS@" not in text and "edge-sdk/bundles/mugs/current" in line
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "edge-sdk-mugs.service"
        unit.write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", str(unit)], capture_output=True, text=True, check=False
        )
        assert "edge-sdk-mugs" not in done.stderr


def test_a_service_is_written_enabled_and_started() -> None:
    device = answering()
    install_service(device, "mugs", Service())
    assert list(device.files) == [".config/systemd/user/edge-sdk-mugs.service"]
    assert "systemctl --user enable edge-sdk-mugs.service" in device.commands[-1]
    assert restart_service(device, "mugs", settles_s=0)
    assert "is-active" in device.commands[-1]
    assert "journalctl" not in " ".join(device.commands)
    read_logs(device, "mugs", 7)
    assert "journalctl --user --unit edge-sdk-mugs.service --lines 7" in device.commands[-1]


def test_a_service_that_does_not_stay_is_told() -> None:
    device = answering(is_active=Result(3, b"failed\n"), journalctl=Result(0, b"edge-run: no camera\n"))
    with pytest.raises(
        DeployError, match=r"must stay\. Received: edge-sdk-mugs.service is failed .edge-run: no camera"
    ):
        restart_service(device, "mugs", settles_s=0)


def test_without_systemd_or_service_it_is_said() -> None:
    device = answering(show_environment=Result(1, b"", "Failed to connect to bus"))
    with pytest.raises(DeviceError, match=r"needs systemd .* Received: Failed to connect to bus.*enable-linger"):
        install_service(device, "mugs", Service())
    assert not device.files
    none = answering(systemd=Result(1, b""))
    assert not restart_service(none, "mugs")
    with pytest.raises(DeviceError, match="There must be a service"):
        read_logs(none, "mugs")
    with pytest.raises(DeviceError, match="There must be something deployed"):
        read_logs(answering(tail=Result(1, b"")))
